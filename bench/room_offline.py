"""The ear in a room without real time: what it takes out of the echo, and what it costs."""

import gc
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.room_ear import make_ear
from bench.sound import SAMPLE_BYTES
from bench.sound import Sound as Passed
from speakerd.simulate.acoustics import ROOMS, SPEAKER_RATE
from speakerd.simulate.levels import as_sound
from speakerd.simulate.noises import RATE
from speakerd.sound.ear import Ear
from speakerd.sound.ear import Sound as Heard
from speakerd.sound.echo import Mode, level_db

AHEAD_S = 0.16
"""So long before a block sounds, the daemon hands it to the device: the loudspeaker's buffer."""

SETTLED_S = 3.0
"""So long the canceller may take to learn a room; its attenuation counts from then on, up to ``SETTLED_END_S``."""

SETTLED_END_S = 9.0

PERIOD_S = 0.02


@dataclass(frozen=True, slots=True)
class Piece:
    """Some sound, S16_LE mono, and the moment of its first sample."""

    at: float
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Offline:
    """What came of it: levels in dB full scale, and a time in milliseconds for each period of 20 ms."""

    echo_db: float
    """The answer, while it is one, at the microphone."""
    attenuation_db: float
    cpu_percent: float
    """Of one core, the loudspeaker's side of the ear included."""
    periods_ms: tuple[float, ...]
    """What the processor works for each in the microphone's thread; a wait for a processor is not in it."""


def measure(room: str, mode: Mode, said: npt.NDArray[np.int16]) -> Offline:
    """Let an answer of at least ``SETTLED_END_S`` be heard in a room by an ear that does not know it."""
    heard = ROOMS[room].hear(said, seed=1)
    blocks = cut(said.tobytes(), SPEAKER_RATE, 1 + ROOMS[room].drift_ppm * 1e-6)
    times: list[float] = []
    gc.freeze()  # as the daemon does: what this program has loaded is no concern of the ear
    cpu = time.process_time()
    cleaned = list(replay(make_ear(mode), blocks, cut(heard.tobytes(), RATE), times))
    cpu = time.process_time() - cpu
    first, end = (round(seconds / PERIOD_S) for seconds in (SETTLED_S, SETTLED_END_S))
    before = level_db(heard[first * RATE // 50 : end * RATE // 50].tobytes())
    left = level_db(b"".join(period.pcm for period in cleaned[first:end]))
    cpu_percent = 100 * cpu / (len(cleaned) * PERIOD_S)
    echo_db = ROOMS[room].echo_db(as_sound(said), seed=1)
    return Offline(echo_db, before - left, cpu_percent, tuple(1e3 * seconds for seconds in times))


def cut(pcm: bytes, rate: float, speed: float = 1.0, at: float = 1000.0) -> Iterator[Piece]:
    """Yield sound in periods of 20 ms of its nominal rate; its clock runs at this speed."""
    frames = round(rate * PERIOD_S)
    size = frames * SAMPLE_BYTES
    for number in range(len(pcm) // size):
        yield Piece(at + number * frames / (rate * speed), pcm[number * size : (number + 1) * size])


def pieces(sound: Passed, first: float, end: float) -> list[Piece]:
    """Return what passed a converter between two moments, in periods of 20 ms."""
    found = []
    ends = [start.frame for start in sound.starts[1:]] + [len(sound.pcm) // SAMPLE_BYTES]
    for start, last in zip(sound.starts, ends, strict=True):
        frames = round(start.rate / 50)
        for frame in range(start.frame, last - frames + 1, frames):
            at = start.time + (frame - start.frame) / start.rate
            if first <= at < end:
                found.append(Piece(at, sound.pcm[frame * SAMPLE_BYTES : (frame + frames) * SAMPLE_BYTES]))
    return found


def replay(
    ear: Ear, played: Iterable[Piece], captured: Iterable[Piece], times: list[float] | None = None
) -> Iterator[Heard]:
    """Yield what an ear makes of each captured period; add to ``times`` how many seconds it took for each."""
    listen, blocks = ear.begin(), iter(played)
    block = next(blocks, None)
    for period in captured:
        while block is not None and block.at < period.at + AHEAD_S:
            ear.played(block.pcm, block.at)
            block = next(blocks, None)
        began = time.thread_time()
        heard = listen(period.pcm, period.at)
        if times is not None:
            times.append(time.thread_time() - began)
        yield heard


def memory_mib() -> float:
    """Return what the ear takes, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "bench.room_memory"], capture_output=True, check=True)
    return int(done.stdout) / 1024
