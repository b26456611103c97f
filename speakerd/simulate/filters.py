"""What a room does to a sound, as arithmetic: responses, filters, and values between two samples."""

import functools
import math

import numpy as np
import numpy.typing as npt

from speakerd.simulate.noises import RATE, Sound

DIRECT_DB = 3.0
"""How much stronger the direct sound is than its reverberation: at arm's length in a furnished kitchen."""

TAIL_FROM_S = 0.002
"""When the reverberation begins after the direct sound: a way longer by 70 cm."""

HALF = 24
"""Samples on either side from which a value between two samples is computed."""

PHASES = 4096
"""How many places between two samples are told apart; the error of it is 80 dB below the sound."""

PASS = 0.42
"""Where the loudspeaker's sound is cut off, as a part of the microphone's sample rate: 6.7 kHz."""

KAISER = 7.0
"""Form of the window: 70 dB of attenuation."""

CHUNK = 1024
"""Of this many frames, or of some times as many, a spectrum is computed quickly."""

Values = npt.NDArray[np.float64]


class Convolver:
    """A response that is applied to a sound as it comes, block by block (overlap-save)."""

    def __init__(self, response: Sound, block: int) -> None:
        # A multiple of a power of two is as fast as a power, and not up to twice as long.
        self._size = -(-(len(response) + block - 1) // CHUNK) * CHUNK
        self._block = block
        self._spectrum = np.fft.rfft(response, self._size).astype(np.complex64)
        self._past = np.zeros(self._size, np.float32)

    def next(self, sound: Sound) -> Sound:
        """Return the block that follows, as long as the one that is put in."""
        self._past[: -self._block] = self._past[self._block :]
        self._past[-self._block :] = sound
        if not self._past.any():
            return np.zeros(self._block, np.float32)
        whole = np.fft.irfft(np.fft.rfft(self._past) * self._spectrum, self._size)
        return np.asarray(whole[-self._block :], np.float32)

    def clear(self) -> None:
        """Forget what came before."""
        self._past[:] = 0


def between(sound: Sound, positions: Values, taps: Sound) -> Sound:
    """Return the values of a sound at positions between its samples; there must be ``HALF`` on either side."""
    left = np.floor(positions).astype(np.intp)
    phase = np.rint((positions - left) * PHASES).astype(np.intp)
    around = sound[left[:, None] + np.arange(1 - HALF, HALF + 1)]
    return np.asarray(np.einsum("ij,ij->i", around, taps[phase]), np.float32)


@functools.lru_cache(maxsize=8)
def taps(rate: float) -> Sound:
    """Return for each place between two samples the weights of those around it: a windowed sinc."""
    pass_band = 2 * min(PASS * RATE / rate, 0.5)
    distance = np.arange(1 - HALF, HALF + 1) - np.arange(PHASES + 1)[:, None] / PHASES
    window = np.i0(KAISER * np.sqrt(np.maximum(1 - (distance / HALF) ** 2, 0))) / np.i0(KAISER)
    taps = pass_band * np.sinc(pass_band * distance) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), np.float32)


def response(reverberation_s: float, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a direct sound, and noise that fades after it; its energy is 1."""
    response = np.zeros(1 + round(reverberation_s * RATE))
    since = np.arange(len(response)) / RATE
    tail = random.standard_normal(len(response)) * 10 ** (-3 * since / max(reverberation_s, 1e-3))
    tail[since < TAIL_FROM_S] = 0
    response[0] = 1
    if tail.any():
        response += tail / np.sqrt(np.sum(tail**2)) * 10 ** (-DIRECT_DB / 20)
    return np.asarray(response / np.sqrt(np.sum(response**2)))


def high_passed(response: npt.NDArray[np.float64], hz: float) -> npt.NDArray[np.float64]:
    """Return a response after a second-order high-pass, as a box with a small membrane is one (Butterworth)."""
    frames = len(response) + RATE // 10
    size = 1 << frames.bit_length()
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    turn = 2 * math.pi * hz / RATE
    bend = math.sin(turn) / math.sqrt(2)
    over = (1 + math.cos(turn)) / 2 * (1 - z) ** 2
    under = (1 + bend) - 2 * math.cos(turn) * z + (1 - bend) * z**2
    return np.asarray(np.fft.irfft(np.fft.rfft(response, size) * over / under, size)[:frames])


def through(sound: Sound, path: Sound) -> Sound:
    """Return a whole sound after a response."""
    if len(path) == 1:
        return sound * path
    size = 1 << (len(sound) + len(path) - 1).bit_length()
    whole = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(path, size), size)
    return np.asarray(whole[: len(sound) + len(path) - 1], np.float32)
