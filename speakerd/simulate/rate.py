"""Sound of any rate, made into what the ears hear: some clients send 24 kHz."""

import re

import numpy as np
import soxr

from speakerd.simulate.ears import RATE


class Rates:
    """Bring one connection's sound to 16 kHz, piece by piece."""

    def __init__(self) -> None:
        self._streams: dict[int, soxr.ResampleStream] = {}

    def take(self, pcm: bytes, mime: str) -> bytes:
        """Return S16_LE mono sound at 16 kHz; half a sample at the end is dropped, no rate means 16 kHz."""
        named = re.search(r"rate=(\d{4,6})", mime)
        rate = int(named[1]) if named else RATE
        whole = pcm[: len(pcm) // 2 * 2]
        if rate == RATE:
            return whole
        if rate not in self._streams:
            self._streams[rate] = soxr.ResampleStream(rate, RATE, 1, dtype="int16")
        sound: bytes = self._streams[rate].resample_chunk(np.frombuffer(whole, "<i2")).tobytes()
        return sound
