"""The clock on the wall, which a board without a battery sets only when it has found the network."""

import asyncio
import datetime as dt
import time

STEP_S = 1.0
"""A clock that is only being kept exact moves by less than this at once."""

POLL_S = 1.0
"""Between two looks; os.timerfd_create, which could be told of a step, is only there from Python 3.13 on."""


def local_time() -> dt.datetime:
    """Return the time that it shows."""
    return dt.datetime.now().astimezone()


class Clock:
    """Whether the clock was set, forward or back, since it was last asked for."""

    def __init__(self) -> None:
        """Look at the clock."""
        self._ahead = _ahead()

    async def until_set(self) -> None:
        """Wait until the clock is set; one that was set while nobody waited, as during a dial, ends at once."""
        while abs(_ahead() - self._ahead) < STEP_S:  # noqa: ASYNC110 - see POLL_S
            await asyncio.sleep(POLL_S)
        self._ahead = _ahead()


def _ahead() -> float:
    """Return how many seconds the clock is ahead of one that nobody sets."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
