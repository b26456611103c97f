"""Questions that people once asked, as recordings from a Debian package."""

import wave
from dataclasses import dataclass
from pathlib import Path

from speakerd.errors import SpeakerdError

PACKAGE = "pocketsphinx-testdata"
DIRECTORY = Path("/usr/share/pocketsphinx/test/data")

RATE = 16_000
"""Sample rate of all its recordings, Hz; they are S16_LE, mono."""

_RECORDINGS = (("goforward.raw", "Go forward ten meters."), ("cards/003.wav", "Seven of clubs."))
"""What is asked, and what interrupts the answer to it; the words are in the package's own transcripts."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that a person says: its words, and S16_LE mono sound at 16 kHz."""

    words: str
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it takes to say."""
        return len(self.pcm) / 2 / RATE


def questions(directory: Path = DIRECTORY) -> list[Question]:
    """Return the questions of the demo.

    Raises:
        SpeakerdError: a recording cannot be read; the text names the package to install.
    """
    asked = []
    for name, words in _RECORDINGS:
        path = directory / name
        try:
            pcm = _sound_of(path)
        except (OSError, EOFError, wave.Error) as error:
            raise SpeakerdError(
                f"{path} cannot be read ({error}); the demo speaks with recordings of the package {PACKAGE}, "
                f"run: sudo apt-get install -y --no-install-recommends {PACKAGE}"
            ) from error
        asked.append(Question(words, pcm))
    return asked


def _sound_of(path: Path) -> bytes:
    if path.suffix == ".raw":
        return path.read_bytes()
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())
