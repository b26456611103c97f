"""The network: whether a server can be reached, tried again as soon as the kernel has news."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator

RTMGRP = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""News of links, of IPv4 and IPv6 addresses and of IPv4 and IPv6 routes (linux/rtnetlink.h)."""

PROBE_S = 2.0
"""How long a server may take to accept a connection, and how long until it is tried again without news."""


class Reachability:
    """Whether a server accepts connections, and whether it did when that was last tried.

    A try is one TCP connection, without a byte in it, to the server, or to the proxy where the environment names
    one for it.
    """

    def __init__(self, host: str, port: int) -> None:
        """Take the server for reachable; nothing is tried yet."""
        self._host = host
        self._port = port
        self._accepted = True

    async def returns(self) -> None:
        """Wait until a server that did not accept connections does.

        An outage behind the router makes no news on this machine, so it is tried every few seconds all the same.
        Where the server accepts a connection now as it did when last tried, something else is wrong, and this waits
        for ever. One that could not be reached may have come back since, while a dial hung: that ends at once.
        """
        with _news() as news:
            while not await self._came_back():
                with contextlib.suppress(TimeoutError, OSError):  # ENOBUFS: more news than fits is news too
                    async with asyncio.timeout(PROBE_S):
                        await news()

    async def _came_back(self) -> bool:
        # A try that is cut short has not seen the server.
        accepted_before, self._accepted = self._accepted, False
        self._accepted = await _accepts(*_first_hop(self._host, self._port))
        if self._accepted and accepted_before:
            await asyncio.Event().wait()
        return self._accepted


def _first_hop(host: str, port: int) -> tuple[str, int]:
    """Return where a dial of this server connects to: itself or its proxy."""
    from speakerd.live.trouble import proxy_to  # at the first dial websockets is loaded, and not before

    try:
        proxy = proxy_to(host, port)
    except ValueError:  # a dial says what is wrong with it
        return host, port
    return (proxy.host, proxy.port) if proxy else (host, port)


async def _accepts(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError, UnicodeError):  # a name may be none that can be asked for
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
