"""From sounds to figures: when a talk begins, and how much of it somebody else was told. Pure arithmetic."""

from collections.abc import Sequence

import numpy as np

from speakerd.simulate.noises import RATE, Sound, Values

PERIOD = RATE // 50
"""Frames of which a level is taken: 20 ms."""

LOUD_DB = 20.0
"""What is no further below the loudest is talk; the rest is breath, and pauses."""

LOST_DB = 30.0
"""What has become so much softer, beside the loudest of a talk, is as good as lost: speech has no wider range."""

FADED_DB = 20.0
"""A canceller takes up to 12 dB from who talks over the loudspeaker; what has become softer by this is not clear."""


def onset_s(talk: Sound) -> float:
    """Return when a talk begins in its recording: the first 50 ms of which most are loud."""
    block = RATE // 100
    loud = _levels(talk, block) > -LOUD_DB
    lasting = np.flatnonzero(np.convolve(loud, np.ones(5), "valid") >= 4)
    return float(lasting[0] * block / RATE) if len(lasting) else 0.0


def share_told(talk: Sound, told: Sound, lost_db: float = LOST_DB) -> float:
    """Return how much of a talk is in what was told, 0 to 1, where the two correlate best.

    Told is a loud period of the talk that has not become softer by ``lost_db``, relative to the loudest. Where
    something in the middle is missing, only the part that fits better counts.
    """
    frames = len(talk) + len(told)
    correlation = np.fft.irfft(np.fft.rfft(told, frames) * np.fft.rfft(talk, frames).conj(), frames)
    behind = int(np.argmax(correlation))  # so many frames the talk is later in what was told
    if behind >= len(told):
        behind -= frames
    padded = np.concatenate((np.zeros(len(talk), np.float32), told, np.zeros(len(talk), np.float32)))
    said, there = _levels(talk, PERIOD), _levels(padded[len(talk) + behind :][: len(talk)], PERIOD)
    loud = said > -LOUD_DB
    return float(np.mean(there[loud] > said[loud] - lost_db)) if told.any() else 0.0


def percentile(values: Sequence[float | None], share: float) -> float | None:
    """Return the value that this share of all, in percent, do not exceed; None is more than any number."""
    ordered = sorted(np.inf if value is None else value for value in values)
    if not ordered:
        return None
    found = float(np.percentile(ordered, share, method="inverted_cdf"))
    return found if np.isfinite(found) else None


def _levels(sound: Sound, frames: int) -> Values:
    """Return the level of each so many frames, in dB below the loudest."""
    blocks = sound[: len(sound) // frames * frames].reshape(-1, frames).astype(np.float64)
    power = np.mean(blocks**2, axis=1) + 1e-12
    return np.asarray(10 * np.log10(power / power.max()))
