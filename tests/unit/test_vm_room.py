"""Does the virtual machine's room notice sound that is lost or added on the way?"""

import random

from tests.vm.guest.room import HEARD_RATE, compare

NOISE = random.Random(7).randbytes(HEARD_RATE * 2)
"""A second of sound in which no moment is like another."""

BEFORE = bytes(3202)


def test_sound_that_came_through_is_found_wherever_it_begins() -> None:
    """Each sample counts, and what is around it does not."""
    match = compare(NOISE, BEFORE + NOISE + BEFORE, HEARD_RATE)
    assert (match.share, match.breaks) == (1.0, [])


def test_what_is_missing_is_named() -> None:
    """Fifty milliseconds are lost half-way."""
    match = compare(NOISE, BEFORE + NOISE[:16_000] + NOISE[17_600:], HEARD_RATE)
    assert match.share == 0.95
    assert match.breaks == ["at 0.55 s 50 ms lost, 0 ms of something else"]


def test_what_was_never_said_is_named() -> None:
    """Ten milliseconds of silence came between."""
    match = compare(NOISE, NOISE[:16_000] + bytes(320) + NOISE[16_000:], HEARD_RATE)
    assert match.share == 1.0
    assert match.breaks == ["at 0.50 s 0 ms lost, 10 ms of something else"]


def test_a_sound_that_breaks_off_is_told() -> None:
    """The end of it is missing."""
    match = compare(NOISE, NOISE[:16_000], HEARD_RATE)
    assert match.breaks == ["the last 500 ms lost"]


def test_another_sound_is_not_it() -> None:
    """A sample that is off by one is not the same."""
    louder = bytes(byte ^ (at % 320 == 0) for at, byte in enumerate(NOISE))
    assert compare(NOISE, louder, HEARD_RATE).share == 0.0
