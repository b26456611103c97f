"""Is there room left: on the disk, and in memory?"""

import os
import re
from pathlib import Path

from speakerd.doctor.finding import Finding, bad, note, ok

DISK, MEMORY = "disk", "memory"

STATE = Path("/var/lib/speakerd")
"""Where the daemon keeps its mute, its conversation and what it has used."""

SETTINGS = Path("/etc/speakerd")

LITTLE, TOO_LITTLE = 200, 20
"""MiB on the disk: below the one, a system's update may fail; below the other, soon everything does."""

TIGHT, TOO_TIGHT = 60, 20
"""MiB of memory that could be had; a Pi Zero 2 W has 512 in all, and the daemon takes some 90."""

_MIB = 1 << 20


def examine(state: Path = STATE, settings: Path = SETTINGS, meminfo: Path = Path("/proc/meminfo")) -> list[Finding]:
    """Return how much room is left."""
    return [_disk(state, settings), *_memory(meminfo)]


def judge_disk(free_mib: int, *, read_only: list[Path], state: Path) -> Finding:
    """Return how the disk is: what is free for the daemon, and which directories nobody can write to."""
    if state in read_only:
        advice = "mount it for writing: sudo mount -o remount,rw / ; if it falls back, the SD card is dying: renew it"
        return bad(DISK, f"{state} is read-only: a mute would be forgotten at a power cut", advice)
    if free_mib < TOO_LITTLE:
        return bad(DISK, f"full: {free_mib} MiB left", "make room: sudo journalctl --vacuum-size=50M; sudo apt clean")
    if free_mib < LITTLE:
        return note(DISK, f"only {free_mib} MiB left", "make room: sudo journalctl --vacuum-size=50M; sudo apt clean")
    if read_only:
        return note(DISK, f"{read_only[0]} is read-only: settings cannot be changed")
    return ok(DISK, f"{_amount(free_mib)} left, and it can be written to")


def judge_memory(total_mib: int, available_mib: int) -> Finding:
    """Return how the memory is."""
    text = f"{_amount(available_mib)} of {_amount(total_mib)} left"
    if available_mib < TOO_TIGHT:
        return bad(MEMORY, text, "see what takes it: ps -eo rss,comm --sort=-rss | head; end what is not needed")
    if available_mib < TIGHT:
        return note(MEMORY, text, "see what takes it: ps -eo rss,comm --sort=-rss | head")
    return ok(MEMORY, text)


def _disk(state: Path, settings: Path) -> Finding:
    read_only, free_mib = [], 0
    for directory in (settings, state):
        there = next(path for path in (directory, *directory.parents) if path.exists())
        try:
            status = os.statvfs(there)
        except OSError as error:
            return bad(DISK, f"{there} cannot be looked at: {error.strerror}", "see: dmesg | tail")
        free_mib = status.f_bavail * status.f_frsize // _MIB
        if status.f_flag & os.ST_RDONLY:
            read_only.append(directory)
    return judge_disk(free_mib, read_only=read_only, state=state)


def _memory(meminfo: Path) -> list[Finding]:
    found = dict(re.findall(r"^(Mem\w+): +(\d+) kB$", meminfo.read_text(), re.MULTILINE))
    if not {"MemTotal", "MemAvailable"} <= found.keys():
        return []
    return [judge_memory(int(found["MemTotal"]) // 1024, int(found["MemAvailable"]) // 1024)]


def _amount(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib} MiB"
