"""What the loudspeaker played, and when: what the canceller compares the microphone with.

Both devices count samples by clocks of their own, and say at what time a sample was, a little wrongly each time. Here
all time is samples of 16 kHz by the clock of the machine. A stream follows its own count, and slips by whole samples
where the times say for long that its clock is another one; it jumps where they say that it has paused.
"""

import math
import threading

import numpy as np
import soxr

RATE = 16_000
PLAYED_RATE = 24_000

KEPT = 1 << 16
"""Samples, four seconds: more than a device holds, and more than an echo lasts."""

JUMP = RATE * 200 // 1000
"""Samples: who is so far off has paused, or was held up."""

SLIP = RATE * 20 // 1000
"""Samples: who is so far off for some blocks has lost or gained sound, as devices do that run over or dry."""

SLIPS = 3
"""So many blocks in a row must be that far off: a machine that is busy looks at its clock late."""

_SMOOTH = 0.02
"""The share of a new time in the mean: one is wrong by milliseconds, a clock by a sample in three hundred blocks."""


class Track:
    """Where the blocks of a stream lie, in samples of the machine's clock."""

    def __init__(self) -> None:
        """Prepare for a stream."""
        self._next: int | None = None
        self._error = 0.0
        self._slips = 0

    def place(self, at: float, samples: float) -> tuple[int, bool]:
        """Take the time of a block's first sample; return where it lies, and whether the stream begins anew there."""
        target = at * RATE
        jumped = self._next is None or self._is_off(target - self._next)
        if jumped:
            self._next, self._error, self._slips = round(target), 0.0, 0
        assert self._next is not None
        if abs(target - self._next) <= SLIP:  # a time that is that wrong says nothing about the clock
            self._error += (target - self._next - self._error) * _SMOOTH
        place = self._next
        step = 0 if abs(self._error) < 1 else int(math.copysign(1, self._error))
        self._error -= step
        self._next += round(samples) + step
        return place, jumped

    def end(self) -> None:
        """Learn that the stream ended."""
        self._next = None

    def _is_off(self, off: float) -> bool:
        self._slips = self._slips + 1 if abs(off) > SLIP else 0
        return abs(off) > JUMP or self._slips >= SLIPS


class Reference:
    """Keeps what was played for as long as its echo may come; one thread writes, another one reads."""

    def __init__(self) -> None:
        """Prepare; nothing was played."""
        self._lock = threading.Lock()
        self._ring = np.zeros(KEPT, np.int16)
        self._end = 0  # behind the last sample that is known; what follows is silence
        self._played = Track()
        self._heard = Track()
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
