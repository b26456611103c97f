"""What a machine wrote to its card, and the card that a power cut leaves: what was not flushed may be lost.

QEMU's driver blklogwrites keeps the log, in the format of the kernel's dm-log-writes:
https://docs.kernel.org/admin-guide/device-mapper/log-writes.html
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512

FLUSH, DISCARD = 1, 4

HEAD = struct.Struct("<QQQQ")
"""Sector, number of sectors, flags, length of a mark."""


@dataclass(frozen=True, slots=True)
class Write:
    """One entry of the log; ``found`` is where its octets are in it."""

    at: int
    size: int
    is_flush: bool
    found: int


def survive(log: Path, card: Path, chance: random.Random) -> str:
    """Give a card what it was told up to the last flush, and of the rest each write only by chance; say how many."""
    writes = list(_read(log))
    sure = max((number for number, write in enumerate(writes) if write.is_flush), default=-1) + 1
    rest = writes[sure:]
    kept = [write for write in rest if chance.random() < 0.5]
    with log.open("rb") as source, card.open("r+b") as target:
        for write in writes[:sure] + kept:
            source.seek(write.found)
            target.seek(write.at)
            target.write(source.read(write.size))
    return f"{len(rest) - len(kept)} of {len(writes)} writes lost"


def _read(log: Path) -> Iterator[Write]:
    """Yield the entries, as far as QEMU came with them."""
    end, place = log.stat().st_size, SECTOR
    with log.open("rb") as file:
        while place + SECTOR <= end:
            file.seek(place)
            sector, count, flags, _ = HEAD.unpack(file.read(HEAD.size))
            size = 0 if flags & DISCARD else count * SECTOR
            place += SECTOR + size
            if place > end or not (count or flags):
                return
            yield Write(sector * SECTOR, size, bool(flags & FLUSH), place - size)
