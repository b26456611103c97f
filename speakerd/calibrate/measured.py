"""From what was played and heard to figures. Pure arithmetic; levels in dB."""

from dataclasses import dataclass

import numpy as np

from speakerd.calibrate.sweep import LENGTH_S, LOUDNESS, Sound, ahead_s, response

BANDS_HZ = (125, 250, 500, 1000, 2000, 4000)
"""The middles of the octaves."""

LASTS_S = 0.3
"""So long after its first sound an echo belongs to it: kitchens reverberate for less."""

EARLY_S = 0.005
"""What comes so shortly before the loudest belongs to it, too: the direct sound may be softer than a reflection."""

LISTEN_S = 0.5 + LENGTH_S + 2.0
"""How long to listen in all: some silence, the sweep, and as late as an echo may be."""

CLEAR_HZ = (400.0, 3500.0)
"""Where every loudspeaker and microphone works, and a room's own noise is soft."""

SURE = 12.0
"""So far must the loudest of a response stand out from the usual, in standard deviations of noise."""

CLIPPED = 0.985
"""Of full scale: a sample that is larger was probably larger still."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How a loudspeaker sounds to a microphone."""

    delay_ms: float
    """From the moment at which a sample should sound to that at which it is heard."""

    return_db: float
    """How loud the echo is, relative to what was played; the lowest octave left out, which few loudspeakers have."""

    bands_db: dict[int, float]
    """The same in each octave."""

    distortion_db: float
    """What the loudspeaker adds of its own, relative to the echo."""

    noise_db: float
    """How loud the room is by itself, dB full scale."""

    clipped: float
    """How much of what was heard was too loud for the microphone, 0 to 1."""


def measure(heard: Sound, rate: int, late_s: float) -> Measured | None:
    """Return what a recording tells, which began ``late_s`` before the sweep; None where the sweep is not in it.

    The recording begins with silence, and lasts longer than the sweep by more than the echo may be late.
    """
    clear = np.abs(response(heard, rate, *CLEAR_HZ)[: len(heard)])
    earliest = max(round((late_s - EARLY_S) * rate), 0)
    loudest = earliest + int(clear[earliest:].argmax())
    if clear[loudest] <= SURE * max(float(np.median(clear)), 1e-9) / 0.6745:  # which is its standard deviation
        return None
    found = response(heard, rate)
    echo = found[max(loudest - round(EARLY_S * rate), 0) : loudest + round(LASTS_S * rate)]
    power = np.abs(np.fft.rfft(echo, 1 << 15)) ** 2
    hertz = np.fft.rfftfreq(1 << 15, 1 / rate)
    root = np.sqrt(2)
    bands = {
        band: _db(float(power[(hertz >= band / root) & (hertz < band * root)].mean())) for band in BANDS_HZ
    }  # fmt: skip
    return Measured(
        delay_ms=1000 * (loudest / rate - late_s),
        return_db=_db(float(np.mean([10 ** (bands[band] / 10) for band in BANDS_HZ[1:]]))),
        bands_db=bands,
        distortion_db=_distortion_db(found, loudest, rate, float(np.sum(echo**2))),
        noise_db=_db(float(np.mean(heard[: round(late_s * rate)] ** 2))),
        clipped=float(np.mean(np.abs(heard) > CLIPPED)),
    )


def echo_db(measured: Measured) -> float:
    """Return how loud the echo of an answer is at the microphone, dB full scale."""
    return measured.return_db + _db(LOUDNESS**2 / 2)


def _distortion_db(found: Sound, loudest: int, rate: int, echo: float) -> float:
    width, total = round(0.03 * rate), 0.0
    for harmonic in (2, 3, 4, 5):
        middle = loudest - round(ahead_s(harmonic) * rate)
        total += float(np.sum(np.take(found, np.arange(middle - width, middle + width), mode="wrap") ** 2))
    return _db(total / echo)


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-12)))
