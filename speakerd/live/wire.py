"""The socket below a connection: how much of what was sent has not arrived."""

import array
import asyncio
import fcntl
import socket
import struct
import termios
from typing import Any

from websockets.asyncio.client import ClientConnection

USER_TIMEOUT_MS = 10_000
"""The kernel gives up a connection whose data nobody has acknowledged for this long (tcp(7), TCP_USER_TIMEOUT)."""

SIOCOUTQNSD = 0x894B
"""Asks how much a TCP socket has not sent at all (linux/sockios.h); Python does not name it."""


class Wire(ClientConnection):
    """A client connection that knows its backlog."""

    was_open = False
    """Whether it ever was a WebSocket; before that, it is a connection to whoever answers."""

    async def handshake(self, *arguments: Any, **named: Any) -> None:
        """Become a WebSocket."""
        await super().handshake(*arguments, **named)
        self.was_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the kernel notice a dead peer; without this it takes a quarter of an hour."""
        super().connection_made(transport)
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    def discard(self) -> None:
        """End the connection at once, and throw away what has not left this machine (socket(7), SO_LINGER)."""
        if self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def backlog(self) -> int:
        """Return how many bytes are on their way: in our buffer, or sent and not acknowledged."""
        return self._queued(termios.TIOCOUTQ)

    def unsent(self) -> int:
        """Return how many bytes wait on this machine: in our buffer or the kernel's, not on their way yet."""
        return self._queued(SIOCOUTQNSD)

    def _queued(self, question: int) -> int:
        descriptor = self._socket.fileno()
        if descriptor < 0:
            return 0  # just closed, which the receiving side reports
        answer = array.array("i", [0])
        fcntl.ioctl(descriptor, question, answer)
        return int(self.transport.get_write_buffer_size()) + answer[0]
