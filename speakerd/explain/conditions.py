"""What lasted: the mute, an outage of the connection, a device that is away; pure."""

import math
from collections.abc import Iterator, Sequence

from speakerd.explain.cause import Cause, advice_for, cause
from speakerd.explain.entry import Entry
from speakerd.explain.story import GONE, Story, Stretch, lasting
from speakerd.explain.words import clock, length

_UNNOTICED_S = 2.0
"""What is said in a shorter pause of the connection is told again as if nothing had been."""

_BY_THE_CODE = 1000
"""From here on a code is one of WebSockets (RFC 6455), below it is an HTTP status."""

_CUT = 1006
"""The code of a connection that ended without a goodbye (RFC 6455)."""


def muted(story: Story) -> Iterator[Cause]:
    """Yield when it was muted."""

    def begins(entry: Entry) -> bool:
        return entry.event in ("mute", "state") and (entry.says(muted="true") or entry.says(state="muted"))

    def ends(entry: Entry) -> bool:
        is_shown = entry.event == "state" and entry.fields.get("state") not in ("muted", "error", "setup")
        return entry.event in GONE or is_shown or (entry.event == "mute" and entry.says(muted="false"))

    for span, told in lasting(story.entries, begins, ends):
        lines = [entry for entry in told if entry.event == "mute"] or told
        text = f"It was muted {when(span, story)}, and hears nobody while it is."
        yield cause("muted", text, "Press the button, or move the switch: nothing else ends a mute.", lines, span)


def disconnected(story: Story) -> Iterator[Cause]:
    """Yield when there was no connection, and why."""

    def begins(entry: Entry) -> bool:
        return entry.event in ("link-lost", "link-refused", "started")

    def ends(entry: Entry) -> bool:
        return entry.event in ("link-up", "link-rotated", *GONE)

    for span, told in lasting(story.entries, begins, ends):
        if span.seconds >= _UNNOTICED_S:
            why, advice = _why_disconnected(told)
            text = f"There was no connection to the Live API {when(span, story)}: {why}."
            lines = [entry for entry in told if entry.event != "started"] or told
            yield cause("no-connection", text, advice, lines, span)


def _why_disconnected(told: Sequence[Entry]) -> tuple[str, str]:
    reasons = [entry for entry in told if entry.event != "started"]
    if not reasons:
        return "it had just started and was still dialling", "Nothing, if it came; else see the lines after this."
    for entry in reversed(reasons):
        if entry.says(next="person"):
            return "a person must act", _sentence(entry.fields.get("advice") or advice_for(entry.event))
        if entry.says(next="wait"):
            return (
                "the service had too much of us",
                "Nothing at first: it dials again every minute. If it lasts, look at the quota of your API key.",
            )
    code = reasons[-1].number("code")
    often = 'If it happens often, "speakerd doctor" looks at the network.'
    if code is None:
        return "the service could not be reached", f"See whether other devices have network. {often}"
    if code == _CUT:
        return "the line was cut", f"Nothing: it dials again by itself. {often}"
    if code < _BY_THE_CODE:
        return f"the service answered HTTP {code:.0f}", "Nothing at first: it dials again by itself."
    return f"the service hung up (code {code:.0f})", f"Nothing: it dials again by itself. {often}"


def devices_away(story: Story) -> Iterator[Cause]:
    """Yield when the microphone or the loudspeaker was away."""
    yield from _away(story, "microphone", "nobody was heard")
    yield from _away(story, "loudspeaker", "nothing could be played")


def _away(story: Story, device: str, so: str) -> Iterator[Cause]:
    def begins(entry: Entry) -> bool:
        return entry.event in ("device-lost", "device-missing") and entry.says(device=device)

    def ends(entry: Entry) -> bool:
        # A device that is closed for the mute is not missed any more.
        is_closed = device == "microphone" and entry.event == "mute" and entry.says(muted="true")
        is_back = entry.event == "device-back" and entry.says(device=device)
        return is_back or is_closed or entry.event in ("started", *GONE)

    for span, told in lasting(story.entries, begins, ends):
        text = f"The {device} was away {when(span, story)}: {so}."
        yield cause(device, text, advice_for("device-missing").replace("The device", "It"), told, span)


def when(span: Stretch, story: Story) -> str:
    """Return a time in words: from when to when, or since when."""
    began = clock(span.began, story.moment)
    if span.ended == math.inf:
        return f"since {began}"
    return f"from {began} to {clock(span.ended, story.moment)} ({length(span.seconds)})"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", ")")) else ".")
