"""What is wrong with the parts of the speaker: told in the journal at once, and aloud when it stays."""

import asyncio
import logging
from collections.abc import Callable

from speakerd.live.verdict import Verdict
from speakerd.sound.announcer import Announcer
from speakerd.sound.notices import LINK, Notice, notice_of

log = logging.getLogger(__name__)

LOST_S = 10.0
"""A device, or a connection, that is away this long is a person's business: a cable, not a hiccup."""

MICROPHONE, LOUDSPEAKER = "microphone", "loudspeaker"


class Troubles:
    """Keeps what a person must do about each part of the speaker."""

    def __init__(self, announcer: Announcer, changed: Callable[[], None]) -> None:
        """Prepare; nothing is wrong. ``changed`` is called when a person must do something about a device, or not."""
        self._announcer = announcer
        self._changed = changed
        self._by_part: dict[str, str] = {}
        self._lost: dict[str, asyncio.TimerHandle] = {}
        self._outage: Notice | None = None  # while there is no connection: why
        self._outage_timer: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        """Return what a person must do, in words; nothing while nobody must do anything."""
        return "; ".join(self._by_part.values())

    def note(self, part: str, trouble: str | None) -> None:
        """Note what a person must do about a part, or that nothing must be done any more."""
        if trouble is None:
            self._by_part.pop(part, None)
        else:
            self._by_part[part] = trouble

    # Devices.

    def is_lost(self, device: str) -> bool:
        """Say whether a device is away."""
        return device in self._lost

    def device(self, device: str, trouble: str | None) -> None:
        """Tell of a device that went away, or came back, once each way; call a person where it stays away."""
        waiting = self._lost.pop(device, None)
        if trouble is None:
            if device == MICROPHONE:
                self._announcer.over(Notice.MICROPHONE)
            if waiting is not None:
                waiting.cancel()
                log.info("the %s works again", device, extra={"event": "device-back", "device": device})
            self.note(device, None)
            self._changed()
            return
        if waiting is None:
            log.warning("%s", trouble, extra={"event": "device-lost", "device": device})
            waiting = asyncio.get_running_loop().call_later(LOST_S, self._call_for_help, device, trouble)
        self._lost[device] = waiting

    def microphone_closed(self) -> None:
        """Learn that it is closed on purpose: whether it is there will show when it is opened again."""
        self._announcer.over(Notice.MICROPHONE)
        if (waiting := self._lost.pop(MICROPHONE, None)) is not None:
            waiting.cancel()
        self.note(MICROPHONE, None)

    def _call_for_help(self, device: str, trouble: str) -> None:
        log.error(
            "the %s does not come back by itself: %s",
            device,
            trouble,
            extra={"event": "device-missing", "device": device},
        )
        if device == MICROPHONE:
            self._announcer.notice(Notice.MICROPHONE)
        self.note(device, trouble)
        self._changed()

    # The connection.

    def connected(self) -> None:
        """Learn that there is a connection: nothing needs to be said of it any more."""
        self._outage = None
        if self._outage_timer is not None:
            self._outage_timer.cancel()
            self._outage_timer = None
        for notice in LINK:
            self._announcer.over(notice)

    def disconnected(self, what: Verdict) -> None:
        """Learn that there is none, and why; nobody is told aloud of one that comes back soon."""
        self._outage = notice_of(what.cause)
        if self._outage_timer is None:
            self._outage_timer = asyncio.get_running_loop().call_later(LOST_S, self._tell_outage)
        if what.advice:
            self._announcer.notice(self._outage)

    def _tell_outage(self) -> None:
        # Once for each outage: the dials that fail later may be those between which it comes back.
        if self._outage is not None:
            self._announcer.notice(self._outage)
