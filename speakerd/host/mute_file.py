"""The file that says whether the speaker is muted: it outlives restarts, power cuts and broken disks."""

import os
import threading
from pathlib import Path

_WORDS = {True: b"muted\n", False: b"not muted\n"}


class MuteFile:
    """One fact on the disk. What cannot be read means muted.

    A second, empty file says that the first one was ever written. A first start is told by it from a fact that has
    got lost: the one is not muted, the other is.
    """

    def __init__(self, directory: Path | None) -> None:
        """Take the directory in which it is kept; None keeps nothing, for a daemon that is run by hand."""
        self._file = directory and directory / "mute"
        self._marker = directory and directory / "mute-known"
        self._newest = False
        self._lock = threading.Lock()

    def __str__(self) -> str:
        """Return where it is kept."""
        return f"{self._file} and {self._marker}"

    def read(self) -> bool:
        """Return whether the speaker is muted."""
        if self._file is None or self._marker is None:
            return False
        try:
            return self._file.read_bytes() != _WORDS[False]
        except FileNotFoundError:
            return not self.is_new()
        except OSError:
            return True

    def is_new(self) -> bool:
        """Return whether the fact was never stored: at the first start."""
        if self._marker is None:
            return False
        try:
            self._marker.stat()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def _says(self, word: bytes) -> bool:
        assert self._file is not None
        try:
            return self._file.read_bytes() == word and not self.is_new()
        except OSError:
            return False

    def write(self, *, muted: bool) -> None:
        """Store the fact; when this returns, a power cut cannot undo it.

        Raises:
            OSError: it could not be stored; the disk still says what it said before.
        """
        if self._file is None or self._marker is None:
            return
        self._newest = muted
        with self._lock:  # a write that hung, and that nobody waits for any more, must not have the last word
            if self._says(_WORDS[self._newest]):
                return  # a disk that takes nothing any more may hold it all the same
            _write(self._file, _WORDS[self._newest])
            if not self._marker.exists():
                _write(self._marker, b"")


def _write(file: Path, content: bytes) -> None:
    unfinished = file.with_name(file.name + ".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    unfinished.replace(file)
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the name of a file is its directory's content
    finally:
        os.close(directory)
