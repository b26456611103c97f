"""Lines that are too many."""

import pytest

from speakerd.host.rate_limit import MINUTE_S, MOST, RateLimit


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_ten_lines_a_minute_are_told(clock: Clock) -> None:
    """The eleventh and those after it are counted, until the minute is over."""
    limit = RateLimit[str](clock)
    assert [limit.admits("a") for _ in range(13)] == [True] * MOST + [False] * 3
    assert limit.take() == {}
    clock.time = MINUTE_S
    assert limit.take() == {"a": 3}
    assert limit.take() == {}
    assert limit.admits("a")


def test_each_kind_has_a_minute_of_its_own(clock: Clock) -> None:
    """One that is loud does not silence another; the first end is the next to be waited for."""
    limit = RateLimit[str](clock)
    for _ in range(MOST + 1):
        limit.admits("a")
    assert limit.next_in() == MINUTE_S
    clock.time = 20.0
    for _ in range(MOST + 2):
        limit.admits("b")
    assert limit.next_in() == MINUTE_S - 20
    clock.time = MINUTE_S
    assert limit.take() == {"a": 1}
    assert limit.next_in() == 20
    assert limit.take(all_of_them=True) == {"b": 2}


def test_what_is_rare_is_never_left_out(clock: Clock) -> None:
    """Nine a minute, for an hour: all are told, and nobody waits for anything."""
    limit = RateLimit[str](clock)
    for minute in range(60):
        clock.time = minute * MINUTE_S
        assert all(limit.admits("a") for _ in range(9))
    assert limit.next_in() is None
    assert limit.take(all_of_them=True) == {}


def test_lines_after_the_end_of_a_minute_wait_for_its_count(clock: Clock) -> None:
    """Where nobody has said yet how many were left out, the count grows rather than start again."""
    limit = RateLimit[str](clock)
    for _ in range(MOST + 1):
        limit.admits("a")
    clock.time = MINUTE_S + 1
    assert not limit.admits("a")
    assert limit.next_in() == 0
    assert limit.take() == {"a": 2}
