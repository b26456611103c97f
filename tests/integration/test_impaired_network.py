"""The network of the fault suite does to packets what it is told."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.network import Network, in_a_network_of_its_own
from tests.integration.household import daemon, household, write_settings

PORT = 4000

SPEAKER = """
import socket, sys, threading, time
line = socket.create_connection((sys.argv[1], 4000), timeout=60)
line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def echo():
    began = time.monotonic()
    line.sendall(b"?")
    line.recv(1)
    return time.monotonic() - began
for order in sys.stdin:
    if order == "echo\\n":
        print(echo(), flush=True)
    else:
        line.sendall(bytes(int(order)))
        print("sent", flush=True)
"""
"""A program at the speaker's end of one connection; it takes orders on its standard input."""


BURST = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as line:
    for _ in range(50):
        line.sendto(bytes(972), (sys.argv[1], 4000))
"""
"""A program at the speaker's end that sends fifty packets of 1,000 bytes at once."""


@dataclass
class Ends:
    """A TCP connection through the network, and both of its ends."""

    speaker: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def echo(self) -> float:
        """Return in how many seconds one byte goes to the world and another comes back."""
        self.order("echo")
        await self.reader.readexactly(1)
        self.writer.write(b"!")
        return float(await self.said())

    async def takes(self, octets: int) -> float:
        """Return in how many seconds so many bytes come from the speaker."""
        began = time.monotonic()
        self.order(str(octets))
        await self.reader.readexactly(octets)
        await self.said()
        return time.monotonic() - began

    def order(self, order: str) -> None:
        assert self.speaker.stdin is not None
        self.speaker.stdin.write(order.encode() + b"\n")

    async def said(self) -> str:
        assert self.speaker.stdout is not None
        return (await self.speaker.stdout.readline()).decode()


@contextlib.asynccontextmanager
async def connected(net: Network) -> AsyncIterator[Ends]:
    """Connect a program in the speaker's network with this process."""
    arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *ends: arrived.put_nowait(ends), net.host, PORT)
    pipe = asyncio.subprocess.PIPE
    speaker = await asyncio.create_subprocess_exec(
        *net.prefix, sys.executable, "-c", SPEAKER, net.host, stdin=pipe, stdout=pipe
    )
    try:
        async with asyncio.timeout(60):
            reader, writer = await arrived.get()
            yield Ends(speaker, reader, writer)
        writer.close()
    finally:
        speaker.kill()
        await speaker.wait()
        server.close()
        await asyncio.sleep(0)


@in_a_network_of_its_own
async def test_a_long_line_takes_its_time() -> None:
    """Where it is 200 ms each way, an answer comes after 400 ms; where nothing is impaired, at once."""
    async with Network() as net, connected(net) as ends:
        assert min([await ends.echo() for _ in range(5)]) < 0.1
        net.impair(delay_ms=200)
        assert 0.4 <= min([await ends.echo() for _ in range(3)]) < 0.6


@in_a_network_of_its_own
async def test_a_slow_line_lets_through_what_it_can() -> None:
    """50 kB take at least two seconds at 200 kbit/s, and not much longer."""
    async with Network() as net, connected(net) as ends:
        assert await ends.takes(50_000) < 1
        net.impair(rate_kbit=200)
        assert 1.5 <= await ends.takes(50_000) < 6  # half a second's worth may still be on its way in


@in_a_network_of_its_own
async def test_a_slow_line_makes_nobody_wait_longer_than_its_queue() -> None:
    """Of two seconds' worth of packets that come at once, the first half a second's worth arrives."""
    async with Network() as net:
        net.impair(rate_kbit=200)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as world:
            world.bind((net.host, PORT))
            world.settimeout(2)
            subprocess.run([*net.prefix, sys.executable, "-c", BURST, net.host], check=True)
            came = 0
            with contextlib.suppress(TimeoutError):  # which is how one learns that no more comes
                while world.recv(2000):
                    came += 1
        assert 12 <= came <= 15


@in_a_network_of_its_own
async def test_what_is_lost_is_sent_again() -> None:
    """With a fifth of all packets lost everything arrives; TCP takes its time for it."""
    async with Network(seed=1) as net, connected(net) as ends:
        net.impair(loss=0.2, delay_ms=20)
        echoes = [await ends.echo() for _ in range(20)]
        assert min(echoes) < 0.1
        assert max(echoes) > 0.2  # the shortest time after which Linux sends again


@in_a_network_of_its_own
async def test_a_black_hole_swallows_without_a_word() -> None:
    """Nothing arrives and nobody is told; when it is over, what was sent meanwhile arrives after all."""
    async with Network() as net, connected(net) as ends:
        net.black_hole(True)
        ends.order("1000")
        assert await ends.said() == "sent\n"  # to send is to hand it to the kernel
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await ends.reader.readexactly(1)
        net.black_hole(False)
        await ends.reader.readexactly(1000)


@in_a_network_of_its_own
async def test_a_cable_that_is_plugged_in_again_is_noticed_at_once() -> None:
    """The daemon says that the network is gone, and is back as soon as link and route are."""
    async with Network() as net:
        with tempfile.TemporaryDirectory() as directory:
            async with household(
                Path(directory), prefix=net.prefix, host=net.host, live={"retry": {"first": 30.0}}
            ) as home:
                await home.live.wait_for("setup")
                net.unplug()
                await home.live.go_dark()
                lost = await home.daemon.until(event="link-refused", timeout=30)
                await home.live.come_back()
                net.plug()
                await home.daemon.until(after=lost, event="link-up", timeout=5)


@in_a_network_of_its_own
async def test_a_program_behind_the_router_is_stopped_as_any_other() -> None:
    """A signal to the daemon's process reaches the daemon, and nothing stands between."""
    async with Network() as net:
        with tempfile.TemporaryDirectory() as directory:
            settings = write_settings(Path(directory) / "speakerd.yaml", f"https://{net.host}:{PORT}")
            async with daemon(settings, prefix=net.prefix, GEMINI_API_KEY="not-a-key") as running:
                await running.until(event="link-refused")
                status, _ = await running.stop(signal.SIGTERM)
                assert status == 0
