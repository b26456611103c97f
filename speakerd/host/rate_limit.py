"""How many lines of one kind are told: ten a minute, then how many more there were."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

MOST = 10
"""Lines of a kind in a minute. A machine that is in trouble is not helped by its journal: an SD card wears."""

MINUTE_S = 60.0

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Minute:
    ends_at: float
    told: int = 0
    left_out: int = 0


class RateLimit(Generic[Key]):
    """Counts lines of each kind; a minute begins with the first line after the last minute. Pure."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Prepare; ``now`` is a clock in seconds."""
        self._now = now
        self._minutes: dict[Key, _Minute] = {}

    def admits(self, key: Key) -> bool:
        """Count a line; return whether it is to be told."""
        now = self._now()
        minute = self._minutes.get(key)
        if minute is None or (now >= minute.ends_at and not minute.left_out):
            minute = self._minutes[key] = _Minute(now + MINUTE_S)
        if minute.told < MOST:
            minute.told += 1
            return True
        minute.left_out += 1
        return False

    def next_in(self) -> float | None:
        """Return in how many seconds the first minute ends of which lines were left out; None: there is none."""
        ends = [minute.ends_at for minute in self._minutes.values() if minute.left_out]
        return max(0.0, min(ends) - self._now()) if ends else None

    def take(self, *, all_of_them: bool = False) -> dict[Key, int]:
        """Return how many lines were left out of each kind whose minute is over, and forget them."""
        now = self._now()
        over = {key for key, minute in self._minutes.items() if all_of_them or now >= minute.ends_at}
        counts = {key: self._minutes.pop(key).left_out for key in over}
        return {key: count for key, count in counts.items() if count}
