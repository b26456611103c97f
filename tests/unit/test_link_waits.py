"""When the link dials again, with servers that exist for a moment only."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest

from speakerd.errors import LinkError
from speakerd.live.events import Event, GoingAway
from speakerd.live.handle import Handle
from speakerd.live.link import BACKLOG, Link, Owner
from speakerd.live.session import Session
from speakerd.live.verdict import Verdict
from speakerd.settings import Live
from tests.integration.household import until


class Nobody:
    """An owner who says nothing new and is told nothing that matters here."""

    again = b""

    def went_up(self) -> None: ...

    def went_down(self, error: LinkError, what: Verdict) -> None: ...

    def happened(self, event: Event) -> None: ...

    def sound_left(self, octets: int) -> None: ...

    def is_quiet(self) -> bool:
        return True

    def to_tell_again(self) -> bytes:
        return self.again

    def is_heard(self) -> bool:
        return True

    def just_heard(self) -> bytes:
        return b""


class Server:
    """One connection to a server that says something at once, or lets sound pile up on the way to it."""

    expires_at = float("inf")

    def __init__(self, *says: Event, backlog: int = 0, unsent: int = 0) -> None:
        self._says = says
        self._backlog = backlog
        self._unsent = unsent
        self.got: list[bytes | None] = []
        self.discarded = False

    def backlog(self) -> int:
        return self._backlog

    def unsent(self) -> int:
        return self._unsent

    def discard(self) -> None:
        self.discarded = True

    async def prepare_next(self) -> None: ...

    async def send_audio(self, pcm: bytes) -> None:
        self.got.append(pcm)

    async def end_audio(self) -> None:
        self.got.append(None)

    async def events(self) -> AsyncIterator[Event]:
        for event in self._says:
            yield event
        await asyncio.Event().wait()


async def connections(server: Server, owner: Owner, count: int) -> list[float]:
    """Return when each connection to this server began, until there were so many."""
    times: list[float] = []

    @contextlib.asynccontextmanager
    async def dial(_handle: str | None) -> AsyncIterator[Session]:
        times.append(time.monotonic())
        yield cast("Session", server)

    link = Link(dial, {}, Live(), Handle(None, "m"), owner)
    running = asyncio.create_task(link.run())
    await until(lambda: len(times) >= count, "the connections", 20)
    running.cancel()
    await asyncio.wait([running])
    return times


async def dials(answers: list[LinkError], handle: Handle, takes: float = 0.0) -> list[tuple[float, float]]:
    """Return when each of the dials that get these answers began and ended."""
    times: list[tuple[float, float]] = []
    over = asyncio.Event()

    @contextlib.asynccontextmanager
    async def dial(_handle: str | None) -> AsyncIterator[Session]:
        began = time.monotonic()
        await asyncio.sleep(takes)
        times.append((began, time.monotonic()))
        if len(times) <= len(answers):
            raise answers[len(times) - 1]
        over.set()
        await asyncio.Event().wait()
        yield cast("Session", None)  # never

    link = Link(dial, {}, Live(), handle, Nobody())
    running = asyncio.create_task(link.run())
    async with asyncio.timeout(20):
        await over.wait()
    running.cancel()
    await asyncio.wait([running])
    return times


async def test_a_dial_that_took_long_is_not_followed_at_once() -> None:
    """Whatever a dial waits for before it reaches the server, the next one comes a second later."""
    (_, ended), (began, _) = await dials([LinkError("x", code=1006)], Handle(None, "m"), takes=1.2)
    assert began - ended > 0.95


async def test_a_refused_handle_costs_no_wait() -> None:
    """The server is well, and the new conversation that it wants begins at once, however long the outage was."""
    handle = Handle(None, "m")
    handle.keep("old")
    outage = [LinkError("unreachable")] * 2
    times = await dials([*outage, LinkError("x", code=1008, reason="not found")], handle)
    assert handle.value is None
    (_, refused), (again, _) = times[-2:]
    assert again - refused < 1.5


@pytest.mark.parametrize("code", [None, 503])
async def test_failures_of_the_line_do_not_cost_the_conversation(code: int | None) -> None:
    """After two of them, one failure of the server itself is still the first."""
    handle = Handle(None, "m")
    handle.keep("good")
    await dials([LinkError("x", code=code), LinkError("x", code=code), LinkError("x", code=1011)], handle)
    assert handle.value == "good"


async def test_a_server_that_sends_us_away_at_once_is_left_in_peace() -> None:
    """A goAway right after the setup, again and again, is not answered with a dial a second for ever."""
    begun = await connections(Server(GoingAway(0.0)), Nobody(), 4)
    pauses = [after - before for before, after in itertools.pairwise(begun)]
    assert pauses[0] < 1.5  # once is no habit
    assert pauses[2] > 1.9


async def test_a_long_sentence_does_not_keep_a_dead_connection_alive() -> None:
    """Sound may wait behind a sentence that is told again, but only as long as that moves."""
    owner = Nobody()
    owner.again = bytes(10 * 32_000)
    first, second = await connections(Server(backlog=BACKLOG + 1), owner, 2)
    assert second - first < 3


@contextlib.asynccontextmanager
async def talk(server: Server) -> AsyncIterator[Link]:
    """Keep one connection to this server."""

    @contextlib.asynccontextmanager
    async def dial(_handle: str | None) -> AsyncIterator[Session]:
        yield cast("Session", server)

    link = Link(dial, {}, Live(), Handle(None, "m"), Nobody())
    running = asyncio.create_task(link.run())
    link.send(b"")
    await until(lambda: link._session is not None, "the connection")
    yield link
    running.cancel()
    await asyncio.wait([running])


PERIOD = bytes(640)


async def test_after_a_hush_nothing_of_before_is_sent() -> None:
    """What waited is thrown away, the server learns that the sound ends, and what comes later is sent again."""
    server = Server()
    async with talk(server) as link:
        for _ in range(10):
            link.send(PERIOD)
        link.hush()
        await until(lambda: len(server.got), "the end of the sound")
        assert server.got == [None]
        link.send(PERIOD)
        await until(lambda: server.got == [None, PERIOD], "sound")
        assert not server.discarded


async def test_what_waits_for_a_full_line_does_not_leave_after_a_hush() -> None:
    """A message in the middle of its wait is not sent when the line has room again."""
    server = Server(backlog=BACKLOG + 1)
    async with talk(server) as link:
        link.send(PERIOD)
        await asyncio.sleep(0.05)
        link.hush()
        server._backlog = 0
        await until(lambda: len(server.got), "the end of the sound")
        assert server.got == [None]


async def test_what_the_kernel_still_has_to_send_is_thrown_away() -> None:
    """On a slow line the connection is given up, since its sound would go on leaving the house."""
    server = Server(unsent=5000)
    async with talk(server) as link:
        link.hush()
        assert server.discarded


@pytest.mark.parametrize(("later", "discarded"), [(5000, True), (2500, False), (0, False)])
async def test_what_is_stuck_on_its_way_is_thrown_away(later: int, discarded: bool) -> None:
    """A line that does not move would deliver the sound of before when it comes back to life; a long one moves."""
    server = Server(backlog=5000)
    async with talk(server) as link:
        link.hush()
        server._backlog = later
        await asyncio.sleep(0.2)
        assert server.discarded is discarded
