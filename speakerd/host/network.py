"""The network: whether a server can be reached, tried again as soon as the kernel has news."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator

RTMGRP = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""News of links, of IPv4 and IPv6 addresses and of IPv4 and IPv6 routes (linux/rtnetlink.h)."""

PROBE_S = 2.0
"""How long a server may take to accept a connection, and how long until it is tried again without news."""


async def until_reachable(host: str, port: int) -> None:
    """Wait until a server that does not accept connections now does.

    A try is one TCP connection, without a byte in it. An outage behind the router makes no news on this machine, so
    it is tried every few seconds all the same. Where the server accepts a connection at the first try, something
    else is wrong, and this waits for ever.
    """
    if await _accepts(host, port):
        await asyncio.Event().wait()
    with _news() as news:
        while True:
            with contextlib.suppress(TimeoutError, OSError):  # ENOBUFS: more news than fits is news too
                async with asyncio.timeout(PROBE_S):
                    await news()
            if await _accepts(host, port):
                return


async def _accepts(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


@contextlib.contextmanager
def _news() -> Iterator[Callable[[], Awaitable[object]]]:
    """Give what waits for the kernel's next news of the network; for ever where it may not be asked."""
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    except OSError:
        yield asyncio.Event().wait
        return
    with kernel:
        kernel.bind((0, RTMGRP))
        yield lambda: asyncio.get_running_loop().sock_recv(kernel, 65536)
