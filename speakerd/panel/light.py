"""The light: what it shows in each state."""

import asyncio
import enum
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from speakerd.errors import HardwareError
from speakerd.state import State

log = logging.getLogger(__name__)


class Rhythm(enum.Enum):
    """How a light moves."""

    OFF = enum.auto()
    STEADY = enum.auto()
    FAST_BLINK = enum.auto()
    SLOW_PULSE = enum.auto()
    QUICK_PULSE = enum.auto()
    BREATHING = enum.auto()
    TWO_FLASHES = enum.auto()
    ONE_FLASH = enum.auto()
    THREE_FLASHES = enum.auto()


ROUND_S = {
    Rhythm.FAST_BLINK: 0.4,
    Rhythm.SLOW_PULSE: 3.0,
    Rhythm.QUICK_PULSE: 1.0,
    Rhythm.BREATHING: 4.0,
    Rhythm.TWO_FLASHES: 2.0,
    Rhythm.ONE_FLASH: 2.0,
    Rhythm.THREE_FLASHES: 2.0,
}
"""How long one round of a moving light takes, in seconds."""

FLASHES = {
    Rhythm.FAST_BLINK: ((0.0, 0.2),),
    Rhythm.TWO_FLASHES: ((0.0, 0.1), (0.25, 0.35)),
    Rhythm.ONE_FLASH: ((0.0, 0.1),),
    Rhythm.THREE_FLASHES: ((0.0, 0.1), (0.25, 0.35), (0.5, 0.6)),
}
"""When in a round a light that is either on or off is on, in seconds. The others are waves."""

FRAME_S = 0.055
"""How long each step of a wave lasts, in seconds: the program wakes for it less than 20 times in one."""

EARLY_S = 0.001
"""What shines is drawn for so many seconds later, lest a timer that is early by a hair draws what was before."""

COLOURS = {
    "red": (1.0, 0.0, 0.0),
    "white": (1.0, 1.0, 1.0),
    "amber": (1.0, 0.45, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "green": (0.0, 1.0, 0.0),
    "cyan": (0.0, 1.0, 1.0),
    "off": (0.0, 0.0, 0.0),
}
"""How bright the red, green and blue LED are for a colour, 0 to 1 each."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What one state looks like: the rhythm of a single LED; the rhythm and colour of an RGB LED."""

    single: Rhythm
    rgb: Rhythm
    colour: str


PATTERNS = {
    State.ERROR: Pattern(Rhythm.FAST_BLINK, Rhythm.FAST_BLINK, "red"),
    State.STARTING: Pattern(Rhythm.SLOW_PULSE, Rhythm.SLOW_PULSE, "white"),
    State.SETUP: Pattern(Rhythm.THREE_FLASHES, Rhythm.QUICK_PULSE, "white"),
    State.MUTED: Pattern(Rhythm.TWO_FLASHES, Rhythm.STEADY, "red"),
    State.OFFLINE: Pattern(Rhythm.ONE_FLASH, Rhythm.SLOW_PULSE, "amber"),
    State.CONNECTING: Pattern(Rhythm.SLOW_PULSE, Rhythm.STEADY, "amber"),
    State.SPEAKING: Pattern(Rhythm.STEADY, Rhythm.STEADY, "blue"),
    State.LISTENING: Pattern(Rhythm.BREATHING, Rhythm.STEADY, "green"),
    State.THINKING: Pattern(Rhythm.QUICK_PULSE, Rhythm.QUICK_PULSE, "cyan"),
    State.IDLE: Pattern(Rhythm.OFF, Rhythm.OFF, "off"),
}


def brightness(rhythm: Rhythm, seconds: float) -> float:
    """Return how bright the light is, 0 to 1, so many seconds after the state began."""
    if rhythm in (Rhythm.OFF, Rhythm.STEADY):
        return float(rhythm is Rhythm.STEADY)
    at = seconds % ROUND_S[rhythm]
    if rhythm in FLASHES:
        return float(any(begin <= at < end for begin, end in FLASHES[rhythm]))
    return 0.5 - 0.5 * math.cos(2 * math.pi * at / ROUND_S[rhythm])  # a pulse is a quick breath


def until_change(rhythm: Rhythm, seconds: float) -> float | None:
    """Return for how many seconds the light stays as it is by then; None is for ever."""
    if rhythm in (Rhythm.OFF, Rhythm.STEADY):
        return None
    if rhythm not in FLASHES:
        return FRAME_S
    at = seconds % ROUND_S[rhythm]
    edges = [edge for flash in FLASHES[rhythm] for edge in flash] + [ROUND_S[rhythm]]
    return min(edge - at for edge in edges if edge > at)


LOOK_S = 60.0
"""How often a light that does not move is looked at."""


class Lamp(Protocol):
    """What shines."""

    coloured: bool
    """Whether it has a red, a green and a blue part, or one part only."""

    def set(self, levels: tuple[float, ...]) -> None:
        """Shine with these levels, 0 to 1, one for each part; raise HardwareError where it does not."""


class Brightness(Protocol):
    """How bright the light may be."""

    def level(self) -> float:
        """Return it, 0 to 1."""

    def until_change(self) -> float | None:
        """Return in how many seconds to ask again; None is never."""


class Light:
    """Shows the state, through a lamp as long as there is one, and in the log.

    Called in the event loop. For a light that does not move it wakes once a minute.
    """

    def __init__(self, dimmer: Brightness) -> None:
        self._dimmer = dimmer
        self._state: State | None = None
        self._began = 0.0
        self._lamp: Lamp | None = None
        self._failed: Callable[[HardwareError], None]
        self._timer: asyncio.TimerHandle | None = None

    def show(self, state: State) -> None:
        """Show this state until the next one."""
        pattern = PATTERNS[state]
        rhythm = pattern.rgb.name.lower().replace("_", " ")
        log.debug(
            "light: %s, %s",
            pattern.colour,
            rhythm,
            extra={"event": "light", "state": state.value, "colour": pattern.colour, "rhythm": rhythm},
        )
        self._state = state
        self._began = asyncio.get_running_loop().time()
        self._go_on()

    def use(self, lamp: Lamp, failed: Callable[[HardwareError], None]) -> None:
        """Shine through a lamp from now on; ``failed`` is called when it fails later, and then it is used no more.

        Raises:
            HardwareError: it fails at once.
        """
        self._lamp, self._failed = lamp, failed
        try:
            self._draw()
        except HardwareError:
            self.rest()
            raise

    def rest(self) -> None:
        """Use no lamp."""
        self._lamp = None
        self._stop()

    def _go_on(self) -> None:
        try:
            self._draw()
        except HardwareError as error:
            self.rest()
            self._failed(error)

    def _draw(self) -> None:
        self._stop()
        if self._lamp is None or self._state is None:
            return
        loop = asyncio.get_running_loop()
        pattern = PATTERNS[self._state]
        rhythm = pattern.rgb if self._lamp.coloured else pattern.single
        seconds = loop.time() - self._began + EARLY_S
        level = brightness(rhythm, seconds) * self._dimmer.level()
        self._lamp.set(tuple(part * level for part in (COLOURS[pattern.colour] if self._lamp.coloured else (1.0,))))
        wait = until_change(rhythm, seconds)
        if rhythm is Rhythm.STEADY:
            wait = self._dimmer.until_change()
        # One that does not move is drawn anew all the same, which finds out whether it is still as it should be.
        self._timer = loop.call_later(LOOK_S if wait is None else min(wait, LOOK_S), self._go_on)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
