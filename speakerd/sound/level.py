"""Is somebody talking? A judgement of loudness, good enough for the light.

It compares each period with the noise of the room, which it learns. Music and a second voice from a television
fool it; nothing that leaves the house depends on it.
"""

import math
from array import array
from operator import mul

OVER_NOISE_DB = 10.0
"""A voice across a kitchen stands this far above the noise, or farther."""

QUIETEST_DB = -60.0
"""Below this (dB full scale) nothing is taken for a voice, however quiet the room is."""

_NOISE_FALL = 0.2  # the estimate follows a quieter room within some periods …
_NOISE_RISE_DB_PER_S = 1.5  # … and a louder one slowly, so that a sentence does not become noise
_BYTES_PER_S = 32_000


class LevelDetector:
    """Takes what is loud for a voice."""

    def __init__(self) -> None:
        """Prepare; the room is quiet."""
        self._noise_db = QUIETEST_DB

    def hear(self, pcm: bytes) -> float:
        """Take 16 kHz mono S16_LE sound; return 1 where it is loud for this room, else 0."""
        level = level_db(pcm)
        if level < self._noise_db:
            self._noise_db += (level - self._noise_db) * _NOISE_FALL
        else:
            self._noise_db += _NOISE_RISE_DB_PER_S * len(pcm) / _BYTES_PER_S
        return float(level > max(self._noise_db + OVER_NOISE_DB, QUIETEST_DB))

    def reset(self) -> None:
        """Keep what is known of the room: it is no sound of it."""


def level_db(pcm: bytes) -> float:
    """Return the level of S16_LE sound, root mean square in dB relative to full scale; -100 for silence."""
    samples = array("h", pcm)
    power = sum(map(mul, samples, samples)) / max(len(samples), 1)
    return 10 * math.log10(power / 2**30) if power else -100.0
