"""The button, and what a finger says with it."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from speakerd.errors import HardwareError
from speakerd.panel.contact import Contact
from speakerd.settings import MuteButton, MuteSwitch

if TYPE_CHECKING:
    from gpiozero import Factory

log = logging.getLogger(__name__)

STUCK_S = 60.0
"""No finger stays on a button for so long."""


class Gesture(enum.Enum):
    """What a finger does. Each DOWN is followed by PRESS, by HOLD and RELEASE, or by LOST."""

    DOWN = "down"
    PRESS = "press"
    HOLD = "hold"
    LONG_HOLD = "long hold"
    RELEASE = "release"
    LOST = "lost"
    """The button broke under the finger, so that nobody knows what was meant."""


STAGES = ((2.0, Gesture.HOLD), (10.0, Gesture.LONG_HOLD))
"""What a finger says by staying down for so many seconds."""


class Finger:
    """Tells gestures from when a button is down. It has no clock of its own.

    A button that is down when it is first seen, or after it chattered, is not pressed: it must have been up before.
    """

    def __init__(self) -> None:
        self._was_up = False
        self._down_at: float | None = None
        self._stages = 0

    def moved(self, now: float, *, down: bool | None) -> list[Gesture]:
        """Take the button's new position, None for one that cannot be known; return what that says."""
        began, self._down_at = self._down_at, now if down and self._was_up else None
        self._was_up = down is False
        if self._down_at is not None:
            self._stages = 0
            return [Gesture.DOWN]
        if began is None:
            return []
        if self._stages:
            return [Gesture.RELEASE]
        return [Gesture.PRESS if down is False else Gesture.LOST]

    def next_at(self) -> float | None:
        """Return when staying down will say something; None if it will not."""
        if self._down_at is None or self._stages == len(STAGES):
            return None
        return self._down_at + STAGES[self._stages][0]

    def waited(self, now: float) -> list[Gesture]:
        """Return what staying down until now says."""
        due = self.next_at()
        if due is None or now < due:
            return []
        self._stages += 1
        return [STAGES[self._stages - 1][1]]


class Button:
    """A button on a pin; it calls ``gesture`` in the event loop."""

    def __init__(
        self,
        settings: MuteButton,
        factory: Factory,
        gesture: Callable[[Gesture], None],
        failed: Callable[[HardwareError], None],
        stuck_s: float = STUCK_S,
    ) -> None:
        """Open the pin.

        Raises:
            HardwareError: it cannot be opened; the text says what to do.
        """
        self._gesture = gesture
        self._pin = settings.pin
        self._stuck_s = stuck_s
        self._finger = Finger()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._contact = Contact("button", settings, factory, self._moved, failed)

    def close(self) -> None:
        """Let go of the pin; a finger that is on the button is lost."""
        self._contact.close()
        self._tell(self._finger.moved(self._loop.time(), down=None))
        for timer in (self._timer, self._stuck):
            if timer is not None:
                timer.cancel()

    def _moved(self, down: bool | None) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
        self._stuck = self._loop.call_later(self._stuck_s, self._complain) if down else None
        self._tell(self._finger.moved(self._loop.time(), down=down))

    def _waited(self) -> None:
        self._tell(self._finger.waited(self._loop.time()))

    def _tell(self, gestures: list[Gesture]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._finger.next_at()
        self._timer = None if due is None else self._loop.call_at(due, self._waited)
        for gesture in gestures:
            self._gesture(gesture)

    def _complain(self) -> None:
        log.warning(
            "the button at GPIO %s has been down for %g s; something leans on it, or panel.mute_button.active or "
            "panel.mute_button.pull is wrong",
            self._pin,
            self._stuck_s,
            extra={"event": "panel", "part": "button"},
        )


class Switch:
    """A switch on a pin; it calls ``switched`` in the event loop, at once and at each change.

    None is that nobody knows where it is, since it chatters.
    """

    def __init__(
        self,
        settings: MuteSwitch,
        factory: Factory,
        switched: Callable[[bool | None], None],
        failed: Callable[[HardwareError], None],
    ) -> None:
        """Open the pin.

        Raises:
            HardwareError: it cannot be opened; the text says what to do.
        """
        self._switched = switched
        self._position: bool | None = None
        self._contact = Contact("switch", settings, factory, self._moved, failed)

    def close(self) -> None:
        """Let go of the pin."""
        self._contact.close()

    def _moved(self, closed: bool | None) -> None:
        if closed is not self._position:
            self._position = closed
            self._switched(closed)
