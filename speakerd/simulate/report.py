"""What a conversation came to, in plain words."""

from dataclasses import dataclass

from speakerd.simulate.evidence import Evidence
from speakerd.simulate.findings import LIKE, Findings, sounding
from speakerd.state import State

QUIET_S = 0.05
"""Sound between two answers that is shorter than this is the click of a cut."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is said at the end; ``trouble`` is what is missing, None where nothing is."""

    words: list[str]
    trouble: str | None


def report(evidence: Evidence, found: Findings, *, judged: bool) -> Report:
    """Say what was heard.

    Where it is ``judged``, the first answer must have been cut off by the interruption and the second heard whole.
    """
    words = [*_of_answers(evidence, found), *_of_silence(evidence, found)]
    if evidence.loudspeaker is None:
        words = _of_the_light(evidence)
    elif not found.answers:
        words += _of_sound(evidence)
    if judged and evidence.loudspeaker is not None:
        return Report(words, _missing(evidence, found))
    return Report(words, None if evidence.was(State.SPEAKING) else "no answer was heard")


def _missing(evidence: Evidence, found: Findings) -> str | None:
    """Return what is not as it must be."""
    assert evidence.loudspeaker is not None
    if len(found.answers) != 2:
        return f"two answers were expected, and {len(found.answers)} were given"
    first, second = found.answers
    if not first.heard:
        return f"the first answer was not heard (likeness {first.likeness:.2f}, less than {LIKE})"
    if first.whole or not found.cuts:
        return "the first answer was not interrupted"
    if not second.whole:
        share = f"{max(second.heard_s, 0):.1f} of {second.seconds:.1f} s"
        return f"the second answer was not heard whole ({share}, likeness {second.likeness:.2f})"
    rest = sounding(evidence.loudspeaker, first.ended, second.began)
    if rest > QUIET_S:
        return f"between the interruption and the second answer something was heard for {rest:.2f} s"
    return None


def _of_answers(evidence: Evidence, found: Findings) -> list[str]:
    words = []
    for number, answer in enumerate(found.answers, 1):
        name = f"Answer {number}"
        if not answer.heard:
            words.append(f"{name} was not heard.")
            continue
        since, until = answer.began - evidence.began, answer.ended - evidence.began
        how = "all of it" if answer.whole else f"{answer.heard_s:.1f} of its {answer.seconds:.1f} s"
        when = f"from {since:.1f} s to {until:.1f} s"
        words.append(f"{name} was heard {when}: {how}, likeness {answer.likeness:.3f}.")
    return words


def _of_silence(evidence: Evidence, found: Findings) -> list[str]:
    return [
        f"Interrupted at {cut.told - evidence.began:.1f} s, the loudspeaker fell silent {cut.soon} (to about 20 ms)."
        for cut in found.cuts
    ]


def _of_sound(evidence: Evidence) -> list[str]:
    assert evidence.loudspeaker is not None
    heard = sounding(evidence.loudspeaker, evidence.began, evidence.ended)
    return [f"The loudspeaker was heard for {heard:.1f} s in all."]


def _of_the_light(evidence: Evidence) -> list[str]:
    spoke = [stretch for stretch in evidence.stretches() if stretch.state is State.SPEAKING]
    seconds = sum(stretch.ended - stretch.began for stretch in spoke)
    return [
        f"Answers: {len(spoke)}, {seconds:.1f} s in all; interruptions: {len(evidence.interruptions)}.",
        "What real devices hear and play cannot be recorded from here; the picture is drawn from the journal.",
    ]
