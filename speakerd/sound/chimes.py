"""Short sounds of the speaker's own: what it says where the model cannot."""

import functools
import math
from array import array

from speakerd.live.events import OUTPUT_RATE

_LEVEL = 0.15
"""Of full scale: clear beside a voice, no fright in a quiet kitchen."""

_FADE_S = 0.015
"""At both ends of a tone, so that it does not click."""


@functools.cache
def lost() -> bytes:
    """Return "the answer ends here": two tones, the second one lower. S16_LE mono 24 kHz, 0.4 s."""
    return _silence(0.1) + _tone(440.0, 0.13) + _silence(0.02) + _tone(330.0, 0.15)


def _tone(hertz: float, seconds: float) -> bytes:
    count, fade = round(seconds * OUTPUT_RATE), round(_FADE_S * OUTPUT_RATE)
    step = 2 * math.pi * hertz / OUTPUT_RATE
    levels = (_LEVEL * min(1.0, i / fade, (count - 1 - i) / fade) for i in range(count))
    return array("h", (round(32767 * level * math.sin(step * i)) for i, level in enumerate(levels))).tobytes()


def _silence(seconds: float) -> bytes:
    return bytes(round(seconds * OUTPUT_RATE) * 2)
