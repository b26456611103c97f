"""A contact: a button or a switch on a pin, once its bouncing is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speakerd.errors import HardwareError
from speakerd.panel.pins import explained
from speakerd.settings import MuteButton, MuteSwitch

if TYPE_CHECKING:
    from gpiozero import Factory

log = logging.getLogger(__name__)

CHATTER_S = 1.0
"""A contact that does not come to rest for this long chatters: a good one rests within milliseconds."""

CALM_S = 1.0
"""After chattering, a level counts when it has lasted this long."""

MOST_CHANGES = 16
"""More changes within a second than these, eight presses, are not made by a finger."""

MOST_EDGES = 256
"""So many are remembered while the loop is late; it is never late for more presses than these make."""

_PULL_UP = {"up": True, "down": False, "floating": None}


class Rest:
    """Decides whether a contact has come to rest, and in which position. It has no clock of its own."""

    def __init__(self, bounce_s: float) -> None:
        self.closed: bool | None = None
        """The position that counts; None while there is none: at first, and while it chatters."""
        self.chatters = False
        self._bounce_s = bounce_s
        self._restless_since: float | None = None
        self._changes: deque[float] = deque(maxlen=MOST_CHANGES)

    def look(self, *, closed: bool, edge_at: float, now: float) -> float | None:
        """Take the position, and the time of the last edge; return when to look again, None for at the next edge."""
        rest_s = CALM_S if self.chatters else self._bounce_s
        if now < edge_at + rest_s:
            if self._restless_since is None:
                self._restless_since = now
            if now - self._restless_since >= CHATTER_S:
                self._give_up()
            return edge_at + rest_s
        self._restless_since = None
        self.chatters = False
        if closed is self.closed:
            return None
        if len(self._changes) == MOST_CHANGES and now - self._changes[0] < 1.0:
            self._give_up()
            return now + CALM_S
        self._changes.append(now)
        self.closed = closed
        return None

    def _give_up(self) -> None:
        self.chatters = True
        self.closed = None
        self._changes.clear()


@dataclass(frozen=True, slots=True)
class _Edge:
    at: float
    """When it was, in seconds of the loop's clock."""
    told_at: float
    """When we heard of it."""
    closed: bool | None
    """The position from then on, None where none is known."""

    @property
    def is_last_at(self) -> float:
        """From when on it counts as the last one, unless another one is told: that may be as late as it was."""
        return self.told_at + (self.told_at - self.at)


class Contact:
    """A pin that is watched.

    ``moved`` is called in the event loop: at once with the position, then with each new one, and with None when
    the contact begins to chatter. ``failed`` is called there when the pin can be read no more.
    """

    def __init__(
        self,
        name: str,
        settings: MuteButton | MuteSwitch,
        factory: Factory,
        moved: Callable[[bool | None], None],
        failed: Callable[[HardwareError], None],
    ) -> None:
        """Open the pin and look at it; called in the event loop.

        Raises:
            HardwareError: it cannot be opened; the text says what to do.
        """
        from gpiozero import InputDevice

        assert settings.pin is not None
        self._name = name
        self._settings = settings
        self._factory = factory
        self._moved = moved
        self._failed = failed
        self._rest = Rest(settings.bounce_ms / 1000)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        # What gpiozero's threads saw since the loop looked last. The loop may be late, and a press must not get lost
        # for it.
        self._edges: deque[_Edge] = deque(maxlen=MOST_EDGES)
        self._edge = _Edge(0.0, 0.0, None)  # the last one that the loop knows of
        self._is_watched = True  # whether the loop will look without being called
        with self._explained():
            # First the pin itself: a device that cannot be made goes on holding its number until it is collected.
            factory.pin(settings.pin)
            self._device = InputDevice(
                settings.pin,
                pull_up=_PULL_UP[settings.pull],
                # gpiozero wants to know it only without a pull; the level is compared here in any case.
                active_state=settings.active_high if settings.pull == "floating" else None,
                pin_factory=factory,
            )
            self._device.pin.edges = "both"
            self._device.pin.when_changed = self._changed
        self._loop.call_soon(self._look)

    def close(self) -> None:
        """Let go of the pin."""
        if self._timer is not None:
            self._timer.cancel()
        self._is_watched = True
        # What is wrong with a pin that is not wanted any more is nobody's business.
        with contextlib.suppress(HardwareError), self._explained():
            if not self._device.closed:
                # gpiozero's pin in lgpio would stay among those that lgpio calls, also when the chip is opened anew.
                self._device.pin.when_changed = None
        with contextlib.suppress(HardwareError), self._explained():
            self._device.close()

    def _explained(self) -> contextlib.AbstractContextManager[None]:
        assert self._settings.pin is not None
        return explained(f"panel.mute_{self._name}.pin", self._settings.pin, self._factory)

    def _changed(self, ticks: float, level: object) -> None:
        """Notice an edge; called by gpiozero's threads, and the only place where they meet the loop.

        While the loop is going to look anyway, an edge is only noted: a storm of them calls the loop no more often
        than a single one does.
        """
        now = time.monotonic()  # the loop's clock; gpiozero keeps the one of its ticks to itself
        late_s = self._factory.ticks_diff(self._factory.ticks(), ticks)
        self._edges.append(_Edge(now - late_s, now, bool(level) is self._settings.active_high))
        if not self._is_watched:
            self._is_watched = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever listened with it
                self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if self._device.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._is_watched = False  # first: an edge from here on calls again, and one before is seen below
        while self._edges:
            before, self._edge = self._edge, self._edges.popleft()
            if before.closed is not None:
                self._take(closed=before.closed, since=before.at, now=self._edge.at)
        try:
            with self._explained():
                closed = bool(self._device.pin.state) is self._settings.active_high
        except HardwareError as error:
            self._failed(error)
            return
        now = self._loop.time()
        if self._edge.closed is not closed and self._edge.closed is not None:
            self._edge = _Edge(now, now, closed)  # there was an edge that nobody has told of yet
        again_at = self._take(closed=closed, since=self._edge.is_last_at, now=now)
        if again_at is not None and not self._device.closed:
            self._is_watched = True
            self._timer = self._loop.call_at(again_at, self._look)

    def _take(self, *, closed: bool, since: float, now: float) -> float | None:
        """Take a position that has lasted for so long; return when to look again."""
        before = self._rest.closed, self._rest.chatters
        again_at = self._rest.look(closed=closed, edge_at=since, now=now)
        if self._rest.chatters and not before[1]:
            self._complain()
        if self._rest.closed is not before[0]:
            self._moved(self._rest.closed)
        return again_at

    def _complain(self) -> None:
        log.warning(
            "the %s at GPIO %s changes without end, and is not listened to until it rests; look for a loose wire, or "
            "set panel.mute_%s.pull",
            self._name,
            self._settings.pin,
            self._name,
            extra={"event": "panel", "part": self._name},
        )
