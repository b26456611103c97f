"""The service manager's side of ``NOTIFY_SOCKET``: a real socket that hears what a service says (sd_notify(3))."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self


class Manager:
    """Hears a service; each assignment with the moment, by CLOCK_MONOTONIC, at which it came."""

    def __init__(self, address: Path, watchdog_s: float | None) -> None:
        self.told: list[tuple[float, str]] = []
        self.environment = {"NOTIFY_SOCKET": str(address)}
        if watchdog_s is not None:
            self.environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        self._more = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls, directory: Path, watchdog_s: float | None = None) -> AsyncIterator[Self]:
        """Listen for as long as the block runs; with ``watchdog_s`` it wants to be fed that often."""
        address = directory / "notify"
        address.unlink(missing_ok=True)
        manager = cls(address, watchdog_s)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(str(address))
            line.setblocking(False)
            asyncio.get_running_loop().add_reader(line, manager._hear, line)
            try:
                yield manager
            finally:
                asyncio.get_running_loop().remove_reader(line)

    def _hear(self, line: socket.socket) -> None:
        now = time.monotonic()
        self.told += [(now, assignment) for assignment in line.recv(4096).decode().splitlines()]
        self._more.set()

    def moments(self, assignment: str) -> list[float]:
        """Return when something was said."""
        return [at for at, told in self.told if told == assignment]

    @property
    def status(self) -> list[str]:
        """All lines of status so far, in order."""
        return [told.removeprefix("STATUS=") for _, told in self.told if told.startswith("STATUS=")]

    async def until(self, start: str, *, count: int = 1, timeout: float = 15.0) -> str:
        """Wait until something that starts so was said for the nth time, and return it."""
        try:
            async with asyncio.timeout(timeout):
                while len(found := [told for _, told in self.told if told.startswith(start)]) < count:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise TimeoutError(f"no {start} among {[told for _, told in self.told]}") from None
        return found[count - 1]

    async def starves(self, seconds: float, *, timeout: float = 20.0) -> float:
        """Wait until nobody has fed the watchdog for so long; return when it was fed last."""
        async with asyncio.timeout(timeout):
            while (rest := self.fed_at + seconds - time.monotonic()) > 0:  # noqa: ASYNC110 - it is an absence
                await asyncio.sleep(rest)
        return self.fed_at

    async def thrives(self, seconds: float, interval: float) -> None:
        """See that for so long the watchdog is fed at least once in each interval."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            assert now - self.fed_at < interval, f"not fed for {now - self.fed_at:.1f} s"
            await asyncio.sleep(0.05)

    @property
    def fed_at(self) -> float:
        """When the watchdog was fed last."""
        return (self.moments("WATCHDOG=1") or [float("-inf")])[-1]
