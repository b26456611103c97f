"""Sound files that somebody damaged, or made on purpose."""

import contextlib
import struct
from array import array
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.errors import SpeakerdError
from speakerd.sound.files import read_sound
from tests.fuzz.target import CORPUS


@pytest.mark.parametrize("rate", [1, 999, 0x7FFFFFFF])
def test_a_rate_that_nobody_records_at_is_refused(tmp_path: Path, rate: int) -> None:
    """A damaged header does not fill the memory, or make an hour of a second."""
    header = b"RIFF" + struct.pack("<I", 100_036) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    (tmp_path / "q.wav").write_bytes(header + b"data" + struct.pack("<I", 100_000) + bytes(range(250)) * 400)
    with pytest.raises(SpeakerdError, match=rf"q\.wav: {rate} Hz is no rate of sound; is its header damaged\?"):
        read_sound(tmp_path / "q.wav")


def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    """What is wrong with a few samples is not heard of the others, and nothing is complained of."""
    samples = np.full(16_000, 0.5)
    samples[:100], samples[100] = np.nan, np.inf
    soundfile.write(tmp_path / "q.wav", samples, 16_000, subtype="FLOAT")
    assert array("h", read_sound(tmp_path / "q.wav"))[200:] == array("h", [16383]) * 15_800


def test_a_header_that_points_before_the_file_is_refused_in_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever asks with such a file sees one line, and no trace of the program behind it."""
    with contextlib.suppress(SpeakerdError):
        read_sound(CORPUS / "wav" / "seeks-before-its-beginning")
    assert "Traceback" not in capfd.readouterr().err
