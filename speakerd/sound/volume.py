"""How loud the loudspeaker is: its last stage, in front of the device and of what the canceller is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speakerd.settings import QuietHours

DUCKED = 10 ** (-15 / 20)
"""15 dB lower, one's own voice no longer drowns out whoever begins to talk, and the answer can still be followed."""

CEILING = 0.89
"""Of full scale, -1 dB: what would become louder than this is made softer, for an echo of clipped sound stays."""

RAMP = 120
"""Samples, 5 ms, in which loudness changes: faster, it would click."""


def gain(percent: int) -> float:
    """Return what to multiply samples with for a volume of 0 to 100 percent.

    Half the percent sounds half as loud, which is 10 dB less: loudness grows with the 0.6th power of the pressure
    (S. S. Stevens, "The Measurement of Loudness", Journal of the Acoustical Society of America 27, 1955, p. 815).
    """
    return float((percent / 100) ** (1 / 0.6))


def factor_at(now: dt.datetime, percent: int, quiet: QuietHours) -> float:
    """Return what to multiply samples with at this local time."""
    return gain(min(percent, quiet.volume) if quiet.are_on(now) else percent)


class Volume:
    """Multiplies samples, in the loudspeaker's thread."""

    def __init__(self, factor: Callable[[], float]) -> None:
        """Prepare; ``factor`` says for each block what its samples are to be multiplied with."""
        self._factor = factor
        self._applied: float | None = None
        self.card_db = 0.0
        """So much of it the card does itself, in dB, 0 or less: see ``mixer.py``; its thread sets it."""
        self.is_ducked = False
        """Whether to speak softly for a moment; any thread may set it."""

    def shape(self, pcm: bytes) -> bytes:
        """Return mono S16_LE sound as loud as it is to be; the same bytes where nothing is to be changed."""
        factor = self._factor()
        if self.card_db < 0:
            factor = min(factor * 10 ** (-self.card_db / 20), 1.0)
        factor *= DUCKED if self.is_ducked else 1.0
        before = factor if self._applied is None else self._applied
        if before == factor == 1.0:
            self._applied = factor
            return pcm
        import numpy as np  # the ear has loaded it, where there is one

        samples = np.frombuffer(pcm, np.int16)
        peak = float(np.abs(samples.astype(np.float32)).max(initial=1.0)) / 32768
        factor = min(factor, CEILING / peak) if factor > 1 else factor
        self._applied = factor
        factors = np.full(len(samples), factor, np.float32)
        factors[:RAMP] = np.linspace(before, factor, RAMP, dtype=np.float32)[: len(samples)]
        shaped: bytes = np.clip(np.rint(samples * factors), -32768, 32767).astype(np.int16).tobytes()
        return shaped
