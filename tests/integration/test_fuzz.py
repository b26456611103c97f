"""What others send, made up: the corpus and a few hundred inputs like it; `make fuzz` tries many more."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.fuzz.hunt import TARGETS, target_of
from tests.fuzz.target import LONGEST, Attempt, Target, tried

EXAMPLES = 200


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_taken_or_refused_in_words(name: str) -> None:
    """Nothing that a server, a file or a caller may send ends the daemon or holds it up."""
    target = target_of(name)
    with target.ready() as attempt:
        for seed in sorted(target.seeds.iterdir()):
            data = seed.read_bytes()
            assert len(data) <= LONGEST, seed
            tried(attempt, data)
        _try_more(target, attempt)


def _try_more(target: Target, attempt: Attempt) -> None:
    """Try inputs that are a few changes away from the corpus."""
    seeds = [seed.read_bytes() for seed in sorted(target.seeds.iterdir())]

    @given(some.sampled_from(seeds), some.integers(1, 4), some.integers(0, 2**32))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def try_one(data: bytes, number: int, seed: int) -> None:
        rand = random.Random(seed)
        for _ in range(number):
            data = target.changed(data, rand)
        tried(attempt, data[:LONGEST])

    try_one()
