"""The part of the card that every computer can write: what is on it, and what is left there."""

import contextlib
import difflib
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePosixPath

from speakerd.host.card import REPORT
from speakerd.provision.whole import settle, write

LONGEST = 256 * 1024
"""Bytes of a file that somebody has written by hand; what is longer is none."""

COMPLAINT = "Please mend this, save the file, and start the speaker again:"
"""What stands in a report above the mistakes."""


ALIKE = 0.75
"""How much two names have in common (difflib) when one of them is taken for a slip of the pen."""


class Boot:
    """The directory where it is mounted. Names count in any case, and with the .txt that Windows adds and hides."""

    def __init__(self, directory: Path, writable: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """Take the directory; it may be there or not. Within ``writable()`` it can be written."""
        self._directory = directory
        self._writable = writable

    @property
    def is_there(self) -> bool:
        """Whether anything of it can be read: the firmware has its files there, so none is empty."""
        try:
            return any(self._directory.iterdir())
        except OSError:
            return False

    def find(self, name: str) -> list[Path]:
        """Return the files of this name, without those that only a power cut kept from being removed."""
        wanted = (name.lower(), f"{name.lower()}.txt")
        found = [file for file in self._files() if file.name.lower() in wanted]
        for file in [file for file in found if _is_wiped(file)]:
            with contextlib.suppress(OSError):  # there is nothing in it, and the next boot tries again
                self.wipe(file)
            found.remove(file)
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
                slips[shown(file)] = meant[0]
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
        os.sync()  # what was taken out of it must outlast a power cut, or it would be lost
        with self._writable():
            with file.open("r+b") as opened:
                opened.write(bytes(os.fstat(opened.fileno()).st_size))
                opened.flush()
                os.fsync(opened.fileno())
            file.unlink()
            settle(self._directory)

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


def shown(file: Path) -> str:
    """Return the name of a file as it can be written down: the kernel may take it for one in another alphabet."""
    return file.name.encode(errors="replace").decode()


def _is_wiped(file: Path) -> bool:
    """Say whether a file holds nothing but the zeros of a wiping that was cut off."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(LONGEST)
    except OSError:
        return False
    return bool(raw) and not raw.strip(b"\0")
