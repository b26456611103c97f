"""What a power cut leaves of what was written to the card of the boot scenes."""

import random
import struct
from pathlib import Path

from tests.image import writes

FLUSH = 1


def log(file: Path, *entries: tuple[int, bytes] | None) -> Path:
    """Write a log as QEMU does: a head of its own, then each write before its octets; None is a flush."""
    octets = struct.pack("<QQQI", 0x6A736677736872, 1, len(entries), writes.SECTOR).ljust(writes.SECTOR, b"\0")
    for entry in entries:
        sector, told = entry or (0, b"")
        flags = 0 if entry else FLUSH
        octets += (
            struct.pack("<QQQQ", sector, len(told) // writes.SECTOR, flags, 0).ljust(writes.SECTOR, b"\0") + told
        )
    file.write_bytes(octets)
    return file


def sector(letter: str) -> bytes:
    """Return a sector full of a letter."""
    return letter.encode() * writes.SECTOR


def left(card: Path, *entries: tuple[int, bytes] | None, seed: int = 0) -> str:
    """Return what a card of four sectors holds after the cut, a letter for each."""
    card.write_bytes(sector(".") * 4)
    writes.survive(log(card.with_name("log"), *entries), card, random.Random(seed))
    return card.read_bytes()[:: writes.SECTOR].decode()


def test_what_was_flushed_is_there(tmp_path: Path) -> None:
    """Whatever the chance, all that was written before the last flush is on the card, the newest last."""
    told = ((1, sector("a")), None, (1, sector("b") + sector("c")), None)

    assert {left(tmp_path / "card", *told, seed=seed) for seed in range(20)} == {".bc."}


def test_what_was_not_flushed_may_be_lost(tmp_path: Path) -> None:
    """After the last flush each write is there or not, also the later without the earlier."""
    told = ((0, sector("a")), None, (1, sector("b")), (2, sector("c")))

    found = {left(tmp_path / "card", *told, seed=seed) for seed in range(100)}
    assert found == {"abc.", "ab..", "a.c.", "a..."}


def test_a_write_that_was_cut_off_is_none(tmp_path: Path) -> None:
    """QEMU was ended in the middle of an entry: what is before counts, and nothing is made up."""
    file = log(tmp_path / "log", (0, sector("a")), None, (1, sector("b")))
    file.write_bytes(file.read_bytes()[:-1])
    card = tmp_path / "card"
    card.write_bytes(sector(".") * 4)

    assert writes.survive(file, card, random.Random(0)) == "0 of 2 writes lost"
    assert card.read_bytes() == sector("a") + sector(".") * 3
