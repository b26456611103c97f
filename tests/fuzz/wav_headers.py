"""Sound files with odd headers: they are sound for the Live API, or a mistake that is named."""

import contextlib
import random
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from speakerd.errors import SpeakerdError
from speakerd.live.events import INPUT_RATE
from speakerd.sound.files import read_sound
from tests.fuzz import changes
from tests.fuzz.target import LONGEST, Attempt, Target

NUMBERS = (0, 1, 2, 3, 7, 8, 16, 17, 24, 32, 64, 255, 1024, 8000, 44100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000,
           0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # fmt: skip
"""Where the fields of a header end, and what stands in them in life."""

CHUNKS = (b"RIFF", b"RIFX", b"RF64", b"WAVE", b"fmt ", b"data", b"fact", b"LIST", b"cue ", b"smpl", b"bext", b"ds64",
          b"PEAK", b"AIFF", b"FORM", b"fLaC", b"OggS", b"ID3\x04", b"caff", b".snd")  # fmt: skip

LONGEST_SOUND_S = 3600.0
"""No file of four kilobytes holds an hour of sound."""


def _take(file: Path, data: bytes) -> None:
    """Read a sound file, and see that what comes of it is sound."""
    file.write_bytes(data)
    try:
        pcm = read_sound(file)
    except SpeakerdError as error:
        words = str(error)
        assert words.isprintable(), words
        return
    assert len(pcm) % 2 == 0
    assert len(pcm) < LONGEST_SOUND_S * INPUT_RATE * 2


@contextlib.contextmanager
def ready() -> Iterator[Attempt]:
    """Have a place for the file."""
    with tempfile.TemporaryDirectory() as directory:
        yield lambda data: _take(Path(directory, "question.wav"), data)


def changed(data: bytes, rand: random.Random) -> bytes:
    """Return a file with another number or name in a field of its header, or with other bytes."""
    if len(data) < 12 or rand.random() < 0.3:
        return changes.of_bytes(data, rand)[:LONGEST]
    at = 2 * rand.randrange(min(len(data), 100) // 2 - 1)
    match rand.randrange(3):
        case 0:
            new = struct.pack("<H", rand.choice(NUMBERS) & 0xFFFF)
        case 1:
            new = struct.pack(rand.choice(("<I", ">I")), rand.choice(NUMBERS))
        case _:
            new = rand.choice(CHUNKS)
    return data[:at] + new + data[at + len(new) :]


WAV = Target("wav", ready, changed)
