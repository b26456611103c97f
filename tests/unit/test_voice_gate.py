"""What leaves the house."""

from pathlib import Path

import numpy as np
import pytest

from speakerd.simulate.noises import busy, tap
from speakerd.sound.voice import make_detector
from speakerd.sound.voice_gate import LONGEST_BACK_MS, NOTHING, SURE_MS, GateSettings, VoiceGate

GO_FORWARD = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
DEFAULT = GateSettings()
SURELY, LIKELY, HARDLY = 1.0, 0.45, 0.1
"""Somebody speaks; perhaps somebody does; it is something else."""


class Room:
    """A room that counts its periods of 20 ms, and what of them leaves the house."""

    def __init__(self, settings: GateSettings = DEFAULT) -> None:
        self.gate = VoiceGate(settings, 20)
        self.number = 0
        self.left: list[int] = []
        self.began: list[int] = []
        self.ended: list[int] = []

    def is_talking(self) -> bool:
        return self.gate.is_talking

    def passes(self, ms: int, probability: float = HARDLY) -> None:
        for _ in range(ms // 20):
            self.number += 1
            step = self.gate.hear(self.number.to_bytes(4, "little"), probability)
            periods = [int.from_bytes(pcm, "little") for pcm in step.send]
            self.left += periods
            self.began += periods[:1] * step.began
            self.ended += periods[-1:] * step.ended

    def somebody_talks(self, ms: int) -> None:
        self.passes(ms, SURELY)


def test_in_silence_nothing_leaves() -> None:
    """Hours in which nobody talks cost nothing."""
    room = Room()
    room.passes(600_000)
    assert room.left == []


def test_a_sentence_leaves_whole() -> None:
    """From before its first sound to the silence that ends it, each period once and in order."""
    room = Room()
    room.passes(5000)
    room.somebody_talks(2000)
    room.passes(10_000)
    first, last = 250 - DEFAULT.preroll_ms // 20 + 1, 350 + DEFAULT.trailing_ms // 20
    assert room.left == list(range(first, last + 1))
    assert (room.began, room.ended) == ([first], [last])


def test_a_soft_first_sound_belongs_to_the_word() -> None:
    """What goes along is counted from where somebody may have begun, not from where that was certain."""
    room = Room()
    room.passes(5000)
    room.passes(300, LIKELY)
    room.somebody_talks(100)
    assert room.left[0] == 250 - DEFAULT.preroll_ms // 20 + 1


def test_the_first_word_after_the_start_is_whole() -> None:
    """Where less was heard than usually goes along, all of it does."""
    room = Room()
    room.passes(100)
    room.somebody_talks(500)
    assert room.left == list(range(1, 31))


def test_what_is_hardly_ever_surely_a_voice_does_not_leave() -> None:
    """A cough is likely a voice for as long as a short word is, but hardly for a moment surely."""
    room = Room()
    room.passes(5000)
    room.passes(200, LIKELY)
    room.somebody_talks(SURE_MS - 20)
    room.passes(200, LIKELY)
    room.passes(5000)
    assert room.left == []


def test_what_is_too_short_does_not_leave() -> None:
    """A sound that is surely a voice for a moment only, is none."""
    room = Room()
    room.passes(5000)
    room.somebody_talks(DEFAULT.min_speech_ms - 20)
    room.passes(5000)
    assert room.left == []


def test_sounds_far_apart_do_not_add_up() -> None:
    """Neither their length nor the certainty of one of them counts for the next."""
    room = Room()
    for _ in range(100):
        room.somebody_talks(DEFAULT.min_speech_ms - 20)
        room.passes(100)
        room.passes(200, LIKELY)
        room.passes(200)
    assert room.left == []


def test_a_gap_in_the_first_syllable_is_forgiven() -> None:
    """A stop consonant is silence, and no end."""
    room = Room()
    room.passes(5000)
    room.somebody_talks(80)
    room.passes(40)
    room.somebody_talks(60)
    assert room.left[0] == 250 - DEFAULT.preroll_ms // 20 + 1


@pytest.mark.parametrize(("is_local", "pause_ms"), [(False, 1480), (True, 580)])
def test_a_pause_between_words_does_not_end_the_turn(is_local: bool, pause_ms: int) -> None:
    """Who thinks for a moment is not cut off."""
    room = Room(GateSettings(is_local=is_local))
    for _ in range(3):
        room.somebody_talks(500)
        room.passes(pause_ms)
    assert len(room.began) == 1
    assert room.ended == []
    room.passes(20)
    assert room.ended == [room.number]


def test_a_softly_spoken_end_still_belongs_to_the_sentence() -> None:
    """Within talk, what may be a voice is one."""
    room = Room()
    room.somebody_talks(500)
    room.passes(10_000, LIKELY)
    assert room.ended == []


def test_nothing_leaves_twice() -> None:
    """A word that follows close behind the end of a turn takes along only what has not left yet."""
    room = Room()
    for _ in range(3):
        room.somebody_talks(500)
        room.passes(DEFAULT.trailing_ms + 100)
    assert len(room.began) == len(room.ended) == 3
    assert len(room.left) == len(set(room.left))
    assert room.left == sorted(room.left)


def test_hours_of_mutter_are_not_kept() -> None:
    """What goes along is bounded, however long somebody may have been talking."""
    room = Room()
    room.passes(600_000, LIKELY)
    room.somebody_talks(SURE_MS)
    assert len(room.left) == LONGEST_BACK_MS // 20


def test_who_talks_over_the_loudspeaker_is_let_through_from_the_start() -> None:
    """When others are sure that somebody has talked for so long, that leaves at once, and what came before it."""
    room = Room()
    room.passes(5000)
    step = room.gate.open(since_ms=300)
    assert step.began
    assert len(step.send) == (300 + DEFAULT.preroll_ms) // 20
    assert int.from_bytes(step.send[-1], "little") == room.number
    assert room.is_talking()
    assert room.gate.open(since_ms=300) is NOTHING
    room.passes(5000)
    assert room.ended == [250 + DEFAULT.trailing_ms // 20]


def test_a_closed_ear_keeps_nothing() -> None:
    """After mute not a sound from before it leaves any more."""
    room = Room()
    room.somebody_talks(500)
    room.gate.reset()
    assert not room.gate.is_open
    muted_at, room.left = room.number, []
    room.somebody_talks(500)
    assert room.left == list(range(muted_at + 1, room.number + 1))


def test_talk_lasts_over_the_pauses_and_not_over_the_trailing_silence() -> None:
    """The light shows that somebody talks, between two words too, but not while only silence leaves."""
    room = Room()
    assert not room.is_talking()
    room.somebody_talks(500)
    room.passes(DEFAULT.hangover_ms - 20)
    assert room.is_talking()
    assert room.gate.quiet_ms == DEFAULT.hangover_ms - 20
    room.passes(20)
    assert not room.is_talking()
    assert room.gate.is_open


def test_with_the_gate_off_everything_leaves_once() -> None:
    """Silence and talk alike, without begin or end; whether somebody talks is judged nevertheless."""
    room = Room(GateSettings(is_always_open=True))
    room.passes(3000)
    assert not room.is_talking()
    assert room.gate.open(since_ms=300) is NOTHING
    room.passes(3000)
    room.somebody_talks(500)
    assert room.is_talking()
    assert room.gate.open(since_ms=300) is NOTHING
    room.passes(5000)
    assert not room.is_talking()
    assert room.gate.is_open
    assert room.left == list(range(1, room.number + 1))
    assert room.began == room.ended == []


@pytest.mark.parametrize(("sensitivity", "probability", "opens"), [
    (0.1, 0.9, False), (0.1, 0.99, True),
    (0.5, 0.89, False), (0.5, 0.91, True),
    (0.9, 0.75, False), (0.9, 0.85, True),
])  # fmt: skip
def test_sensitivity_says_how_sure_it_must_be(sensitivity: float, probability: float, opens: bool) -> None:
    """The more sensitive it is, the less does it take."""
    room = Room(GateSettings(sensitivity=sensitivity))
    room.passes(2000, probability)
    assert room.gate.is_open is opens


def test_a_recorded_sentence_beside_a_running_tap_leaves_whole() -> None:
    """Real speech, a real detector: it leaves once, from before its first word to behind its last one."""
    noise = (tap(8, np.random.default_rng(1))[: 8 * 16_000] * 600).astype(np.int16)
    speech = np.frombuffer(GO_FORWARD.read_bytes(), np.int16)
    noise[32_000 : 32_000 + len(speech)] += speech
    left = through(noise.tobytes())
    assert len(left) == 1
    first, last = left[0]
    assert first < 100 + 22 < 100 + 120 < last  # the words are between 0.45 and 2.4 s of the recording
    assert first > 80


def test_a_kitchen_in_which_nobody_speaks_sends_nothing() -> None:
    """Taps, fans, cutlery and doors for a minute: not a byte."""
    air = busy(60, np.random.default_rng(3), hurry=1)
    assert through((np.clip(air, -1, 1) * 32767).astype(np.int16).tobytes()) == []


def through(pcm: bytes) -> list[tuple[int, int]]:
    """Return the first and the last period of each turn that leaves."""
    detector, gate, left = make_detector(), VoiceGate(DEFAULT, 20), list[tuple[int, int]]()
    for number, at in enumerate(range(0, len(pcm) - 639, 640)):
        step = gate.hear(number.to_bytes(4, "little"), detector.hear(pcm[at : at + 640]))
        if step.began:
            left.append((int.from_bytes(step.send[0], "little"), number))
        elif step.send:
            left[-1] = (left[-1][0], number)
    return left
