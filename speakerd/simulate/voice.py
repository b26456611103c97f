"""The stand-in's voice: what an answer sounds like, as 24 kHz sound."""

import io
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from speakerd.errors import SpeakerdError

RATE = 24_000
"""Sample rate of what the Live API says, Hz."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Something said: its words, and S16_LE mono sound at 24 kHz."""

    text: str
    pcm: bytes

    @property
    def seconds(self) -> float:
        """Return how long it takes to play."""
        return len(self.pcm) / 2 / RATE


class Voice:
    """Speak with espeak-ng, or from sound files; everything is prepared once and kept."""

    def __init__(self) -> None:
        self._said: dict[str, Speech] = {}
        self._read: dict[Path, bytes] = {}

    def say(self, text: str) -> Speech:
        """Return ``text`` as speech. It takes some 50 ms the first time, so do it in a thread.

        Raise SpeakerdError where espeak-ng is missing or cannot say it.
        """
        if text not in self._said:
            self._said[text] = Speech(text, _sound_of(io.BytesIO(_espeak(text))))
        return self._said[text]

    def play(self, file: Path, text: str = "") -> Speech:
        """Return a sound file of any rate and number of channels as speech.

        Raise SpeakerdError where it cannot be read.
        """
        if file not in self._read:
            self._read[file] = _sound_of(file)
        return Speech(text, self._read[file])


def _espeak(text: str) -> bytes:
    """Return what espeak-ng says, as a WAV file; the sizes in its header are not to be trusted."""
    espeak = shutil.which("espeak-ng")
    if espeak is None:
        raise SpeakerdError(
            "espeak-ng is not installed, and the stand-in Live API speaks with it. "
            "Install it (sudo apt install espeak-ng), or give every answer as a WAV file: {wav: answer.wav}"
        )
    # Quoting is no matter: the text goes in through a pipe. Even with --stdout it looks for a sound server and leaves
    # files of one behind; it is sent to a server that is not there.
    done = subprocess.run(
        [espeak, "-v", "en", "-s", "160", "--stdin", "--stdout"],
        input=text.encode(),
        capture_output=True,
        env={**os.environ, "PULSE_SERVER": "unix:/nonexistent"},
    )
    if done.returncode or not done.stdout:
        complaint = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise SpeakerdError(f"espeak-ng cannot speak: {complaint}. Try: espeak-ng -v en hello")
    return done.stdout


def _sound_of(source: Path | io.BytesIO) -> bytes:
    """Return the first channel of a sound file as S16_LE at 24 kHz."""
    # They bring numpy along, which takes 100 ms that nobody should wait for who only reads the help.
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(source, dtype="int16", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise SpeakerdError(
            f"{source} is missing or is not sound. Give a WAV, FLAC or Ogg file that exists."
        ) from error
    sound: bytes = soxr.resample(samples[:, 0].copy(), rate, RATE).astype("<i2").tobytes()
    return sound
