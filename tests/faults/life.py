"""The life of a long-running daemon: what it held each minute, and whether that grew."""

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.system.test_soak import Holding

WARM_MIN = 10.0
"""Until then a process still meets code that it has not run before."""

ENOUGH = 20
"""Fewer minutes than this, warm-up apart, say nothing of growth."""

GROWTH_KIB_PER_HOUR = 1024.0
"""Memory of a process of 80 MiB may vary by so much; a leak of a kilobyte a reconnect is more."""


@dataclass(frozen=True)
class Minute:
    """What the daemon held after so many minutes, in a silence."""

    minute: float
    threads: int
    descriptors: int
    rss_kib: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int, began: float) -> "Minute":
        """Look at a process; ``began`` is when it did, by time.monotonic()."""
        held = Holding.of(pid)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime and stime
        return cls((time.monotonic() - began) / 60, held.threads, held.descriptors, held.rss_kib, cpu)


def growth(minutes: Sequence[Minute]) -> list[str]:
    """Return what grew after the warm-up: the median of the last third against that of the first."""
    warm = [minute for minute in minutes if minute.minute > WARM_MIN]
    if len(warm) < ENOUGH:
        return []
    third = len(warm) // 3
    first, last = warm[:third], warm[-third:]
    hours = (last[0].minute - first[0].minute) / 60
    found = []
    for name, least in (("threads", 0.5), ("descriptors", 0.5), ("rss_kib", GROWTH_KIB_PER_HOUR * max(hours, 1))):
        then, now = (statistics.median(getattr(minute, name) for minute in part) for part in (first, last))
        if now - then > least:
            found.append(f"{name} grew from {then:g} to {now:g}")
    return found
