"""Does somebody talk over the loudspeaker?"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speakerd.simulate.noises import RATE, Random, Sound, clink, cough, pink, thud
from speakerd.sound.barge_in import ALONE_MS, PATIENCE_MS, QUIET_MS, SURE_MS, Action, BargeIn
from speakerd.sound.level import level_db
from speakerd.sound.voice import make_detector

GO_FORWARD = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
RESIDUAL_DB, MARGIN_DB = -60.0, 10.0
VOICE, NOISE = 0.9, 0.1


class Room:
    """A room in which the loudspeaker speaks; it notes what it is told to do, and when."""

    def __init__(self) -> None:
        self.judge = BargeIn(MARGIN_DB)
        self.now_ms = 0
        self.told: list[tuple[int, Action]] = []

    def passes(
        self, ms: int, near_db: float = RESIDUAL_DB, probability: float = NOISE, sounding: bool = True
    ) -> None:
        for _ in range(ms // 20):
            self.now_ms += 20
            action = self.judge.hear(
                sounding=sounding, near_db=near_db, residual_db=RESIDUAL_DB, probability=probability
            )
            if action is not Action.NONE:
                self.told.append((self.now_ms, action))

    def clatters(self, ms: int) -> None:
        self.passes(ms, near_db=-30)

    def somebody_talks(self, ms: int) -> None:
        self.passes(ms, near_db=-30, probability=VOICE)

    def falls_silent(self) -> None:
        self.passes(20, sounding=False)


def test_the_echo_alone_changes_nothing() -> None:
    """It never interrupts itself."""
    room = Room()
    room.passes(60_000)
    room.passes(60_000, near_db=RESIDUAL_DB + MARGIN_DB)
    assert room.told == []


def test_a_voice_over_the_loudspeaker_stops_it() -> None:
    """It lowers its voice within 60 ms and is silent when it is sure, without asking the server."""
    room = Room()
    room.passes(1000)
    room.somebody_talks(500)
    assert room.told == [(1060, Action.DUCK), (1000 + SURE_MS, Action.STOP)]


def test_a_voice_that_is_recognised_late_stops_it_too() -> None:
    """While it speaks softly, it takes the time to be sure."""
    room = Room()
    room.clatters(300)
    room.somebody_talks(500)
    assert room.told == [(60, Action.DUCK), (300 + SURE_MS, Action.STOP)]


@pytest.mark.parametrize("ms", [60, 100, 200])
def test_a_clink_lowers_its_voice_for_a_moment(ms: int) -> None:
    """It was nothing: the reply goes on as loud as before."""
    room = Room()
    room.clatters(ms)
    room.passes(5000)
    assert room.told == [(60, Action.DUCK), (ms + QUIET_MS, Action.RESUME)]


def test_a_click_does_nothing() -> None:
    """What is over before it can be judged is not worth it."""
    room = Room()
    for _ in range(20):
        room.clatters(40)
        room.passes(100)
    assert room.told == []


def test_a_cough_that_is_a_voice_for_a_moment_does_not_stop_it() -> None:
    """The reply goes on."""
    room = Room()
    room.clatters(100)
    room.somebody_talks(80)
    room.clatters(100)
    room.passes(1000)
    assert [action for _, action in room.told] == [Action.DUCK, Action.RESUME]


def test_a_soft_voice_stops_it_as_well() -> None:
    """Somebody who is no louder than the echo is believed after a little longer."""
    room = Room()
    room.passes(2000, probability=VOICE)
    assert room.told == [(ALONE_MS, Action.STOP)]


def test_a_mixer_is_given_up_on() -> None:
    """What goes on and on and is no voice lowers its voice once, until it ends; its end is no new sound."""
    room = Room()
    room.clatters(60_000)
    room.passes(5000)
    assert room.told == [(60, Action.DUCK), (60 + PATIENCE_MS, Action.RESUME)]
    room.clatters(100)
    assert room.told[2:] == [(65_060, Action.DUCK)]


def test_who_talks_beside_a_mixer_is_heard() -> None:
    """A voice counts also while a sound that came to nothing goes on."""
    room = Room()
    room.clatters(10_000)
    room.somebody_talks(500)
    assert room.told[-1] == (10_000 + ALONE_MS, Action.STOP)


def test_a_reply_that_ends_while_it_is_soft_leaves_the_next_one_loud() -> None:
    """The next reply is not spoken softly for the sake of a clink in this one."""
    room = Room()
    room.clatters(100)
    room.falls_silent()
    assert room.told == [(60, Action.DUCK), (120, Action.RESUME)]


def test_it_stops_once() -> None:
    """What is said while the last sound fades does nothing more; the next reply can be interrupted again."""
    room = Room()
    room.somebody_talks(2000)
    room.falls_silent()
    assert room.told == [(60, Action.DUCK), (SURE_MS, Action.STOP)]
    room.somebody_talks(SURE_MS)
    assert room.told[2:] == [(2080, Action.DUCK), (2020 + SURE_MS, Action.STOP)]


def test_while_the_loudspeaker_is_silent_there_is_nothing_to_interrupt() -> None:
    """Talk is no interruption then, nor part of one."""
    room = Room()
    room.passes(1000, near_db=-20, probability=VOICE, sounding=False)
    room.passes(1000)
    assert room.told == []


def test_it_knows_since_when_somebody_talks() -> None:
    """So that the first word of an interruption reaches the server."""
    room = Room()
    room.passes(1000)
    assert room.judge.since_ms == 0
    room.clatters(200)
    room.somebody_talks(SURE_MS)
    assert room.told[-1] == (1200 + SURE_MS, Action.STOP)
    assert room.judge.since_ms == 200 + SURE_MS


@pytest.mark.parametrize("make", [clink, thud])
def test_cutlery_and_doors_do_not_stop_it(make: Callable[[Random], Sound]) -> None:
    """Twenty of them, as loud as talk, and a real detector: the reply goes on, as loud as before."""
    random = np.random.default_rng(1)
    told = listen([make(random) * np.float32(0.05) for _ in range(20)])
    assert Action.DUCK in told
    assert Action.STOP not in told
    assert told[-1] is Action.RESUME


def test_hardly_a_cough_stops_it() -> None:
    """Of twenty coughs two at most are taken for a voice; each one only lowers it else."""
    random = np.random.default_rng(1)
    told = listen([cough(random) * np.float32(0.05) for _ in range(20)])
    assert told.count(Action.STOP) <= 2
    assert told.count(Action.RESUME) >= 18


def test_a_recorded_voice_stops_it() -> None:
    """Real speech, a real detector."""
    speech = np.asarray(np.frombuffer(GO_FORWARD.read_bytes(), np.int16) / 32768, np.float32)
    assert listen([speech])[-1] is Action.STOP


def listen(sounds: list[Sound]) -> list[Action]:
    """Return what the loudspeaker is told over each of these sounds, one reply for each."""
    random, detector, judge, told = np.random.default_rng(2), make_detector(), BargeIn(MARGIN_DB), list[Action]()
    for sound in sounds:
        judge.reset()
        air = pink(4 + len(sound) / RATE, random) * np.float32(10 ** (RESIDUAL_DB / 20))
        air[2 * RATE : 2 * RATE + len(sound)] += sound
        pcm = (np.clip(air, -1, 1) * 32767).astype(np.int16).tobytes()
        for at in range(0, len(pcm) - 639, 640):
            near, probability = level_db(pcm[at : at + 640]), detector.hear(pcm[at : at + 640])
            told.append(judge.hear(sounding=True, near_db=near, residual_db=RESIDUAL_DB, probability=probability))
    return [action for action in told if action is not Action.NONE]
