"""Why an answer came late, or with gaps; pure."""

from collections.abc import Iterator

from speakerd.explain.cause import Cause, advice_for, cause
from speakerd.explain.entry import Entry
from speakerd.explain.story import Exchange, Story

SLOW_MS = 2000
"""The model begins to answer within two seconds of the end of a question (speakerd.assistant.SILENT_S)."""

LONG_BUFFER_MS = 500
"""Sound waits for speaker.prebuffer_ms, 80 as it comes, and for a period or two of the device."""


def slowness(story: Story) -> Iterator[Cause]:
    """Yield what took long in the turn that is asked about."""
    exchange = story.exchange
    if exchange is None or exchange.turn is None:
        return
    yield from _gaps(story, exchange.turn)
    first_byte, first_sound = exchange.turn.number("first_byte_ms"), exchange.turn.number("first_sound_ms")
    if first_byte is None or first_sound is None:
        return
    if first_sound - first_byte >= LONG_BUFFER_MS:
        late = (first_sound - first_byte) / 1000
        text = f"The answer was there, but its sound began {late:.1f} s later: it came in slowly, or waited its turn."
        advice = 'See whether the network is slow ("speakerd doctor"), and whether speaker.prebuffer_ms is set high.'
        yield cause("slow-buffering", text, advice, [exchange.turn], exchange.span)
    if first_byte < SLOW_MS:
        return
    if told := _detours(story, exchange):
        text = f"The answer began after {first_sound / 1000:.1f} s: the connection was replaced or lost meanwhile."
        advice = 'Nothing, if it is rare. Else "speakerd doctor" looks at the network.'
        yield cause("slow-network", text, advice, [*told, exchange.turn], exchange.span)
    else:
        text = f"The service took {first_byte / 1000:.1f} s until the answer began."
        advice = "Nothing on this machine. If it lasts, try another assistant.model, or a network with less delay."
        yield cause("slow-service", text, advice, [exchange.turn], exchange.span)


def _detours(story: Story, exchange: Exchange) -> list[Entry]:
    """Return what the link told while the answer was waited for."""
    asked_at, turn = exchange.asked_at, exchange.turn
    if asked_at is None or turn is None:
        return []
    until = asked_at + (turn.number("first_sound_ms") or 0.0) / 1000
    events = ("link-lost", "link-refused", "link-up", "link-rotated", "told-again")
    return [entry for entry in story.entries if entry.event in events and asked_at <= entry.at <= until]


def _gaps(story: Story, turn: Entry) -> Iterator[Cause]:
    if count := turn.number("xruns"):
        span = story.focus
        told = [entry for entry in story.entries if entry.event == "xrun" and span.distance(entry.at) == 0]
        text = f"Sound was lost or had gaps, {count:.0f} times: the machine was too busy."
        yield cause("gaps", text, advice_for("xrun"), told or [turn], span)
