"""What happened around a moment: the states that the light showed, and the turn that is meant; pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from speakerd.explain.entry import Entry

NEAR_S = 60.0
"""Somebody who names a time means a minute of it."""

_EDGE_S = 2.0
"""A turn is told up to a second after its end, when its tokens are counted."""

OFF = "off"
"""The state of a speaker that does not run; no light shows it."""

GONE = ("stopping", "crashed", "unit-exit", "unit-result", "out-of-memory", "journal-stopped")
"""After these, speakerd does not run until it is started again."""

_TALK = ("listening", "thinking", "speaking")
_NEVER_FIRST = (*_TALK, "idle", "offline")
"""States in which nothing begins: told after the goodbye, they belong to the end."""

_BETWEEN = ("offline", "connecting", "error")
"""States in which a question may wait for the answer that comes after all."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which something stayed so; times are in seconds since 1970."""

    name: str
    began: float
    ended: float = math.inf

    @property
    def seconds(self) -> float:
        """How long that was."""
        return self.ended - self.began

    def distance(self, at: float) -> float:
        """Return how many seconds a moment is away from it; 0 within it."""
        return max(self.began - at, at - self.ended, 0.0)

    def touches(self, other: "Stretch") -> bool:
        """Say whether the two have a moment in common."""
        return self.began <= other.ended and other.began <= self.ended


@dataclass(frozen=True, slots=True)
class Exchange:
    """Somebody spoke, and what came of it; ``turn`` is the line that tells of it, where there is one."""

    span: Stretch
    states: tuple[Stretch, ...]
    turn: Entry | None = None

    @property
    def parts(self) -> tuple[Stretch, ...]:
        """What the time went to: to the millisecond where the turn tells it, else as the light showed it."""
        turn, asked_at = self.turn, self.asked_at
        if turn is None or asked_at is None:
            return self.states
        first_byte, first_sound = _seconds(turn, "first_byte_ms"), _seconds(turn, "first_sound_ms")
        sounded = asked_at + first_sound
        parts = [
            Stretch("heard", asked_at - _seconds(turn, "heard_ms"), asked_at),
            Stretch("waiting", asked_at, asked_at + first_byte),
            Stretch("buffering", asked_at + first_byte, sounded),
            Stretch("speaking", sounded, sounded + _seconds(turn, "answer_ms")),
        ]
        return tuple(parts)

    @property
    def asked_at(self) -> float | None:
        """When the question was over; None where the answer was not heard or was none to a question."""
        if self.turn is None or self.turn.number("first_sound_ms") is None:
            return None
        spoke = next((state.began for state in self.states if state.name == "speaking"), None)
        if spoke is None:
            spoke = self.turn.at - _seconds(self.turn, "answer_ms")
        return spoke - _seconds(self.turn, "first_sound_ms")


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of a moment; ``entries`` are those before, for what lasts, and those around it."""

    moment: float
    entries: tuple[Entry, ...]
    around: Stretch
    states: tuple[Stretch, ...]
    exchange: Exchange | None

    @property
    def focus(self) -> Stretch:
        """The time that is asked about."""
        if self.exchange is not None:
            return self.exchange.span
        return Stretch("focus", self.moment - NEAR_S, self.moment + NEAR_S)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was told around the moment."""
        return not any(self.around.distance(entry.at) == 0 for entry in self.entries)


def story(at: float, around_s: float, before: Iterable[Entry], around: Iterable[Entry]) -> Story:
    """Return the story of a moment from what was told up to ``around_s`` seconds from it, and long before."""
    entries = (*before, *around)
    window = Stretch("around", at - around_s, at + around_s)
    states = tuple(_states(entries, window))
    turns = [entry for entry in entries if entry.event == "turn" and window.distance(entry.at) == 0]
    near = [one for one in _exchanges(states, turns) if one.span.distance(at) <= NEAR_S]
    # One that came to something tells more than one of the same moment that did not.
    exchange = min(near, key=lambda one: (one.span.distance(at), one.turn is None), default=None)
    return Story(at, entries, window, states, exchange)


def lasting(
    entries: Sequence[Entry], begins: Callable[[Entry], bool], ends: Callable[[Entry], bool]
) -> list[tuple[Stretch, tuple[Entry, ...]]]:
    """Return when something was so, with the entries that say it; one that has not ended is infinite.

    It ends at the latest when the machine starts anew.
    """
    found: list[tuple[Stretch, tuple[Entry, ...]]] = []
    told: list[Entry] = []
    for entry in entries:
        if told and (ends(entry) or entry.boot != told[-1].boot):
            found.append((Stretch("", told[0].at, entry.at), tuple(told)))
            told = []
        if begins(entry):
            told.append(entry)
    if told:
        found.append((Stretch("", told[0].at), tuple(told)))
    return found


def _states(entries: Sequence[Entry], window: Stretch) -> list[Stretch]:
    """Return what the light showed within a window."""
    changes = [(-math.inf, "")]
    for before, entry in pairwise((None, *entries)):
        assert entry is not None
        is_off = changes[-1][1] == OFF
        if before is not None and before.boot != entry.boot and not is_off:
            changes.append((before.at, OFF))
            is_off = True
        if entry.event in GONE and not is_off:
            changes.append((entry.at, OFF))
        elif entry.event == "state" and not (is_off and entry.fields.get("state") in _NEVER_FIRST):
            changes.append((entry.at, entry.fields.get("state", "")))
    stretches = [Stretch(name, at, end) for (at, name), (end, _) in pairwise((*changes, (math.inf, "")))]
    inside = [stretch for stretch in stretches if stretch.name and stretch.touches(window)]
    return [Stretch(one.name, max(one.began, window.began), min(one.ended, window.ended)) for one in inside]


def _exchanges(states: Sequence[Stretch], turns: Sequence[Entry]) -> list[Exchange]:
    runs: list[list[Stretch]] = [[]]
    for state in states:
        last = runs[-1][-1].name if runs[-1] else ""
        if state.name in _TALK:
            # Who listens after it spoke hears the next question.
            if (last, state.name) == ("speaking", "listening"):
                runs.append([])
            runs[-1].append(state)
        elif state.name in _BETWEEN and last:
            runs[-1].append(state)
        else:
            runs.append([])
    spans = [(Stretch("exchange", run[0].began, run[-1].ended), tuple(run)) for run in runs if run]
    told = {_nearest(turn, [span for span, _ in spans]): turn for turn in turns}
    found = [Exchange(span, run, told.get(number)) for number, (span, run) in enumerate(spans)]
    alone = [turn for turn in turns if _nearest(turn, [span for span, _ in spans]) is None]
    return found + [Exchange(Stretch("exchange", turn.at - _duration(turn), turn.at), (), turn) for turn in alone]


def _nearest(turn: Entry, spans: Sequence[Stretch]) -> int | None:
    """Return which exchange a turn tells of: where its middle is."""
    middle = turn.at - _duration(turn) / 2
    number = min(range(len(spans)), key=lambda one: spans[one].distance(middle), default=None)
    return number if number is not None and spans[number].distance(middle) <= _EDGE_S else None


def _duration(turn: Entry) -> float:
    return sum(_seconds(turn, name) for name in ("heard_ms", "first_sound_ms", "answer_ms"))


def _seconds(turn: Entry, name: str) -> float:
    return (turn.number(name) or 0.0) / 1000
