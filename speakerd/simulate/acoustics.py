"""The way of a sound from a loudspeaker, and from people's mouths, to a microphone in the same room.

Pure arithmetic, the same in real time and on whole recordings. Sound is float32 as fractions of full scale; the
microphone's is at 16 kHz. A moment is in seconds, of any one clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from speakerd.simulate.filters import HALF, Convolver, Values, between, high_passed, response, taps, through
from speakerd.simulate.levels import as_sound, level_db
from speakerd.simulate.noises import RATE, Sound

SPEAKER_RATE = 24_000
"""Sample rate, Hz, of what is played, when nothing else is said."""

BLOCK = 320
"""Frames in which the microphone hears in real time: 20 ms."""

OFFLINE_BLOCK = 4096
"""Frames in which it hears a recording: few and long transforms."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What somebody says: its first sample reaches the microphone ``at`` this moment."""

    at: float
    sound: Sound


@dataclass(frozen=True, slots=True)
class Stream:
    """What a loudspeaker plays without a gap: frame 0 leaves it ``at`` a moment, and ``rate`` frames each second.

    ``sound`` returns the frames from one number to another, or as many of them as there are.
    """

    at: float
    rate: float
    sound: Callable[[int, int], Sound]
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """A room with a loudspeaker, from whose converter sound takes ``delay_s`` to that of the microphone.

    ``level_db`` is how loud white noise arrives, relative to how it was played; None is a loudspeaker that nobody
    hears. The loudspeaker does not exceed ``clips_at``, as a fraction of full scale: a soft one approaches it slowly.
    It plays little below ``high_pass_hz``, and its clock is fast by ``drift_ppm``. ``reverberation_s`` is the time in
    which sound fades by 60 dB.
    """

    level_db: float | None
    delay_s: float = 0.04
    reverberation_s: float = 0.0
    clips_at: float | None = None
    clips_hard: bool = False
    high_pass_hz: float = 180.0
    drift_ppm: float = 0.0

    def hear(
        self,
        played: npt.NDArray[np.int16] | Sound,
        talks: Iterable[Talk] = (),
        *,
        noise: Sound | None = None,
        seed: int = 0,
        rate: int = SPEAKER_RATE,
        seconds: float | None = None,
    ) -> npt.NDArray[np.int16]:
        """Return what the microphone hears of a recording that is played from moment 0 on.

        ``rate`` is that of ``played``. It lasts ``seconds``, or as long as what is played.
        """
        sound = as_sound(played)
        stream = Stream(0.0, rate * (1 + self.drift_ppm * 1e-6), lambda first, end: sound[first:end], len(sound))
        air = Air(self, seed=seed, noise=noise, block=OFFLINE_BLOCK)
        for talk in talks:
            air.say(Talk(talk.at, air.reflected(talk.sound)))
        frames = round((len(sound) / rate if seconds is None else seconds) * RATE)
        blocks = [air.hear([stream], first / RATE) for first in range(0, frames, OFFLINE_BLOCK)]
        return np.concatenate([np.zeros(0, np.int16), *blocks])[:frames]

    def echo_db(self, played: npt.NDArray[np.int16] | Sound, *, seed: int = 0, rate: int = SPEAKER_RATE) -> float:
        """Return how loud the echo of this talk is at the microphone, as ``level_db`` counts."""
        return level_db(as_sound(self.hear(played, seed=seed, rate=rate)))

    def echo_path(self, seed: int) -> Sound:
        """Return the response from the loudspeaker's membrane to the microphone, the delay left out."""
        if self.level_db is None:
            return np.zeros(1, np.float32)
        path = response(self.reverberation_s, np.random.default_rng((seed, 0)))
        return np.asarray(high_passed(path, self.high_pass_hz) * 10 ** (self.level_db / 20), np.float32)

    def talk_path(self, seed: int) -> Sound:
        """Return the response from somebody's mouth to the microphone, at the level of what is said."""
        return np.asarray(response(self.reverberation_s, np.random.default_rng((seed, 1))), np.float32)

    def driven(self, sound: Sound) -> Sound:
        """Return how the membrane moves when the converter puts out this."""
        if self.clips_at is None:
            return sound
        if self.clips_hard:
            return np.clip(sound, -self.clips_at, self.clips_at)
        return np.asarray(self.clips_at * np.tanh(sound / self.clips_at), np.float32)


ROOMS: Mapping[str, Room] = {
    "A": Room(-12, 0.040, 0.10),
    "B": Room(-6, 0.080, 0.25, clips_at=0.5),
    "C": Room(-6, 0.120, 0.30, clips_at=0.5, drift_ppm=50),
    "D": Room(0, 0.060, 0.30, clips_at=0.3, clips_hard=True, drift_ppm=50),
    "quiet": Room(None),
}
"""From an easy room to one with a small loud loudspeaker on a clock of its own; nobody hears the one of ``quiet``."""


class Air:
    """What is in front of the microphone, from one block to the next."""

    def __init__(self, room: Room, *, seed: int = 0, noise: Sound | None = None, block: int = BLOCK) -> None:
        """Fill the room with a noise that begins again whenever it ends; ``block`` is how many frames are heard."""
        self._room = room
        self._block = block
        self._frames = np.arange(block)
        self._echo = Convolver(room.echo_path(seed), block)
        self._talk_path = room.talk_path(seed)
        self._noise = np.zeros(1, np.float32) if noise is None else noise
        self._heard = 0
        self._talks: list[Talk] = []
        taps(_nominal(SPEAKER_RATE))  # takes a while, which there is not when the loudspeaker begins

    def reflected(self, sound: Sound) -> Sound:
        """Return what somebody says, with its reverberation."""
        return through(sound, self._talk_path)

    def say(self, talk: Talk) -> None:
        """Let somebody speak; what the microphone has heard already is too late to speak into."""
        self._talks.append(talk)

    def forget(self) -> None:
        """Let the echoes die away: the next block is not the one after the last."""
        self._echo.clear()

    def hear(self, played: Iterable[Stream], at: float, rate: float = RATE) -> npt.NDArray[np.int16]:
        """Return the next block, whose first frame is at the microphone at this moment."""
        moments = at + self._frames / rate
        membrane = np.zeros(self._block, np.float32)
        for stream in played:
            membrane += self._arriving(stream, moments)
        sound = self._echo.next(membrane) + self._spoken(at, rate)
        sound += np.take(self._noise, self._heard + self._frames, mode="wrap")
        self._heard = (self._heard + self._block) % len(self._noise)
        return np.asarray(np.clip(np.rint(sound * 32768), -32768, 32767), np.int16)

    def _arriving(self, stream: Stream, moments: Values) -> Sound | float:
        """Return how the membrane moved when what arrives at these moments left it."""
        positions = (moments - self._room.delay_s - stream.at) * stream.rate
        # One more than needed, because a position may be rounded up beyond its frame.
        first, end = math.floor(positions[0]) - HALF + 1, math.floor(positions[-1]) + HALF + 2
        begin, until = max(first, 0), end if stream.frames is None else min(end, stream.frames)
        if self._room.level_db is None or begin >= until:
            return 0.0
        sound = np.zeros(end - first, np.float32)
        there = stream.sound(begin, until)
        sound[begin - first : begin - first + len(there)] = self._room.driven(there)
        return between(sound, positions - first, taps(_nominal(stream.rate)))

    def _spoken(self, at: float, rate: float) -> Sound:
        sound, later = np.zeros(self._block, np.float32), []
        for talk in self._talks:
            offset = round((talk.at - at) * rate)
            here = sound[max(offset, 0) :]
            now = talk.sound[max(-offset, 0) :][: len(here)]
            here[: len(now)] += now
            if offset + len(talk.sound) > self._block:
                later.append(talk)
        self._talks = later
        return sound


def _nominal(rate: float) -> int:
    """Return the rate that a clock with an error is meant to have, so that each has not a filter of its own."""
    return round(rate / 100) * 100
