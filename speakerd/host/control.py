"""The control socket: another program may ask how the speaker is, or mute it. Nobody can ask for the opposite.

A request is a line, ``status`` or ``mute``, and so is the reply. Who may ask is said by the rights of the socket: the
daemon's user and group. Each caller's credentials are compared with these once more, so that a socket that somebody
opens to all by mistake is not open to all; and the journal says who muted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from speakerd.errors import SpeakerdError

DIRECTORY = Path("/run/speakerd")
"""Where the service listens."""

PATIENCE_S = 10.0
"""How long either side waits for the other: the disk that keeps the mute may take five seconds."""

LONGEST = 1024
"""Bytes in a request."""

LONGEST_REPLY = 1 << 20

MOST = 8
"""Callers at once. The kernel keeps as many more waiting; whoever comes then waits before it has cost us anything."""

SO_PEERGROUPS = 59
"""Asks for the groups of a caller beside its first one (unix(7)); Python does not name it."""

log = logging.getLogger(__name__)

Mute = Callable[[], Awaitable[str | None]]
"""Mutes the speaker; returns what is wrong with that, in words, if anything is; raises SpeakerdError to refuse."""

Status = Callable[[], Awaitable[str]]
"""Says how the speaker is, in a line."""


class Control:
    """The daemon's end of the socket."""

    def __init__(self, directory: Path | None, mute: Mute, status: Status) -> None:
        """Prepare to listen in ``directory``; with None, nowhere."""
        self._path = directory and directory / "control"
        self._mute = mute
        self._status = status
        self._listener: socket.socket | None = None
        self._callers = asyncio.Semaphore(MOST)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Have the socket for as long as the block runs; where there can be none, the journal says why."""
        if self._path is None:
            yield
            return
        try:
            self._listener = _listen(self._path)
        except OSError as error:
            log.warning("nobody can ask how the speaker is, or mute it, at %s: %s", self._path,
                        error.strerror or error, extra={"event": "no-control"})  # fmt: skip
            yield
            return
        try:
            yield
        finally:
            self._listener.close()
            self._path.unlink(missing_ok=True)

    async def run(self) -> None:
        """Answer whoever calls; leave by cancellation, or at once where there is no socket."""
        if self._listener is None:
            return
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    line, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                except OSError:  # out of descriptors: those of the callers come back within their time
                    await asyncio.sleep(1)
                    continue
                if self._callers.locked():
                    _turn_away(line)
                else:
                    await self._callers.acquire()
                    task = group.create_task(self._attend(line), name="caller")
                    task.add_done_callback(lambda _: self._callers.release())
                await asyncio.sleep(0)  # accepting does not pause while somebody waits, and sound has to go on

    async def _attend(self, line: socket.socket) -> None:
        """Read a request and answer it, if its sender is there for so long."""
        with line:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    request = await _line_from(line)
            except (OSError, TimeoutError):
                return
            reply = await self._reply(request, _Caller.of(line))
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await asyncio.get_running_loop().sock_sendall(line, f"{reply}\n".encode())

    async def _reply(self, request: bytes, caller: _Caller) -> str:
        if not caller.may_ask:
            return f"user {caller.uid} may not ask: it is neither root nor in the group of the speaker"
        match request:
            case b"status\n":
                return await self._status()
            case b"mute\n":
                log.info("process %d of user %d asks for the mute", caller.pid, caller.uid,
                         extra={"event": "mute-asked", "pid": caller.pid, "uid": caller.uid})  # fmt: skip
                return await self._muted()
        return "there are two requests: status, and mute"

    async def _muted(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE_S):
                trouble = await self._mute()
        except SpeakerdError as refusal:
            return str(refusal)
        except TimeoutError:
            return "the mute takes too long; see: journalctl -u speakerd"
        return f"muted, but {trouble}" if trouble else "muted"


@dataclass(frozen=True, slots=True)
class _Caller:
    """A program that connected, as the kernel knows it (SO_PEERCRED, unix(7))."""

    pid: int
    uid: int
    gids: frozenset[int]

    @classmethod
    def of(cls, line: socket.socket) -> _Caller:
        pid, uid, gid = struct.unpack("iII", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        groups = b""
        with contextlib.suppress(OSError):  # it is in more groups than fit; its first one counts
            groups = line.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
        return cls(pid, uid, frozenset((gid, *struct.unpack(f"{len(groups) // 4}I", groups))))

    @property
    def may_ask(self) -> bool:
        return self.uid in (0, os.geteuid()) or os.getegid() in self.gids


def _listen(path: Path) -> socket.socket:
    """Return a socket at ``path``; one that a killed daemon left behind makes room, one of a living one does not."""
    with contextlib.suppress(FileNotFoundError):
        if listens := _listens(path):
            raise OSError(errno.EADDRINUSE, f"{listens} listens there")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.setblocking(False)
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(MOST)  # only now can anybody connect
    except OSError:
        listener.close()
        raise
    return listener


def _listens(path: Path) -> str | None:
    """Return who listens at ``path``, in words; None where nobody does any more.

    Raises:
        FileNotFoundError: nothing is there.
    """
    with socket.socket(socket.AF_UNIX) as line:
        line.setblocking(False)
        try:
            line.connect(str(path))
        except ConnectionRefusedError:
            return None
        except BlockingIOError:  # it lives, and has more callers than it can take
            return "another process"
        return f"process {_Caller.of(line).pid}"


async def _line_from(line: socket.socket) -> bytes:
    """Return the first line that a caller sends, with its end; what is longer than LONGEST has none."""
    got = b""
    while b"\n" not in got and len(got) < LONGEST:
        piece = await asyncio.get_running_loop().sock_recv(line, LONGEST - len(got))
        if not piece:
            break
        got += piece
    return b"".join(got.partition(b"\n")[:2])


def _turn_away(line: socket.socket) -> None:
    with line, contextlib.suppress(OSError):  # it did not wait for that
        line.send(b"too many ask at once; try again\n")


def ask_to_mute(directory: Path = DIRECTORY) -> None:
    """Ask the running daemon to mute, and wait until it has.

    Raises:
        SpeakerdError: no daemon runs, it may not be asked, or something is wrong with its mute.
    """
    if (reply := _ask(directory, b"mute\n")) != "muted":
        raise SpeakerdError(reply)


def ask_for_status(directory: Path = DIRECTORY) -> str:
    """Ask the running daemon how it is; return what it says, as JSON.

    Raises:
        SpeakerdError: no daemon runs, or it may not be asked.
    """
    if not (reply := _ask(directory, b"status\n")).startswith("{"):
        raise SpeakerdError(reply)
    return reply


def _ask(directory: Path, request: bytes) -> str:
    path, reply = directory / "control", ""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S * 2)  # the daemon needs as much for a mute that does not hold
            line.connect(str(path))
            with contextlib.suppress(BrokenPipeError):  # it has hung up, and may have said why
                line.sendall(request)
            with contextlib.suppress(ConnectionResetError):  # it has not
                reply = line.makefile("rb").readline(LONGEST_REPLY).decode(errors="replace").strip()
    except BlockingIOError as error:  # so many that none more can wait for its turn
        raise SpeakerdError("too many ask at once; try again") from error
    except PermissionError as error:
        raise SpeakerdError(f"no right to use {path}; run it with sudo") from error
    except TimeoutError as error:
        raise SpeakerdError("the daemon does not answer; see: journalctl -u speakerd") from error
    except OSError as error:
        raise SpeakerdError(
            f"no speakerd listens at {path} ({error.strerror or error}); see: systemctl status speakerd"
        ) from error
    if not reply:
        raise SpeakerdError("the daemon hung up; see: journalctl -u speakerd")
    return reply
