"""What goes wrong around the daemon: networks, machines and clocks, but not the service."""

import asyncio
import contextlib
import signal
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

from tests.faults import scenario
from tests.faults.clock import Clock
from tests.faults.network import Network
from tests.integration.household import Household, household

NIGHT_SPEED = 240
"""How much faster the daemon's clock runs through a night: eight hours are two minutes."""

AWAKE_S = 1.0
"""What is said while the process wakes is lost to the overrun of a card that is part of this process."""


class World:
    """The surroundings of one scenario."""

    def __init__(self, what: scenario.World | None, network: Network | None, clock: Clock | None) -> None:
        self._what = what or scenario.World()
        self._network = network
        self._clock = clock

    @property
    def ahead(self) -> float:
        """Seconds by which the daemon's journal is ahead of ``time.monotonic()`` here."""
        return self._clock.ahead if self._clock else 0.0

    def household(
        self, directory: Path, script: dict[str, Any], settings: dict[str, Any]
    ) -> contextlib.AbstractAsyncContextManager[Household]:
        """Set up a household in these surroundings."""
        environment = self._clock.environment if self._clock else {}
        if self._network is None:
            return household(directory, script, environment=environment, **settings)
        return household(
            directory,
            script,
            environment=environment,
            prefix=self._network.prefix,
            host=self._network.host,
            **settings,
        )

    async def go_wrong(self, home: Household) -> float:
        """Do what this scenario is about; return when it was over, by time.monotonic()."""
        what = self._what
        if what.outage is not None:
            await _outage(home, what.outage)
        elif what.impostor is not None:
            await _impostor(home, what.impostor, what.seconds)
        elif what.stopped is not None:
            await _stop(home, what.stopped)
        elif what.clock is not None:
            assert self._clock
            self._clock.step(what.clock)
        elif what.night is not None:
            assert self._clock
            await _night(home, self._clock, what.night)
        else:
            assert self._network
            await _impair(self._network, what)
        return time.monotonic()


@contextlib.asynccontextmanager
async def worldly(what: scenario.World | None, directory: Path) -> AsyncIterator[World]:
    """Prepare the surroundings that a scenario needs, and no others."""
    clock = Clock(directory) if what and (what.clock is not None or what.night is not None) else None
    if what and what.needs_network:
        async with Network() as network:
            yield World(what, network, clock)
    else:
        yield World(what, None, clock)


async def _outage(home: Household, seconds: float) -> None:
    await home.live.go_dark()
    await asyncio.sleep(seconds)
    await home.live.come_back()


async def _night(home: Household, clock: Clock, seconds: float) -> None:
    await home.live.go_dark()
    clock.run_at(NIGHT_SPEED)
    await asyncio.sleep(seconds / NIGHT_SPEED)
    clock.run_at(1)
    await home.live.come_back()


async def _stop(home: Household, seconds: float) -> None:
    home.daemon.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    home.daemon.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(AWAKE_S)


async def _impair(network: Network, what: scenario.World) -> None:
    if what.slow is not None:
        network.impair(rate_kbit=what.slow.rate_kbit, delay_ms=what.slow.delay_ms, loss=what.slow.loss)
        await asyncio.sleep(what.seconds)
        network.impair()
    elif what.black_hole is not None:
        network.black_hole(True)
        await asyncio.sleep(what.black_hole)
        network.black_hole(False)
    else:
        assert what.unplugged is not None
        network.unplug()
        await asyncio.sleep(what.unplugged)
        network.plug()


async def _impostor(home: Household, who: str, seconds: float) -> None:
    """Cut all connections, and let somebody else answer at the server's address for a while."""
    url = urlsplit(home.live.url)
    await home.live.go_dark()
    server = await asyncio.start_server(
        _hang_up if who == "hangs-up" else _say_hello,
        url.hostname,
        url.port,
        ssl=_another() if who == "wrong-name" else None,
    )
    async with server:
        await asyncio.sleep(seconds)
    await home.live.come_back()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the start of the TLS handshake, and be gone."""
    await reader.read(1)
    writer.transport.abort()


async def _say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a captive portal does."""
    await reader.read(1024)
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n")
    writer.close()


def _another() -> ssl.SSLContext:
    """Return the certificate of somebody else, by an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("portal.example").configure_cert(context)
    return context
