"""How loud a sound is."""

import numpy as np
import numpy.typing as npt

from speakerd.simulate.noises import RATE, Sound


def as_sound(pcm: bytes | npt.NDArray[np.int16] | Sound) -> Sound:
    """Return S16_LE, as bytes or as an array, as fractions of full scale; a sound stays as it is."""
    samples = np.frombuffer(pcm, np.int16) if isinstance(pcm, bytes) else pcm
    return np.asarray(samples / np.float32(32768) if samples.dtype == np.int16 else samples, np.float32)


def level_db(sound: Sound, rate: int = RATE) -> float:
    """Return how loud a talk is while it is one, relative to full scale: its pauses do not count.

    That is the mean power of all 10 ms that are within 20 dB of the loudest. Silence is -100 dB.
    """
    size = rate // 100
    whole = len(sound) // size * size
    power = np.mean(sound[:whole].reshape(-1, size).astype(np.float64) ** 2, axis=1) if whole else np.zeros(1)
    return float(10 * np.log10(np.mean(power[power >= power.max() / 100]) + 1e-10))


def at_level(sound: Sound, db: float) -> Sound:
    """Return a talk at this level."""
    return np.asarray(sound * np.float32(10 ** ((db - level_db(sound)) / 20)), np.float32)
