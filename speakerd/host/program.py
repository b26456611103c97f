"""A program of the owner's, run for what it prints."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 65_536
"""Bytes that a program may print before it is stopped: what is asked for is a line or two."""


@dataclass(frozen=True, slots=True)
class Printed:
    """How a program ended, and what it printed."""

    status: int
    output: bytes
    complaint: bytes


class _Watch(asyncio.SubprocessProtocol):
    """Collects what a program prints until it has ended and let go of its pipes."""

    def __init__(self) -> None:
        self.pipes = {1: bytearray(), 2: bytearray()}
        self.exited = asyncio.Event()
        self.finished = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.pipes[fd] += data
        if len(self.pipes[fd]) > LONGEST:
            self.finished.set()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.finished.set()


async def printed_by(words: Sequence[str], limit: float) -> Printed:
    """Run a program without a shell and without input; return what it printed within ``limit`` seconds.

    Whatever ends the wait, be it cancellation, ends the program and the processes that it started.

    Raises:
        OSError: it cannot be started; TimeoutError: it took too long, or printed without end.
    """
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(
        loop.subprocess_exec(_Watch, *words, stdin=asyncio.subprocess.DEVNULL, start_new_session=True)
    )
    try:
        async with asyncio.timeout(limit):
            # Cancelled while it starts, the event loop would end it, and not what it has started by then.
            transport, watch = await asyncio.shield(starting)
            await watch.finished.wait()
        if any(len(pipe) > LONGEST for pipe in watch.pipes.values()):
            raise TimeoutError
    except BaseException:
        with contextlib.suppress(OSError):  # it could not be started
            await _ended(*await starting)
        raise
    transport.close()
    return Printed(transport.get_returncode() or 0, bytes(watch.pipes[1]), bytes(watch.pipes[2]))


async def _ended(transport: asyncio.SubprocessTransport, watch: _Watch) -> None:
    """End a program and its children."""
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(transport.get_pid(), signal.SIGKILL)
    await watch.exited.wait()  # or nobody would collect its status
    transport.close()
