"""A process and all that descend from it, as the kernel counts them (proc(5))."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.child import kib

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat tells: ``cpu_s`` is its own CPU time and that of its children who have ended."""

    pid: int
    parent: int
    cpu_s: float


def parse(text: str) -> Stat:
    """Read a line of /proc/PID/stat; the name in brackets may hold blanks and brackets."""
    pid, _, rest = text.partition(" ")
    fields = rest[rest.rindex(")") + 2 :].split()  # from the third field of proc(5) on
    return Stat(int(pid), int(fields[1]), sum(map(int, fields[11:15])) * _TICK_S)


def descendants(root: int, stats: Mapping[int, Stat]) -> list[Stat]:
    """Return a process and everybody who descends from it; nobody where it is not among them."""
    found, left = [], [root]
    while left:
        pid = left.pop()
        if pid in stats:
            found.append(stats[pid])
            left += [stat.pid for stat in stats.values() if stat.parent == pid]
    return found


def cpu_s(root: int) -> float:
    """Return how many seconds of CPU a process and its descendants have used."""
    return sum(stat.cpu_s for stat in descendants(root, dict(_all())))


def pss_mib(root: int) -> float:
    """Return the memory of a process and its descendants, in MiB, with shared pages counted by share."""
    pids = [stat.pid for stat in descendants(root, dict(_all()))]
    return sum(kib("Pss", Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in pids) / 1024


def _all() -> Iterator[tuple[int, Stat]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = parse(path.read_text())
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        yield stat.pid, stat
