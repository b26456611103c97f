"""What went wrong with a question or with its answer; pure."""

from collections.abc import Iterator

from speakerd.explain.cause import Cause, advice_for, cause
from speakerd.explain.entry import Entry
from speakerd.explain.story import GONE, Story

_OF_OURS = ("begun anew", "connection lost", "connection replaced")
"""How a turn ended that the service did not end; the events of that tell more."""

_STALLS = {
    "silent": (
        "The connection was there, but the model said nothing.",
        "Ask again. It may rightly be silent when it takes what it hears as not meant for it. "
        "If every question ends so, look at the status page of the service, and try another assistant.model.",
    ),
    "empty": (
        "The model ended its turn without a sound.",
        "Ask again, in other words. If every question ends so, try another assistant.model.",
    ),
    "rejected": ("The service refused to answer what was said.", "Ask again, in other words."),
    "phantom": (
        "The answer was cut off, as if somebody had spoken over it, and nobody had: "
        "most likely the microphone heard the loudspeaker.",
        "Set speaker.volume lower, or the loudspeaker farther from the microphone.",
    ),
}

_WARNING = 4
"""The syslog(3) priority of what we lost, or of worse, where it is no more than this."""

_TOLD_ELSEWHERE = ("mute", "link-lost", "link-refused", "device-lost", "device-missing", "question-lost",
                   "answer-lost", "stall", "watchdog", "xrun", "settings-refused")  # fmt: skip
"""Events that are a cause of another name."""


def mishaps(story: Story) -> Iterator[Cause]:
    """Yield what was lost, cut off, refused or left unanswered."""
    for entry in story.entries:
        match entry.event:
            case "question-lost":
                text = "There was no connection for so long that what had been said was not sent any more."
                yield cause("question-lost", text, "Ask again when the light is no longer that for offline.", [entry])
            case "stall" if (kind := entry.fields.get("stall")) in _STALLS:
                yield cause("refused" if kind == "rejected" else f"stall-{kind}", *_STALLS[kind], [entry])
            case "turn" if (reason := entry.fields.get("reason")) and reason not in _OF_OURS:
                text = f"The service ended the turn in an unusual way: {reason}."
                yield cause("refused", text, _STALLS["rejected"][1], [entry])
            case "interrupted":
                yield _interrupted(entry)
            case "answer-lost":
                text = "The connection was lost in the middle of the answer."
                yield cause("answer-lost", text, advice_for("answer-lost"), [entry])
            case "begin-anew":
                text = "Somebody held the button: the conversation began anew, and an answer under way ended there."
                yield cause("begin-anew", text, "", [entry])
            case "settings-refused":
                text = "The settings have mistakes; what is written there is not in force."
                yield cause("settings-refused", text, advice_for("settings-refused"), [entry])
            case "watchdog":
                text = f"Its part {entry.fields.get('part', '')} was stuck."
                yield cause("stuck", text, advice_for("watchdog"), [entry])
            case event if entry.priority <= _WARNING and event not in (*_TOLD_ELSEWHERE, *GONE):
                text = f"It warned: {entry.text.rstrip('.') or 'a line that is too long to be read here'}."
                yield cause("other", text, advice_for(event), [entry])


def _interrupted(entry: Entry) -> Cause:
    dropped = (entry.number("dropped_ms") or 0.0) / 1000
    text = f"Somebody spoke over the answer, and it stopped; {dropped:.1f} s of it were not played."
    return cause("interrupted", text, advice_for("interrupted"), [entry])


def unheard(story: Story) -> Iterator[Cause]:
    """Yield that nobody was heard, where somebody could have been."""
    exchange, shown = story.exchange, [one for one in story.states if one.touches(story.focus)]
    if exchange is None and shown and all(state.name == "idle" for state in shown):
        lines = [entry for entry in story.entries if entry.event == "state" and entry.at <= story.moment][-1:]
        text = "It listened, and heard nobody."
        advice = 'Speak up, or come closer. "speakerd doctor" looks at the microphone and at its level.'
        yield cause("unheard", text, advice, lines, story.focus)
    elif exchange is not None and exchange.turn is None and {one.name for one in exchange.states} == {"listening"}:
        lines = [entry for entry in story.entries if entry.at == exchange.span.began]
        text = "What it heard was too short for a question, or was still going on."
        yield cause("unheard", text, "Ask again, in a whole sentence.", lines, exchange.span)
