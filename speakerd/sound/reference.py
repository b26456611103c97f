"""What the loudspeaker played, and when: what the canceller compares the microphone with.

Both devices count samples by clocks of their own, and say at what time a sample was, a little wrongly each time. Here
all time is samples of 16 kHz by the clock of the machine. A stream follows its own count, and is moved by a sample
now and then where the times say that its clock is another one; it begins anew where they say that it has paused.
"""

import math
import threading
from collections import deque

import numpy as np
import soxr

RATE = 16_000
PLAYED_RATE = 24_000

KEPT = 1 << 16
"""Samples, four seconds: more than a device holds, and more than an echo lasts."""

GAP = RATE * 20 // 1000
"""Samples: a loudspeaker that sounds so much later than it should has run dry."""

STALL = RATE * 500 // 1000
"""Samples: a microphone whose sound is taken so much later than it should has lost some; it holds less than that."""

SEEN = 50
"""Blocks, a second: the earliest of their times is right, for a machine that is busy only looks at its clock late."""

STEP = 4
"""Blocks for each sample that a stream is moved by: enough for clocks that differ by 700 millionths."""


class Track:
    """Where the blocks of a stream lie, in samples of the machine's clock."""

    def __init__(self, gap: int) -> None:
        """Prepare for a stream that begins anew when it is so many samples off."""
        self._gap = gap
        self._next: int | None = None
        self._off: deque[float] = deque(maxlen=SEEN)
        self._blocks = 0

    def place(self, at: float, samples: float) -> tuple[int, bool]:
        """Take the time of a block's first sample; return where it lies, and whether the stream begins anew there."""
        target = at * RATE
        is_new = self._next is None or abs(target - self._next) > self._gap
        if is_new:
            self._next = round(target)
            self._off.clear()
        assert self._next is not None
        place = self._next
        if len(self._off) < SEEN and target < place:
            place = round(target)  # the first times were late, too
        self._off.append(target - place)
        self._blocks += 1
        off = min(self._off) if self._blocks % STEP == 0 else 0.0
        step = int(math.copysign(1, off)) if abs(off) >= 1 else 0
        if step:
            self._off = deque((seen - step for seen in self._off), SEEN)
        self._next = place + round(samples) + step
        return place, is_new

    def end(self) -> None:
        """Learn that the stream ended."""
        self._next = None


class Reference:
    """Keeps what was played for as long as its echo may come; one thread writes, another one reads."""

    def __init__(self) -> None:
        """Prepare; nothing was played."""
        self._lock = threading.Lock()
        self._ring = np.zeros(KEPT, np.int16)
        self._end = 0  # behind the last sample that is known; what follows is silence
        self._played = Track(GAP)
        self._heard = Track(STALL)
        self._stream = self._new_stream()
        self._write_at = 0

    def played(self, pcm: bytes, sounds_at: float) -> None:
        """Take a block, 24 kHz mono S16_LE, and the time.monotonic() at which its first sample leaves the device."""
        samples = np.frombuffer(pcm, np.int16)
        place, is_new = self._played.place(sounds_at, len(samples) * RATE / PLAYED_RATE)
        with self._lock:
            if is_new:
                self._write(self._stream.resample_chunk(samples[:0], last=True))
                self._stream, self._write_at = self._new_stream(), place
            self._write(self._stream.resample_chunk(samples))

    def cut(self, at: float) -> None:
        """Learn that the loudspeaker fell silent at this time, whatever it had been given."""
        with self._lock:
            self._end = min(self._end, round(at * RATE))
            self._stream, self._write_at = self._new_stream(), self._end
            self._played.end()

    def lost(self) -> None:
        """Learn that the microphone lost sound, or begins."""
        self._heard.end()

    def heard_at(self, captured_at: float, samples: int) -> bytes:
        """Return what sounded while a period was captured that began at this time; silence where nothing did."""
        place, _ = self._heard.place(captured_at, samples)
        with self._lock:
            return self._read(place, samples).tobytes()

    def _new_stream(self) -> "soxr.ResampleStream":
        return soxr.ResampleStream(PLAYED_RATE, RATE, 1, dtype="int16", quality="HQ")

    def _write(self, samples: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> None:
        at = self._write_at
        for begin in range(max(self._end, at - KEPT), at):  # the silence before it
            self._ring[begin % KEPT] = 0
        self._ring[np.arange(at, at + len(samples)) % KEPT] = samples
        self._write_at = self._end = at + len(samples)

    def _read(self, at: int, samples: int) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
        known = np.arange(at, at + samples)
        return np.where((known < self._end) & (known >= self._end - KEPT), self._ring[known % KEPT], np.int16(0))
