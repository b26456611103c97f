"""Sound files: any that libsndfile reads, as the Live API wants them, and replies as WAV."""

import io
import os
from pathlib import Path

import soundfile
import soxr

from speakerd.errors import SpeakerdError
from speakerd.live.events import INPUT_RATE, OUTPUT_RATE


def read_sound(path: Path) -> bytes:
    """Return a sound file as S16_LE mono at 16 kHz, whatever its rate, channels and sample format.

    Raises:
        SpeakerdError: it is not there, not readable, not a sound file, or holds no sound.
    """
    if path.is_dir():
        raise SpeakerdError(f"{path} is a directory; name a sound file, for example a WAV")
    try:
        # Read whole, so that a pipe does as well as a file.
        samples, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32", always_2d=True)
    except OSError as error:
        raise SpeakerdError(f"{path}: {error.strerror or error}") from error
    except soundfile.LibsndfileError as error:
        raise SpeakerdError(
            f"{path}: not a sound file ({error.error_string.rstrip('.')}); WAV, FLAC, Ogg and MP3 can be read"
        ) from error
    if not len(samples):
        raise SpeakerdError(f"{path}: holds no sound")
    mono = samples.mean(axis=1)
    resampled = soxr.resample(mono, rate, INPUT_RATE)
    return bytes((resampled.clip(-1.0, 1.0) * 32767.0).astype("<i2").tobytes())


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
    import numpy as np

    try:
        with path.open("wb") as file:
            soundfile.write(file, np.frombuffer(pcm, "<i2"), OUTPUT_RATE, format=_kind(path))
    except OSError as error:
        raise SpeakerdError(f"{path}: {error.strerror or error}") from error


def _kind(path: Path) -> str:
    return path.suffix.removeprefix(".").upper() or "WAV"
