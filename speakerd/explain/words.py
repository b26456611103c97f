"""Times and lengths, as they are said to people."""

import time


def moment(at: float) -> str:
    """Return a time with its day."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S", time.localtime(at))


def clock(at: float, beside: float) -> str:
    """Return a time, with its day where that is another one than the day of the time ``beside``."""
    here = time.localtime(at)
    same_day = here[:3] == time.localtime(beside)[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", here)


def length(seconds: float) -> str:
    """Return how long something took."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"
