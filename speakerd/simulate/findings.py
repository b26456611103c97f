"""What was heard of the answers: found in what the loudspeaker played, by content."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speakerd.simulate.evidence import Evidence, Sound
from speakerd.simulate.ledger import Answer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

LIKE = 0.9
"""Normalised correlation from which two sounds are one and the same, resampled twice on its way."""

BLOCK_S = 0.1
"""Answers are compared in blocks of this length."""

SLIP_S = 0.1
"""How far a block may be from where the one before it says it is: a busy machine plays with gaps."""

AUDIBLE = 100.0
"""Samples of 16 bit above this can be heard. The rest still tells a pause between two words from silence: where
nothing plays, a room made of software is silent to the last bit."""

TOLERANCE_S = 0.15
"""An answer that ends this much early was heard whole: a recording ends on the edge of a block."""

PAUSE_S = 0.5
"""Pauses between words are shorter than this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How much of one answer was heard, and when."""

    answer: Answer
    seconds: float
    """How long all of it is, without the silence at its end."""
    began: float
    """When it began, CLOCK_MONOTONIC."""
    heard_s: float
    """How much of it was heard from its beginning on; 0 where nothing was."""
    likeness: float
    """Normalised correlation of what was heard with the same part of the answer."""

    @property
    def ended(self) -> float:
        """When it fell silent."""
        return self.began + self.heard_s

    @property
    def heard(self) -> bool:
        """Whether it was heard at all."""
        return self.heard_s > 0 and self.likeness >= LIKE

    @property
    def whole(self) -> bool:
        """Whether all of it was heard."""
        return self.heard and self.heard_s >= self.seconds - TOLERANCE_S


@dataclass(frozen=True, slots=True)
class Cut:
    """An interruption, and the end of the sound that it cut; CLOCK_MONOTONIC."""

    told: float
    """When the server told of it."""
    silent: float

    @property
    def delay_ms(self) -> float:
        """From the one to the other, in milliseconds; 0 where the voice paused just then."""
        return max(0.0, self.silent - self.told) * 1000

    @property
    def soon(self) -> str:
        """The delay in words."""
        return f"{self.delay_ms:.0f} ms later" if self.delay_ms >= 1 else "at once"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was heard of a conversation."""

    answers: list[Finding]
    cuts: list[Cut]


def findings(evidence: Evidence) -> Findings:
    """Return what the loudspeaker played of each answer, and how soon it fell silent when it was interrupted."""
    played = evidence.loudspeaker
    if played is None:
        return Findings([], [])
    ends = [(told, silent_since(played, told)) for told in evidence.interruptions]
    cuts = [Cut(told, silent) for told, silent in ends if silent is not None]
    return Findings([find(answer, played) for answer in evidence.answers], cuts)


def find(answer: Answer, played: Sound) -> Finding:
    """Return what was heard of an answer."""
    meant, heard = _samples(answer.pcm), _samples(played.pcm)
    meant = meant[: _last(meant, AUDIBLE)]
    lag = _best_lag(meant, heard)
    trail = _Trail(meant, heard, lag, played.rate)
    end = trail.follow()
    return Finding(
        answer, len(meant) / played.rate, played.began + lag / played.rate, (end - lag) / played.rate, trail.likeness
    )


def silent_since(played: Sound, moment: float) -> float | None:
    """Return when the sound that was heard at a moment ended, in seconds of the same clock.

    A pause of less than ``PAUSE_S`` is not its end. None where nothing was heard around the moment.
    """
    first = max(0, round((moment - PAUSE_S - played.began) * played.rate))
    audible = np.flatnonzero(_samples(played.pcm)[first:])
    if not len(audible) or audible[0] > 2 * PAUSE_S * played.rate:
        return None
    pauses = np.flatnonzero(np.diff(audible) > PAUSE_S * played.rate)
    last = int(audible[pauses[0]] if len(pauses) else audible[-1])
    return played.began + (first + last + 1) / played.rate


def sounding(played: Sound, since: float, until: float) -> float:
    """Return for how many seconds something was heard between two moments."""
    first, last = (max(0, round((moment - played.began) * played.rate)) for moment in (since, until))
    heard = _samples(played.pcm)[first:last]
    step = played.rate // 100
    blocks = heard[: len(heard) // step * step].reshape(-1, step)
    return float((np.abs(blocks).max(axis=1, initial=0) > AUDIBLE).sum()) / 100


class _Trail:
    """An answer, followed block by block through what was heard."""

    def __init__(self, meant: Samples, heard: Samples, lag: int, rate: int) -> None:
        self._meant = meant
        self._block = round(BLOCK_S * rate)
        self._slip = round(SLIP_S * rate)
        # Silence on both sides, so that every block can be compared.
        self._margin = self._slip + self._block
        self._heard = np.pad(heard, (self._margin, self._margin + len(meant)))
        self._lag = lag + self._margin
        self._common = self._power = self._heard_power = 0.0

    @property
    def likeness(self) -> float:
        """Normalised correlation of all that was followed."""
        return self._common / max(math.sqrt(self._power * self._heard_power), 1.0)

    def follow(self) -> int:
        """Return where in what was heard the answer ends, or is cut."""
        end = lost = 0
        for start in range(0, len(self._meant), self._block):
            meant = self._meant[start : start + self._block]
            if not _last(meant, AUDIBLE):
                continue  # a pause is like any other silence
            if not self._is_heard(meant, start):
                lost += 1
                if lost == 2:  # one block may hold a gap; two in a row are a cut
                    return self._cut(end)
                continue
            lost = 0
            end = start + len(meant)
        return self._cut(end) if lost else end + self._lag - self._margin

    def _is_heard(self, meant: Samples, start: int) -> bool:
        here = self._lag + start
        around = self._heard[here - self._slip : here + self._slip + len(meant)]
        like = _likeness(meant, around[self._slip : self._slip + len(meant)])
        if like < LIKE and _last(around):
            slip = int(np.argmax(np.correlate(around, meant))) - self._slip
            if _likeness(meant, self._heard[here + slip : here + slip + len(meant)]) >= LIKE:
                self._lag += slip
                like = LIKE
        heard = self._heard[self._lag + start : self._lag + start + len(meant)]
        if like >= LIKE:
            self._common += float(meant @ heard)
            self._power += float(meant @ meant)
            self._heard_power += float(heard @ heard)
        return like >= LIKE

    def _cut(self, end: int) -> int:
        """Return the last sample that was heard around the end of the last block that was whole."""
        first = max(0, self._lag + end - self._block)
        return first + _last(self._heard[first : first + 3 * self._block]) - self._margin


def _best_lag(meant: Samples, heard: Samples) -> int:
    """Return where in what was heard this is most likely to begin."""
    if not len(meant) or not len(heard):
        return 0
    size = 1 << (len(meant) + len(heard)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(meant, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(heard)]))


def _likeness(one: Samples, other: Samples) -> float:
    power = float(one @ one) * float(other @ other)
    return float(one @ other) / math.sqrt(power) if power else 0.0


def _last(samples: Samples, above: float = 0.0) -> int:
    """Return the number of samples up to and with the last that is louder than this."""
    audible = np.flatnonzero(np.abs(samples) > above)
    return int(audible[-1]) + 1 if len(audible) else 0


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)
