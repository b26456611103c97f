"""Sound files: any that libsndfile reads, as the Live API wants them, and replies as WAV."""

import os
from pathlib import Path

import numpy as np
import soundfile
import soxr

from speakerd.errors import SpeakerdError
from speakerd.live.events import INPUT_RATE, OUTPUT_RATE

RATES = range(1_000, 768_001)
"""Hz at which sound may have been recorded. From below these a few bytes would become hours, and memory run out."""


def read_sound(path: Path) -> bytes:
    """Return a sound file as S16_LE mono at 16 kHz, whatever its rate, channels and sample format.

    Raises:
        SpeakerdError: it is not there, not readable, not a sound file, or holds no sound.
    """
    if path.is_dir():
        raise SpeakerdError(f"{path} is a directory; name a sound file, for example a WAV")
    samples, rate = _samples_of(path)
    if not len(samples):
        raise SpeakerdError(f"{path}: holds no sound")
    if rate not in RATES:
        raise SpeakerdError(f"{path}: {rate} Hz is no rate of sound; is its header damaged?")
    # In samples that are numbers with a fraction, anything can stand: also what is no number, and makes others none.
    mono = np.nan_to_num(samples).clip(-1.0, 1.0).mean(axis=1)
    resampled = soxr.resample(mono, rate, INPUT_RATE)
    return bytes((resampled.clip(-1.0, 1.0) * 32767.0).astype("<i2").tobytes())


def _samples_of(path: Path) -> tuple[np.ndarray, int]:
    """Return the samples as they are, one row for each moment, and how many moments there are in a second."""
    # Read whole, so that a pipe does as well as a file; libsndfile then finds its way in it without asking us.
    try:
        with os.fdopen(os.memfd_create("sound"), "wb") as whole:
            whole.write(path.read_bytes())
            whole.seek(0)
            samples, rate = soundfile.read(whole.fileno(), dtype="float32", always_2d=True, closefd=False)
    except OSError as error:
        raise SpeakerdError(f"{path}: {error.strerror or error}") from error
    except soundfile.LibsndfileError as error:
        raise SpeakerdError(
            f"{path}: not a sound file ({error.error_string.rstrip('.')}); WAV, FLAC, Ogg and MP3 can be read"
        ) from error
    return samples, rate


def check_writable(path: Path) -> None:
    """Raise SpeakerdError if ``write_reply`` could not write there; nothing is written yet."""
    if path.is_dir():
        raise SpeakerdError(f"{path} is a directory; name the file to write, for example {path / 'answer.wav'}")
    if _kind(path) not in ("WAV", "FLAC", "OGG"):
        raise SpeakerdError(f"{path}: cannot write this kind of file; end its name in .wav, .flac or .ogg")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SpeakerdError(f"{path}: cannot be written; is its directory there and yours?")


def write_reply(path: Path, pcm: bytes) -> None:
    """Write a reply, S16_LE mono 24 kHz, as a sound file of the type that its name says (.wav, .flac, .ogg).

    Raises:
        SpeakerdError: it cannot be written there.
    """
    try:
        with path.open("wb") as file:
            soundfile.write(file, np.frombuffer(pcm, "<i2"), OUTPUT_RATE, format=_kind(path))
    except OSError as error:
        raise SpeakerdError(f"{path}: {error.strerror or error}") from error


def _kind(path: Path) -> str:
    return path.suffix.removeprefix(".").upper() or "WAV"
