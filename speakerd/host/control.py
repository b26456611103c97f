"""The control socket: where another program of this machine may ask the daemon to mute, and not to un-mute."""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from speakerd.errors import SpeakerdError

DIRECTORY = Path("/run/speakerd")
"""Where the service manager makes room for it (``RuntimeDirectory=speakerd``)."""

PATIENCE_S = 10.0
"""How long either side waits for the other: the disk that keeps the mute may take five seconds."""

LONGEST = 1024
"""Bytes in a request or a reply."""

log = logging.getLogger(__name__)

Mute = Callable[[], Awaitable[str | None]]
"""Mutes the speaker; returns what is wrong with that, in words, if anything is."""


@contextlib.asynccontextmanager
async def open_to_requests(directory: Path | None, mute: Mute) -> AsyncIterator[None]:
    """Listen in ``directory`` for as long as the block runs; with None, nowhere."""
    if directory is None:
        yield
        return
    path = directory / "control"
    try:
        path.unlink(missing_ok=True)  # left behind by a daemon that was killed
        server = await asyncio.start_unix_server(functools.partial(_answer, mute), path, limit=LONGEST)
        path.chmod(0o660)
    except OSError as error:
        log.warning("nobody can ask for a mute at %s: %s", path, error.strerror or error)
        yield
        return
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(mute: Mute, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError, ValueError):  # whoever asked has gone, or asked for too much
        async with asyncio.timeout(PATIENCE_S):
            request = await reader.readline()
            if request == b"mute\n":
                trouble = await mute()
                writer.write(f"muted, but {trouble}\n".encode() if trouble else b"muted\n")
            else:
                writer.write(b"there is only one request: mute\n")
            await writer.drain()
    writer.close()


def ask_to_mute(directory: Path = DIRECTORY) -> None:
    """Ask the running daemon to mute, and wait until it has.

    Raises:
        SpeakerdError: no daemon runs, it may not be asked, or something is wrong with its mute.
    """
    path = directory / "control"
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(path))
            line.sendall(b"mute\n")
            reply = line.makefile("rb").readline(LONGEST).decode(errors="replace").strip()
    except PermissionError as error:
        raise SpeakerdError(f"no right to use {path}; run it with sudo") from error
    except TimeoutError as error:
        raise SpeakerdError("the daemon does not answer; see: journalctl -u speakerd") from error
    except OSError as error:
        raise SpeakerdError(
            f"no speakerd listens at {path} ({error.strerror}); see: systemctl status speakerd"
        ) from error
    if reply != "muted":
        raise SpeakerdError(reply or "the daemon hung up; see: journalctl -u speakerd")
