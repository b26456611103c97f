"""Is somebody talking?"""

import math
import random
from array import array
from pathlib import Path

import pytest

from speakerd.sound.level import LevelDetector, level_db
from speakerd.sound.voice_gate import GateSettings, VoiceGate

GO_FORWARD = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
PERIOD = 640


def noise(db: float, seconds: float, seed: int = 1) -> bytes:
    source = random.Random(seed)
    scale = 32768 * 10 ** (db / 20)
    return array("h", (round(source.gauss(0, scale)) for _ in range(int(16000 * seconds)))).tobytes()


class Gate:
    """What the light sees of a room, where nothing but loudness is judged."""

    def __init__(self) -> None:
        self._detector = LevelDetector()
        self._gate = VoiceGate(GateSettings(), 20)

    def hear(self, pcm: bytes) -> bool:
        self._gate.hear(pcm, self._detector.hear(pcm))
        return self._gate.is_talking


def judge(gate: Gate, pcm: bytes) -> list[bool]:
    return [gate.hear(pcm[at : at + PERIOD]) for at in range(0, len(pcm) - PERIOD + 1, PERIOD)]


def test_a_human_voice_is_noticed_and_its_end_too() -> None:
    """Recorded speech between two silences counts as talk, and the silence after it does not."""
    gate = Gate()
    speech = GO_FORWARD.read_bytes()
    assert not any(judge(gate, noise(-62, 1)))
    assert sum(judge(gate, speech)) > len(speech) / PERIOD / 2
    assert judge(gate, noise(-62, 1))[-1] is False


@pytest.mark.parametrize("db", [-70, -50, -35])
def test_steady_noise_is_not_talk(db: float) -> None:
    """A fan that goes on becomes the room's noise, however loud it is."""
    gate = Gate()
    judge(gate, noise(db, 25))
    assert not any(judge(gate, noise(db, 3, seed=2)))


def test_a_clink_is_not_talk() -> None:
    """A loud sound as short as cutlery on a plate does not light the light."""
    gate = Gate()
    judge(gate, noise(-62, 1))
    assert not any(judge(gate, noise(-10, 0.04) + noise(-62, 0.5)))


def test_level_is_in_decibels_of_full_scale() -> None:
    """A sine at full scale has -3 dB, silence has -100."""
    sine = array("h", (round(32767 * math.sin(n / 10)) for n in range(16000))).tobytes()
    assert level_db(sine) == pytest.approx(-3.01, abs=0.05)
    assert level_db(bytes(640)) == -100.0
    assert level_db(b"") == -100.0
