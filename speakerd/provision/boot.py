"""The part of the card that every computer can write: what is on it, and what is left there."""

import contextlib
import difflib
import errno
import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePath, PurePosixPath

from speakerd.host.card import REPORT
from speakerd.provision.whole import settle, write

LONGEST = 256 * 1024
"""Bytes of a file that somebody has written by hand; what is longer is none."""

COMPLAINT = "Please mend this, save the file, and start the speaker again:"
"""What stands in a report above the mistakes."""


ZEROS = "zeros.tmp"
"""It is there from before something is wiped until the free space, too, holds nothing that could be read."""

SECTOR = 512
"""Bytes that a card writes as a whole or not at all."""

FILL = bytes(4 << 20)
"""As much of the free space as is written at a time."""

ALIKE = 0.75
"""How much two names have in common (difflib) when one of them is taken for a slip of the pen."""


class Boot:
    """The directory where it is mounted. Names count in any case, and with the .txt that Windows adds and hides."""

    def __init__(
        self,
        directory: Path,
        writable: Callable[[], AbstractContextManager[object]] = nullcontext,
        room: Callable[[], int] = lambda: 0,
    ) -> None:
        """Take the directory; it may be there or not.

        Within ``writable()`` it can be written; ``room()`` is how many bytes are free there, if that is a file system
        of its own.
        """
        self._directory = directory
        self._writable = writable
        self._room = room

    @property
    def is_there(self) -> bool:
        """Whether anything of it can be read: the firmware has its files there, so none is empty."""
        try:
            return any(self._directory.iterdir())
        except OSError:
            return False

    def find(self, name: str) -> list[Path]:
        """Return the files of this name."""
        wanted = (name.lower(), f"{name.lower()}.txt")
        return [file for file in self._files() if file.name.lower() in wanted]

    def is_wiped(self, file: Path) -> bool:
        """Say whether the wiping of a file has begun, and end it: a power cut may have kept it from that."""
        try:
            with file.open("rb") as opened:
                first = opened.read(SECTOR)
        except OSError:
            return False  # whoever reads it next tells of that
        if not first or first.strip(b"\0"):
            return False
        with contextlib.suppress(OSError):  # nothing in it can be used, and the next boot tries again
            self.wipe(file)
        return True

    def matching(self, pattern: re.Pattern[str]) -> dict[str, Path]:
        """Return the files in which something matches, with their names as they can be written down.

        What was deleted and is still there counts, too: desktops keep it in a directory of their own.
        """
        found = {}
        for file in (*self._files(), *sorted(self._directory.glob(".Trash*/**/*"))):
            # What is longer is none that somebody wrote, and what cannot be read is not what they wait for.
            with contextlib.suppress(OSError, ValueError):
                if file.is_file() and pattern.search(self.read(file)):
                    found[shown(file.relative_to(self._directory))] = file
        return found

    def slips(self, names: Sequence[str]) -> dict[str, str]:
        """Return the files that are called almost like one of these, each with the name that is meant."""
        slips = {}
        for file in self._files():
            name = file.name.lower()
            if name.startswith(".") or ".example." in name or name == REPORT or name.removesuffix(".txt") in names:
                continue
            meant = difflib.get_close_matches(name, names, 1, ALIKE)
            if meant and name not in meant and not self.find(meant[0]):
                slips[shown(file.name)] = meant[0]
        return slips

    def _files(self) -> list[Path]:
        return sorted(path for path in self._directory.iterdir() if path.is_file())

    def read(self, file: Path) -> str:
        """Return what a file says, whatever editor wrote it: UTF-8 or UTF-16 with their marks, or what Windows takes.

        Raises:
            OSError: it cannot be read.
            ValueError: it is too long for a file that somebody wrote.
        """
        with file.open("rb") as opened:
            raw = opened.read(LONGEST + 1)
        if len(raw) > LONGEST:
            raise ValueError(f"is longer than {LONGEST // 1024} KiB")
        for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
            if raw.startswith(mark):
                return raw.decode(encoding, "replace").replace("\r\n", "\n")
        try:
            return raw.decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return raw.decode("cp1252", "replace").replace("\r\n", "\n")

    def holds(self, name: PurePosixPath) -> bool:
        """Whether there is a file of this very name."""
        return (self._directory / name).is_file()

    def text(self, name: str) -> str:
        """Return what the file of this very name says; nothing where there is none.

        Raises:
            OSError: it cannot be read.
            ValueError: it is too long for a file that somebody wrote; the text names it.
        """
        file = self._directory / name
        try:
            return self.read(file) if file.exists() else ""
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole, or leave that of before.

        Raises:
            OSError: it cannot be written.
        """
        with self._writable():
            write(self._directory / name, content, None)

    def wipe(self, file: Path) -> None:
        """Overwrite a file with nothing that could be read, and remove it; a flash card may still keep a copy inside.

        Raises:
            OSError: it cannot be written.
        """
        with self._writable():
            with contextlib.suppress(OSError):  # a card that has no room for it has no free space to be overwritten
                (self._directory / ZEROS).touch()
            with file.open("r+b", buffering=0) as opened:
                about = os.fstat(opened.fileno())
                # By what it begins with, one is known whose wiping was cut off.
                for piece in (min(about.st_size, SECTOR), max(about.st_size - SECTOR, 0)):
                    opened.write(bytes(piece))
                    os.fsync(opened.fileno())
                # The rest of its last cluster may be from a longer text. It is the file's own, so there is room.
                with contextlib.suppress(OSError):
                    opened.write(bytes(-about.st_size % about.st_blksize))
                    os.fsync(opened.fileno())
            file.unlink()
            settle(self._directory)

    def make_room(self) -> None:
        """Take back what a sweep that a power cut ended has filled: there may be a report to write."""
        file = self._directory / ZEROS
        if file.exists() and file.stat().st_size:
            with self._writable(), contextlib.suppress(OSError):  # whoever needs the room tells that there is none
                os.truncate(file, 0)

    def sweep(self) -> None:
        """Overwrite the free space, where something was wiped: an editor may have left copies in it.

        Raises:
            OSError: it cannot be written.
        """
        file = self._directory / ZEROS
        if not file.exists():
            return
        with self._writable():
            try:
                self._fill(file)
            finally:
                file.unlink()
                settle(self._directory)

    def _fill(self, file: Path) -> None:
        # Each piece is on the card before the next begins, so little of it is in memory.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DSYNC)
        try:
            room = self._room()
            while room > 0:
                room -= os.write(handle, FILL[:room])
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EFBIG):
                raise
        finally:
            os.close(handle)

    def report(self, head: str, body: str) -> None:
        """Leave a report where any computer shows it; where only the head is new, nothing is written.

        Raises:
            OSError: it cannot be written; that of before is still there.
        """
        file = self._directory / REPORT
        ends = body.replace("\n", "\r\n").encode()
        if file.exists() and file.read_bytes().endswith(b"\r\n\r\n" + ends):
            return
        self.write(REPORT, f"{head}\r\n\r\n".encode() + ends)

    def said(self) -> str:
        """Return the body of the report that lies there; nothing where there is none."""
        try:
            return self.text(REPORT).partition("\n\n")[2]
        except (OSError, ValueError):
            return ""


def shown(name: PurePath | str) -> str:
    """Return the name of a file as it can be written down: the kernel may take it for one in another alphabet."""
    return str(name).encode(errors="replace").decode()
