"""The simulated room, as the real ALSA library and a real sound server make it."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import alsaaudio
import numpy as np
import pytest

from speakerd.errors import SpeakerdError
from speakerd.simulate.room import Room

DEADLINE_S = 10.0

LOUD = 8000


@contextmanager
def device(name: str) -> Iterator[alsaaudio.PCM]:
    capture = name == "mic"
    pcm = alsaaudio.PCM(
        type=alsaaudio.PCM_CAPTURE if capture else alsaaudio.PCM_PLAYBACK,
        device=name,
        rate=16_000 if capture else 24_000,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=320 if capture else 480,
        periods=8,
    )
    try:
        yield pcm
    finally:
        pcm.close()


def tone(seconds: float, rate: int) -> bytes:
    """Return a level that no silence has; resampling leaves it as it is."""
    return np.full(int(seconds * rate), LOUD, np.int16).tobytes()


def loud(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the frames in which there is sound."""
    return np.flatnonzero(np.abs(np.frombuffer(pcm, np.int16)) > LOUD // 2)


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def servers(directory: Path) -> list[str]:
    """Return the command lines of the PulseAudio servers whose settings are below a directory."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    return [line.decode() for line in lines if line.startswith(b"pulseaudio\0") and str(directory).encode() in line]


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:  # it has ended since it was listed
        return False
    return True


def test_the_microphone_hears_what_is_said(room: Room) -> None:
    """Half a second said in the room is half a second at the microphone."""
    with device("mic") as pcm:
        said = room.say(tone(0.5, 16_000))
        heard = b"".join(pcm.read()[1] for _ in range(60))
    assert said.wait(DEADLINE_S) == 0
    assert len(loud(heard)) / 16_000 == pytest.approx(0.5, abs=0.1)


def test_the_room_is_recorded(room: Room) -> None:
    """A recording of the room holds what was said in it."""
    recording = room.record("room")
    assert room.say(tone(0.3, 16_000)).wait(DEADLINE_S) == 0
    wait_until(lambda: len(loud(recording.sound())) > 0.25 * 16_000)


def test_the_speaker_is_recorded_with_its_time(room: Room) -> None:
    """A recording of the speaker says what was played, and when."""
    recording = room.record("speaker")
    began = time.monotonic()
    with device("speaker") as pcm:
        pcm.write(tone(0.5, 24_000))
    wait_until(lambda: len(loud(recording.sound())) > 0.45 * 24_000)
    played = loud(recording.stop())
    assert len(played) / 24_000 == pytest.approx(0.5, abs=0.1)
    assert recording.began + played[0] / 24_000 == pytest.approx(began, abs=0.3)


def test_drop_silences_the_speaker(room: Room) -> None:
    """What was written and not yet played is not heard after a drop."""
    recording = room.record("speaker")
    with device("speaker") as pcm:
        pcm.write(tone(0.5, 24_000))
        pcm.drop()
        dropped = time.monotonic()
    silent = len(recording.sound()) + 48_000
    wait_until(lambda: len(recording.sound()) > silent)
    played = loud(recording.stop())
    assert 0.2 < len(played) / 24_000 < 0.48
    assert recording.began + played[-1] / 24_000 < dropped + 0.3


def test_devices_go_away_and_come_back(room: Room) -> None:
    """A program loses its microphone, cannot open it, and can when it is back."""
    with device("mic") as pcm:
        pcm.read()
        room.devices_gone()
        with pytest.raises(alsaaudio.ALSAAudioError, match="Input/output error"):
            wait_until(lambda: pcm.read()[0] < 0)  # some periods may still come
    with pytest.raises(alsaaudio.ALSAAudioError, match="Input/output error"), device("mic"):
        pass
    room.devices_back()
    with device("mic") as pcm, device("speaker"):
        assert pcm.read()[0] > 0


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """After the room no server runs and no socket is left, whoever was still speaking."""
    with Room(tmp_path) as room:
        run = Path(room.environment["ALSA_CONFIG_PATH"]).parent
        assert len(servers(run)) == 1
        said = room.say(tone(60, 16_000))
        recording = room.record("room")
    assert servers(run) == []
    assert not run.exists()
    assert said.poll() is not None
    assert recording.process.poll() is not None


def test_a_server_that_does_not_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PulseAudio fails, the text says why, and nothing is left behind."""
    (tmp_path / "pulseaudio").write_text("#!/bin/sh\necho 'no more memory' >&2\nexit 1\n")
    (tmp_path / "pulseaudio").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SpeakerdError, match="no more memory"), Room(tmp_path / "room"):
        pass
    assert list(tmp_path.glob("speakerd-room-*")) == []


def test_a_missing_pulseaudio_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PulseAudio, the text says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpeakerdError, match="apt-get install -y --no-install-recommends pulseaudio"), Room(tmp_path):
        pass
