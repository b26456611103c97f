"""A recording of the room while it is made, and how loud it is now."""

import math
import time
from array import array
from operator import mul

from speakerd.simulate.evidence import Sound
from speakerd.simulate.room import BYTES_PER_S, Place, Room

WINDOW_S = 0.1
"""How much of its end is taken for the present."""

LATE = 0.95
"""Sound comes to the file in blocks of some 20 ms, and its end is the present just before the next one comes. So of
all estimates of when it began a late one is the best; the very last may be a hiccup of the machine."""

QUIETEST_DB = -50.0
"""What the meter shows as nothing."""


class Tape:
    """Record a place for as long as the room stands."""

    def __init__(self, room: Room, place: Place) -> None:
        self._recording = room.record(place)
        self._bytes_per_s = BYTES_PER_S[place]
        self._begins = [self._recording.began]

    def level(self) -> float:
        """Return how loud it is now, 0 to 1 on a scale of decibels."""
        size = self._recording.path.stat().st_size & ~1
        self._begins.append(time.monotonic() - size / self._bytes_per_s)
        window = int(WINDOW_S * self._bytes_per_s) & ~1
        with self._recording.path.open("rb") as file:
            file.seek(max(0, size - window))
            samples = array("h", file.read(min(window, size)))
        power = sum(map(mul, samples, samples)) / max(len(samples), 1) / 2**30
        return max(0.0, 1 - 10 * math.log10(power) / QUIETEST_DB) if power else 0.0

    def stop(self) -> Sound:
        """End the recording and return it."""
        began = sorted(self._begins)[int(LATE * (len(self._begins) - 1))]
        return Sound(self._recording.stop(), self._bytes_per_s // 2, began)
