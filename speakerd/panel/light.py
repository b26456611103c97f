"""The light: what it shows in each state."""

import enum
import logging
import math
from dataclasses import dataclass

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


ROUND_S = {
    Rhythm.FAST_BLINK: 0.4,
    Rhythm.SLOW_PULSE: 3.0,
    Rhythm.QUICK_PULSE: 1.0,
    Rhythm.BREATHING: 4.0,
    Rhythm.TWO_FLASHES: 2.0,
    Rhythm.ONE_FLASH: 2.0,
}
"""How long one round of a moving light takes, in seconds."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What one state looks like: the rhythm of a single LED; the rhythm and colour of an RGB LED."""

    single: Rhythm
    rgb: Rhythm
    colour: str


PATTERNS = {
    State.ERROR: Pattern(Rhythm.FAST_BLINK, Rhythm.FAST_BLINK, "red"),
    State.STARTING: Pattern(Rhythm.SLOW_PULSE, Rhythm.SLOW_PULSE, "white"),
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
    match rhythm:
        case Rhythm.FAST_BLINK:
            return float(at < ROUND_S[rhythm] / 2)
        case Rhythm.TWO_FLASHES:
            return float(at < 0.1 or 0.25 <= at < 0.35)
        case Rhythm.ONE_FLASH:
            return float(at < 0.1)
        case _:  # a pulse and a breath are one wave, quick or slow
            return 0.5 - 0.5 * math.cos(2 * math.pi * at / ROUND_S[rhythm])


class SimulatedLight:
    """A light for a machine without one: it says in the log what it would show."""

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
