"""Sounds of a kitchen in which nobody speaks, made from a seed: 16 kHz, as fractions of full scale."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

RATE = 16_000
Sound = npt.NDArray[np.float32]
Random = np.random.Generator
Values = npt.NDArray[np.float64]


def pink(seconds: float, random: Random) -> Sound:
    """Return noise with the same power in each octave: a room with a window open."""
    return _shaped(seconds, random, lambda hz: np.maximum(hz, 20) ** -0.5)


def fan(seconds: float, random: Random) -> Sound:
    """Return the rumble of a cooker hood: low noise, and the hum of its motor."""
    rumble = _shaped(seconds, random, lambda hz: 1 / (1 + (hz / 250) ** 2))
    time = np.arange(len(rumble)) / RATE
    hum = sum(np.sin(2 * np.pi * 100 * n * time) / n for n in range(1, 6))
    return _unit(rumble + 0.5 * np.asarray(hum))


def tap(seconds: float, random: Random) -> Sound:
    """Return running water: bright noise that splashes."""
    bright = _shaped(seconds, random, lambda hz: (hz / 1500) / (1 + (hz / 1500) ** 2))
    splash = _shaped(seconds, random, lambda hz: np.where(hz < 12, 1.0, 0.0))
    return _unit(bright * np.maximum(1 + 0.5 * splash, 0.1))


def clink(random: Random) -> Sound:
    """Return cutlery on a plate: some partials of 1.5 to 7 kHz that ring for 20 to 150 ms."""
    time = np.arange(round(0.4 * RATE)) / RATE
    partials = [
        random.uniform(0.3, 1) * np.sin(2 * np.pi * hz * time) * np.exp(-time / ring)
        for hz, ring in zip(random.uniform(1500, 7000, 6), random.uniform(0.02, 0.15, 6), strict=True)
    ]
    return _unit(np.asarray(sum(partials)))


def thud(random: Random) -> Sound:
    """Return a cupboard's door: a low knock, and the wood after it."""
    time = np.arange(round(0.3 * RATE)) / RATE
    knock = np.sin(2 * np.pi * random.uniform(70, 180) * time) * np.exp(-time / 0.04)
    wood = random.standard_normal(len(time)) * np.exp(-time / 0.015)
    return _unit(knock + 0.4 * wood)


def cough(random: Random) -> Sound:
    """Return a cough: a burst of breath through a throat, and a shorter, half voiced one after it."""
    bursts = []
    for seconds, voiced in ((random.uniform(0.1, 0.2), 0.0), (random.uniform(0.1, 0.25), 0.4)):
        formants = random.uniform((400, 1200, 2300), (800, 1800, 3000))
        breath = _shaped(seconds, random, functools.partial(_throat, formants))
        time = np.arange(len(breath)) / RATE
        voice = np.sign(np.sin(2 * np.pi * random.uniform(90, 180) * time))
        bursts.append((breath + voiced * voice) * np.exp(-time / seconds * 2.5) * np.minimum(time / 0.008, 1))
    return _unit(np.concatenate((bursts[0], np.zeros(round(random.uniform(0.02, 0.08) * RATE)), bursts[1])))


def beep(random: Random) -> Sound:
    """Return an oven's timer: three tones of one pitch."""
    time = np.arange(round(0.5 * RATE)) / RATE
    tone = np.sin(2 * np.pi * random.uniform(800, 3000) * time) * (time < 0.25)
    return _unit(np.tile(tone, 3))


STEADY: Mapping[str, Callable[[float, Random], Sound]] = {"pink": pink, "fan": fan, "tap": tap}
Events = Mapping[str, tuple[Callable[[Random], Sound], float]]
EVENTS: Events = {
    "clink": (clink, 360.0),
    "thud": (thud, 60.0),
    "cough": (cough, 30.0),
    "beep": (beep, 10.0),
}
"""What happens in a kitchen, and how often in an hour of cooking."""


def busy(seconds: float, random: Random, hurry: float, events: Events = EVENTS) -> Sound:
    """Return a kitchen in use: steady noise of -60 to -35 dB, and events of -40 to -18 dB, as dense as in a hurry."""
    sound = np.zeros(round(seconds * RATE), np.float32)
    part = 30 * RATE
    for at in range(0, len(sound), part):
        kind = random.choice(list(STEADY))
        here = sound[at : at + part]
        here += STEADY[kind](30, random)[: len(here)] * np.float32(10 ** (random.uniform(-60, -35) / 20))
    for make, each_hour in events.values():
        for at in random.integers(0, len(sound), random.poisson(each_hour * hurry * seconds / 3600)):
            event = make(random) * np.float32(10 ** (random.uniform(-40, -18) / 20))
            here = sound[at : at + len(event)]
            here += event[: len(here)]
    return sound


def _throat(formants: Values, hz: Values) -> Values:
    return np.asarray(sum(1 / (1 + ((hz - formant) / 150) ** 2) for formant in formants))


def _shaped(seconds: float, random: Random, gain: Callable[[Values], Values]) -> Sound:
    """Return noise of unit power whose amplitude follows a function of the frequency in hertz."""
    frames = round(seconds * RATE)
    spectrum = np.fft.rfft(random.standard_normal(frames)) * gain(
        np.asarray(np.fft.rfftfreq(frames, 1 / RATE), np.float64)
    )
    spectrum[0] = 0
    return _unit(np.fft.irfft(spectrum, frames))


def _unit(sound: npt.ArrayLike) -> Sound:
    sound = np.asarray(sound)
    return np.asarray(sound / np.sqrt(np.mean(sound**2)), np.float32)
