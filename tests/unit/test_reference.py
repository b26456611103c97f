"""What was played, and when?"""

import random
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from speakerd.sound.reference import GAP, RATE, STALL, Reference, Track

Samples: TypeAlias = npt.NDArray[np.int16]

BLOCK = 480  # 20 ms at 24 kHz
PERIOD = 320


def music(seconds: float) -> Samples:
    """Return sound in which every moment is different, and nothing is above 4 kHz."""
    slow = np.random.default_rng(5).normal(0, 4000, int(seconds * 8000)).astype(np.float32)
    return np.asarray(np.clip(soxr.resample(slow, 8000, 24_000), -32768, 32767), np.int16)


def play(reference: Reference, sound: Samples, at: float, jitter: float = 0) -> None:
    source = random.Random(2)
    for begin in range(0, len(sound) - BLOCK + 1, BLOCK):
        wrong = source.uniform(-jitter, jitter)
        reference.played(sound[begin : begin + BLOCK].tobytes(), at + begin / 24_000 + wrong)


def hear(reference: Reference, at: float, seconds: float) -> Samples:
    periods = range(int(seconds * RATE) // PERIOD)
    return np.frombuffer(b"".join(reference.heard_at(at + n * PERIOD / RATE, PERIOD) for n in periods), np.int16)


def lag(heard: Samples, sound: Samples) -> int:
    """Return by how many samples of 16 kHz something is heard after it was played."""
    wanted = soxr.resample(sound.astype(np.float32), 24_000, RATE)[: len(heard)]
    size = 1 << (2 * len(heard)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard.astype(np.float64), size) * np.conj(np.fft.rfft(wanted, size)))
    peak = int(np.argmax(product))
    return peak if peak < size // 2 else peak - size


def test_it_is_heard_when_it_sounded() -> None:
    """Sample by sample, whatever was heard when it was told: half of the delay of a device may lie between."""
    reference, sound = Reference(), music(1)
    play(reference, sound, 100.0)
    assert lag(hear(reference, 100.0, 0.9), sound) == 0


def test_what_nobody_played_is_silence() -> None:
    """Before it, behind it, and between two answers."""
    reference, sound = Reference(), music(0.4)
    play(reference, sound, 100.0)
    play(reference, sound, 101.0)
    heard = hear(reference, 99.5, 2.4)
    assert not heard[: RATE // 2 - 32].any()
    assert not heard[int(0.92 * RATE) : int(1.48 * RATE)].any()
    assert not heard[int(1.92 * RATE) :].any()
    assert lag(heard[int(1.5 * RATE) : int(1.9 * RATE)], sound) == 0


def test_times_that_are_a_little_wrong_move_nothing() -> None:
    """A machine that looks at its clock late does not tear the sound."""
    exact, shaken, sound = Reference(), Reference(), music(1.5)
    play(exact, sound, 100.0)
    play(shaken, sound, 100.0, jitter=0.008)
    one, other = hear(exact, 100.2, 1.2), hear(shaken, 100.2, 1.2)
    assert abs(lag(other, sound) - lag(one, sound)) <= 0.008 * RATE
    steps = [int(np.argmax(np.abs(other[n : n + 1] - other[n + 1 : n + 2]))) for n in range(100)]
    assert len(steps) == 100
    power = float(np.mean((other - np.roll(one, lag(other, sound) - lag(one, sound))).astype(float) ** 2))
    assert power < float(np.mean(one.astype(float) ** 2)) / 10


def test_who_falls_silent_is_not_heard_on() -> None:
    """What the device had been given and never played makes no echo."""
    reference, sound = Reference(), music(1)
    play(reference, sound, 100.0)
    reference.cut(100.5)
    heard = hear(reference, 100.0, 0.9)
    assert heard[: RATE // 2].any()
    assert not heard[RATE // 2 :].any()


@pytest.mark.parametrize("ppm", [-200, 200])
def test_another_clock_is_followed(ppm: int) -> None:
    """An hour of a device whose clock is wrong, on a machine that is late at times: never two milliseconds off."""
    track, source = Track(STALL), random.Random(4)
    for block in range(180_000):
        at = 1000 + block * 0.02 * (1 + ppm * 1e-6)
        place, is_new = track.place(at + source.expovariate(200), PERIOD)
        assert is_new is (block == 0)
        if block > 1000:
            assert abs(place - at * RATE) < 0.002 * RATE


def test_a_loudspeaker_that_ran_dry_begins_anew() -> None:
    """What comes 50 ms late sounds 50 ms late."""
    track = Track(GAP)
    for block in range(100):
        assert track.place(block * 0.02, PERIOD) == (block * PERIOD, block == 0)
    assert track.place(2.05, PERIOD) == (round(2.05 * RATE), True)
    assert track.place(2.07, PERIOD) == (round(2.07 * RATE), False)


def test_a_machine_that_is_late_tears_nothing() -> None:
    """Sound that waited for 150 ms was captured when it was."""
    track = Track(STALL)
    for block in range(100):
        track.place(block * 0.02, PERIOD)
    late = [track.place(2.15 + block * 0.002, PERIOD) for block in range(8)]
    assert late == [((100 + block) * PERIOD, False) for block in range(8)]
    assert track.place(2.16, PERIOD) == (108 * PERIOD, False)


def test_a_start_that_was_noticed_late_is_put_right() -> None:
    """A machine that is busy when the microphone begins knows within a second when that was."""
    track = Track(STALL)
    for block in range(20):
        track.place(block * 0.02 + 0.1 * (block < 10), PERIOD)
    assert track.place(0.4, PERIOD) == (20 * PERIOD, False)
