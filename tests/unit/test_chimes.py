"""The speaker's own sounds."""

import itertools
from array import array

from speakerd.sound import chimes


def test_a_chime_is_short_soft_and_clean() -> None:
    """It begins and ends in silence, never clips, and is over before anybody wonders."""
    samples = array("h", chimes.lost())
    assert 0.2 < len(samples) / 24_000 < 0.6
    assert abs(samples[0]) < 20
    assert abs(samples[-1]) < 200
    assert 2_000 < max(samples) < 10_000
    assert max(abs(after - before) for before, after in itertools.pairwise(samples)) < 1_000
