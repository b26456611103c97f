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

ATTACK_MS = 60
"""A voice lasts; a clink of cutlery does not."""

HANGOVER_MS = 600
"""Pauses between words are shorter than this."""

_NOISE_FALL = 0.2  # the estimate follows a quieter room within some periods …
_NOISE_RISE_DB_PER_S = 1.5  # … and a louder one slowly, so that a sentence does not become noise


class Gate:
    """Judges the room's sound, period by period."""

    def __init__(self, period_ms: int) -> None:
        """Prepare for periods of this length."""
        self._period_ms = period_ms
        self._noise_db = QUIETEST_DB
        self._loud_ms = 0
        self.quiet_ms = HANGOVER_MS
        self.talking = False

    def hear(self, pcm: bytes) -> bool:
        """Take a period of S16_LE mono sound; return whether somebody is talking."""
        level = level_db(pcm)
        if level < self._noise_db:
            self._noise_db += (level - self._noise_db) * _NOISE_FALL
        else:
            self._noise_db += _NOISE_RISE_DB_PER_S * self._period_ms / 1000
        if level > max(self._noise_db + OVER_NOISE_DB, QUIETEST_DB):
            self._loud_ms += self._period_ms
            self.quiet_ms = 0
        else:
            self._loud_ms = 0
            self.quiet_ms += self._period_ms
        if self._loud_ms >= ATTACK_MS:
            self.talking = True
        elif self.quiet_ms >= HANGOVER_MS:
            self.talking = False
        return self.talking


def level_db(pcm: bytes) -> float:
    """Return the level of S16_LE sound, root mean square in dB relative to full scale; -100 for silence."""
    samples = array("h", pcm)
    power = sum(map(mul, samples, samples)) / max(len(samples), 1)
    return 10 * math.log10(power / 2**30) if power else -100.0
