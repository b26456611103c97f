"""One client's connection, from its first message to its end, with all that the script does to it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed

from speakerd.simulate import refusals, wire
from speakerd.simulate.conversation import Conversation
from speakerd.simulate.faults import Faults
from speakerd.simulate.handles import Memory
from speakerd.simulate.line import Line
from speakerd.simulate.model import Surroundings
from speakerd.simulate.profiles import PROFILES, Profile, check_setup, profile_of
from speakerd.simulate.refusals import RefusedError, UnansweredError
from speakerd.simulate.script import NEXT_ANSWER, Do, Fault
from speakerd.simulate.tokens import PREFIX, Token, Tokens


class _CutError(Exception):
    """The connection ends without a close frame."""

    def __init__(self, do: Do) -> None:
        super().__init__(do.verb)
        self.do = do


@dataclass(frozen=True, slots=True)
class House:
    """What all connections of a stand-in share."""

    around: Surroundings
    faults: Faults
    keys: frozenset[str] | None
    tokens: Tokens
    go_dark_for: Callable[[float], Awaitable[None]]


class Connection:
    """Serve one client."""

    def __init__(self, line: Line, house: House) -> None:
        self.number = line.number
        self._line = line
        self._house = house
        self._around = house.around
        self._opened = time.monotonic()
        self._conversation: Conversation | None = None
        self._token: Token | None = None
        self._answers_setup = True
        self._tasks: asyncio.TaskGroup
        self._dark_seconds: float | None = None

    async def serve(self) -> None:
        """Serve until the connection is over."""
        try:
            await self._talk()
        except* ConnectionClosed:
            pass
        except* RefusedError as refused:
            await self._hang_up(refused)
        except* _CutError as cut:
            self._cut(cut)
        finally:
            self._note_end()
        if self._dark_seconds is not None:
            await self._house.go_dark_for(self._dark_seconds)

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message as the service does."""
        await self._line.send(wire.encode(message))

    async def happened(self, kind: str, direction: str = "-", **detail: Any) -> None:
        """Write down an event, and do what the script wants done at it."""
        self._around.ledger.note(self.number, direction, kind, detail)
        for fault in self._house.faults.due(kind, self.number, detail.get("turn")):
            if fault.when.delay:
                self._tasks.create_task(self._later(fault), name=f"fault {fault.do.verb}")
            else:
                await self._do(fault.do)

    async def _talk(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._converse()
        finally:
            # Whoever is hung up on may be back before the line is closed.
            if self._conversation:
                self._around.handles.closed(self._conversation.model.memory)

    async def _converse(self) -> None:
        await self.happened("open", "in", path=urlsplit(self._line_path).path, secure=self._secure)
        frame = await self._line.recv()
        # Not before: a client a network away has always sent its setup when it reads that its key is bad.
        self._check_key()
        first = wire.decode(frame)
        if "setup" not in first:
            raise refusals.invalid_argument()
        try:
            await self._set_up(first["setup"])
        except UnansweredError:
            await self.happened("error", what="a field that this model does not know: silence")
            await self._ignore()
        assert self._conversation
        self._tasks.create_task(self._conversation.model.answer_for_ever(), name="answers")
        while True:
            frame = await self._line.recv()
            if self._token:
                self._token.check()
            await self._conversation.take(wire.decode(frame))

    async def _set_up(self, setup: dict[str, Any]) -> None:
        version = _version(self._line_path)
        profile = profile_of(setup.get("model", ""), version)
        if self._around.script.profile:
            profile = PROFILES[self._around.script.profile]
        if self._token:
            setup = self._token.admit(setup)
        check_setup(setup, profile, version)
        handle = setup.get("sessionResumption", {}).get("handle")
        memory = self._around.handles.redeem(handle) if handle else Memory()
        self._around.handles.opened(memory)
        self._conversation = Conversation(self, profile, setup, memory, self._around)
        self._tasks.create_task(self._grow_old(profile), name="age")
        await self.happened("setup", "in", setup=setup, handle=handle)
        if not self._answers_setup:
            await self._ignore()
        await self.send({"setupComplete": {}})
        if handle:
            await self.happened("resumed", session=memory.session, memory_turn=memory.turn)
        if profile.handle_at_once:
            await self._conversation.model.give_handle()
        await self.happened("idle")

    async def _ignore(self) -> None:
        """Read and say nothing, for ever."""
        while True:
            await self._line.recv()

    async def _grow_old(self, profile: Profile) -> None:
        """End the connection as its model's connections end, however well behaved the client is."""
        clock = self._around.script.clock
        if not profile.says_go_away:
            await asyncio.sleep(profile.cut_after / clock)
            raise refusals.deadline()
        await asyncio.sleep(profile.go_away_after / clock)
        await self._go_away((profile.cut_after - profile.go_away_after) / clock)

    async def _go_away(self, seconds: float) -> None:
        await self.send({"goAway": {"timeLeft": f"{seconds:g}s"}})
        await self.happened("go_away", "out", seconds=seconds)
        await asyncio.sleep(seconds)
        raise refusals.overstayed()

    def _check_key(self) -> None:
        """Raise RefusedError unless the client showed a key, or on the constrained path a token, that is known."""
        headers = self._line.request.headers if self._line.request else {}
        query = parse_qs(urlsplit(self._line_path).query)
        if _is_constrained(self._line_path):
            shown = headers.get("Authorization", "").removeprefix("Token ") or query.get("access_token", [""])[0]
            known = shown.startswith(PREFIX)
            self._token = self._house.tokens.find(shown)
        else:
            shown = headers.get("x-goog-api-key", "") or query.get("key", [""])[0]
            known = not shown.startswith(PREFIX)
        if not shown:
            raise refusals.no_key()
        if self._token:
            self._token.check()
        elif not known or (self._house.keys is not None and shown not in self._house.keys):
            raise refusals.bad_key()

    async def _later(self, fault: Fault) -> None:
        await asyncio.sleep(fault.when.delay)
        if fault.event == "idle" and self._conversation and self._conversation.busy:
            self._house.faults.back(fault)
            return
        await self._do(fault.do)

    async def _do(self, do: Do) -> None:
        """Misbehave."""
        self._around.ledger.note(self.number, "-", "fault", {"do": do.verb})
        if do.verb in NEXT_ANSWER:
            if self._conversation:
                self._conversation.plan(do)
        elif do.verb in {"drop", "reset", "refuse"}:
            raise _CutError(do)
        elif do.close:
            raise RefusedError(do.close.code, do.close.reason)
        elif do.no_setup_complete:
            self._answers_setup = False
        else:
            await self._disturb_line(do)
            await self._disturb_talk(do)

    async def _disturb_line(self, do: Do) -> None:
        if do.stop_reading is not None:
            self._tasks.create_task(_hold(self._line.deaf(), do.stop_reading), name="deaf")
        elif do.freeze is not None:
            self._tasks.create_task(_hold(self._line.frozen(), do.freeze), name="frozen")
        elif do.no_pong:
            self._line.pong_seconds = None
        elif do.late_pong is not None:
            self._line.pong_seconds = do.late_pong
        elif do.send is not None:
            for frame in do.send if isinstance(do.send, list) else [do.send]:
                await self._line.send(frame if isinstance(frame, str) else wire.encode(frame))
        elif do.send_bytes_size is not None:
            # Blanks are JSON too: a client whose limit is high enough reads an empty message.
            await self._line.send(b"{" + b" " * (do.send_bytes_size - 2) + b"}")
        elif do.flood is not None:
            for _ in range(do.flood):
                await self._line.send(b"{}\n")

    async def _disturb_talk(self, do: Do) -> None:
        if do.go_away is not None:
            self._tasks.create_task(self._go_away(do.go_away), name="go away")
        elif do.forget_handles:
            self._around.handles.forget()
        elif do.let_go:
            self._around.handles.let_go()
        elif self._conversation and do.phantom_interrupted:
            if not self._conversation.model.interrupt():
                await self.send(wire.content(interrupted=True))
                await self.happened("interrupted", "out")
        elif self._conversation and do.pause is not None:
            self._conversation.model.pause(do.pause)
        elif self._conversation and do.pace is not None:
            self._conversation.model.pace = do.pace

    async def _hang_up(self, group: BaseExceptionGroup[RefusedError]) -> None:
        refused = _first(group)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._line.close(refused.code, refused.reason), name="hang up")
            # The client's own close stands in line behind all that it said before.
            with contextlib.suppress(ConnectionClosed):  # which is the aim
                await self._ignore()

    def _cut(self, group: BaseExceptionGroup[_CutError]) -> None:
        do = _first(group).do
        if do.reset:
            self._line.reset()
        else:
            self._line.drop()
        self._dark_seconds = do.refuse

    def _note_end(self) -> None:
        """Write down who ended the connection, and how."""
        received, sent = self._line.protocol.close_rcvd, self._line.protocol.close_sent
        by_client = received is not None and (sent is None or self._line.protocol.close_rcvd_then_sent)
        end = received if by_client else sent
        by = "nobody" if end is None else "client" if by_client else "server"
        detail = {"code": end.code if end else 1006, "reason": end.reason if end else "", "by": by}
        self._around.ledger.note(self.number, "-", "close", detail)
        self._around.ledger.left(self.number)

    @property
    def _line_path(self) -> str:
        return self._line.request.path if self._line.request else ""

    @property
    def _secure(self) -> bool:
        return self._line.transport.get_extra_info("ssl_object") is not None


def _first(group: BaseExceptionGroup[Any]) -> Any:
    """Return the first exception of a group, however deep it is."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _hold(fault: contextlib.AbstractAsyncContextManager[None], seconds: float) -> None:
    async with fault:
        await asyncio.sleep(seconds)


def _version(path: str) -> str:
    return urlsplit(path).path.split(".")[3]


def _is_constrained(path: str) -> bool:
    return urlsplit(path).path.endswith("Constrained")
