"""The part of the card that every computer can write: what is on it, and what is left there."""

import contextlib
import os
from pathlib import Path

LONGEST = 256 * 1024
"""Bytes of a file that somebody has written by hand; what is longer is none."""

REPORT = "speakerd-report.txt"


class Boot:
    """The directory where it is mounted. Names count in any case, and with the .txt that Windows adds and hides."""

    def __init__(self, directory: Path) -> None:
        """Take the directory; it may be there or not."""
        self._directory = directory

    def find(self, name: str) -> Path | None:
        """Return the file of this name; None where there is none."""
        wanted = (name.lower(), f"{name.lower()}.txt")
        try:
            found = sorted(
                path for path in self._directory.iterdir() if path.name.lower() in wanted and path.is_file()
            )
        except OSError:
            return None
        return found[0] if found else None

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

    def wipe(self, file: Path) -> None:
        """Overwrite a file with nothing that could be read, and remove it; a flash card may still keep a copy inside.

        Raises:
            OSError: it cannot be written.
        """
        with file.open("r+b") as opened:
            opened.write(bytes(os.fstat(opened.fileno()).st_size))
            opened.flush()
            os.fsync(opened.fileno())
        file.unlink()
        self._settle()

    def report(self, text: str) -> None:
        """Leave a report where any computer shows it; without a change nothing is written.

        Raises:
            OSError: it cannot be written.
        """
        file = self._directory / REPORT
        content = text.replace("\n", "\r\n").encode()
        if file.exists() and file.read_bytes() == content:
            return
        with file.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        self._settle()

    def _settle(self) -> None:
        with contextlib.suppress(OSError):  # not every file system lets a directory be opened for that
            handle = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
