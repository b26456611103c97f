"""The simulated kitchen, with the real ALSA library between it and its listener."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import alsaaudio
import numpy as np
import numpy.typing as npt
import pytest

from speakerd.errors import SpeakerdError
from speakerd.simulate.acoustics import ROOMS, Air, Room, Stream
from speakerd.simulate.card import Event, SimulatedCard
from speakerd.simulate.kitchen import Kitchen
from speakerd.simulate.levels import as_sound, at_level, level_db
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.noises import tap
from speakerd.simulate.script import Script
from speakerd.simulate.talkers import recording
from tests.integration.household import KEY, daemon, until, write_settings

DEADLINE_S = 10.0
BARE = Room(0, 0.04, high_pass_hz=1)
"""A room without reverberation, in which a click stays a click."""


@contextmanager
def microphone() -> Iterator[alsaaudio.PCM]:
    # A second: half of it is the patience with a machine that is too busy to compute the air in time.
    with pcm(alsaaudio.PCM_CAPTURE, "mic", 16_000, periods=50) as device:
        yield device


@contextmanager
def loudspeaker(periods: int = 10) -> Iterator[alsaaudio.PCM]:
    with pcm(alsaaudio.PCM_PLAYBACK, "speaker", 24_000, periods) as device:
        yield device


@contextmanager
def pcm(kind: int, device: str, rate: int, periods: int) -> Iterator[alsaaudio.PCM]:
    format_ = alsaaudio.PCM_FORMAT_S16_LE
    opened = alsaaudio.PCM(
        type=kind, device=device, rate=rate, channels=1, format=format_, periodsize=rate // 50, periods=periods
    )
    try:
        yield opened
    finally:
        opened.drop()
        opened.close()


@contextmanager
def listening() -> Iterator[None]:
    """Read the microphone in a thread of its own, as the daemon does."""
    done = threading.Event()

    def listen() -> None:
        with microphone() as device:
            while not done.is_set():
                device.read()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def kitchen(path: Path, room: Room, **options: object) -> Iterator[Kitchen]:
    with pytest.MonkeyPatch.context() as patch, Kitchen(path, room, **options) as built:  # type: ignore[arg-type]  # passed on
        for name, value in built.environment.items():
            patch.setenv(name, value)
        yield built


def captured(card: SimulatedCard) -> npt.NDArray[np.int16]:
    return np.frombuffer(card.captured(), np.int16)


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_until_captured(card: SimulatedCard, moment: float) -> None:
    def is_captured() -> bool:
        frames = len(card.captured()) // 2
        return frames > 0 and card.moment_captured(frames - 1) >= moment

    wait_until(is_captured)


def clicks(*at_s: float, seconds: float) -> bytes:
    sound = np.zeros(round(seconds * 24_000), np.int16)
    sound[[round(at * 24_000) for at in at_s]] = 20_000
    return sound.tobytes()


def loud(sound: npt.NDArray[np.int16], above: int = 6000) -> list[int]:
    """Return the frames of the peaks, one for each click."""
    peaks: list[int] = []
    for frame in np.flatnonzero(np.abs(sound.astype(int)) > above):
        if peaks and frame - peaks[-1] < 160:
            peaks[-1] = max(peaks[-1], int(frame), key=lambda at: abs(int(sound[at])))
        else:
            peaks.append(int(frame))
    return peaks


def heard_after(card: SimulatedCard, above: int = 6000) -> list[float]:
    """Return for each click how many seconds after it was played it was captured, as the card's own events say."""
    played = loud(np.frombuffer(card.played(), np.int16), above)
    heard = loud(captured(card), above)
    assert len(played) == len(heard)
    return [card.moment_captured(there) - card.moment_played(here) for here, there in zip(played, heard, strict=True)]


@pytest.mark.parametrize("room", [BARE, Room(0, 0.12, high_pass_hz=1, drift_ppm=200)], ids=["40 ms", "120 ms, drift"])
def test_an_echo_takes_the_same_time_always(tmp_path: Path, room: Room) -> None:
    """Each click of the loudspeaker is at the microphone after the delay of the room, in this reply and the next."""
    with kitchen(tmp_path, room) as built, listening():
        for _ in range(2):
            with loudspeaker() as device:
                device.write(clicks(0.05, 0.4, 0.75, seconds=0.8))
                device.drain()
        wait_until_captured(built.card, time.monotonic() + room.delay_s)
    assert built.starved == 0
    after = heard_after(built.card)
    assert len(after) == 6
    assert after == pytest.approx([built.delay_s] * 6, abs=0.0002)


def test_the_microphone_hears_what_the_arithmetic_says(tmp_path: Path) -> None:
    """Not a sample of the echo is lost, repeated or moved, from the first of a reply to its last reverberation."""
    room = ROOMS["C"]
    with kitchen(tmp_path, room, seed=3, microphone_ppm=-100) as built, listening():
        wait_until(lambda: built.card.timeline("mic"))
        with loudspeaker() as device:
            device.write(np.random.default_rng(1).integers(-9000, 9000, 36_000, np.int16).tobytes())
            device.drain()
        wait_until_captured(built.card, time.monotonic() + 0.5)
    heard, expected = captured(built.card), arithmetic(built.card, room, seed=3)
    assert built.starved == 0
    assert np.abs(heard.astype(int) - expected[: len(heard)]).max() <= 1
    assert level_db(as_sound(heard)) > -40


def arithmetic(card: SimulatedCard, room: Room, seed: int) -> npt.NDArray[np.int16]:
    """Return what should have been captured, from what the card says that was played."""
    sound = as_sound(card.played())
    start, listened = card.timeline("speaker")[0], card.timeline("mic")[0]
    stream = Stream(start.time, start.rate, lambda first, end: sound[first:end], len(sound))
    air = Air(room, seed=seed, block=1600)
    blocks = len(card.captured()) // 3200 + 1
    return np.concatenate(
        [air.hear([stream], listened.time + number * 1600 / listened.rate, listened.rate) for number in range(blocks)]
    )


def test_the_end_of_a_reply_is_heard_although_its_program_waits(tmp_path: Path) -> None:
    """What the loudspeaker still plays while the program is busy elsewhere reaches the microphone in time."""
    with kitchen(tmp_path, BARE) as built, listening():
        wait_until(lambda: built.card.timeline("mic"))
        with loudspeaker() as device:
            device.write(clicks(0.01, 0.15, seconds=0.16))
            wait_until_captured(built.card, time.monotonic() + 0.3)
            assert len(loud(captured(built.card))) == 2
    assert heard_after(built.card) == pytest.approx([0.04] * 2, abs=0.0002)


def test_what_was_dropped_is_not_heard(tmp_path: Path) -> None:
    """Nothing that waited when a reply was interrupted is heard later, although the next one is a short word."""
    with kitchen(tmp_path, BARE) as built, listening(), loudspeaker(periods=50) as device:
        device.write(clicks(0.01, 0.9, seconds=1))
        wait_until(lambda: loud(captured(built.card)))
        device.drop()
        interrupted = time.monotonic()
        device.write(clicks(0.1, seconds=0.2))
        wait_until_captured(built.card, interrupted + 1.1)
    assert len(heard_after(built.card)) == 2
    assert heard_after(built.card) == pytest.approx([0.04] * 2, abs=0.0002)


def test_an_interrupted_reply_ends_at_once(tmp_path: Path) -> None:
    """A reply that is cut off ends at the microphone where it ended at the loudspeaker."""
    with kitchen(tmp_path, BARE) as built, listening(), loudspeaker(periods=50) as device:
        device.write((9000 * np.sin(np.arange(24_000) * 2 * np.pi / 24)).astype(np.int16).tobytes())
        wait_until(lambda: loud(captured(built.card)))
        device.drop()
        wait_until_captured(built.card, time.monotonic() + 0.2)
    last = int(np.flatnonzero(np.abs(captured(built.card).astype(int)) > 3000)[-1])
    stop = built.card.timeline("speaker")[-1]
    assert built.card.moment_captured(last) - stop.time == pytest.approx(0.04, abs=0.001)


def test_people_are_heard_at_the_moment_that_is_told(tmp_path: Path) -> None:
    """Somebody who speaks is at the microphone, word for word, when it was promised."""
    said = at_level(recording("cards/003.wav"), -20)
    with kitchen(tmp_path, ROOMS["quiet"]) as built, listening():
        wait_until(lambda: built.card.timeline("mic"))
        asked = time.monotonic()
        soon, later = built.say(said), built.say(said, asked + 0.5 + len(said) / 16_000)
        assert asked <= soon
        wait_until_captured(built.card, later + len(said) / 16_000)
    for moment in (soon, later):
        first = frame_at(built.card.timeline("mic")[0], moment)
        piece = as_sound(captured(built.card)[first : first + len(said)])
        assert np.abs(piece - said).max() < 2 / 32768
    assert built.starved == 0


def frame_at(start: Event, moment: float) -> int:
    return start.frame + round((moment - start.time) * start.rate)


def test_noise_is_the_same_each_time(tmp_path: Path) -> None:
    """The same seed is the same kitchen, from the first sample that is captured."""
    noises = []
    for directory in ("one", "two"):
        noise = tap(1, np.random.default_rng(5)) * np.float32(0.01)
        with kitchen(tmp_path / directory, ROOMS["quiet"], noise=noise) as built, listening():
            wait_until(lambda card=built.card: len(card.captured()) > 2 * 24_000)  # type: ignore[misc]  # a default is not inferred
        noises.append(captured(built.card)[:24_000])
    assert (noises[0] == noises[1]).all()
    assert np.abs(as_sound(noises[0][:16_000]) - noise).max() < 2 / 32768
    assert level_db(as_sound(noises[0])) == pytest.approx(-40, abs=1)


def test_a_microphone_that_is_opened_again_is_in_time(tmp_path: Path) -> None:
    """A person mutes and un-mutes, and the echo has the delay that it had."""
    with kitchen(tmp_path, BARE) as built:
        for _ in range(2):
            with listening(), loudspeaker() as device:
                wait_until(lambda: len(built.card.captured()) > 3200)
                device.write(clicks(0.1, seconds=0.15))
                device.drain()
                wait_until_captured(built.card, time.monotonic() + 0.1)
        assert built.starved == 0
        assert heard_after(built.card) == pytest.approx([0.04] * 2, abs=0.0002)


def test_a_killed_program_leaves_the_kitchen_in_order(tmp_path: Path) -> None:
    """A program that dies in the middle of a word is followed by one that is heard as if nothing had been."""
    program = (
        "import alsaaudio; p = alsaaudio.PCM(device='speaker', rate=24000, channels=1, periodsize=480, periods=10); "
    )
    with kitchen(tmp_path, BARE) as built, listening():
        victim = subprocess.Popen([sys.executable, "-c", program + "p.write(bytes(480000))"], env=os.environ)
        wait_until(lambda: len(built.card.played()) > 4800)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        with loudspeaker() as device:
            device.write(clicks(0.1, seconds=0.15))
            device.drain()
        wait_until_captured(built.card, time.monotonic() + 0.1)
    assert heard_after(built.card) == pytest.approx([0.04], abs=0.0002)


async def test_the_daemon_stands_in_the_kitchen(tmp_path: Path) -> None:
    """A person asks over a running tap, and the answer is at the microphone again after the delay of the room."""
    room, noise = ROOMS["B"], tap(10, np.random.default_rng(1)) * np.float32(0.003)
    options = LiveApiOptions(
        tmp_path / "live", script=Script.model_validate({"thinking": 0.2}), keys=frozenset({KEY})
    )
    with Kitchen(tmp_path / "kitchen", room, noise=noise) as built:
        async with LiveApi(options) as live:
            settings = write_settings(tmp_path / "speakerd.yaml", live.url)
            variables = {**built.environment, "SSL_CERT_FILE": str(live.ca_file), "GEMINI_API_KEY": KEY}
            async with daemon(settings, **variables):
                await live.wait_for("setup")
                built.say(at_level(recording("goforward.raw"), -26))
                await live.wait_for("answer_start", timeout=30)
                await until(lambda: len(loud(np.frombuffer(built.card.played(), np.int16), 4000)), "the answer")
                first = loud(np.frombuffer(built.card.played(), np.int16), 4000)[0]
                heard = built.card.moment_played(first) + room.delay_s
                await asyncio.to_thread(wait_until_captured, built.card, heard + 1)
        assert_echo(built.card, room)


def assert_echo(card: SimulatedCard, room: Room) -> None:
    """Check that what was played, up to a second or an interruption, is in what was captured, at its moment."""
    start, listened = card.timeline("speaker")[0], card.timeline("mic")[0]
    frames = min([24_000, *(event.frame for event in card.timeline("speaker")[1:])])
    played = as_sound(card.played())[:frames]
    stream = Stream(start.time, start.rate, lambda first, end: played[first:end], frames)
    begin, block = frame_at(listened, start.time), frames * 2 // 3
    air = Air(room, block=block)
    expected = as_sound(air.hear([stream], listened.time + begin / listened.rate, listened.rate))
    heard = as_sound(captured(card))[begin : begin + block]
    # What is left is the tap, 24 dB below the answer.
    assert level_db(heard - expected) < level_db(expected) - 15


@contextmanager
def bare_card(path: Path) -> Iterator[tuple[SimulatedCard, int]]:
    """Put in a card whose air the scene itself makes."""
    with SimulatedCard(path, in_room=True) as card, pytest.MonkeyPatch.context() as patch:
        for name, value in card.environment.items():
            patch.setenv(name, value)
        air = os.open(card.file("mic", "air"), os.O_WRONLY)
        try:
            yield card, air
        finally:
            os.close(air)


def test_air_that_is_a_little_late_is_waited_for(tmp_path: Path) -> None:
    """A machine that computes the air 200 ms late makes the microphone late, and loses nothing of it."""
    sound = np.arange(1, 8001, dtype=np.int16)
    with bare_card(tmp_path) as (card, air), microphone() as device:
        threading.Timer(0.2, os.write, (air, sound.tobytes())).start()
        heard = b""
        while len(heard) < 2 * 4480:
            frames, data = device.read()
            assert frames > 0
            heard += data
    assert heard == sound[: len(heard) // 2].tobytes()
    assert "starved" not in [event.kind for event in card.timeline("mic")]


def test_air_that_does_not_come_is_told(tmp_path: Path) -> None:
    """A microphone that got no air goes on with silence, says so, and has what comes then in its right place."""
    sound = np.arange(1, 24_001, dtype=np.int16)
    with bare_card(tmp_path) as (card, air), microphone() as device:
        while len(card.captured()) < 2 * 9600:
            device.read()
        os.write(air, sound.tobytes())
        while len(card.captured()) < 2 * 16_000:
            device.read()
    heard = captured(card)
    start, starved, again, _ = card.timeline("mic")
    assert (start.kind, starved.kind, again.kind) == ("start", "starved", "heard")
    assert not heard[: again.frame].any()
    assert (heard[again.frame : 16_000] == sound[again.frame : 16_000]).all()


def test_nobody_speaks_past_the_room(tmp_path: Path) -> None:
    """In a room the card's own mouth is shut, and says where to speak."""
    with SimulatedCard(tmp_path, in_room=True) as card, pytest.raises(SpeakerdError, match="in a room"):
        card.speak(b"")
