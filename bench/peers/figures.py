"""From tapes to figures, whatever a program does to its sound on the way: pieces are found by their likeness.

Peers resample, cancel echoes and change levels, so that no sample stays as it was. Sound is float32 at 16 kHz here.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import soxr

from bench.sound import SAMPLE_BYTES, Sound
from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.levels import as_sound

RATE = 16_000

PIECE = 4000
"""Frames of the uplink that are looked for at once: 250 ms."""

LIKE = 0.6
"""How alike two pieces must be, from 0 to 1, to be the same."""

QUIET = 0.004
"""Root mean square below which a piece is too quiet to be told from another, as a fraction of full scale."""

AUDIBLE = 0.01
"""A sample beyond this is a sound."""

BLOCK_S = 0.005

OLDEST_S = 2.0
"""What is older than this when it arrives is not looked for: the same question may have been asked before."""

BEYOND_S = 0.1
"""It is looked for a little beyond what can be, so that nothing that is merely like it is taken for it."""

LATEST_S = 5.0
"""An answer that is not to be heard by then, or before the next begins, was not heard."""

BEGINNING_S = 0.3
"""So much of an answer's beginning is looked for."""

LISTENED_S = 1.0
"""Whoever was to be heard in so much time before a word is interrupted by it."""

PAUSE_S = 0.45
"""Silence before a word that makes it the first of a question."""

SILENT_S = 0.2
"""Silence after a sound that makes it the last of an answer: the longest within one of `bench.track` is 85 ms."""

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tape:
    """What passed a converter, and when: frame ``frames[i]`` was there at ``times[i]``, as were those after it."""

    samples: Samples
    frames: tuple[int, ...]
    times: tuple[float, ...]

    @classmethod
    def of(cls, sound: Sound) -> Tape:
        """Bring what a card has kept to 16 kHz."""
        if not sound.starts:
            return cls(np.zeros(0, np.float32), (0,), (0.0,))
        rate = round(sound.starts[0].rate / 100) * 100
        samples = as_sound(sound.pcm)
        resampled = samples if rate == RATE else soxr.resample(samples, rate, RATE)
        frames = tuple(round(start.frame * RATE / rate) for start in sound.starts)
        return cls(np.asarray(resampled, np.float32), frames, tuple(start.time for start in sound.starts))

    def moment(self, frame: int) -> float:
        """Return when a frame passed."""
        number = max(bisect.bisect_right(self.frames, frame) - 1, 0)
        return self.times[number] + (frame - self.frames[number]) / RATE

    def frame_at(self, moment: float) -> int:
        """Return which frame passed at a moment, or the next after a pause; at most the number of frames."""
        number = max(bisect.bisect_right(self.times, moment) - 1, 0)
        frame = self.frames[number] + round((moment - self.times[number]) * RATE)
        end = self.frames[number + 1] if number + 1 < len(self.frames) else len(self.samples)
        return min(max(frame, 0), end)

    def find(self, piece: Samples, first: float, last: float) -> int | None:
        """Return the frame at which a piece begins that passed between two moments; None where it did not."""
        begin, end = self.frame_at(first), self.frame_at(last)
        found = match(piece, self.samples[begin:end])
        return None if found is None else begin + found

    def audible(self, first: float, last: float) -> list[float]:
        """Return the ends of the blocks of 5 ms between two moments in which something was to be heard."""
        begin, end = self.frame_at(first), self.frame_at(last)
        size = round(BLOCK_S * RATE)
        whole = (end - begin) // size * size
        peaks = np.abs(self.samples[begin : begin + whole]).reshape(-1, size).max(axis=1, initial=0)
        return [self.moment(begin + (int(block) + 1) * size) for block in np.flatnonzero(peaks > AUDIBLE)]


def match(piece: Samples, among: Samples) -> int | None:
    """Return where a piece begins in a sound, by the best normalised correlation; None where nothing is like it."""
    places = len(among) - len(piece) + 1
    if places < 1 or not np.any(piece):
        return None
    size = 1 << (len(among) + len(piece) - 1).bit_length()
    spectrum = np.fft.rfft(among, size) * np.conj(np.fft.rfft(piece, size))
    correlation = np.fft.irfft(spectrum, size)[:places]
    power = np.concatenate(([0.0], np.cumsum(among.astype(np.float64) ** 2)))
    energy = power[len(piece) :] - power[:places]
    likeness = correlation / np.sqrt(np.maximum(energy, 1e-6) * float(np.sum(piece.astype(np.float64) ** 2)))
    best = int(np.argmax(likeness))
    return best if likeness[best] >= LIKE else None


def wire_delays(events: Sequence[WireEvent], heard: bytes, captured: Tape) -> tuple[list[float], int]:
    """Return for each message of sound how old its last sample was when it was read, s; and how many were not found.

    ``events`` are those of one connection, ``heard`` is what came over it. Messages of silence are left out, for
    nobody can tell one from another.
    """
    sound = as_sound(heard[: len(heard) // SAMPLE_BYTES * SAMPLE_BYTES])
    messages = [(event.detail["total"] // SAMPLE_BYTES, event.at) for event in events if event.kind == "audio"]
    ends = [end for end, _ in messages]
    delays, lost = [], 0
    for begin in range(0, len(sound) - PIECE + 1, PIECE):
        piece = sound[begin : begin + PIECE]
        if np.sqrt(np.mean(piece**2)) < QUIET:
            continue
        first, last = bisect.bisect_right(ends, begin), bisect.bisect_left(ends, begin + PIECE)
        arrived = messages[min(last, len(messages) - 1)][1]
        found = captured.find(piece, messages[first][1] - OLDEST_S, arrived + BEYOND_S)
        within = [message for message in messages[first : last + 1] if begin < message[0] <= begin + PIECE]
        late = [] if found is None else [at - captured.moment(found + end - begin - 1) for end, at in within]
        # Sound that arrives before it is said was torn by an overrun, and is found where only most of it is.
        if found is None or min(late, default=0.0) < 0:
            lost += len(within)
        else:
            delays += late
    return delays, lost


def first_sounds(events: Sequence[WireEvent], answers: Sequence[Samples], played: Tape) -> tuple[list[float], int]:
    """Return how long after its first byte was sent each answer was to be heard, s; and how many never were.

    ``answers`` holds what is answered to each turn, at 16 kHz.
    """
    delays, unheard = [], 0
    starts = [event for event in events if event.kind == "answer_start"]
    for event, following in zip(starts, [*starts[1:], None], strict=True):
        until = event.at + LATEST_S if following is None else min(event.at + LATEST_S, following.at)
        piece = answers[(event.detail["turn"] - 1) % len(answers)][: round(BEGINNING_S * RATE)]
        found = played.find(piece, event.at, until)
        if found is None:
            unheard += 1
        else:
            delays.append(played.moment(found) - event.at)
    return delays, unheard


@dataclass(frozen=True, slots=True)
class Silence:
    """An interruption: how long the answer went on after ``interrupted`` was sent, and after somebody spoke, s."""

    after_interrupted: float
    after_first_word: float


def silences(events: Sequence[WireEvent], captured: Tape, played: Tape, last: float) -> tuple[list[Silence], int]:
    """Return what became of each answer that was interrupted while it was to be heard; ``last`` is when all ended.

    The number is of those that were not silent before the next answer began: nobody can tell when they were.
    """
    starts = [event.at for event in events if event.kind == "answer_start"]
    found, endless = [], 0
    for at in (event.at for event in events if event.kind == "interrupted"):
        word = first_word(captured, at)
        if word is None or not played.audible(word - LISTENED_S, word):
            continue
        until = min((start for start in starts if start > at), default=last)
        sounds = [word, *played.audible(word, until), until]
        end = next((sound for sound, following in pairwise(sounds) if following - sound >= SILENT_S), None)
        if end is None:
            endless += 1
        else:
            found.append(Silence(max(0.0, end - at), end - word))
    return found, endless


def first_word(captured: Tape, before: float) -> float | None:
    """Return when the talk began that went on before a moment; None where nobody spoke."""
    ends = captured.audible(before - 2.0, before)
    begins = [end for end, previous in zip(ends, [before - 2.0, *ends], strict=False) if end - previous > PAUSE_S]
    return begins[-1] - BLOCK_S if begins else None


def kilobytes_per_minute(events: Sequence[WireEvent], first: float, last: float) -> float:
    """Return how much sound was sent between two moments, in thousands of bytes a minute, before its encoding."""
    sent = sum(event.detail["bytes"] for event in events if event.kind == "audio" and first <= event.at < last)
    return float(sent) / 1000 * 60 / (last - first)
