"""The doctor's own sound, found again in what the microphone heard: how late, and how loud."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOUDNESS = 0.1
"""Of full scale: as loud as soft talk."""

LOWEST_HZ, HIGHEST_HZ = 400.0, 3500.0
"""What a small loudspeaker plays and every microphone hears."""

LENGTH_S, FADE_S = 0.4, 0.03

SURE = 10.0
"""So far must the best match stand out from the usual one, as 1 is one standard deviation of noise."""


@dataclass(frozen=True, slots=True)
class Echo:
    """Where the sound begins in what was heard, in seconds, and how loud it is against what was played, in dB."""

    at_s: float
    gain_db: float


def sweep(rate: int) -> NDArray[np.float64]:
    """Return the sound: a soft rising whistle, which matches itself at one place only; between -1 and 1."""
    time = np.arange(round(LENGTH_S * rate)) / rate
    phase = 2 * np.pi * (LOWEST_HZ * time + (HIGHEST_HZ - LOWEST_HZ) * time**2 / (2 * LENGTH_S))
    fade = np.clip(np.minimum(time, LENGTH_S - time) / FADE_S, 0, 1)
    return np.asarray(LOUDNESS * fade * np.sin(phase))


def find(heard: NDArray[np.float64], rate: int) -> Echo | None:
    """Return where the sound is in what was heard, which is longer than it; None where it is not."""
    wanted = sweep(rate)
    size = len(heard) + len(wanted)
    spectrum = np.fft.rfft(heard - heard.mean(), size) * np.conj(np.fft.rfft(wanted, size))
    match = np.fft.irfft(spectrum, size)[: len(heard) - len(wanted)]
    strength = np.abs(match)
    best = int(strength.argmax())
    usual = float(np.median(strength)) / 0.6745  # the median of what is normally distributed, in standard deviations
    if strength[best] <= SURE * max(usual, 1e-9):
        return None
    gain = float(strength[best] / np.sum(wanted**2))
    return Echo(best / rate, 20 * float(np.log10(gain)))
