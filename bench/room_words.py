"""What is said in the simulated kitchen: the question, the long answers to it, and what people say over them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from speakerd.simulate.levels import as_sound, at_level
from speakerd.simulate.noises import RATE, Sound
from speakerd.simulate.talkers import RECORDINGS, recording
from speakerd.simulate.voice import RATE as ANSWER_RATE
from speakerd.simulate.voice import Voice

QUESTION = "goforward.raw"

ASKED_DB = -26.0
"""How loud the question is, dB full scale: somebody two steps away."""

ANSWERED_DB = -20.0
"""How loud the answers are, dB full scale, before the loudspeaker."""

ANSWER_S = 60
"""How long each of them is: whoever gave it begins again where it is too short."""

NOVEL = tuple(name for name in RECORDINGS if name.startswith("librivox"))
OVER = tuple(name for name in RECORDINGS if name not in NOVEL)
"""What people say over the answer; nobody of them is the one who reads the novel."""

RECIPE = (
    "Take a large pot, fill it with water, add a spoon of salt, and wait until it boils. Then the noodles go in, and "
    "you stir them once in a while. After nine minutes try one of them. If it is soft, pour the water away and serve "
    "them with the sauce that you like best. A good one is made of two onions, a clove of garlic and a tin of "
    "tomatoes. Cut the onions into small cubes, and fry them slowly until they are golden. The garlic follows for a "
    "minute, and then the tomatoes. Let it simmer for a quarter of an hour, and add salt, pepper and basil."
)


def answers() -> list[npt.NDArray[np.int16]]:
    """Return what is answered in turn, at 24 kHz: a recipe by a synthesiser, and some of a novel that a person reads.

    Raises:
        SpeakerdError: a program or a recording is missing; the text says how to install it.
    """
    recipe = soxr.resample(as_sound(Voice().say(RECIPE).pcm), ANSWER_RATE, RATE)
    novel = np.concatenate([recording(name) for name in NOVEL])
    return [_as_answer(at_level(sound, ANSWERED_DB)) for sound in (recipe, novel)]


def write_answers(said: Sequence[npt.NDArray[np.int16]], directory: Path) -> tuple[Path, ...]:
    """Write answers as files; return their names."""
    files = tuple(directory / f"reply-{number}.wav" for number in range(len(said)))
    for file, samples in zip(files, said, strict=True):
        soundfile.write(file, samples, ANSWER_RATE, subtype="PCM_16")
    return files


def _as_answer(sound: Sound) -> npt.NDArray[np.int16]:
    louder = soxr.resample(np.resize(sound, ANSWER_S * RATE), RATE, ANSWER_RATE) * 32768
    return np.asarray(np.clip(louder, -32768, 32767), np.int16)
