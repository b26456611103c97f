"""The watchdog: the service manager hears that all is well for as long as every part makes progress."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import NoReturn

from speakerd.host import service

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks at the parts. One look that finds a part stuck must not cost the life: the next is soon."""

Part = Callable[[], str | None]
"""Says why a part counts as stuck, as in "the microphone gives no sound", or None while it makes progress."""


class Watchdog:
    """Looks at all parts, and feeds the service manager's watchdog only while none is stuck.

    It runs as a task, so that an event loop that hangs feeds nothing either. With no service manager it only tells.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        """Take the parts by their names."""
        self._parts = parts
        self._limit = allowed_s()
        self._look_s = LOOK_S if self._limit is None else min(LOOK_S, self._limit / 4)
        self._suspects: frozenset[str] = frozenset()  # stuck at the last look
        self._told: frozenset[str] = frozenset()
        self._fed_at = float("-inf")

    async def run(self) -> NoReturn:
        """Look and feed for ever."""
        while True:
            self._look()
            await asyncio.sleep(self._look_s)

    def _look(self) -> None:
        stuck = {name: why for name, part in self._parts.items() if (why := part()) is not None}
        # Twice in a row: a process that was stopped for a while finds everything as old as its sleep.
        news = stuck.keys() & self._suspects - self._told
        for name in sorted(news):
            log.error("%s: stuck", stuck[name], extra={"event": "watchdog", "part": name})
        self._told = (self._told | news) & stuck.keys()
        self._suspects = frozenset(stuck)
        if not stuck:
            self._feed()

    def _feed(self) -> None:
        now = time.monotonic()
        if self._limit is not None and now - self._fed_at >= self._limit / 2 - self._look_s:
            self._fed_at = now
            service.tell("WATCHDOG=1")


def allowed_s() -> float | None:
    """Return how many seconds may pass between two feedings; None where nobody waits for any.

    The service manager says so in the environment (sd_watchdog_enabled(3)).
    """
    ours = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if ours and microseconds.isdecimal() and int(microseconds) else None
