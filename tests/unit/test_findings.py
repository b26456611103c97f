"""What was heard of the answers, judged from sounds that are made up here."""

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerd.simulate.evidence import Entry, Evidence, Sound
from speakerd.simulate.findings import find, findings, silent_since, sounding
from speakerd.simulate.ledger import Answer, WireEvent
from speakerd.simulate.report import report

RATE = 24_000
BEGAN = 1000.0

Samples = NDArray[np.float64]


def voice(seed: int, seconds: float) -> Samples:
    """Return something with words and pauses that nothing else sounds like."""
    noise = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE))
    words = np.sin(np.arange(len(noise)) * 2 * np.pi * 1.5 / RATE) > -0.7
    return noise.round() * words


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE))


def pcm(*pieces: Samples) -> bytes:
    return np.concatenate(pieces).clip(-32768, 32767).astype("<i2").tobytes()


def played(*pieces: Samples) -> Sound:
    return Sound(pcm(*pieces), RATE, BEGAN)


def answer(number: int, sound: Samples) -> Answer:
    return Answer(1, number, pcm(sound), pcm(sound), f"Answer number {number}.", interrupted=number == 1)


FIRST, SECOND = voice(1, 5.0), voice(2, 3.0)
HEARD = FIRST[: round(2.9 * RATE)]


def test_a_whole_answer_is_found() -> None:
    """An answer that was played from start to end is found where it was played."""
    finding = find(answer(1, FIRST), played(silence(1.3), FIRST, silence(1)))
    assert finding.whole
    assert finding.began == pytest.approx(BEGAN + 1.3, abs=0.001)
    assert finding.ended == pytest.approx(BEGAN + 6.3, abs=0.1)
    assert finding.likeness > 0.99


def test_the_cut_is_found() -> None:
    """Of an answer that was cut off, exactly what was heard is counted."""
    finding = find(answer(1, FIRST), played(silence(0.5), HEARD, silence(3)))
    assert finding.heard
    assert not finding.whole
    assert finding.heard_s == pytest.approx(2.9, abs=0.01)


def test_a_gap_does_not_hide_the_rest() -> None:
    """A hiccup of the machine in the middle of an answer is not its end."""
    finding = find(answer(1, FIRST), played(silence(0.5), FIRST[:40_000], silence(0.04), FIRST[40_000:], silence(1)))
    assert finding.whole


def test_an_answer_with_a_hole_ends_there() -> None:
    """An answer that is silent for half a second in its middle was not heard whole, even if it goes on in time."""
    finding = find(answer(1, FIRST), played(silence(0.5), FIRST[:48_000], silence(0.5), FIRST[60_000:], silence(1)))
    assert not finding.whole
    assert finding.heard_s == pytest.approx(2.0, abs=0.01)


def test_another_voice_is_not_taken_for_the_answer() -> None:
    """Where something else was played, or nothing, the answer was not heard."""
    for sound in (played(silence(1), SECOND, silence(3)), played(silence(4)), Sound(b"", RATE, BEGAN)):
        assert not find(answer(1, FIRST), sound).heard


def test_noise_over_the_answer_is_not_the_answer() -> None:
    """An answer that is drowned in noise was not heard."""
    loud = np.random.default_rng(9).normal(0, 6000, len(FIRST)).round()
    assert not find(answer(1, FIRST), played(silence(1), FIRST + loud)).heard


def test_silence_is_told_from_a_pause() -> None:
    """The end of a sound is where it stops for good, not where a word ends."""
    sound = played(silence(1), np.full(RATE, 500.0), silence(0.2), np.full(RATE // 2, 500.0), silence(2))
    assert silent_since(sound, BEGAN + 1.9) == pytest.approx(BEGAN + 2.7, abs=0.001)
    assert silent_since(sound, BEGAN + 4.5) is None
    assert sounding(sound, BEGAN, BEGAN + 9) == pytest.approx(1.5, abs=0.05)


def conversation(*pieces: Samples, answers: int = 2) -> Evidence:
    """Return a conversation in which this was played and both answers were sent."""
    given = [answer(1, FIRST), answer(2, SECOND)][:answers]
    return Evidence(
        BEGAN,
        BEGAN + 10,
        journal=[Entry(BEGAN + 1, "state", {"state": "speaking"})],
        wire=[WireEvent(BEGAN + 1 + 2.88, 1, "out", "interrupted", {})],
        answers=given,
        loudspeaker=played(*pieces),
    )


def trouble(evidence: Evidence) -> str | None:
    return report(evidence, findings(evidence), judged=True).trouble


def test_a_good_conversation_is_reported_in_numbers() -> None:
    """Where all went well, the report says from when to when each answer was heard, and how fast silence came."""
    evidence = conversation(silence(1), HEARD, silence(2), SECOND, silence(1))
    said = report(evidence, findings(evidence), judged=True)
    assert said.trouble is None
    assert said.words[0].startswith("Answer 1 was heard from 1.0 s to 3.9 s: 2.9 of its 5.0 s")
    assert said.words[1].startswith("Answer 2 was heard from 5.9 s to 8.9 s: all of it")
    assert "Interrupted at 3.9 s, the loudspeaker fell silent 20 ms later" in said.words[2]


@pytest.mark.parametrize(
    ("pieces", "complaint"),
    [
        ((silence(9),), "the first answer was not heard"),
        ((silence(1), SECOND, silence(3)), "the first answer was not heard"),
        ((silence(1), FIRST, silence(1), SECOND, silence(1)), "the first answer was not interrupted"),
        ((silence(1), HEARD, silence(4)), "the second answer was not heard whole"),
        ((silence(1), HEARD, silence(2), SECOND[:48_000], silence(2)), "the second answer was not heard whole"),
        (
            (silence(1), HEARD, silence(1), np.full(4800, 900.0), silence(1), SECOND, silence(1)),
            "between the interruption and the second answer something was heard for 0.2",
        ),
    ],
)
def test_what_is_missing_is_said(pieces: tuple[Samples, ...], complaint: str) -> None:
    """A demo that went wrong says what was not heard, or was heard too much."""
    assert (trouble(conversation(*pieces)) or "nothing").startswith(complaint)


def test_a_missing_answer_is_missed() -> None:
    """Where only one answer was given, the demo has failed."""
    one = conversation(silence(1), HEARD, silence(2), SECOND, silence(1), answers=1)
    assert trouble(one) == "two answers were expected, and 1 were given"


def test_without_recordings_the_light_is_told() -> None:
    """With real devices the report tells how often it spoke, and that there are no recordings."""
    evidence = conversation(silence(1))
    evidence.loudspeaker = None
    said = report(evidence, findings(evidence), judged=True)
    assert said.trouble is None
    assert said.words[0] == "Answers: 1, 9.0 s in all; interruptions: 1."
    assert "cannot be recorded" in said.words[1]


def test_with_google_the_sound_is_told() -> None:
    """Where nobody knows what the answers are, the report tells how long something was heard."""
    evidence = conversation(silence(1), np.full(RATE * 2, 900.0), silence(1), answers=0)
    said = report(evidence, findings(evidence), judged=False)
    assert said.trouble is None
    assert said.words[-1] == "The loudspeaker was heard for 2.0 s in all."
    evidence.journal.clear()
    assert report(evidence, findings(evidence), judged=False).trouble == "no answer was heard"
