"""Lets espeak-ng speak the texts of notices.yaml, at the loudness of the model: `make notices` runs it.

espeak-ng comes under the GPL 3. That covers "the output from running a covered work [...] only if the output, given
its content, constitutes a covered work" (section 2, https://www.gnu.org/licenses/gpl-3.0.html), and our texts, read
aloud, are no work based on the program. Nothing of espeak-ng itself is delivered with speakerd.
"""

from __future__ import annotations

import argparse
import io
import lzma
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr
import yaml

from speakerd.live.events import OUTPUT_RATE
from speakerd.sound.notices import SPOKEN, Notice

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS = SPOKEN.with_name("notices.yaml")

LEVEL_DB = -20.0
"""Active speech level against full scale, as of the chimes. How loud the model's voice is was not published."""

CEILING_DB = -1.0
"""No sample goes beyond this; what does is bent back softly from 5 dB below it on."""

WORDS_A_MINUTE = 155
"""Slower than espeak-ng's 175: an unexpected sentence, from across a kitchen."""

SILENT_DB = -60.0
FRAME = OUTPUT_RATE // 50  # 20 ms
LEAD = OUTPUT_RATE // 50  # 20 ms
TAIL = OUTPUT_RATE * 3 // 20  # 150 ms, so that another notice does not follow on its heels
FADE = OUTPUT_RATE // 200  # 5 ms

STEP = 64
"""Samples are rounded to 10 bits: that noise is 45 dB below the voice, and the files are half as large."""

PACKING = [
    {"id": lzma.FILTER_DELTA, "dist": 2},  # from sample to sample
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 2**20, "lc": 0, "lp": 1, "pb": 1},
]
"""The dictionary is as large as a notice can be, for whoever unpacks it needs memory for all of it."""


def main() -> None:
    """Speak all notices in all languages, or in those that are named."""
    texts = yaml.safe_load(TEXTS.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description="Let espeak-ng speak the notices.")
    parser.add_argument("--language", action="append", choices=texts, help="only this one; may be given again")
    parser.add_argument("--output", type=Path, default=SPOKEN, help="the directory, by default where speakerd looks")
    arguments = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng is not installed; run: sudo apt-get install espeak-ng")
    for language in arguments.language or texts:
        (arguments.output / language).mkdir(parents=True, exist_ok=True)
        for notice in Notice:
            samples = speak(texts[language][notice.value], texts[language]["voice"])
            (arguments.output / language / f"{notice.value}.wav.xz").write_bytes(packed(samples))


def speak(text: str, voice: str) -> NDArray[np.float64]:
    """Return a text as samples at 24 kHz, -1.0 to 1.0: trimmed, faded, and as loud as all of them."""
    # Even with --stdout it looks for a sound server and leaves files of one behind: it gets one that is not there.
    command = ["espeak-ng", "-v", voice, "-s", str(WORDS_A_MINUTE), "--stdin", "--stdout"]
    environment = {**os.environ, "PULSE_SERVER": "unix:/nonexistent"}
    done = subprocess.run(  # noqa: S603 # all its words are this project's own
        command, input=text.encode(), stdout=subprocess.PIPE, env=environment, check=True
    )
    samples, rate = soundfile.read(io.BytesIO(done.stdout))
    samples = trimmed(soxr.resample(samples, rate, OUTPUT_RATE))
    return bent(samples * 10 ** ((LEVEL_DB - active_level_db(samples)) / 20))


def trimmed(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the samples with 20 ms of silence before them and 150 ms after them, whatever there was."""
    heard = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (SILENT_DB / 20))
    voice = samples[heard[0] : heard[-1] + 1].copy()
    ramp = np.linspace(0.0, 1.0, FADE)
    voice[:FADE] *= ramp
    voice[-FADE:] *= ramp[::-1]
    return np.pad(voice, (LEAD, TAIL))


def active_level_db(samples: NDArray[np.float64]) -> float:
    """Return how loud the voice is while it speaks, in dB below full scale.

    As in ITU-T P.56, whatever is 15.9 dB below that level, or more, is a pause and does not count; frames of 20 ms
    stand for its envelope.
    """
    powers = np.square(samples[: len(samples) // FRAME * FRAME]).reshape(-1, FRAME).mean(axis=1)
    level = powers.mean()
    for _ in range(10):  # it settles in three or four
        level = powers[powers > level * 10 ** (-15.9 / 10)].mean()
    return float(10 * np.log10(level))


def bent(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the samples with every peak below the ceiling."""
    ceiling, knee = 10 ** (CEILING_DB / 20), 10 ** ((CEILING_DB - 5) / 20)
    room = ceiling - knee
    over = np.maximum(np.abs(samples) - knee, 0.0)
    return np.sign(samples) * (np.minimum(np.abs(samples), knee) + room * np.tanh(over / room))


def packed(samples: NDArray[np.float64]) -> bytes:
    """Return the samples as a WAV file within xz; the same ones give the same bytes."""
    pcm = (np.round(samples * 32767 / STEP) * STEP).astype("<i2").tobytes()
    unpacked = io.BytesIO()
    with wave.open(unpacked, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(OUTPUT_RATE)
        file.writeframes(pcm)
    return lzma.compress(unpacked.getvalue(), filters=PACKING)


if __name__ == "__main__":
    main()
