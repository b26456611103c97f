"""A file that is written whole or not at all, and outlasts a power cut from then on."""

import contextlib
import os
from pathlib import Path


def write(file: Path, content: bytes, mode: int | None = 0o644) -> None:
    """Write a file, or leave that of before; None leaves the mode to a file system that knows none.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode or 0o666), "wb") as opened:
            if mode is not None:
                os.fchmod(opened.fileno(), mode)  # whatever the umask is
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(file)
    finally:
        with contextlib.suppress(OSError):  # nobody reads it, and the next write takes its place
            unfinished.unlink(missing_ok=True)
    settle(file.parent)


def settle(directory: Path) -> None:
    """Let the names in a directory outlast a power cut.

    Raises:
        OSError: they do not.
    """
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
