"""The line to the Live API: it dials, listens, and dials again for as long as it runs.

A connection is replaced in a silence before the service cuts it; one that is lost is made again, and the sentence
that waits for its answer is told again from its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from speakerd.errors import Cure, LinkError
from speakerd.live.events import INPUT_RATE, Audio, Event, GoingAway, Heard, Resumable, ToolCall
from speakerd.live.handle import Handle
from speakerd.live.verdict import Next, Verdict, blames_the_server, verdict

if TYPE_CHECKING:
    from speakerd.live.session import Session
    from speakerd.settings import Live

log = logging.getLogger(__name__)

STALE_S = 1.0
"""Sound that waits longer than this is not sent any more: the connection that keeps it waiting is dead."""

BACKLOG = 48_000
"""Bytes that a second of sound takes on the wire, in messages of 20 ms: base64, JSON and TLS included (measured)."""

UNSENT = 1_000
"""Bytes, a message of 20 ms, that may still wait for the line when nothing more is to leave the house."""

MOVES_S = 0.1
"""After this long, some of what was on its way has arrived, on any line that is not dead."""

LONG_WAIT_S = 60.0
"""Pause after a refusal for quota; the service counts requests by the minute."""

DIAL_GAP_S = 1.0
"""Never more than one dial in this time, whatever happens."""

AT_ONCE_S = 0.25
"""The pause before the first try after a loss: as good as none, and different in every house of a street."""

SILENCE_S = 1.0
"""A silence is one when it has lasted this long; the handle of the turn before it has come by then."""

MARGIN_S = 3.0
"""A server that will hang up is left this long before it does, silence or not."""

EARLY_S = 60.0
"""A connection that will end for its token's sake looks for a silence this long before."""

SOON_S = 10.0
"""What a server that hangs up "soon" is taken to mean."""

STUCK_S = 60.0
"""Without a connection something is tried, or given up, within the longest pause, the longest dial, and this."""

Dial = Callable[[str | None], AbstractAsyncContextManager["Session"]]
"""Opens a connection, with a handle or without."""

Cures = Mapping[Cure, Callable[[], Coroutine[Any, Any, None]]]
"""For each cure what waits for it; for ever, where it turns out to be the wrong one."""


class Owner(Protocol):
    """Who is told about the line and what comes through it."""

    def went_up(self) -> None:
        """Learn that there is a connection, perhaps in the place of another one."""

    def went_down(self, error: LinkError, what: Verdict) -> None:
        """Learn that there is none, and why: after the loss of one, and after each dial in vain."""

    def happened(self, event: Event) -> None:
        """Learn what the server said."""

    def sound_left(self, octets: int) -> None:
        """Learn that so many bytes of the room's sound were handed to the socket."""

    def is_quiet(self) -> bool:
        """Say whether nobody talks, nothing is played and no answer is waited for."""

    def to_tell_again(self) -> bytes:
        """Return the sound of the utterance that no server has answered, up to now."""

    def just_heard(self) -> bytes:
        """Return the sound of the last moments, in which a word may begin."""

    def is_heard(self) -> bool:
        """Say whether the room's sound goes on for now."""


class _Rotation(Exception):  # noqa: N818 - it is no error
    """Ends the talk on a connection that is to be replaced."""

    def __init__(self, occasion: str, *, restart: bool = False) -> None:
        super().__init__(occasion)
        self.restart = restart


class Link:
    """Keeps one connection at a time and takes the room's sound to it."""

    def __init__(self, dial: Dial, cures: Cures, settings: Live, handle: Handle, owner: Owner) -> None:
        """Prepare; nothing is dialled before ``run``."""
        self._dial = dial
        self._cures = cures
        self._settings = settings
        self._handle = handle
        self._owner = owner
        self._send_bytes = settings.send_ms * INPUT_RATE // 1000 * 2
        self._session: Session | None = None
        self.trouble: str | None = None
        """Why there is no connection, in words, as soon as that is known."""
        self._outbox: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()
        self._grace_until = 0.0  # until then, sound may wait behind a sentence that is told again
        self._unsent = bytearray()
        self._told: set[str] = set()  # what the journal knows of the present outage
        self._dialled_at = self._since = time.monotonic()
        self._dialled_at -= DIAL_GAP_S
        self._failures = 0  # in a row, of whatever kind: the waits grow with them
        self._chokes = 0  # in a row, of the server itself
        self._hurried = 0  # connections in a row that were going away when they had just come
        self._cut_off_at = float("inf")  # when the server will hang up, as it said
        self._going_away = asyncio.Event()
        self._handle_is_fresh = False  # nothing was said since the server gave it
        self._hushes = 0
        self._renewals: asyncio.Queue[_Rotation] = asyncio.Queue()

    @property
    def down_s(self) -> float:
        """For how many seconds there has been no connection; 0 while there is one."""
        return 0.0 if self._session is not None else time.monotonic() - self._since

    @property
    def up_s(self) -> float | None:
        """For how many seconds there has been this connection; None while there is none."""
        return None if self._session is None else time.monotonic() - self._dialled_at

    def why_stuck(self) -> str | None:
        """Return why the line counts as stuck, if it does; one that dials in vain does not."""
        settings = self._settings
        longest = max(LONG_WAIT_S, settings.retry.longest) + settings.connect_timeout + STUCK_S
        if self._session is not None or time.monotonic() - max(self._dialled_at, self._since) <= longest:
            return None
        return "the line has neither a connection nor a try for one"

    def send(self, pcm: bytes) -> None:
        """Take a period of the room's sound; without a connection it is not kept here."""
        if self._session is None:
            return
        if self._unsent or len(pcm) != self._send_bytes:
            self._unsent += pcm
            if len(self._unsent) < self._send_bytes:
                return
            pcm = bytes(self._unsent)
            self._unsent.clear()
        self._put(pcm)

    def end_sound(self) -> None:
        """Tell the server that the sound of the room ends here for now."""
        if self._session is not None:
            if self._unsent:
                self._put(bytes(self._unsent))
            self._put(None)
        self._unsent.clear()

    def hush(self) -> None:
        """Send nothing more of what was heard so far, and tell the server that the sound ends."""
        self._unsent.clear()
        self._hushes += 1
        while not self._outbox.empty():
            self._outbox.get_nowait()
        if self._session is None:
            return
        if self._session.unsent() > UNSENT:
            self._session.discard()  # it would go on leaving for as long as that takes
            return
        asyncio.get_running_loop().call_later(
            MOVES_S, self._discard_what_is_stuck, self._session, self._session.backlog()
        )
        self._put(None)

    def _discard_what_is_stuck(self, session: Session, before: int) -> None:
        """Throw away what was on its way when nothing more was to leave, where the line has not moved since."""
        if session is self._session and 0 < before <= session.backlog():
            session.discard()

    def renew(self, why: str, *, restart: bool) -> None:
        """Replace the connection now, whoever talks; with ``restart`` the conversation begins anew."""
        if self._session is None and restart:
            self._handle.forget()
        self._renewals.put_nowait(_Rotation(why, restart=restart))

    def _put(self, pcm: bytes | None) -> None:
        """Queue sound, or its end, with the time at which it is too old to be sent."""
        self._outbox.put_nowait((max(time.monotonic() + STALE_S, self._grace_until), pcm))

    async def run(self) -> NoReturn:
        """Stay connected for ever; leave by cancellation only."""
        why = ""
        while True:
            await asyncio.sleep(self._dialled_at + DIAL_GAP_S - time.monotonic())
            self._dialled_at = time.monotonic()
            resumed, up_at = self._handle.value is not None, None
            try:
                async with self._dial(self._handle.value) as session:
                    up_at = self._dialled_at = time.monotonic()  # whatever a dial waits for comes before the server
                    self._came_up(session, resumed=resumed, why=why)
                    why = await self._converse(session)
                await self._let_the_server_rest(up_at)
            except LinkError as error:
                why = ""
                self._dialled_at = time.monotonic() if up_at is None else self._dialled_at
                what = self._went_down(error, resumed, up_at)
                await self._pause(error, what, resuming=resumed and up_at is None)

    async def _converse(self, session: Session) -> str:
        """Talk until the connection is to be replaced; return on what occasion."""
        occasion, lost = "", None
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._listen(session), name="events")
                together.create_task(self._speak(session), name="uplink")
                together.create_task(self._grow_old(session), name="rotation")
                together.create_task(self._renewed(), name="renewal")
        except* LinkError as group:
            lost = group.exceptions[0]
        except* _Rotation as group:
            occasion = str(group.exceptions[0])
            if any(isinstance(rotation, _Rotation) and rotation.restart for rotation in group.exceptions):
                self._handle.forget()
        finally:
            self._session, self._since = None, time.monotonic()
        if lost is not None:
            # Not in the block above: out of that, Python 3.11.2, which Debian 12 has, raises a group again.
            raise lost from lost.__cause__
        return occasion

    async def _let_the_server_rest(self, up_at: float) -> None:
        """Wait before the next dial where connections one after the other are told to go as soon as they come."""
        age = time.monotonic() - up_at
        if age >= self._settings.retry.healthy_after:
            self._failures = self._chokes = 0
        self._hurried = self._hurried + 1 if self._going_away.is_set() and age < SOON_S else 0
        if self._hurried > 1:
            await asyncio.sleep(self._wait_after(self._hurried))

    async def _listen(self, session: Session) -> None:
        async for event in session.events():
            match event:
                case Resumable(handle):
                    self._handle.keep(handle)
                    self._handle_is_fresh = True
                case Audio() | Heard():
                    self._handle_is_fresh = False
                case ToolCall():
                    self._handle_is_fresh = False
                    log.warning(
                        "the model asks for a function that this device does not have; refused",
                        extra={"event": "function-refused"},
                    )
                    await session.refuse(event)
                case GoingAway(seconds):
                    until = time.monotonic() + (SOON_S if seconds is None else seconds)
                    self._cut_off_at = min(self._cut_off_at, until)
                    self._going_away.set()
            self._owner.happened(event)

    async def _speak(self, session: Session) -> NoReturn:
        while True:
            stale_at, pcm = await self._outbox.get()
            await self._send(session, pcm, stale_at)
            await asyncio.sleep(0)  # nothing above pauses while the socket has room, and a whole sentence may wait

    async def _send(self, session: Session, pcm: bytes | None, stale_at: float) -> None:
        hushes = self._hushes
        # Behind a sentence that is told again sound may wait for longer; but not behind one that does not move.
        patience = min(stale_at - time.monotonic(), STALE_S)
        try:
            async with asyncio.timeout(patience):
                while session.backlog() > BACKLOG:  # noqa: ASYNC110 - the kernel does not tell when it shrinks
                    await asyncio.sleep(0.02)
                if pcm is None:
                    await session.end_audio()
                    return
                if hushes != self._hushes:
                    return  # it was heard before somebody asked for privacy
                await session.send_audio(pcm)
        except TimeoutError as error:
            raise LinkError(f"the connection is too slow: sound waited {STALE_S:g} s", code=1006) from error
        if hushes == self._hushes:  # or it was handed over before that, or went down with its connection
            self._owner.sound_left(len(pcm))

    async def _grow_old(self, session: Session) -> NoReturn:
        """Leave the connection in a silence when it is old or the server will hang up; at last without one."""
        rotate, up_at = self._settings.rotate, time.monotonic()
        with contextlib.suppress(TimeoutError):
            early = min(EARLY_S, (self._cut_off_at - up_at) / 2)
            async with asyncio.timeout(min(rotate.after, self._cut_off_at - up_at - early)):
                await self._going_away.wait()
        with contextlib.suppress(TimeoutError):
            last_moment = min(self._cut_off_at - MARGIN_S, up_at + rotate.at_latest)
            async with asyncio.timeout(last_moment - time.monotonic()):
                await session.prepare_next()
        quiet_since = time.monotonic()
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if not self._owner.is_quiet():
                quiet_since = now
            if now > min(self._cut_off_at - MARGIN_S, up_at + rotate.at_latest):
                raise _Rotation("at the last moment")
            if self._handle_is_fresh and now - quiet_since >= SILENCE_S:
                raise _Rotation("in a silence")

    async def _renewed(self) -> NoReturn:
        raise await self._renewals.get()

    def _came_up(self, session: Session, *, resumed: bool, why: str) -> None:
        self._outbox = asyncio.Queue()
        self._unsent.clear()
        self._grace_until = 0.0
        self._told.clear()
        self._cut_off_at = session.expires_at
        self._going_away.clear()
        self._handle_is_fresh = resumed
        self._renewals = asyncio.Queue()
        self._session, self.trouble = session, None
        gap = time.monotonic() - self._since
        how = "conversation resumed" if resumed else "new conversation"
        if why:
            log.info("connection replaced %s, %s, %.0f ms without one", why, how, gap * 1000,
                     extra={"event": "link-rotated", "resumed": resumed, "seconds": round(gap, 3),
                            "occasion": why})  # fmt: skip
        else:
            after = f" after {gap:.1f} s" if self._failures else ""
            log.info("connected: %s%s", how, after,
                     extra={"event": "link-up", "resumed": resumed, "seconds": round(gap, 3)})  # fmt: skip
        self._owner.went_up()
        if resumed and self._handle.value is None:  # forgotten during the dial
            self.renew("for a new conversation", restart=True)
        self._tell_again()

    def _tell_again(self) -> None:
        """Put the sentence that waits for its answer in front of what is said from now on."""
        if again := self._owner.to_tell_again():
            seconds = len(again) / 2 / INPUT_RATE
            self._grace_until = time.monotonic() + STALE_S + seconds
            text = "the sentence that was not answered is told again: %.1f s"
            log.info(text, seconds, extra={"event": "told-again", "seconds": round(seconds, 3)})
        for pcm in _pieces(again or self._owner.just_heard(), self._send_bytes):
            self._put(pcm)
        if again and not self._owner.is_heard():
            self._put(None)

    def _went_down(self, error: LinkError, resumed: bool, up_at: float | None) -> Verdict:
        """Tell everybody, once for each outage; return what to do."""
        now = time.monotonic()
        # A server that accepts and hangs up has not earned a quick return.
        if up_at is not None and now - up_at >= self._settings.retry.healthy_after:
            self._failures = self._chokes = 0
        self._failures += 1
        self._chokes += blames_the_server(error, during_setup=up_at is None)
        what = verdict(error, resumed=resumed, during_setup=up_at is None, failures=self._chokes)
        if what.next is Next.FORGET:
            self._handle.forget()
            self._chokes = 0
        # An outage of a night is one line at its start and one at its end, not three thousand; each thing that turns
        # out to be wrong meanwhile is told once.
        news = what.advice or str(error.code or error)  # the service puts a new number into each text
        first = up_at is not None or news not in self._told
        self._told.add(news)
        self.trouble = what.advice or str(error)
        level = logging.DEBUG if not first else logging.ERROR if what.next is Next.PERSON else logging.WARNING
        self._tell(level, error, what, None if up_at is None else now - up_at)
        self._owner.went_down(error, what)
        return what

    def _tell(self, level: int, error: LinkError, what: Verdict, age: float | None) -> None:
        """Tell of a connection that was lost at this age, or of one that never was."""
        code, following, advice = error.code, what.next.value, what.advice or None
        words = f"{error}; {advice}" if advice else str(error)
        if age is None:
            log.log(level, "cannot connect: %s", words,
                    extra={"event": "link-refused", "code": code, "next": following, "advice": advice})  # fmt: skip
        else:
            log.log(level, "disconnected: %s", words,
                    extra={"event": "link-lost", "code": code, "next": following, "age": round(age, 1),
                           "advice": advice})  # fmt: skip

    async def _pause(self, error: LinkError, what: Verdict, *, resuming: bool) -> None:
        """Wait before the next dial; news that the network is back cut it short."""
        retry = self._settings.retry
        match what.next:
            case Next.WAIT:
                pause = LONG_WAIT_S
            case Next.PERSON:
                pause = retry.longest
            case Next.FORGET:
                pause = self._wait_after(1)  # only the handle was wrong, and it is gone
            case Next.RESUME if resuming and blames_the_server(error, during_setup=True):
                pause = self._wait_after(self._chokes)  # until the handle is given up, which is soon
            case Next.RESUME:
                pause = self._wait_after(self._failures)
        with contextlib.suppress(TimeoutError):  # the pause is over
            async with asyncio.timeout(pause):
                await (self._cures[error.cure]() if error.cure else asyncio.Event().wait())
                self._failures = 1  # those of the outage say nothing of the server that is there now

    def _wait_after(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row; a street's speakers shall not dial together."""
        if failures == 1:
            return AT_ONCE_S * random.random()  # noqa: S311 - no secret
        retry, spread = self._settings.retry, random.uniform(1.0, 1.25)  # noqa: S311
        return min(retry.first * 2.0 ** min(failures - 2, 16) * spread, retry.longest)


def _pieces(pcm: bytes, size: int) -> Iterator[bytes]:
    return (pcm[at : at + size] for at in range(0, len(pcm), size))
