"""People who talk in a kitchen, as recordings from a Debian package."""

import wave
from pathlib import Path

import numpy as np

from speakerd.errors import SpeakerdError
from speakerd.simulate.levels import as_sound, at_level
from speakerd.simulate.noises import RATE, Random, Sound
from speakerd.simulate.speech import DIRECTORY, PACKAGE

RECORDINGS = (
    "goforward.raw",
    "numbers.raw",
    "something.raw",
    "cards/001.wav",
    "cards/002.wav",
    "cards/003.wav",
    "cards/004.wav",
    "cards/005.wav",
    "librivox/sense_and_sensibility_01_austen_64kb-0870.wav",
    "librivox/sense_and_sensibility_01_austen_64kb-0880.wav",
    "librivox/sense_and_sensibility_01_austen_64kb-0890.wav",
    "librivox/sense_and_sensibility_01_austen_64kb-0920.wav",
    "librivox/sense_and_sensibility_01_austen_64kb-0930.wav",
)
"""Commands and numbers by some people, and a novel that another reads; each 16 kHz, mono."""


def recording(name: str, directory: Path = DIRECTORY) -> Sound:
    """Return one of the recordings.

    Raises:
        SpeakerdError: it cannot be read; the text names the package to install.
    """
    path = directory / name
    try:
        if path.suffix == ".raw":
            return as_sound(path.read_bytes())
        with wave.open(str(path), "rb") as file:
            return as_sound(file.readframes(file.getnframes()))
    except (OSError, EOFError, wave.Error) as error:
        raise SpeakerdError(
            f"{path} cannot be read ({error}); people in the kitchen are recordings of the package {PACKAGE}, "
            f"run: sudo apt-get install -y --no-install-recommends {PACKAGE}"
        ) from error


def television(seconds: float, random: Random, db: float, directory: Path = DIRECTORY) -> Sound:
    """Return a television in the next room: talk by talk in any order, with short pauses, each of it this loud."""
    programme: list[Sound] = []
    frames = round(seconds * RATE)
    while sum(map(len, programme)) < frames:
        name = RECORDINGS[random.integers(len(RECORDINGS))]
        pause = np.zeros(round(random.uniform(0.1, 0.6) * RATE), np.float32)
        programme += [at_level(recording(name, directory), db), pause]
    return np.concatenate(programme)[:frames]
