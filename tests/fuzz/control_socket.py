"""Callers of the control socket, as many and as rude as they like: the next polite one is served."""

import asyncio
import contextlib
import json
import random
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from speakerd.host.control import Control
from tests.fuzz import changes
from tests.fuzz.target import CORPUS, Attempt, Target

REPLIES = frozenset({b"", b"muted\n", b"{}\n"}) | {
    f"{reply}\n".encode() for reply in ("there are two requests: status, and mute", "too many ask at once; try again")
}

PATIENCE_S = 20.0
"""Nobody waits longer than the daemon's ten seconds, on the busiest machine."""

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Daemon:
    """The real socket, and how often somebody had it mute."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "control"
        self.mutes = 0
        self.door = Control(directory, self._mute, self._status)

    async def _mute(self) -> str | None:
        self.mutes += 1
        return None

    async def _status(self) -> str:
        return "{}"


class _Callers:
    """Whoever calls in one input; they are told apart by a letter."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[str, Line] = {}
        self._said: dict[str, bytes] = {}
        self._ended: set[str] = set()
        self._asked: list[bytes] = []  # by those who are gone

    async def do(self, who: str, verb: str, words: bytes) -> None:
        """Have a caller do something; what cannot be done is left out."""
        if verb == "gone":
            await self._leave(who)
            return
        if who not in self._lines:
            self._lines[who] = await asyncio.open_unix_connection(self._path)
            self._said[who] = b""
        reader, writer = self._lines[who]
        match verb:
            case "say" if who not in self._ended:
                self._said[who] += words
                writer.write(words)
            case "end" if who not in self._ended:
                self._ended.add(who)
                writer.write_eof()
            case "hear":
                async with asyncio.timeout(PATIENCE_S):
                    # It is owed a reply only once it has said a line; until then the daemon waits for it.
                    if b"\n" in self._said[who]:
                        reply = await reader.readline()
                        assert reply in REPLIES, reply

    async def _leave(self, who: str) -> None:
        if who in self._lines:
            _, writer = self._lines.pop(who)
            self._ended.discard(who)
            self._asked.append(self._said.pop(who))
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def leave(self) -> int:
        """Have all of them gone; return how many of them asked for the mute."""
        for who in list(self._lines):
            await self._leave(who)
        return sum(said.startswith(b"mute\n") for said in self._asked)


async def _take(daemon: _Daemon, data: bytes) -> None:
    """Have the callers of an input do what it says; then ask how it is, politely."""
    before, callers = daemon.mutes, _Callers(daemon.path)
    for line in data.decode(errors="replace").splitlines()[:100]:
        who, _, deed = line.partition(" ")
        verb, _, words = deed.partition(" ")
        with contextlib.suppress(OSError):  # the daemon may have hung up
            await callers.do(who[:1], verb, _octets(words))
    asked = await callers.leave()
    async with asyncio.timeout(PATIENCE_S):
        while (reply := await _status(daemon.path)) != b"{}\n":
            assert reply == b"too many ask at once; try again\n", reply
            await asyncio.sleep(0)  # those who are gone are still being noticed
    assert daemon.mutes - before <= asked, "it was muted, and nobody had asked"


async def _status(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    with contextlib.suppress(ConnectionError):  # it was turned away before it had said anything
        writer.write(b"status\n")
    try:
        return await reader.readline()
    except ConnectionResetError:
        return b"too many ask at once; try again\n"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _octets(words: str) -> bytes:
    """Return what is said: a JSON text whose letters are bytes, or the words as they are."""
    try:
        text = json.loads(words)
    except (ValueError, RecursionError):
        text = words
    return str(text).encode("latin-1", "replace")


@contextlib.contextmanager
def ready() -> Iterator[Attempt]:
    """Have a daemon's socket, served for as long as the block runs."""
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
        daemon, loop = _Daemon(Path(directory)), runner.get_loop()
        loop.set_exception_handler(
            lambda _, context: failures.append(context.get("exception") or AssertionError(context["message"]))
        )
        door = daemon.door.listening()
        runner.run(door.__aenter__())
        serving = loop.create_task(daemon.door.run())

        def attempt(data: bytes) -> None:
            runner.run(_take(daemon, data))
            if serving.done():
                serving.result()
            if failures:
                raise failures.pop()

        try:
            yield attempt
        finally:
            serving.cancel()
            runner.run(asyncio.wait([serving]))
            runner.run(door.__aexit__(None, None, None))


@cache
def _stock() -> list[bytes]:
    return changes.stock_of(CORPUS / "control")


def changed(data: bytes, rand: random.Random) -> bytes:
    """Return callers of whom one does something more, less or else."""
    lines = data.split(b"\n")
    if rand.random() < 0.5:
        return b"\n".join(changes.of_lines(lines, rand, _stock()))
    at = rand.randrange(len(lines))
    match rand.randrange(3):
        case 0:
            lines[at] = rand.choice((b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b"j")) + lines[at][1:]
        case 1:
            who, _, rest = lines[at].partition(b" ")
            lines[at] = who + b" " + changes.of_bytes(rest, rand)
        case _:
            long = json.dumps("x" * rand.choice((1023, 1024, 1025, 3000))).encode()
            lines[at] = lines[at][:1] + b" say " + long
    return b"\n".join(lines)


CONTROL = Target("control", ready, changed)
