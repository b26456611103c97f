"""One socket that can misbehave below the level of messages: pongs, reading, silence, a cut."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from speakerd.simulate.post import SERVED, Post

_PONG = 0x8A
"""First byte of a pong frame: final fragment, opcode 10 (RFC 6455, section 5.2)."""


class Line(ServerConnection):
    """A WebSocket connection with faults."""

    number = 0
    """From 1, in the order in which they came."""
    pong_seconds: float | None = 0.0
    """How late pongs are; None: never."""
    post: Post
    """Reads a request that is not for WebSockets."""
    _frozen = False
    _is_post = False

    def data_received(self, data: bytes) -> None:
        """Take what the client sends; websockets reads no request with a body."""
        self._is_post = self._is_post or (self.request is None and data.startswith(SERVED))
        if not self._is_post:
            super().data_received(data)
        elif (answer := self.post.receive(data)) is not None:
            self.transport.write(answer)
            self.transport.close()

    def send_data(self) -> None:
        """Write what the protocol has to say, save for what is held back."""
        if self._frozen:
            return
        if self.pong_seconds != 0.0:
            self._hold_pongs()
        super().send_data()

    @contextlib.asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        """Read nothing meanwhile; what the client sends piles up in the network, pings and all."""
        self.transport.pause_reading()
        try:
            yield
        finally:
            # A transport that was closed meanwhile has nothing to resume; it does not mind.
            self.transport.resume_reading()

    @contextlib.asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Let nothing through in either direction; all of it arrives afterwards."""
        async with self.deaf():
            self._frozen = True
            try:
                yield
            finally:
                self._frozen = False
                self.send_data()

    async def end(self) -> None:
        """End the connection because the service ends, whether or not it was ever open."""
        if self.state is State.OPEN:
            await self.close(1001)
        else:
            self.drop()

    def drop(self) -> None:
        """End the connection without a close frame: the client reads the end of the stream."""
        # There is none before the TLS handshake is over.
        if hasattr(self, "transport"):
            self.transport.abort()

    def reset(self) -> None:
        """End the connection without a close frame: the client's next call fails (ECONNRESET)."""
        plug: socket.socket = self.transport.get_extra_info("socket")
        # To linger for 0 s is to send RST instead of FIN (socket(7), SO_LINGER).
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _hold_pongs(self) -> None:
        pongs = [data for data in self.protocol.writes if data[:1] == bytes((_PONG,))]
        self.protocol.writes[:] = [data for data in self.protocol.writes if data not in pongs]
        if self.pong_seconds is not None:
            for pong in pongs:
                asyncio.get_running_loop().call_later(self.pong_seconds, self._late, pong)

    def _late(self, pong: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(pong)
