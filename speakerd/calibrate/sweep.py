"""The sound that a room is measured with, and what the room makes of it: a rising whistle, and its response.

The whistle rises by the same interval each moment, so that what a loudspeaker adds by its distortion comes out before
the response, apart from it (A. Farina, "Simultaneous measurement of impulse response and distortion with a swept-sine
technique", AES 108th Convention, 2000).
"""

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

LOWEST_HZ, HIGHEST_HZ = 100.0, 7000.0
"""What talk consists of."""

LENGTH_S, FADE_S = 2.0, 0.1

LOUDNESS = 0.1 * np.sqrt(2)
"""Of full scale: its mean power is that of an answer, -20 dB."""


def sweep(rate: int) -> Sound:
    """Return the sound, between -1 and 1."""
    time = np.arange(round(LENGTH_S * rate)) / rate
    octaves = np.log(HIGHEST_HZ / LOWEST_HZ)
    phase = 2 * np.pi * LOWEST_HZ * LENGTH_S / octaves * (np.exp(time / LENGTH_S * octaves) - 1)
    fade = np.clip(np.minimum(time, LENGTH_S - time) / FADE_S, 0, 1)
    return np.asarray(LOUDNESS * np.sin(np.pi / 2 * fade) ** 2 * np.sin(phase))


def response(heard: Sound, rate: int, lowest_hz: float = LOWEST_HZ, highest_hz: float = HIGHEST_HZ) -> Sound:
    """Return the response of the room in which the sweep was heard, between two frequencies.

    Its first half is what came at and after the beginning of ``heard``; its second half, counted from the end
    backwards, what came before it: the distortion, ``ahead_s`` before what it belongs to.
    """
    said = sweep(rate)
    size = 1 << int(np.ceil(np.log2(2 * (len(heard) + len(said)))))
    spectrum = np.fft.rfft(said, size)
    power = np.abs(spectrum) ** 2
    hertz = np.fft.rfftfreq(size, 1 / rate)
    inside = (hertz > lowest_hz) & (hertz < highest_hz)
    divided = np.fft.rfft(heard - heard.mean(), size) * spectrum.conj() / np.where(inside, power, np.inf)
    return np.asarray(np.fft.irfft(divided, size))


def ahead_s(harmonic: int) -> float:
    """Return how long before the response that of a harmonic is: 2 is the octave."""
    return float(LENGTH_S * np.log(harmonic) / np.log(HIGHEST_HZ / LOWEST_HZ))
