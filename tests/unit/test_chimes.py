"""The speaker's own short sounds."""

import itertools
import math
from array import array
from collections.abc import Callable

import numpy as np
import pytest

from speakerd.sound import chimes

RATE = 24_000
ALL = (chimes.muted, chimes.unmuted, chimes.listening, chimes.unreachable, chimes.forgotten, chimes.lost)

every = pytest.mark.parametrize(
    "chime", ALL, ids=("muted", "unmuted", "listening", "unreachable", "forgotten", "lost")
)


def samples_of(chime: Callable[[], bytes]) -> "array[int]":
    return array("h", chime())


def level_db(samples: "array[int]") -> float:
    """Return how loud it is where it sounds."""
    heard = [sample for sample in samples if sample]
    return 10 * math.log10(sum(sample**2 for sample in heard) / len(heard) / 32768**2)


def tune(chime: Callable[[], bytes]) -> list[int | None]:
    """Return the tones, one after the other, in semitones above 440 Hz, and the silences between them as None."""
    samples = np.trim_zeros(np.frombuffer(chime(), "<i2"))
    tones = [tone(frame) for frame in samples[: len(samples) // 480 * 480].reshape(-1, 480)]
    lasting = [before for before, after in itertools.pairwise(tones) if before == after]
    return [tone for tone, _ in itertools.groupby(lasting)]


def tone(frame: "np.ndarray[tuple[int, ...], np.dtype[np.int16]]") -> int | None:
    """Return the strongest tone in 20 ms of sound; None is silence."""
    if np.abs(frame).max() < 500:
        return None
    hertz = np.abs(np.fft.rfft(frame * np.hanning(len(frame)), RATE)).argmax()
    return round(12 * math.log2(hertz / 440))


@every
def test_a_chime_is_short_soft_and_clean(chime: Callable[[], bytes]) -> None:
    """It begins and ends in silence, never clips or clicks, and is over before anybody wonders."""
    samples = samples_of(chime)
    assert 0.1 <= len(samples) / RATE <= 0.5
    assert abs(samples[0]) < 20
    assert abs(samples[-1]) < 200
    assert 2_000 < max(samples) < 10_000
    assert max(abs(after - before) for before, after in itertools.pairwise(samples)) < 3_000


def test_all_chimes_are_equally_loud() -> None:
    """Nobody turns the volume because of one of them: they are within 2 dB of -20 dB, where speech is."""
    assert all(-22 < level_db(samples_of(chime)) < -18 for chime in ALL)


def test_rising_is_on_and_falling_is_off() -> None:
    """One hears without learning it whether the speaker listens now."""
    low, high = tune(chimes.unmuted)
    assert low is not None
    assert high is not None
    assert low < high
    assert tune(chimes.muted) == [high, low]


def test_no_chime_sounds_like_another_one() -> None:
    """Each has a tune of its own."""
    assert len({tuple(tune(chime)) for chime in ALL}) == len(ALL)
