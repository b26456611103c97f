"""A part of speakerd that takes what others made."""

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

SLOW_S = 2.0
"""An input that takes longer holds the daemon up."""

LONGEST = 4096
"""Bytes in an input; what is wrong with a long one is mostly wrong with a short one."""

Attempt = Callable[[bytes], None]
"""Gives an input to the target; whatever it raises is a finding."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is tried: ``ready`` sets it up, ``changed`` makes another input out of one."""

    name: str
    ready: Callable[[], contextlib.AbstractContextManager[Attempt]]
    changed: Callable[[bytes, random.Random], bytes]

    @property
    def seeds(self) -> Path:
        """The directory of inputs to begin with."""
        return CORPUS / self.name


class TooSlowError(AssertionError):
    """An input held the target up."""


def tried(attempt: Attempt, data: bytes) -> None:
    """Make an attempt.

    Raises:
        TooSlowError: it took more than ``SLOW_S``, and did so again: a busy machine is slow once.
    """
    for _ in range(2):
        begun = time.monotonic()
        attempt(data)
        took = time.monotonic() - begun
        if took <= SLOW_S:
            return
    raise TooSlowError(f"{took:.1f} s for one input, twice")
