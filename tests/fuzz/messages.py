"""Messages of the server, on a real connection: the line and the assistant live through them."""

import asyncio
import contextlib
import json
import logging
import math
import os
import random
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.genai import live as _sdk  # noqa: F401 - the SDK is loaded before the clock runs
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from speakerd.assistant import Assistant
from speakerd.errors import Cure
from speakerd.host import log as journal
from speakerd.live import link
from speakerd.live.events import Event, Resumable
from speakerd.live.handle import Handle
from speakerd.live.link import Link
from speakerd.live.session import Caller
from speakerd.settings import Settings
from speakerd.simulate.certificate import make
from speakerd.sound.reply import Reply
from speakerd.state import State
from tests.fuzz import changes
from tests.fuzz.target import CORPUS, Attempt, Target

ACCEPTED = b'{"setupComplete":{}}'

PATIENCE_S = 20.0
"""The line is back long before; on the busiest machine it is by then."""

MOST_LOSSES = 3
"""Connections that one input may end: each costs a dial, and at times the pause before it."""

PAUSES = {"DIAL_GAP_S": 0.0, "AT_ONCE_S": 0.0, "LONG_WAIT_S": 0.01, "SILENCE_S": 0.1, "SOON_S": 0.1}
"""What a line that is kind to its server waits for, in seconds, and a hunt does not."""


class _Server:
    """Takes any setup, and then says what it is told to."""

    def __init__(self) -> None:
        self.first = ACCEPTED
        self._connection: ServerConnection | None = None
        self._is_here = asyncio.Event()

    async def serve(self, connection: ServerConnection) -> None:
        """Be the server's end of a connection."""
        with contextlib.suppress(ConnectionClosed):
            await connection.recv()
            first, self.first = self.first, ACCEPTED
            await connection.send(first)
            self._connection = connection
            self._is_here.set()
            async for _ in connection:
                pass  # sound, and answers to function calls
        if self._connection is connection:
            self._is_here.clear()

    async def connection(self) -> ServerConnection:
        """Return the newest connection as soon as there is one."""
        await self._is_here.wait()
        assert self._connection is not None
        return self._connection

    async def say(self, line: bytes) -> None:
        """Do what a line of an input says: a message, or one of the misdeeds that begin with ``!``."""
        connection = await self.connection()
        verb, _, rest = line.partition(b" ")
        with contextlib.suppress(ConnectionClosed):
            match verb:
                case b"!close":
                    code, _, reason = rest.decode(errors="replace").partition(" ")
                    await self._close(connection, int(code) if code.isdecimal() and len(code) < 5 else 1011, reason)
                case b"!cut":
                    self._is_here.clear()
                    connection.transport.abort()
                    await connection.wait_closed()
                case b"!text":
                    await connection.send(rest.decode(errors="replace"))
                case b"!first":
                    self.first = rest
                    await self._close(connection, 1001, "")
                case _:
                    await connection.send(line)

    async def _close(self, connection: ServerConnection, code: int, reason: str) -> None:
        # Other codes may not be sent (RFC 6455, 7.4), and a reason has 123 bytes.
        self._is_here.clear()
        code = code if code in range(3000, 5000) or code in {1000, 1001, 1002, 1003, *range(1007, 1015)} else 1011
        await connection.close(code, reason.encode()[:123].decode(errors="ignore"))


class _Listener(Assistant):
    """The real assistant, and whether it has come to the end of an input."""

    def __init__(self, reply: Reply, settings: Settings) -> None:
        super().__init__(reply, settings)
        self.light = self.speaker = self
        self.reply = reply
        self.end = ""
        self.is_at_end = asyncio.Event()

    def happened(self, event: Event) -> None:
        super().happened(event)
        if event == Resumable(self.end):
            self.is_at_end.set()

    def drop(self) -> int:
        return self.reply.cut()

    def duck(self, *, ducked: bool) -> None:
        pass

    def show(self, state: State) -> None:
        pass


class _Journal(logging.Handler):
    """Makes of each line what the journal would be given, and keeps nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        journal._native(record)


async def _comes_at_once() -> None:
    """Be what ends an outage: a dial that took too long on a busy machine is tried again."""


@contextlib.asynccontextmanager
async def _variable(name: str, value: str) -> AsyncIterator[None]:
    """Set a variable of the environment for the block; the tests that follow have their own."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class _Conversation:
    """A line between a server and an assistant, for as many inputs as there are."""

    def __init__(self, directory: Path) -> None:
        self._server = _Server()
        self._directory = directory
        self._inputs = 0
        self._failures: list[BaseException] = []

    @contextlib.asynccontextmanager
    async def goes_on(self) -> Any:
        """Have the line, from its first connection on."""
        asyncio.get_running_loop().set_exception_handler(self._failed)
        ca_file, tls = make(self._directory)
        opened = serve(self._server.serve, "127.0.0.1", 0, ssl=tls, compression=None, ping_interval=None)
        async with opened as door, _variable("SSL_CERT_FILE", str(ca_file)):
            port = next(iter(door.sockets)).getsockname()[1]
            settings = Settings.model_validate({
                "assistant": {"transcripts": True},
                "live": {
                    "base_url": f"https://127.0.0.1:{port}", "connect_timeout": 1.0,
                    "retry": {"healthy_after": 0.0},
                },
            })  # fmt: skip
            self._listener = _Listener(Reply(80), settings)
            self._handle = Handle(self._directory / "handle", settings.assistant.model)
            caller = Caller(settings, "not-a-real-key-0123456789")
            # Shorter pauses than an owner may set.
            retry = settings.live.retry.model_copy(update={"first": 0.01, "longest": 0.01})
            live = settings.live.model_copy(update={"retry": retry})
            cures = dict.fromkeys(Cure, _comes_at_once)
            self._link = self._listener.link = Link(caller.dial, cures, live, self._handle, self._listener)
            self._listener.started()
            self._running = asyncio.create_task(self._link.run())
            yield
            self._running.cancel()
            await asyncio.wait([self._running])

    async def take(self, data: bytes) -> None:
        """Say what is in an input; then see that the line still carries, and that all is well."""
        try:
            await self._take(data)
        except TimeoutError:
            if self._running.done():
                self._running.result()  # which is why nobody dialled any more
            raise

    async def _take(self, data: bytes) -> None:
        self._inputs += 1
        listener, server = self._listener, self._server
        listener.end = f"end-{self._inputs}"
        listener.is_at_end.clear()
        async with asyncio.timeout(PATIENCE_S):
            for line in _with_few_losses(data.split(b"\n")):
                await server.say(line)
            while not listener.is_at_end.is_set():
                connection = await server.connection()
                last = {"sessionResumptionUpdate": {"newHandle": listener.end, "resumable": True}}
                with contextlib.suppress(ConnectionClosed):
                    await connection.send(json.dumps(last).encode())
                await self._end_or_loss(connection)
        listener.reply.cut()
        listener.reply.end_turn()
        totals = listener.turns.totals
        assert math.isfinite(totals.cost_usd), totals
        assert min(totals.tokens_in, totals.tokens_out) >= 0, totals

    async def _end_or_loss(self, connection: ServerConnection) -> None:
        waits = [asyncio.create_task(self._listener.is_at_end.wait()), asyncio.create_task(connection.wait_closed())]
        done, _ = await asyncio.wait([*waits, self._running], return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._running in done:
            self._running.result()
        if self._failures:
            raise self._failures.pop()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._failures.append(context.get("exception") or AssertionError(context["message"]))


def _with_few_losses(lines: list[bytes]) -> Iterator[bytes]:
    """Yield what the server says, but no more than so many ends of the connection: they take time by design."""
    losses = 0
    for line in lines:
        losses += line.startswith((b"!close", b"!cut", b"!first"))
        if losses <= MOST_LOSSES:
            yield line


@contextlib.contextmanager
def ready() -> Iterator[Attempt]:
    """Have a line that inputs are said on."""
    ours, handler = logging.getLogger("speakerd"), _Journal()
    before = {name: getattr(link, name) for name in PAUSES} | {"level": ours.level}
    ours.setLevel(logging.DEBUG)
    ours.addHandler(handler)
    ours.propagate = False
    for name, pause in PAUSES.items():
        setattr(link, name, pause)
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
            warnings.simplefilter("ignore")  # the SDK warns of each word that it does not know
            conversation = _Conversation(Path(directory))
            talk = conversation.goes_on()
            runner.run(talk.__aenter__())
            try:
                yield lambda data: runner.run(conversation.take(data))
            finally:
                runner.run(talk.__aexit__(None, None, None))
    finally:
        for name in PAUSES:
            setattr(link, name, before[name])
        ours.propagate = True
        ours.removeHandler(handler)
        ours.setLevel(before["level"])


@cache
def _stock() -> tuple[list[bytes], list[changes.Json]]:
    lines = changes.stock_of(CORPUS / "messages")
    return lines, changes.json_in(lines)


def changed(data: bytes, rand: random.Random) -> bytes:
    """Return an input with one message more, less or different."""
    lines, values = _stock()
    mine = data.split(b"\n")
    if rand.random() < 0.3:
        return b"\n".join(changes.of_lines(mine, rand, lines))
    at = rand.randrange(len(mine))
    verb, line = b"", mine[at]
    if line.startswith((b"!text ", b"!first ")):
        verb, _, line = line.partition(b" ")
        verb += b" "
    try:
        value = changes.of_json(json.loads(line), rand, values)
        mine[at] = verb + json.dumps(value).encode()
    except (ValueError, RecursionError):
        mine[at] = changes.of_bytes(mine[at], rand)
    return b"\n".join(mine)


MESSAGES = Target(
    "messages",
    ready,
    changed,
)
