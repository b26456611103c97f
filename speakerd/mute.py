"""The mute: what the button promises, kept on the wire, at the microphone and on the disk, and only then shown."""

import asyncio
import contextlib
import logging
import time
from typing import NoReturn, Protocol

from speakerd.errors import HardwareError
from speakerd.host.mute_file import MuteFile
from speakerd.panel.button import Gesture

log = logging.getLogger(__name__)

STORE_S = 5.0
"""How long a disk may take to keep a byte; one that is dying takes for ever."""

STUCK_S = 15.0
"""To keep the promise takes as long as the microphone and the disk are given for it, which is less."""

LOOK_S = 60.0
"""How often the kernel is asked whether a closed microphone is still closed."""


_UNKNOWN = "it is not known yet whether that holds"


class Ears(Protocol):
    """The microphone."""

    async def close(self) -> None:
        """Close the device; raise HardwareError where it is not known to be closed."""

    def open(self) -> None:
        """Listen from now on."""

    def why_open(self) -> str | None:
        """Return why a closed device is not known to be closed, if so."""


class Owner(Protocol):
    """Who obeys the button."""

    def deafen(self) -> None:
        """Hear nothing from now on; nothing that was heard is sent any more, or kept."""

    def undeafen(self) -> None:
        """Hear again."""

    def muted(self, *, muted: bool, trouble: str | None) -> None:
        """Learn that the promise is kept, or over, and what is wrong with it."""

    def begin_anew(self) -> None:
        """Stop talking, and forget the conversation."""

    def set_up(self) -> None:
        """Ask for provisioning."""


class Mute:
    """Does what the panel asks, one thing after the other.

    The room is cut off at once, when the button goes down; whether that was a press or a longer gesture shows
    later. A press un-mutes when it ends. Nothing else un-mutes.
    """

    def __init__(self, file: MuteFile, microphone: Ears, owner: Owner, *, muted: bool) -> None:
        """Take over as things stand: ``muted`` is what everybody was made with."""
        self._file = file
        self._microphone = microphone
        self._owner = owner
        self._wanted = muted
        self.trouble: str | None = None
        """What is wrong with the promise, while it is meant to be kept."""
        self._asked_for: bool | None = None  # by a finger that is on the button
        self._position: bool | None = None  # of the switch, when it could be read last
        self._wanted_before: bool | None = None  # while the switch cannot be read: what was wanted until then
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._changed_at = time.monotonic()

    def gesture(self, gesture: Gesture) -> None:
        """Obey the button."""
        if gesture is Gesture.DOWN:
            # What the finger asks for is the other thing than now, whatever happens until it is taken off.
            self._asked_for = not self._wanted
            self._owner.deafen()
            return
        asked_for, self._asked_for = self._asked_for, None
        match gesture:
            case Gesture.PRESS if asked_for is not None:
                self._want(muted=asked_for)
            case Gesture.HOLD:
                self._owner.begin_anew()
            case Gesture.LONG_HOLD:
                self._owner.set_up()
        if asked_for is not None and not self._wanted and self._settled.is_set():
            self._owner.undeafen()

    def switched(self, *, muted: bool | None) -> None:
        """Obey the switch: its position is the fact. None, one that cannot be read any more, means muted."""
        if muted is None:
            if self._wanted_before is None:
                self._wanted_before = self._wanted
            self._want(muted=True)
            return
        before, self._wanted_before = self._wanted_before, None
        was, self._position = self._position, muted
        # One that was not moved while it could not be read changes nothing.
        self._want(muted=before if before is not None and muted is was else muted)

    def why_stuck(self) -> str | None:
        """Return why the mute counts as stuck, if it does: what was asked for is neither done nor given up."""
        if self._settled.is_set() or time.monotonic() - self._changed_at <= STUCK_S:
            return None
        return "the mute neither takes effect nor fails"

    async def mute(self) -> str | None:
        """Mute, from wherever that is asked for; return when the promise is kept, with what is wrong with it."""
        self._want(muted=True)
        await self._settled.wait()
        return self.trouble if self._wanted else "the button ended that at once"

    async def rests(self) -> bool:
        """Wait until what was asked for is so, and return whether that is the mute.

        A finger that is on the button, and may ask for the mute when it is taken off, has asked for it.
        """
        if self._asked_for:
            self._want(muted=True)
        await self._settled.wait()
        return self._wanted

    async def run(self) -> NoReturn:
        """Keep the promise, and see that it stays kept."""
        if self._file.is_new() and (why := await self._store(muted=self._wanted)):
            log.warning("a mute would not outlast a restart: the disk keeps nothing (%s)", why,
                        extra={"event": "mute-not-kept", "muted": self._wanted})  # fmt: skip
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
            if not self._changed.is_set():
                if self._wanted and (self.trouble or self._microphone.why_open()):
                    await self._close()  # what was wrong may be over, or something has gone wrong
                continue
            self._changed.clear()
            wanted = self._wanted
            if wanted:
                self.trouble = _UNKNOWN
                await self._close()
            else:
                await self._open()
            if wanted is self._wanted:
                self._settled.set()

    def _want(self, *, muted: bool) -> None:
        if muted:
            self._owner.deafen()
        self._wanted = muted
        self._changed_at = time.monotonic()
        self._settled.clear()
        self._changed.set()

    async def _close(self) -> None:
        """Keep the promise, and tell where that, or what is wrong with it, is news."""
        before, troubles = self.trouble, []
        try:
            await self._microphone.close()
        except HardwareError as error:
            troubles.append(f"the microphone may be open ({error}); nothing of it is sent; unplug it to be sure")
        if why := await self._store(muted=True):
            troubles.append(f"at its next start it will listen, since the disk does not keep it ({why})")
        self.trouble = "; ".join(troubles) or None
        if self.trouble == before:
            return
        if self.trouble:
            log.error("muted, but %s", self.trouble, extra={"event": "mute", "muted": True})
        else:
            self._tell("muted: the microphone is closed", muted=True)
        self._owner.muted(muted=True, trouble=self.trouble)

    async def _open(self) -> None:
        # The light goes first: a power cut, or a press, between the two must not find it red over a disk that says
        # that the speaker listens.
        self.trouble = None
        self._owner.muted(muted=False, trouble=None)
        if why := await self._store(muted=False):
            log.warning("at its next start it will be muted: the disk does not keep that it is not (%s)", why,
                        extra={"event": "mute-not-kept", "muted": False})  # fmt: skip
        if self._wanted:
            return  # the button was pressed again meanwhile
        self._tell("not muted: the microphone is open", muted=False)
        self._microphone.open()
        if self._asked_for is None:  # or there is a finger on the button again
            self._owner.undeafen()

    async def _store(self, *, muted: bool) -> str | None:
        """Keep the fact; return why it could not be kept."""
        try:
            async with asyncio.timeout(STORE_S):
                await asyncio.to_thread(self._file.write, muted=muted)
        except TimeoutError:
            return f"the disk took longer than {STORE_S:g} s"
        except OSError as error:
            return f"{error.strerror}: {error.filename}; make room on it, or replace the card"
        return None

    def _tell(self, text: str, *, muted: bool) -> None:
        seconds = round(time.monotonic() - self._changed_at, 3)
        log.info("%s", text, extra={"event": "mute", "muted": muted, "seconds": seconds})
