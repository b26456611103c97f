"""The waterfall: where the time went, in the columns of a terminal; pure."""

import math
from collections.abc import Iterable, Sequence

from speakerd.explain.entry import Entry
from speakerd.explain.story import Story, Stretch
from speakerd.explain.words import clock, length

WIDTH = 80
"""Columns of a terminal that nobody has made wider."""

_BARS = 49
"""Columns for the bars; left of them are time, name and length."""

_MARGIN = " " * (WIDTH - _BARS - 1)

_FILLS = {"heard": "▒", "listening": "▒", "waiting": "░", "thinking": "░", "buffering": "░", "speaking": "█"}
_OTHER = "─"
_MARK = "▲"

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds between two ticks of the axis."""

_TICK = 9
"""Columns that a tick takes at least."""

_ROWS = 8
"""Bars, and marks, that are shown at most: those next to the moment."""

_MARKED = ("link-up", "link-rotated", "link-lost", "link-refused", "told-again", "question-lost", "answer-lost",
           "stall", "interrupted", "xrun", "mute", "device-lost", "device-back", "begin-anew", "watchdog",
           "started", "stopping", "crashed", "unit-result")  # fmt: skip


def waterfall(story: Story) -> list[str]:
    """Return the picture as lines of at most ``WIDTH`` columns; none where no state is known."""
    bars = list(story.exchange.parts if story.exchange else ()) or _next_to(story.moment, story.states)
    if not bars:
        return []
    span = Stretch("", min(bar.began for bar in bars), max(bar.ended for bar in bars))
    marked = [entry for entry in story.entries if entry.event in _MARKED and span.distance(entry.at) == 0]
    rows = [(bar.began, _line(story, bar, span)) for bar in bars]
    rows += [(entry.at, _mark(story, entry, span)) for entry in _last_of_each(marked)]
    return [_axis(span), *(line for _, line in sorted(rows, key=lambda row: row[0]))]


def _line(story: Story, bar: Stretch, span: Stretch) -> str:
    first, last = _column(bar.began, span), _column(bar.ended, span)
    fill = _FILLS.get(bar.name, _OTHER) * max(1, last - first)
    return f"{_label(story, bar.began, bar.name, length(bar.seconds))}{' ' * min(first, _BARS - 1)}{fill}"


def _mark(story: Story, entry: Entry, span: Stretch) -> str:
    return f"{_label(story, entry.at, entry.event, '')}{' ' * min(_column(entry.at, span), _BARS - 1)}{_MARK}"


def _label(story: Story, at: float, name: str, took: str) -> str:
    return f"{clock(at, at)} {name:<13}{took:>7} "[: len(_MARGIN)].ljust(len(_MARGIN))


def _axis(span: Stretch) -> str:
    """Return the ticks: seconds, or minutes, since the left edge."""
    step = next((one for one in _STEPS if one / _length(span) * _BARS >= _TICK), _STEPS[-1])
    axis = ""
    for tick in range(math.floor(_length(span) / step) + 1):
        seconds = tick * step
        text = f"{seconds:g} s" if step < 60 else f"{seconds / 60:g} min"
        column = round(seconds / _length(span) * _BARS)
        if column + len(text) <= _BARS:
            axis = f"{axis.ljust(column)}{text}"
    return _MARGIN + axis


def _column(at: float, span: Stretch) -> int:
    return round((at - span.began) / _length(span) * _BARS)


def _length(span: Stretch) -> float:
    return max(span.seconds, 0.1)


def _next_to(moment: float, states: Sequence[Stretch]) -> list[Stretch]:
    nearest = sorted(states, key=lambda state: state.distance(moment))[:_ROWS]
    return sorted(nearest, key=lambda state: state.began)


def _last_of_each(marked: Iterable[Entry]) -> list[Entry]:
    """Return a few marks: of an event that comes again and again the last one."""
    return list({entry.event: entry for entry in marked}.values())[-_ROWS:]
