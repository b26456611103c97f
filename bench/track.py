"""What is said in a session, and what is answered: recorded voices in which no two moments are alike.

The lowest bit of each sample is drawn by lot. Nobody hears it, and any few milliseconds of sound say exactly which
ones they are.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from speakerd.errors import SpeakerdError

RATE = 16_000
"""Sample rate, Hz, of the recordings and of what is said to the microphone."""

ANSWER_RATE = 24_000

RECORDINGS = Path("/usr/share/pocketsphinx/test/data")
HOW_TO_INSTALL = "recorded speech is missing; run: apt-get install -y --no-install-recommends pocketsphinx-testdata"

LEAD_S = 1.0
"""Silence before anything is measured: what follows a start has died down."""

THINKING_S = 0.2
"""From the end of a question to the first sound of its answer, which is told to the stand-in."""

TURN_S = 0.8 + THINKING_S
"""From the last word of a question to its answer: the stand-in takes 0.8 s of silence for the end of a question."""

LISTEN_S = 1.2
"""For how long an answer is listened to before the next question breaks into it."""

ANSWERS_S = (4.0, 8.0)
"""Answers are sent at four times the pace of speech: when a question breaks in, the short ones are all there."""

_FORMAT: dict[str, dict[str, Any]] = {
    ".wav": {},
    ".raw": {"format": "RAW", "subtype": "PCM_16", "samplerate": RATE, "channels": 1, "endian": "LITTLE"},
}

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a session, in seconds from the start of its track."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Track:
    """Everything that is said in a session: S16_LE, 16 kHz, mono; and the parts in which CPU time is counted."""

    pcm: bytes
    silence: Span
    speech: Span
    reply: Span
    answers: tuple[Samples, ...]

    @property
    def seconds(self) -> float:
        """Return how long it takes."""
        return len(self.pcm) / 2 / RATE


def compose(part_s: float, questions: int) -> Track:
    """Return a track: silence, speech, the answer to it, and questions that break into each other's answers.

    Silence, speech (without a pause that would end it) and the first answer take ``part_s`` seconds each.

    Raises:
        SpeakerdError: the recordings are not installed.
    """
    lot = np.random.default_rng(38)
    question = _cut(_recording("goforward.raw"), 0.45, 1.75)
    story = _cut(_recording("librivox/sense_and_sensibility_01_austen_64kb-0870.wav"), 0.2, 6.9)
    silence = Span(LEAD_S, LEAD_S + part_s)
    speech = Span(silence.end, silence.end + part_s)
    reply = Span(speech.end + TURN_S, speech.end + TURN_S + part_s)
    parts = [_silence(silence.end), _looped(story, part_s), _silence(TURN_S + part_s + 1.0)]
    for _ in range(questions):
        # A question may come at any moment of a period.
        parts += [question, _silence(TURN_S + LISTEN_S + lot.uniform(0, 0.04))]
    voice = soxr.resample(story, RATE, ANSWER_RATE)
    lengths = [part_s, *(ANSWERS_S[number % len(ANSWERS_S)] for number in range(questions))]
    answers = tuple(_marked(_looped(voice, length, ANSWER_RATE), lot) for length in lengths)
    return Track(_marked(np.concatenate(parts), lot).tobytes(), silence, speech, reply, answers)


def write_answers(answers: tuple[Samples, ...], directory: Path) -> dict[str, Any]:
    """Write answers as WAV files; return the script that makes the stand-in give them."""
    files = []
    for number, samples in enumerate(answers, 1):
        files.append(directory / f"reply-{number}.wav")
        soundfile.write(files[-1], samples, ANSWER_RATE, subtype="PCM_16")
    return {"thinking": THINKING_S, "answers": [{"wav": str(file)} for file in files]}


def _marked(samples: Samples, lot: np.random.Generator) -> Samples:
    """Draw the lowest bit of each sample by lot."""
    marks: Samples = lot.integers(0, 2, len(samples), np.int16)
    return samples & ~np.int16(1) | marks


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def _looped(samples: Samples, seconds: float, rate: int = RATE) -> Samples:
    return np.resize(samples, round(seconds * rate))


def _cut(samples: Samples, start: float, end: float) -> Samples:
    return samples[round(start * RATE) : round(end * RATE)]


def _recording(name: str) -> Samples:
    try:
        samples: Samples = soundfile.read(RECORDINGS / name, dtype="int16", **_FORMAT[Path(name).suffix])[0]
    except (OSError, soundfile.SoundFileError) as error:
        raise SpeakerdError(HOW_TO_INSTALL) from error
    return samples
