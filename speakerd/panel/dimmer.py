"""The dimmer: how bright the light may be at this time of day."""

import datetime as dt
from collections.abc import Callable

from speakerd.host.clock import local_time
from speakerd.settings import QuietHours

LONGEST_S = 3600.0
"""The time of day is looked at so often, for a board without a clock of its own may have been told it meanwhile."""


class Dimmer:
    """A brightness by day, and one for quiet hours that is never above it."""

    def __init__(self, percent: int, quiet: QuietHours, now: Callable[[], dt.datetime] = local_time) -> None:
        self._by_day = percent / 100
        self._by_night = min(percent, quiet.brightness) / 100
        self._quiet = quiet
        self._now = now

    def level(self) -> float:
        """Return the brightness, 0 to 1."""
        return self._by_night if self._quiet.are_on(self._now()) else self._by_day

    def until_change(self) -> float | None:
        """Return in how many seconds to ask again; None is never."""
        times = [dt.time.fromisoformat(time) for time in (self._quiet.begin, self._quiet.end) if time]
        if not times:
            return None
        now = self._now()
        days = [now.date() + dt.timedelta(days=days) for days in (0, 1)]
        # Each day has its own distance from UTC, so that summer time may begin in between.
        moments = [dt.datetime.combine(day, time).astimezone() for day in days for time in times]
        return min(LONGEST_S, *((moment - now).total_seconds() for moment in moments if moment > now))
