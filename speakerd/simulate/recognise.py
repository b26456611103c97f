"""The recordings that the stand-in knows by heart: which of them are in the sound of a turn.

It understands no speech. The simulated card changes no sample on the way from the mouth to the wire, and PCM is sent
as it is, so a recording that arrived whole is found byte by byte; one sample missing in it, and it is not there.
"""

import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from speakerd.errors import SpeakerdError
from speakerd.simulate import ears

PREROLL_BYTES = ears.RATE // 2 * 2
"""Half a second from before the ears noticed speech: the first sound of a word may be too soft for them."""

SAMPLE_BYTES = 2


class Vocabulary:
    """Known recordings by name, each S16_LE mono at 16 kHz."""

    def __init__(self, words: Mapping[str, bytes]) -> None:
        self._words = dict(words)

    @classmethod
    def read(cls, files: Mapping[str, Path]) -> Self:
        """Return the recordings in these WAV, or headerless ``.raw``, files.

        Raises:
            SpeakerdError: one cannot be read, is empty, or is not 16-bit mono sound at 16 kHz.
        """
        return cls({name: _recording(path) for name, path in files.items()})

    def __bool__(self) -> bool:
        return bool(self._words)

    def words_in(self, pcm: bytes | bytearray) -> list[str]:
        """Return the name of each recording that is in ``pcm`` from its first to its last sample, in order."""
        found = [(at, name) for name, word in self._words.items() for at in _places(word, pcm)]
        return [name for _, name in sorted(found)]


class TurnSound:
    """The sound of the user's turn: while nobody speaks only the last of it, in case that somebody has just begun."""

    def __init__(self) -> None:
        self._pcm = bytearray()

    def hear(self, pcm: bytes, *, speaking: bool) -> None:
        """Take sound of any length."""
        if not speaking:
            del self._pcm[:-PREROLL_BYTES]  # before the new sound is added: speech may begin anywhere in it
        self._pcm += pcm

    def take(self) -> bytes:
        """Return the sound of the turn that is over; the next one begins after it."""
        pcm = bytes(self._pcm)
        self._pcm.clear()
        return pcm


def _places(word: bytes, pcm: bytes | bytearray) -> list[int]:
    """Return every byte offset of ``word`` in ``pcm`` that is the beginning of a sample."""
    starts = [pcm.find(word)]
    while starts[-1] >= 0:
        starts.append(pcm.find(word, starts[-1] + 1))
    return [at for at in starts[:-1] if at % SAMPLE_BYTES == 0]


def _recording(path: Path) -> bytes:
    try:
        if path.suffix == ".raw":
            pcm = path.read_bytes()
        else:
            with wave.open(str(path), "rb") as file:
                if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, SAMPLE_BYTES, ears.RATE):
                    raise SpeakerdError(f"{path} is not 16-bit mono sound at {ears.RATE} Hz, as the client sends it")
                pcm = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SpeakerdError(f"{path} cannot be read ({error}); give a WAV or .raw file that exists") from error
    if not pcm:
        raise SpeakerdError(f"{path} holds no sound; a word that is nowhere would be heard everywhere")
    return pcm
