"""Short sounds of the speaker's own: what it says where a word would be too much."""

import functools
import math
from array import array
from collections.abc import Callable
from typing import TypeAlias

from speakerd.live.events import OUTPUT_RATE

Chime: TypeAlias = Callable[[], bytes]
"""One of the functions below."""

_LEVEL = 0.23
"""Of full scale, where a tone begins: a chime is then as loud as a notice, and no fright in a quiet kitchen."""

_DECAY = 1.0
"""Like a struck bar, a tone dies away, to 1/e at its end."""

_OCTAVE = 0.2
"""How much of the tone an octave above sounds with it, which small loudspeakers play better than a low tone."""

_FADE_S = 0.012
"""At both ends of a tone, so that it does not click."""

# Hz, of the equal temperament at A4 = 440.
_E4, _A4, _C5, _G5, _C6 = 329.6, 440.0, 523.3, 784.0, 1046.5


@functools.cache
def muted() -> bytes:
    """Return "I don't listen": high, then low. S16_LE mono 24 kHz, as all of them; 0.3 s."""
    return _tone(_G5, 0.12) + _tone(_C5, 0.18)


@functools.cache
def unmuted() -> bytes:
    """Return "I listen": low, then high. 0.3 s."""
    return _tone(_C5, 0.12) + _tone(_G5, 0.18)


@functools.cache
def listening() -> bytes:
    """Return "I hear you": one short high tone. 0.1 s."""
    return _tone(_C6, 0.1)


@functools.cache
def unreachable() -> bytes:
    """Return "something is wrong": one low tone, twice. 0.4 s."""
    return _tone(_E4, 0.15) + _silence(0.06) + _tone(_E4, 0.19)


@functools.cache
def forgotten() -> bytes:
    """Return "we begin anew": down, and up again. 0.4 s."""
    return _tone(_G5, 0.11) + _tone(_C5, 0.11) + _tone(_G5, 0.18)


@functools.cache
def lost() -> bytes:
    """Return "the answer ends here": two low tones, the second one lower, after a short silence. 0.4 s."""
    return _silence(0.1) + _tone(_A4, 0.13) + _tone(_E4, 0.17)


def _tone(hertz: float, seconds: float) -> bytes:
    count, fade = round(seconds * OUTPUT_RATE), round(_FADE_S * OUTPUT_RATE)
    step = 2 * math.pi * hertz / OUTPUT_RATE

    def sample(i: int) -> int:
        level = _LEVEL * math.exp(-_DECAY * i / count) * min(1.0, i / fade, (count - 1 - i) / fade)
        return round(32767 * level * (math.sin(step * i) + _OCTAVE * math.sin(2 * step * i)))

    return array("h", map(sample, range(count))).tobytes()


def _silence(seconds: float) -> bytes:
    return bytes(round(seconds * OUTPUT_RATE) * 2)
