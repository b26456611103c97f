"""The line to the Live API: it dials, listens, and dials again for as long as it runs."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NoReturn, Protocol

from speakerd.errors import LinkError
from speakerd.live.events import Event, GoingAway, Resumable, ToolCall
from speakerd.live.verdict import Next, Verdict, verdict
from speakerd.state import Line

if TYPE_CHECKING:
    from speakerd.live.session import Session
    from speakerd.settings import Retry

log = logging.getLogger(__name__)

STALE_S = 1.0
"""Sound that waits longer than this is not sent any more: the connection that keeps it waiting is dead."""

LONG_WAIT_S = 60.0
"""Pause after a refusal for quota; the service counts requests by the minute."""

Dial = Callable[[str | None], AbstractAsyncContextManager["Session"]]


class Owner(Protocol):
    """Who is told about the line and what comes through it."""

    def line_changed(self, line: Line, trouble: str | None) -> None:
        """Learn that the line went up or down; ``trouble`` is what a person must do about it."""

    def happened(self, event: Event) -> None:
        """Learn what the server said."""

    def sound_left(self, octets: int) -> None:
        """Learn that so many bytes of the room's sound were handed to the socket."""


class Link:
    """Keeps one connection at a time and takes the room's sound to it."""

    def __init__(self, dial: Dial, retry: Retry, send_bytes: int, owner: Owner) -> None:
        """Prepare; ``send_bytes`` of sound go into one message to the server."""
        self._dial = dial
        self._retry = retry
        self._send_bytes = send_bytes
        self._owner = owner
        self._session: Session | None = None
        self._handle: str | None = None
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._unsent = bytearray()

    def send(self, pcm: bytes) -> None:
        """Take a period of the room's sound; without a connection it is gone."""
        if self._session is None:
            return
        if self._unsent or len(pcm) != self._send_bytes:
            self._unsent += pcm
            if len(self._unsent) < self._send_bytes:
                return
            pcm = bytes(self._unsent)
            self._unsent.clear()
        self._outbox.put_nowait(pcm)

    def end_sound(self) -> None:
        """Tell the server that the microphone is silent for now: closed, not merely quiet."""
        if self._session is not None:
            self._outbox.put_nowait(None)

    async def run(self) -> NoReturn:
        """Stay connected for ever; leave by cancellation only."""
        failures, since = 0, time.monotonic()
        while True:
            resumed, up_at = self._handle is not None, None
            try:
                async with self._dial(self._handle) as session:
                    up_at = time.monotonic()
                    self._came_up(session, resumed, failures, up_at - since)
                    await self._converse(session)
            except LinkError as error:
                now = time.monotonic()
                if up_at is not None:
                    since = now
                    failures = 0 if now - up_at >= self._retry.healthy_after else failures
                failures += 1
                what = verdict(error, resumed=resumed, during_setup=up_at is None)
                pause = self._went_down(error, what, failures, was_up=up_at is not None)
            finally:
                self._session = None
            await asyncio.sleep(pause)

    async def _converse(self, session: Session) -> NoReturn:
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(self._listen(session), name="events")
                both_ways.create_task(self._speak(session), name="uplink")
        except* LinkError as group:
            first = group.exceptions[0]
            raise first from first.__cause__
        raise AssertionError("unreachable: both tasks end only by an exception")

    async def _listen(self, session: Session) -> None:
        async for event in session.events():
            match event:
                case Resumable(handle):
                    self._handle = handle
                case ToolCall():
                    log.warning("the model asks for a function that this device does not have; refused")
                    await session.refuse(event)
                case GoingAway(seconds):
                    when = "soon" if seconds is None else f"in {seconds:g} s"
                    log.info("the server will hang up %s; the conversation goes on with the next connection", when)
            self._owner.happened(event)

    async def _speak(self, session: Session) -> NoReturn:
        while True:
            pcm = await self._outbox.get()
            try:
                async with asyncio.timeout(STALE_S):
                    if pcm is None:
                        await session.end_audio()
                        continue
                    await session.send_audio(pcm)
            except TimeoutError as error:
                raise LinkError(f"the connection took no sound for {STALE_S:g} s", code=1006) from error
            self._owner.sound_left(len(pcm))

    def _came_up(self, session: Session, resumed: bool, failures: int, down_s: float) -> None:
        self._outbox = asyncio.Queue()
        self._unsent.clear()
        self._session = session
        how = "conversation resumed" if resumed else "new conversation"
        log.info(
            "connected: %s%s",
            how,
            f" after {down_s:.1f} s" if failures else "",
            extra={"event": "link-up", "resumed": resumed, "seconds": round(down_s, 3)},
        )
        self._owner.line_changed(Line.UP, None)

    def _went_down(self, error: LinkError, what: Verdict, failures: int, *, was_up: bool) -> float:
        """Tell everybody, once for each outage; return how long to wait before the next dial, in seconds."""
        if what.next is Next.FORGET:
            self._handle = None
        pause = self._pause(what, failures)
        # An outage of a night is one line at its start and one at its end, not three thousand.
        level = logging.DEBUG if failures > 1 and not was_up else logging.WARNING
        if what.next is Next.PERSON and level == logging.WARNING:
            level = logging.ERROR
        advice = f"; {what.advice}" if what.advice else ""
        log.log(
            level,
            "%s: %s%s; next try in %.0f s",
            "disconnected" if was_up else "cannot connect",
            error,
            advice,
            pause,
            extra={"event": "link-lost" if was_up else "link-refused", "code": error.code},
        )
        self._owner.line_changed(Line.DOWN, what.advice or None)
        return pause

    def _pause(self, what: Verdict, failures: int) -> float:
        match what.next:
            case Next.WAIT:
                return LONG_WAIT_S
            case Next.PERSON:
                return self._retry.longest
        steps = min(failures - 1, 16)  # more would only overflow
        spread = random.uniform(1.0, 1.25)  # noqa: S311 - so that a street's speakers do not all dial at once
        return min(self._retry.first * 2.0**steps * spread, self._retry.longest)
