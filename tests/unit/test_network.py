"""Is the server there again?"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from speakerd.host import network
from speakerd.host.network import Reachability
from speakerd.simulate import certificate


def in_a_network_of_its_own(program: str, *arguments: str) -> None:
    """Run a Python program where the only network is a loopback that is down; it is root there."""
    assert shutil.which("unshare")
    assert shutil.which("ip"), "install it: apt-get install iproute2"
    own = ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    subprocess.run([*own, sys.executable, "-W", "error", "-c", program, *arguments], check=True, timeout=60)


async def test_the_return_of_a_server_is_noticed() -> None:
    """A port that begins to accept connections ends the wait."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        waiting = asyncio.create_task(Reachability("127.0.0.1", server.getsockname()[1]).returns())
        await asyncio.sleep(0.5)
        assert not waiting.done()
        server.listen()
        async with asyncio.timeout(10):
            await waiting


async def test_a_server_that_is_there_and_of_no_use_is_news_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the network is not what is wrong, the back-off is cut short once and no more, until that is long ago."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        reachability = Reachability("127.0.0.1", server.getsockname()[1])
        async with asyncio.timeout(1):
            await reachability.returns()
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await reachability.returns()
        monkeypatch.setattr(network, "MEMORY_S", 2.0)
        async with asyncio.timeout(1):
            await reachability.returns()


async def test_a_server_that_came_back_while_nobody_looked_is_news() -> None:
    """A dial can hang until after the return; the back-off behind it is cut short all the same, once."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        reachability = Reachability("127.0.0.1", server.getsockname()[1])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await reachability.returns()
        server.listen()
        async with asyncio.timeout(1):
            await reachability.returns()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await reachability.returns()


async def test_who_answers_in_the_servers_place_is_not_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that wants a log-in accepts every connection; the wait ends when the server itself answers."""
    ca_file, tls = certificate.make(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    page = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = page.sockets[0].getsockname()[1]
    waiting = asyncio.create_task(Reachability("127.0.0.1", port, secure=True).returns())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    page.close()
    await page.wait_closed()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port, ssl=tls)
    async with asyncio.timeout(10):
        await waiting
    server.close()


async def test_behind_a_proxy_it_is_the_proxy_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no name but the proxy's can be found, the server's is not asked for; no_proxy is obeyed."""
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://somebody:secret@127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "direct.invalid")
        waiting = asyncio.create_task(Reachability("behind.invalid", 443).returns())
        direct = asyncio.create_task(Reachability("direct.invalid", 443).returns())
        await asyncio.sleep(0.5)
        assert not waiting.done()
        proxy.listen()
        async with asyncio.timeout(10):
            await waiting
        assert not direct.done()
        direct.cancel()
        await asyncio.wait([direct])


NEWS = """
import asyncio, subprocess
from speakerd.host import network
network.PROBE_S = 30.0  # only the kernel's news can be faster
async def main():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)  # no route to it yet: lo is down
    port = server.sockets[0].getsockname()[1]
    waiting = asyncio.create_task(network.Reachability("127.0.0.1", port).returns())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    async with asyncio.timeout(5):
        await waiting
    server.close()
asyncio.run(main())
"""


def test_the_kernels_news_cut_the_wait_short() -> None:
    """A cable that is plugged in, here the loopback of a network of its own, is noticed at once."""
    in_a_network_of_its_own(NEWS)


FLOCK = """
import asyncio, subprocess
from speakerd.host import network
tries = 0
async def main():
    async def fails(self):
        global tries
        tries += 1
        return False
    network.Reachability._accepts = fails
    waiting = asyncio.create_task(network.Reachability("127.0.0.1", 1).returns())
    news = 0
    end = asyncio.get_running_loop().time() + 2
    while asyncio.get_running_loop().time() < end:
        for verb in ("add", "del"):
            command = await asyncio.create_subprocess_exec("ip", "address", verb, "10.1.1.1/32", "dev", "lo")
            await command.wait()
            news += 1
    waiting.cancel()
    assert news > 50
    assert 3 <= tries <= 5, tries
asyncio.run(main())
"""


def test_a_flock_of_news_is_no_reason_to_hurry() -> None:
    """An interface that flaps many times a second makes two tries a second, and no more."""
    in_a_network_of_its_own(FLOCK)
