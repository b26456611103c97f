"""The turns of the conversation: how long each took, and what it cost; pure.

A turn is what somebody said and what came of it. It begins with the first word and is over when the server has ended
it, its sound has been played or cut, and its tokens are counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `speakerd status` knows turns, and need not load what settings take
    from speakerd.live.events import Usage
    from speakerd.settings import Price
    from speakerd.stalls import Stall

PAUSE_S = 0.2
"""An answer that begins after less silence than this begins while somebody still talks."""

STALE_S = 15.0
"""Talk that nobody has answered for this long belongs to no turn any more, once somebody talks again."""

USAGE_S = 1.0
"""How long a turn waits for its tokens, which mostly come with its end and at times a moment later."""

DEVICE_S = 0.3
"""The loudspeaker may have sounded for so much less than the answer is long, and have played it all: what it says of
itself comes through a queue, and a device that fails at its end has played all but its buffer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that is over; the fields are those of the event ``turn``. None is what did not happen."""

    turn: int
    reason: str | None
    heard_ms: int
    first_byte_ms: int | None
    first_sound_ms: int | None
    answer_ms: int
    interruptions: int
    tokens_in: int
    tokens_out: int
    cost_usd: float
    xruns: int

    def __str__(self) -> str:
        """Return a line for people."""
        heard = f"heard {_seconds(self.heard_ms)}" if self.heard_ms else "nobody was heard"
        after = "" if self.first_sound_ms is None else f" after {_seconds(self.first_sound_ms)}"
        said = [
            heard,
            f"answered{after} for {_seconds(self.answer_ms)}" if self.answer_ms else "no answer was heard",
            *(["interrupted"] if self.interruptions else []),
            *([f"{self.tokens_in + self.tokens_out} tokens, about ${self.cost_usd:.3f}"] if self._has_usage else []),
        ]
        return f"turn {self.turn}: {', '.join(said)}" + (f" ({self.reason})" if self.reason else "")

    @property
    def _has_usage(self) -> bool:
        return self.tokens_in + self.tokens_out > 0


@dataclass(slots=True)
class Totals:
    """All that was counted since the start; ``stalls`` by kind, in small letters, bytes of sound."""

    turns: int = 0
    interruptions: int = 0
    stalls: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    told_again: int = 0
    questions_lost: int = 0
    answers_lost: int = 0
    reconnects: int = 0
    rotations: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


class _Talk:
    """What somebody says, until a turn takes it."""

    def __init__(self) -> None:
        self._run_at = 0.0  # when it became loud
        self._was_loud = False
        self._since: float | None = None  # while somebody talks
        self._taken_at = 0.0
        self._heard_s = 0.0  # before that
        self.ended_at: float | None = None
        """When the last word was over, as far as it is known now; None where there was none."""

    def hear(self, now: float, *, talking: bool, loud: bool) -> None:
        if loud and not self._was_loud:
            self._run_at = now
        self._was_loud = loud
        if not talking:
            self._end_stretch()
        elif loud:
            if self._since is None:
                if self.ended_at is not None and now - self.ended_at > STALE_S:
                    self._heard_s = 0.0
                self._since = max(self._run_at, self._taken_at)
            self.ended_at = now

    def _end_stretch(self) -> None:
        if self._since is not None and self.ended_at is not None:
            self._heard_s += self.ended_at - self._since
        self._since = None

    def forget(self, now: float) -> None:
        self._since = self.ended_at = None
        self._heard_s, self._taken_at = 0.0, now

    def take(self, now: float) -> tuple[float, float | None]:
        """Return how long somebody talked since the last time, and when they ended; None where they talk on."""
        self._end_stretch()
        heard_s, ended_at = self._heard_s, self.ended_at
        self.forget(now)
        return heard_s, ended_at if ended_at is not None and now - ended_at >= PAUSE_S else None


@dataclass(slots=True)
class _Draft:
    """A turn that is under way; times and lengths in seconds."""

    reason: str | None = None
    heard_s: float = 0.0
    asked_at: float | None = None  # the end of the question
    first_byte_s: float | None = None
    first_sound_s: float | None = None
    received_s: float = 0.0
    sounded_s: float = 0.0
    is_answered: bool = False  # the first byte is here
    is_cut: bool = False
    interruptions: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    completed_at: float | None = None
    is_counted: bool = False  # its tokens are here, or will never be

    @property
    def is_played(self) -> bool:
        """Whether no more of it will be heard, unless it sounds now."""
        if self.is_cut or not self.received_s:
            return True
        return self.sounded_s > 0 and self.received_s - self.sounded_s < DEVICE_S

    @property
    def is_nothing(self) -> bool:
        return not (self.heard_s or self.received_s or self.tokens_in or self.tokens_out or self.interruptions)


class Turns:
    """Puts the turns together from what it is told, and keeps count.

    ``xruns`` is set by whoever knows the devices: how often sound was lost or had a gap, since the start.
    """

    xruns: Callable[[], int]

    def __init__(self, price: Price, done: Callable[[Turn], None], now: Callable[[], float] = time.monotonic) -> None:
        """Prepare; ``done`` takes each turn that is over, ``now`` tells the time in seconds."""
        self.totals = Totals()
        self.last: Turn | None = None
        self.xruns = lambda: 0
        self._price = price
        self._done = done
        self._now = now
        self._talk = _Talk()
        self._draft: _Draft | None = None
        self._sounding_since: float | None = None
        self._xruns_before = 0

    # What is said.

    def hear(self, *, talking: bool, loud: bool) -> None:
        """Learn of a period of the room's sound; ``talking`` lasts over the pauses between words."""
        self._talk.hear(self._now(), talking=talking, loud=loud)

    def forget(self) -> None:
        """Learn that what was said is not to be answered any more."""
        self._talk.forget(self._now())

    # What is answered.

    def answer(self, seconds: float) -> None:
        """Learn that so much of an answer is here, and will be played."""
        if self._draft is not None and self._draft.completed_at is not None:
            self._close(self._draft)
        draft, now = self._open(), self._now()
        draft.received_s += seconds
        if draft.is_answered:
            return
        draft.is_answered = True
        self._take_talk(draft)
        if draft.asked_at is not None:
            draft.first_byte_s = now - draft.asked_at

    def sounding(self, sounding: bool) -> None:
        """Learn that the loudspeaker begins to play what the model says, or has played all of it."""
        now, draft = self._now(), self._draft
        if sounding:
            self._sounding_since = now
            if draft is not None and draft.first_sound_s is None and draft.asked_at is not None:
                draft.first_sound_s = now - draft.asked_at
            return
        self._count_sound(draft)
        self._sounding_since = None
        self.settle()

    def interrupted(self) -> None:
        """Learn that somebody spoke over the answer, and that the rest of it stays unsaid."""
        self.totals.interruptions += 1
        if self._draft is not None:
            self._draft.interruptions += 1
        self.cut()

    def cut(self) -> None:
        """Learn that nothing more of the answer will be heard."""
        if self._draft is not None:
            self._draft.is_cut = True
            self.settle()

    def usage(self, usage: Usage) -> float:
        """Count tokens; return what they cost, by the prices in the settings, in US dollars."""
        cost, draft = cost_usd(usage, self._price), self._open()
        for count in (draft, self.totals):
            count.tokens_in += usage.prompt
            count.tokens_out += usage.response
            count.cost_usd += cost
        draft.is_counted = True
        self.settle()
        return cost

    def complete(self, reason: str | None = None) -> None:
        """Learn that the server has ended the turn; ``reason`` is its word where it is not the usual end."""
        draft = self._open()
        if not draft.is_answered:
            self._take_talk(draft)
        draft.reason, draft.completed_at = reason, self._now()
        self.settle()

    def broken_off(self, reason: str) -> None:
        """Learn that the answer, if one is under way, ends here, and that no more is told of it."""
        draft = self._draft
        if draft is not None and draft.is_answered and draft.completed_at is None:
            draft.reason, draft.completed_at, draft.is_counted = reason, self._now(), True
            self.settle()

    def stalled(self, stall: Stall) -> None:
        """Count a question that came to nothing."""
        self.totals.stalls[stall.name.lower()] += 1

    def settle(self) -> None:
        """Close the turn if it is over: call it when ``USAGE_S`` have passed since its end, too."""
        draft = self._draft
        if draft is None or draft.completed_at is None or self._sounding_since is not None or not draft.is_played:
            return
        if draft.is_counted or self._now() - draft.completed_at >= USAGE_S:
            self._close(draft)

    def _open(self) -> _Draft:
        if self._draft is None:
            self._draft = _Draft()
        return self._draft

    def _take_talk(self, draft: _Draft) -> None:
        draft.heard_s, draft.asked_at = self._talk.take(self._now())

    def _count_sound(self, draft: _Draft | None) -> None:
        now = self._now()
        if draft is not None and self._sounding_since is not None:
            draft.sounded_s += now - self._sounding_since
            self._sounding_since = now

    def _close(self, draft: _Draft) -> None:
        self._count_sound(draft)  # up to here it was this one that sounded
        self._draft = None
        xruns = self.xruns()
        since, self._xruns_before = xruns - self._xruns_before, xruns
        if draft.is_nothing:
            return
        self.totals.turns += 1
        self.last = Turn(
            turn=self.totals.turns,
            reason=draft.reason,
            heard_ms=round(draft.heard_s * 1000),
            first_byte_ms=_ms(draft.first_byte_s),
            first_sound_ms=_ms(draft.first_sound_s),
            # A sound of the speaker's own may follow without a gap.
            answer_ms=round(min(draft.sounded_s, draft.received_s) * 1000),
            interruptions=draft.interruptions,
            tokens_in=draft.tokens_in,
            tokens_out=draft.tokens_out,
            cost_usd=round(draft.cost_usd, 6),
            xruns=since,
        )
        self._done(self.last)


def cost_usd(usage: Usage, price: Price) -> float:
    """Return what tokens cost in US dollars; where the service does not say what they are, they count as sound."""
    return (
        usage.prompt_text * price.text_in
        + (usage.prompt - usage.prompt_text) * price.audio_in
        + usage.response_text * price.text_out
        + (usage.response - usage.response_text) * price.audio_out
    ) / 1e6


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.1f} s"
