"""The acoustics of the simulated kitchen."""

import numpy as np
import pytest

from speakerd.simulate.acoustics import OFFLINE_BLOCK, ROOMS, Air, Room, Stream, Talk
from speakerd.simulate.filters import HALF, between, taps
from speakerd.simulate.levels import as_sound, at_level, level_db
from speakerd.simulate.noises import EVENTS, STEADY, Sound, tap
from speakerd.simulate.talkers import RECORDINGS, recording, television

BARE = Room(0, 0.04, high_pass_hz=1)
"""A room that only delays."""


def noise(seconds: float, rate: int, level: float = 0.1) -> Sound:
    return np.asarray(np.random.default_rng(1).standard_normal(round(seconds * rate)) * level, np.float32)


def tone(hz: float, seconds: float = 1.0, rate: int = 24_000, peak: float = 0.5) -> Sound:
    return np.asarray(peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate), np.float32)


def power_db(sound: Sound) -> float:
    return float(10 * np.log10(np.mean(sound.astype(float) ** 2) + 1e-12))


@pytest.mark.parametrize("name", ["A", "B", "C", "D"])
def test_the_first_of_an_echo_comes_after_the_delay(name: str) -> None:
    """A click is heard when the room says, and never before."""
    click = np.zeros(24_000, np.float32)
    click[4800] = 0.25  # at 200 ms
    heard = np.abs(as_sound(ROOMS[name].hear(click, seed=2)))
    first = round((0.2 + ROOMS[name].delay_s) * 16_000)
    assert abs(int(np.argmax(heard)) - first) <= 1
    assert heard[: first - 16].max() < 0.01 * heard.max()


def test_a_bare_room_changes_nothing_but_the_time() -> None:
    """What the membrane does below 5 kHz is what the microphone hears."""
    heard = as_sound(BARE.hear(tone(700, 0.5)))[1600:7200]
    expected = 0.5 * np.sin(2 * np.pi * 700 * (np.arange(1600, 7200) / 16_000 - BARE.delay_s))
    # The high-pass of 1 Hz leads by two thousandths of a period.
    assert power_db(heard - np.asarray(expected, np.float32)) < power_db(heard) - 45


def test_values_between_samples_are_true() -> None:
    """A clock that is a little fast shifts the sound by parts of a sample, with an error below -70 dB."""
    positions = np.arange(10_000, dtype=np.float64) * 1.50007 + HALF
    expected = 0.5 * np.sin(2 * np.pi * 3100 * positions / 24_000)
    value = between(tone(3100), positions, taps(24_000))
    assert power_db(np.asarray(value - expected, np.float32)) < power_db(value) - 70


def test_what_the_microphone_cannot_sample_does_not_fold_back() -> None:
    """A tone of 10 kHz, above half the microphone's rate, is not heard as a lower one."""
    heard = as_sound(BARE.hear(tone(10_000)))[2000:-2000]
    assert power_db(heard) < power_db(tone(10_000)) - 70


def test_a_small_loudspeaker_has_no_bass() -> None:
    """A hum of 60 Hz arrives 15 dB weaker than a voice."""
    room = Room(0)
    assert power_db(as_sound(room.hear(tone(60)))) < power_db(as_sound(room.hear(tone(1000)))) - 15


@pytest.mark.parametrize("name", ["A", "B", "C", "D"])
def test_reverberation_fades_in_its_time(name: str) -> None:
    """The sound that is left fades by 60 dB in the time that the room says, evenly."""
    room = ROOMS[name]
    path = room.echo_path(seed=2)
    frames = round(room.reverberation_s * 16_000)
    places = 40, frames // 2, frames - 200
    early, middle, late = (power_db(path[at : at + 200]) for at in places)
    assert early - middle == pytest.approx(60 * (places[1] - places[0]) / frames, abs=4)
    assert early - late == pytest.approx(60 * (places[2] - places[0]) / frames, abs=4)


def test_the_level_of_a_room_is_that_of_its_echo() -> None:
    """Noise arrives as loud as the room says."""
    # High-pass and sample rate take 0.9 dB and 0.8 dB of white noise; the rest is the room.
    heard = as_sound(Room(-6, reverberation_s=0.25).hear(noise(2, 24_000), seed=1))[4000:]
    assert power_db(heard) == pytest.approx(power_db(noise(2, 24_000)) - 6 - 2.5, abs=1.5)


@pytest.mark.parametrize("hard", [False, True])
def test_a_loudspeaker_that_clips_distorts(hard: bool) -> None:
    """A loud tone of 1 kHz brings one of 3 kHz with it, a quiet one does not."""
    room = Room(0, clips_at=0.3, clips_hard=hard)
    assert -20 < harmonic_db(room, 0.6) < -10
    assert harmonic_db(room, 0.02) < -60


def harmonic_db(room: Room, peak: float) -> float:
    """Return how loud the third harmonic of 1 kHz is, relative to the tone."""
    spectrum = np.abs(np.fft.rfft(as_sound(room.hear(tone(1000, peak=peak)))[4000:12_000] * np.hanning(8000)))
    return float(20 * np.log10(spectrum[1500] / spectrum[500]))


def test_a_fast_loudspeaker_runs_away() -> None:
    """With a clock that is 50 ppm fast a click at 60 s is heard 3 ms early."""
    sound = np.zeros(61 * 24_000, np.float32)
    sound[60 * 24_000] = 0.5
    heard = np.argmax(np.abs(Room(0, drift_ppm=50).hear(sound).astype(int)))
    assert heard / 16_000 == pytest.approx(60 / (1 + 50e-6) + 0.04, abs=0.0001)


def test_the_same_seed_is_the_same_room() -> None:
    """A measurement can be repeated to the sample, and another seed is another room."""
    played = noise(0.5, 24_000)
    one, same, other = (ROOMS["B"].hear(played, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert not (one == other).all()


@pytest.mark.parametrize("block", [160, 333])
def test_pieces_are_heard_like_the_whole(block: int) -> None:
    """In real time, in small blocks, the microphone hears what it hears of a recording."""
    room, played = ROOMS["C"], noise(1, 24_000)
    stream = Stream(0.0, 24_000 * (1 + 50e-6), lambda first, end: played[first:end], len(played))
    air = Air(room, seed=4, block=block)
    pieces = np.concatenate([air.hear([stream], first / 16_000) for first in range(0, 16_000, block)])[:16_000]
    assert np.abs(pieces.astype(int) - room.hear(played, seed=4)).max() <= 1
    assert block < OFFLINE_BLOCK


def test_a_reply_in_two_streams_is_the_sum_of_both() -> None:
    """The reverberation of a reply that was cut goes on while the next one begins."""
    played, room = noise(1, 24_000), ROOMS["B"]
    parts = [
        Stream(0.0, 24_000, lambda first, end: played[first:end], 12_345),
        Stream(12_345 / 24_000, 24_000, lambda first, end: played[12_345 + first : 12_345 + end], 24_000 - 12_345),
    ]
    air = Air(room, seed=4, block=160)
    pieces = np.concatenate([air.hear(parts, first / 16_000) for first in range(0, 16_000, 160)])
    assert np.abs(pieces.astype(int) - room.hear(played, seed=4)).max() <= 1


def test_an_echo_does_not_wait_for_a_microphone() -> None:
    """What sounded before the microphone was closed is not heard when it is opened again."""
    played, air = noise(1, 24_000), Air(ROOMS["B"], block=1600)
    assert air.hear([Stream(0.0, 24_000, lambda first, end: played[first:end])], 0.5).any()
    air.forget()
    assert not air.hear([], 60.0).any()


def test_a_talk_is_heard_at_its_moment() -> None:
    """Somebody speaks from the moment on that was asked for, and is not changed in a room without reverberation."""
    said = noise(0.5, 16_000)
    heard = as_sound(ROOMS["quiet"].hear(np.zeros(48_000, np.float32), [Talk(0.75, said)]))
    assert np.abs(heard[12_000:20_000] - said).max() < 2 / 32768
    assert not heard[:12_000].any()
    assert not heard[20_000:].any()


def test_a_talk_reverberates_at_its_level() -> None:
    """In a room a voice is followed by reverberation, and is as loud as it was asked to be."""
    said = at_level(recording("goforward.raw"), -26)
    heard = as_sound(ROOMS["D"].hear(np.zeros(96_000, np.float32), [Talk(0.0, said)], seed=1))
    assert level_db(heard) == pytest.approx(-26, abs=1.5)
    assert not np.allclose(heard[: len(said)], said, atol=0.001)


def test_what_was_said_too_early_is_lost() -> None:
    """Who speaks before anybody listens is heard from the middle of the word on."""
    said = noise(0.5, 16_000)
    heard = as_sound(ROOMS["quiet"].hear(np.zeros(24_000, np.float32), [Talk(-0.25, said)]))
    assert np.abs(heard[:4000] - said[4000:]).max() < 2 / 32768


def test_noise_begins_again() -> None:
    """A second of running water fills a kitchen for as long as is wanted."""
    water = tap(1, np.random.default_rng(1)) * np.float32(0.01)
    heard = as_sound(ROOMS["quiet"].hear(np.zeros(0, np.float32), noise=water, seconds=2.5))
    assert len(heard) == 40_000
    assert np.abs(heard - np.tile(water, 3)[:40_000]).max() < 2 / 32768


def test_a_quiet_room_has_no_echo() -> None:
    """Nobody hears the loudspeaker of a quiet room, however loud it is."""
    assert not ROOMS["quiet"].hear(noise(1, 24_000)).any()


def test_too_loud_is_clipped_and_does_not_wrap() -> None:
    """A voice above full scale stops there."""
    heard = ROOMS["quiet"].hear(np.zeros(24_000, np.float32), [Talk(0.0, tone(100, rate=16_000, peak=3.0))])
    assert (heard.max(), heard.min()) == (32767, -32768)
    assert (heard[10:70] > 0).all()


def test_pauses_do_not_make_a_talk_quieter() -> None:
    """The level of a talk is that of its words."""
    words = noise(1, 16_000)
    paused = np.concatenate([words, np.zeros(32_000, np.float32)])
    assert level_db(paused) == pytest.approx(level_db(words))
    assert level_db(words) == pytest.approx(-20, abs=0.3)
    assert level_db(at_level(paused, -30)) == pytest.approx(-30, abs=0.1)
    assert level_db(np.zeros(0, np.float32)) == -100


def test_an_echo_can_be_told_before_it_is_heard() -> None:
    """The level of an echo is known, so that somebody can speak 6 dB above it."""
    played = at_level(recording(RECORDINGS[8]), -20)
    room = ROOMS["A"]
    assert room.echo_db(played, rate=16_000) == pytest.approx(-20 - 12, abs=3)


def test_a_television_talks_on() -> None:
    """A television is heard without end, at its level, and another one shows something else."""
    one, same, other = (television(20, np.random.default_rng(seed), -45) for seed in (1, 1, 2))
    assert len(one) == 320_000
    assert (one == same).all()
    assert not (one[:16_000] == other[:16_000]).all()
    assert level_db(one) == pytest.approx(-45, abs=2)


@pytest.mark.parametrize("name", [*STEADY, *EVENTS])
def test_noises_are_reproducible(name: str) -> None:
    """A tap, a cough, a clink: each is the same from the same seed, and has unit power."""
    one, same, other = (made(name, seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert not np.array_equal(one, other)
    assert power_db(one) == pytest.approx(0, abs=0.01)


def made(name: str, seed: int) -> Sound:
    random = np.random.default_rng(seed)
    return STEADY[name](1, random) if name in STEADY else EVENTS[name][0](random)
