"""The socket below a connection, on a real one."""

import asyncio
import contextlib

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from speakerd.live.wire import Wire
from tests.integration.household import until

MESSAGE = bytes(100_000)


async def test_what_waits_for_a_slow_line_is_thrown_away_with_it() -> None:
    """A server that reads nothing gets, when it reads at last, what had left this machine, and no more."""
    reads, codes, came = asyncio.Event(), [], 0

    async def take(connection: ServerConnection) -> None:
        nonlocal came
        await reads.wait()
        try:
            while True:
                came += len(await connection.recv())
        except websockets.ConnectionClosed as end:
            codes.append(end.rcvd)

    async with serve(take, "127.0.0.1", 0, max_queue=1) as server:
        port = server.sockets[0].getsockname()[1]
        wire = await connect(f"ws://127.0.0.1:{port}", create_connection=Wire, compression=None)
        assert isinstance(wire, Wire)
        assert wire.unsent() == 0

        async def send() -> None:
            with contextlib.suppress(websockets.ConnectionClosed):
                for _ in range(300):
                    await wire.send(MESSAGE)

        sending = asyncio.create_task(send())
        await until(lambda: wire.unsent() > 5 * len(MESSAGE), "a line that is full")
        assert wire.backlog() >= wire.unsent()
        wire.discard()
        await sending
        assert wire.unsent() == 0
        reads.set()
        await until(lambda: bool(codes), "the end of the connection")
    assert codes == [None]  # no word of farewell: it was reset
    assert came < 300 * len(MESSAGE) - 5 * len(MESSAGE)
