"""The network: whether a server can be reached, tried again as soon as the kernel has news."""

import asyncio
import contextlib
import functools
import math
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator

RTMGRP = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""News of links, of IPv4 and IPv6 addresses and of IPv4 and IPv6 routes (linux/rtnetlink.h)."""

PROBE_S = 2.0
"""How long until a server is tried again without news."""

PAUSE_S = 0.5
"""Between two tries, however much news there is."""

LIMIT_S = 4.0
"""How long a server may take to accept a connection, over a slow line with losses."""

MEMORY_S = 60.0
"""How long it counts that a server accepted a connection; twice the longest back-off of the default settings."""


class Reachability:
    """Whether a server accepts connections, and whether it did when that was last tried.

    A try is one connection to the server, or to the proxy where the environment names one for it. With ``secure``
    a server, as against a proxy, must also show a certificate that is good: before somebody has logged in to it, the
    network of a hotel answers in everybody's place.
    """

    def __init__(self, host: str, port: int, *, secure: bool = False) -> None:
        """Nothing is tried yet."""
        self._host = host
        self._port = port
        self._secure = secure
        self._accepted_at = -math.inf

    async def returns(self) -> None:
        """Wait until a server that did not accept connections does.

        An outage behind the router makes no news on this machine, so it is tried every few seconds all the same.
        A server that accepts the first try came back since the dial that failed, and this ends at once. Where it
        did so a moment ago, and was dialled in vain again, something else is wrong, and this waits for ever.
        """
        with _news() as news:
            while not await self._came_back():
                await asyncio.sleep(PAUSE_S)  # news come in flocks
                with contextlib.suppress(TimeoutError, OSError):  # ENOBUFS: more news than fits is news too
                    async with asyncio.timeout(PROBE_S):
                        await news()

    async def _came_back(self) -> bool:
        before, began = self._accepted_at, time.monotonic()
        self._accepted_at = -math.inf
        try:
            accepts = await self._accepts()
        except asyncio.CancelledError:
            if time.monotonic() - began < PROBE_S:  # a try that is cut short says nothing
                self._accepted_at = before
            raise
        if accepts:
            self._accepted_at = time.monotonic()
            if began - before < MEMORY_S:
                await asyncio.Event().wait()
        return accepts

    async def _accepts(self) -> bool:
        proxy = _proxy(self._host, self._port)
        hop = proxy or (self._host, self._port)
        try:
            tls = await asyncio.to_thread(_trust) if self._secure and not proxy else None
            async with asyncio.timeout(LIMIT_S):
                _, writer = await asyncio.open_connection(*hop, ssl=tls)
        except (OSError, TimeoutError, UnicodeError):  # a name may be none that can be asked for
            return False
        writer.close()
        return True


def _proxy(host: str, port: int) -> tuple[str, int] | None:
    """Return the proxy through which this server is dialled."""
    from speakerd.live.trouble import proxy_to  # at the first dial websockets is loaded, and not before

    try:
        proxy = proxy_to(host, port)
    except ValueError:  # a dial says what is wrong with it
        return None
    return (proxy.host, proxy.port) if proxy else None


@functools.cache
def _trust() -> ssl.SSLContext:
    """Return what the SDK trusts: the authorities in SSL_CERT_FILE and SSL_CERT_DIR, or else its library's own."""
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or directory:
        return ssl.create_default_context(cafile=file, capath=directory)
    import httpx2

    return httpx2.create_ssl_context()


@contextlib.contextmanager
def _news() -> Iterator[Callable[[], Awaitable[object]]]:
    """Give what waits for the kernel's next news of the network; for ever where it may not be asked."""
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        kernel.bind((0, RTMGRP))
    except OSError:
        yield asyncio.Event().wait
        return
    with kernel:
        yield lambda: asyncio.get_running_loop().sock_recv(kernel, 65536)
