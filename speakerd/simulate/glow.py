"""What the light looks like: its colour and brightness over time, as the product's own patterns have it."""

from speakerd.panel.light import PATTERNS, brightness
from speakerd.state import State

Colour = tuple[int, int, int]
"""Red, green and blue, each 0 to 255."""

COLOURS: dict[str, Colour] = {
    "red": (208, 60, 60),
    "white": (214, 210, 200),
    "amber": (232, 163, 40),
    "green": (52, 168, 96),
    "cyan": (38, 178, 196),
    "blue": (54, 110, 222),
    "off": (128, 132, 140),
}
"""The light's colours, tempered for paper and screen; ``off`` is what its glass looks like."""

DIMMEST = 0.12
"""How much of the colour stays when a moving light is darkest, so that it can be told from one that is off."""


def colour_of(state: State) -> Colour:
    """Return the colour of a state."""
    return COLOURS[PATTERNS[state].colour]


def brightness_of(state: State, seconds: float) -> float:
    """Return how bright the light is, 0 to 1, so many seconds after the state began."""
    pattern = PATTERNS[state]
    if pattern.colour == "off":
        return 0.0
    return DIMMEST + (1 - DIMMEST) * brightness(pattern.rgb, seconds)


def glow(state: State, seconds: float, around: Colour) -> Colour:
    """Return what the light looks like in front of a colour, so many seconds after the state began."""
    return mixed(colour_of(state), around, brightness_of(state, seconds))


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """Return a mixture of two colours with so much of the first."""
    red, green, blue = (round(one * share + two * (1 - share)) for one, two in zip(colour, other, strict=True))
    return red, green, blue
