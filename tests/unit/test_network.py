"""Is the server there again?"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys

import pytest

from speakerd.host.network import until_reachable


async def test_the_return_of_a_server_is_noticed() -> None:
    """A port that begins to accept connections ends the wait."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        waiting = asyncio.create_task(until_reachable("127.0.0.1", server.getsockname()[1]))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        server.listen()
        async with asyncio.timeout(10):
            await waiting


async def test_a_server_that_was_there_all_along_is_no_news() -> None:
    """Where the network is not what is wrong, the back-off is not cut short."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await until_reachable("127.0.0.1", server.getsockname()[1])


NEWS = """
import asyncio, subprocess, time
from speakerd.host import network
network.PROBE_S = 30.0  # only the kernel's news can be faster
async def main():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)  # no route to it yet: lo is down
    waiting = asyncio.create_task(network.until_reachable("127.0.0.1", server.sockets[0].getsockname()[1]))
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
    assert shutil.which("unshare")
    assert shutil.which("ip"), "install it: apt-get install iproute2"
    own_network = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    subprocess.run([*own_network, sys.executable, "-c", NEWS], check=True)
