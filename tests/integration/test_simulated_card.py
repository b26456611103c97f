"""The simulated sound card, as the real ALSA library sees it."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import alsaaudio
import numpy as np
import pytest

from speakerd.errors import SpeakerdError
from speakerd.simulate.card import Converter, SimulatedCard

DEADLINE_S = 10.0


@contextmanager
def microphone(device: str = "mic", periods: int = 8) -> Iterator[alsaaudio.PCM]:
    pcm = alsaaudio.PCM(
        type=alsaaudio.PCM_CAPTURE,
        device=device,
        rate=16_000,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=320,
        periods=periods,
    )
    try:
        yield pcm
    finally:
        pcm.close()


@contextmanager
def loudspeaker(device: str = "speaker", periods: int = 8) -> Iterator[alsaaudio.PCM]:
    pcm = alsaaudio.PCM(
        type=alsaaudio.PCM_PLAYBACK,
        device=device,
        rate=24_000,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=480,
        periods=periods,
    )
    try:
        yield pcm
    finally:
        pcm.close()


def listen(pcm: alsaaudio.PCM, seconds: float) -> bytes:
    heard = b""
    while len(heard) < seconds * 32_000:
        frames, data = pcm.read()
        assert frames > 0
        heard += data
    return heard


def noise(seconds: float, rate: int) -> bytes:
    """Return noise in which no sample is silent."""
    return np.random.default_rng(7).integers(1, 32_767, int(seconds * rate), np.int16).tobytes()


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kinds(card: SimulatedCard, direction: str) -> list[str]:
    return [event.kind for event in card.timeline("mic" if direction == "mic" else "speaker")]


@contextmanager
def seen(card: SimulatedCard, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedCard]:
    with card:
        for name, value in card.environment.items():
            monkeypatch.setenv(name, value)
        yield card


def test_sound_is_captured_at_its_own_pace(card: SimulatedCard) -> None:
    """Half a second of sound takes half a second to hear."""
    with microphone() as pcm:
        began = time.monotonic()
        listen(pcm, 0.5)
        assert 0.49 < time.monotonic() - began < 2


def test_what_is_spoken_is_what_is_captured(card: SimulatedCard) -> None:
    """Every sample of a sentence longer than any buffer arrives, in order, without a gap."""
    spoken = noise(2.2, 16_000)
    card.speak(spoken)
    with microphone() as pcm:
        heard = listen(pcm, 2.4)
    assert heard.strip(b"\0") == spoken
    assert card.captured().startswith(heard)


def test_speaking_does_not_wait(card: SimulatedCard) -> None:
    """A minute is spoken without waiting for a listener, and forgotten when it is hushed."""
    began = time.monotonic()
    card.speak(bytes(60 * 32_000))
    assert time.monotonic() - began < 1
    assert card.unheard_s == pytest.approx(60)
    card.hush()
    assert card.unheard_s == 0
    card.speak(noise(0.1, 16_000))
    with microphone() as pcm:
        assert listen(pcm, 0.2).strip(b"\0") == noise(0.1, 16_000)


def test_silence_is_told_from_speech(card: SimulatedCard) -> None:
    """The timeline tells where speech began and where it ended, to the sample."""
    with microphone() as pcm:
        listen(pcm, 0.1)
        card.speak(noise(0.2, 16_000))
        listen(pcm, 0.6)
    assert kinds(card, "mic") == ["start", "starved", "heard", "starved", "stop"]
    begin, end = (event.frame for event in card.timeline("mic")[2:4])
    captured = np.frombuffer(card.captured(), np.int16)
    assert end - begin == 3200
    assert captured[begin:end].tobytes() == noise(0.2, 16_000)
    assert not captured[:begin].any()
    assert not captured[end:].any()


def test_sound_is_never_captured_before_it_was_made(card: SimulatedCard) -> None:
    """What is said now is not heard in the past, although the microphone looks up only once a period."""
    with microphone() as pcm:
        listen(pcm, 0.1)
        said = time.monotonic()
        card.speak(noise(0.1, 16_000))
        listen(pcm, 0.2)
    (heard,) = (event for event in card.timeline("mic") if event.kind == "heard")
    assert heard.time >= said
    assert heard.time == pytest.approx(card.moment_captured(heard.frame), abs=1e-6)


def test_a_slow_listener_loses_sound(card: SimulatedCard) -> None:
    """Who does not read in time is told once, and what was said meanwhile is gone."""
    card.speak(np.arange(1, 32_001, dtype=np.int16).tobytes())
    with microphone() as pcm:
        listen(pcm, 0.02)
        time.sleep(0.5)  # the program is busy with something else
        assert pcm.read() == (-errno.EPIPE, b"")
        assert np.frombuffer(listen(pcm, 0.02), np.int16)[0] > 0.5 * 16_000
    assert kinds(card, "mic")[:3] == ["start", "xrun", "start"]
    assert card.timeline("mic")[1].frame == 9 * 320


def test_what_is_written_is_what_is_played(card: SimulatedCard) -> None:
    """Every sample leaves the loudspeaker, and closing waits for the last one."""
    sound = noise(0.5, 24_000)
    began = time.monotonic()
    with loudspeaker() as pcm:
        pcm.write(sound)
    assert 0.49 < time.monotonic() - began < 2
    assert card.played() == sound
    assert kinds(card, "speaker") == ["start", "stop"]


def test_draining_costs_no_work(card: SimulatedCard) -> None:
    """Waiting for the last sample is sleep, not a loop."""
    with loudspeaker(periods=50) as pcm:
        pcm.write(noise(0.8, 24_000))
        worked = time.process_time()
    assert time.process_time() - worked < 0.2


def test_a_slow_player_underruns(card: SimulatedCard) -> None:
    """Who does not write in time is told once, and the timeline knows the moment of silence."""
    block = noise(0.06, 24_000)
    with loudspeaker() as pcm:
        pcm.write(block)
        time.sleep(0.2)  # the network is slow
        assert pcm.write(block) == -errno.EPIPE
        assert pcm.write(block) > 0
    assert card.played() == 2 * block
    start, xrun, again, stop = card.timeline("speaker")
    assert (start.kind, xrun.kind, again.kind, stop.kind) == ("start", "xrun", "start", "stop")
    assert xrun.time - start.time == pytest.approx(0.06)
    assert (xrun.frame, again.frame, stop.frame) == (1440, 1440, 2880)


def test_drop_cuts_off_what_was_not_played(card: SimulatedCard) -> None:
    """After a drop nothing more is played, and what was played before it is exactly known."""
    sound = noise(1, 24_000)
    with loudspeaker(periods=60) as pcm:
        pcm.write(sound)
        time.sleep(0.2)  # a person interrupts
        pcm.drop()
        dropped = time.monotonic()
        played = card.played()
    start, stop = card.timeline("speaker")
    assert card.played() == played
    assert sound.startswith(played)
    assert stop.frame == len(played) // 2
    assert 0.2 < stop.time - start.time < 0.9
    assert stop.time <= dropped


def test_drop_frees_a_waiting_writer(card: SimulatedCard) -> None:
    """A thread that waits in a write returns when another thread drops."""
    with loudspeaker(periods=4) as pcm:
        began = time.monotonic()

        def play() -> None:
            # An error means that nothing was taken, a short count that a part was; either is a drop.
            try:
                pcm.write(noise(5, 24_000))
            except alsaaudio.ALSAAudioError:
                return

        writer = threading.Thread(target=play)
        writer.start()
        wait_until(lambda: len(card.played()) > 4800)
        pcm.drop()
        writer.join(DEADLINE_S)
        assert time.monotonic() - began < 4


def test_an_unplugged_microphone_fails_and_comes_back(card: SimulatedCard) -> None:
    """A program that waits for sound is told that the card is gone; plugged in again, it can be opened again."""
    with microphone() as pcm:
        listen(pcm, 0.02)
        threading.Timer(0.05, card.unplug).start()
        with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
            listen(pcm, DEADLINE_S)
        with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"), microphone():
            pass
        card.replug()
        with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
            pcm.read()  # the old handle stays dead
    with microphone() as pcm:
        listen(pcm, 0.02)


def test_an_unplugged_loudspeaker_fails_and_comes_back(card: SimulatedCard) -> None:
    """A program that waits to write is told that the card is gone; plugged in again, it plays again."""
    with loudspeaker() as pcm:
        threading.Timer(0.05, card.unplug).start()
        assert pcm.write(noise(5, 24_000)) < 24_000  # it tells first how much of it was taken
        with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
            pcm.write(noise(5, 24_000))
        assert kinds(card, "speaker") == ["start", "stop"]
    card.replug()
    with loudspeaker() as pcm:
        pcm.write(noise(0.1, 24_000))
    assert card.played().endswith(noise(0.1, 24_000))


def test_a_card_in_use_is_busy(card: SimulatedCard) -> None:
    """Nobody else opens the microphone while it is open, in this process or in another."""
    program = "import alsaaudio; alsaaudio.PCM(alsaaudio.PCM_CAPTURE, device='mic')"
    with microphone():
        with pytest.raises(alsaaudio.ALSAAudioError, match="busy"), microphone():
            pass
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_S)
        assert "Device or resource busy" in done.stderr
        with loudspeaker():
            pass
    with microphone():
        pass


def test_a_rate_that_is_not_offered_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card for 48 kHz stereo says so to whoever asks for something else."""
    with (
        seen(SimulatedCard(tmp_path, microphone=Converter(rate=48_000, channels=2)), monkeypatch),
        microphone() as pcm,
    ):
        info = pcm.info()
        assert (info["rate"], info["channels"]) == (48_000, 2)


def test_plug_converts_rate_and_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that wants 16 kHz mono gets it from a card for 48 kHz stereo, and plays so too, through ``plug``."""
    wide = Converter(rate=48_000, channels=2)
    with seen(SimulatedCard(tmp_path, microphone=wide, speaker=wide), monkeypatch) as card:
        card.speak(np.full(8000, 1000, np.int16).tobytes())
        with microphone("plug:mic") as pcm:
            heard = np.frombuffer(listen(pcm, 0.6), np.int16)
        assert np.count_nonzero(np.abs(heard - 1000) < 100) == pytest.approx(8000, rel=0.05)
        with loudspeaker("plug:speaker") as pcm:
            pcm.write(np.full(12_000, 1000, np.int16).tobytes())
        played = np.frombuffer(card.played(), np.int16)
        assert np.count_nonzero(np.abs(played - 1000) < 100) == pytest.approx(48_000, rel=0.05)


def test_default_is_the_card(card: SimulatedCard) -> None:
    """A program that names no device uses the simulated card, never a real one."""
    card.speak(noise(0.1, 16_000))
    with microphone("default") as pcm:
        assert listen(pcm, 0.2).strip(b"\0") == noise(0.1, 16_000)
    with loudspeaker("default") as pcm:
        pcm.write(noise(0.1, 24_000))
    assert card.played() == noise(0.1, 24_000)


def test_the_moment_of_a_played_sample_is_known(card: SimulatedCard) -> None:
    """The first sample leaves during the first write, and the last before the end of the drain."""
    before = time.monotonic()
    with loudspeaker() as pcm:
        pcm.write(noise(0.1, 24_000))
        written = time.monotonic()
        pcm.write(noise(0.4, 24_000))
    drained = time.monotonic()
    assert before <= card.moment_played(0) <= written
    assert card.moment_played(11_999) <= drained < card.moment_played(11_999) + 0.5
    assert card.moment_played(11_999) - card.moment_played(0) == pytest.approx(11_999 / 24_000)
    with pytest.raises(LookupError):
        card.moment_played(12_000)


def test_the_moment_of_a_captured_sample_is_known(card: SimulatedCard) -> None:
    """A sample is read after it was captured, in the first stream and in the one after it."""
    for _ in range(2):
        with microphone() as pcm:
            listen(pcm, 0.1)
            heard = time.monotonic()
        start = [event for event in card.timeline("mic") if event.kind == "start"][-1]
        last = start.frame + 1599
        assert card.moment_captured(last) <= heard < card.moment_captured(last) + 0.5


def test_a_slow_clock_plays_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock at half the speed takes twice the time."""
    with seen(SimulatedCard(tmp_path, speaker=Converter(ppm=-500_000)), monkeypatch) as card:
        began = time.monotonic()
        with loudspeaker() as pcm:
            pcm.write(noise(0.2, 24_000))
        assert time.monotonic() - began > 0.39
        assert card.moment_played(4799) - card.moment_played(0) == pytest.approx(4799 / 12_000)


def test_any_directory_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks, colons and quotation marks in a path are no trouble."""
    with seen(SimulatedCard(tmp_path / 'my: "card" \\ so'), monkeypatch) as card:
        with loudspeaker() as pcm:
            pcm.write(noise(0.1, 24_000))
        assert card.played() == noise(0.1, 24_000)


@pytest.mark.parametrize(
    "compiler",
    [None, "echo '<stdin>:1:10: fatal error: alsa/asoundlib.h: No such file or directory' >&2; exit 1"],
    ids=["no compiler", "no header files"],
)
def test_a_missing_compiler_is_named(tmp_path: Path, compiler: str | None) -> None:
    """Without compiler or header files, the text says what to install."""
    if compiler:
        (tmp_path / "gcc").write_text(f"#!/bin/sh\n{compiler}\n")
        (tmp_path / "gcc").chmod(0o755)
    program = "import pathlib, speakerd.simulate.card as c; c.SimulatedCard(pathlib.Path('x')).__enter__()"
    environment = {**os.environ, "PATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "SpeakerdError" in done.stderr
    assert "apt-get install -y --no-install-recommends gcc libc6-dev libasound2-dev" in done.stderr


def test_a_card_that_is_not_in_hears_nothing(tmp_path: Path) -> None:
    """Speaking to a card outside its block is a mistake, and is told as one."""
    with pytest.raises(SpeakerdError, match="with block"):
        SimulatedCard(tmp_path).speak(b"")
