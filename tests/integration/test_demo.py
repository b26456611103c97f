"""The demo, as somebody runs it who has just cloned the repository; its recordings are judged anew."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerd.errors import SpeakerdError
from speakerd.simulate.daemon import Daemon
from speakerd.simulate.room import Room
from speakerd.simulate.speech import questions

DEADLINE_S = 60.0
MARK = "SPEAKERD_DEMO_SCENE"
"""An environment variable that all descendants of a demo have."""

Samples = NDArray[np.float64]

LEFT = [
    "answers/answer-1.wav",
    "answers/answer-2.wav",
    "conversation.png",
    "daemon.jsonl",
    "events.jsonl",
    "loudspeaker.wav",
    "microphone.wav",
]


@dataclass(frozen=True)
class Place:
    """Where a demo runs, with nothing in it but the demo's own traces."""

    path: Path

    @property
    def output(self) -> Path:
        return self.path / "work" / "demo-out"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "GEMINI_API_KEY"}
        for name in ("home", "tmp", "work"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        own = {
            "HOME": f"{self.path}/home",
            "TMPDIR": f"{self.path}/tmp",
            # Two programs leave something at home that is not looked at: matplotlib its list of fonts, and espeak-ng,
            # which looks for a sound server even where it only writes a file, a directory of PulseAudio's.
            "MPLCONFIGDIR": f"{self.path}/fonts",
            "PULSE_SERVER": "unix:/nonexistent",
        }
        return {**kept, **own, MARK: str(self.path), **more}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "speakerd", "demo", "--output", "demo-out", *arguments],
            cwd=self.path / "work" if (env := self.environment(**environment)) else None,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Start a demo; whatever the scene makes of it, nothing of it survives."""
        demo = self.start(*arguments, **environment)
        try:
            yield demo
        finally:
            demo.kill()
            demo.wait()
            for pipe in (demo.stdout, demo.stderr):
                if pipe is not None:
                    pipe.close()
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)

    def processes(self, words: bytes = b"") -> list[int]:
        """Return the living processes of the demo here that have these words in their command line."""
        return [pid for pid in _descendants(str(self.path)) if words in _read(Path(f"/proc/{pid}/cmdline"))]

    def rubbish(self) -> list[Path]:
        """Return what is left outside of the output directory."""
        left = [path for name in ("home", "tmp", "work") for path in (self.path / name).rglob("*")]
        return [path for path in left if path != self.output and self.output not in path.parents]

    def sound(self, name: str, rate: int) -> Samples:
        with wave.open(str(self.output / name), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.output / name).read_text().splitlines()]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended since it was listed
        return b""


def _descendants(mark: str) -> list[int]:
    own = f"{MARK}={mark}\0".encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if own in _read(path)]


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_line(demo: subprocess.Popen[str], words: str) -> None:
    """Read what a demo prints up to a line with these words."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}: {demo.stderr.read() if demo.stderr else ''}")


def likeness(one: Samples, other: Samples) -> float:
    power = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / power if power else 0.0


def locate(piece: Samples, sound: Samples) -> tuple[int, float]:
    """Return where in a sound a piece fits best, and how well."""
    size = len(piece) + len(sound)
    common = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(piece, size).conj(), size)
    at = int(np.argmax(common[: max(1, len(sound) - len(piece))]))
    return at, likeness(piece, sound[at : at + len(piece)])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, "subprocess.CompletedProcess[str]"]:
    """Run the demo once, over the traces of an earlier one."""
    place = Place(tmp_path_factory.mktemp("demo"))
    (place.output / "answers").mkdir(parents=True)
    for stale in ("answers/answer-7.wav", "microphone.wav", "notes.txt", "answers/mine.wav"):
        (place.output / stale).write_text("old")
    with place.running() as demo:
        began = time.monotonic()
        out, complaints = demo.communicate(timeout=DEADLINE_S)
        assert time.monotonic() - began < 45
        return place, subprocess.CompletedProcess(demo.args, demo.returncode, out, complaints)


Done = tuple[Place, "subprocess.CompletedProcess[str]"]


def test_it_ends_well_and_says_what_was_heard(done: Done) -> None:
    """Whoever ran it reads what was heard, how soon it fell silent, and where to look."""
    _, result = done
    assert (result.returncode, result.stderr) == (0, "")
    for words in ("somebody asks", "SPEAKING", "Answer 1 was heard from", "fell silent", "demo-out/"):
        assert words in result.stdout


def test_the_first_answer_is_cut_at_the_interruption(done: Done) -> None:
    """The loudspeaker plays the first answer until somebody speaks over it, and then nothing for a while."""
    place, _ = done
    answer, played = place.sound("answers/answer-1.wav", 24000), place.sound("loudspeaker.wav", 24000)
    second, _ = locate(place.sound("answers/answer-2.wav", 24000)[:48000], played)
    began, like = locate(answer[:48000], played)
    assert like > 0.9
    cut = int(np.flatnonzero(played[: second - 2400])[-1])
    heard = (cut - began) / 24000
    assert likeness(answer[: cut - began], played[began:cut]) > 0.9
    assert 2 < heard < len(answer) / 24000 - 1
    journal, wire = place.lines("daemon.jsonl"), place.lines("events.jsonl")
    spoke_at = next(entry["monotonic"] for entry in journal if entry.get("state") == "speaking")
    interrupted_at = next(event["at"] for event in wire if event["kind"] == "interrupted")
    assert heard == pytest.approx(interrupted_at - spoke_at, abs=0.3)
    assert second - cut > 24000


def test_the_second_answer_is_heard_whole(done: Done) -> None:
    """The answer to the question that interrupted is played from its first word to its last."""
    place, _ = done
    answer, played = place.sound("answers/answer-2.wav", 24000), place.sound("loudspeaker.wav", 24000)
    _, like = locate(answer[: np.flatnonzero(np.abs(answer) > 100)[-1]], played)
    assert like > 0.9


def test_the_microphone_heard_both_questions(done: Done) -> None:
    """What was asked is in the recording of the microphone, in order."""
    place, _ = done
    heard = place.sound("microphone.wav", 16000)
    found = [locate(np.frombuffer(question.pcm, "<i2").astype(float), heard) for question in questions()]
    assert all(like > 0.9 for _, like in found)
    assert found == sorted(found)


def test_the_picture_is_one(done: Done) -> None:
    """The picture is as wide as a screen, and there is something in it."""
    place, _ = done
    content = (place.output / "conversation.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width == 1600
    assert 600 < height < 1600
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(content), format="png")[:, :, :3]
    colours = np.unique((pixels * 15).astype(int).reshape(-1, 3), axis=0)
    assert len(colours) > 50
    paper = (pixels > 0.95).all(axis=2).mean()
    assert 0.4 < paper < 0.95


def test_it_leaves_only_what_it_promises(done: Done) -> None:
    """Earlier results are replaced, other files are left alone, and nothing else is written or goes on running."""
    place, _ = done
    files = sorted(str(path.relative_to(place.output)) for path in place.output.rglob("*") if path.is_file())
    assert files == sorted([*LEFT, "answers/mine.wav", "notes.txt"])
    assert (place.output / "notes.txt").read_text() == "old"
    assert place.rubbish() == []
    assert place.processes() == []


def test_the_key_is_in_no_file(done: Done) -> None:
    """Results can be shown to anybody: even the made-up key is in none of them."""
    place, result = done
    for path in place.output.rglob("*.*"):
        assert b"opens-nothing" not in path.read_bytes()
    assert "opens-nothing" not in result.stdout


async def test_a_key_that_the_daemon_tells_is_left_out(tmp_path: Path) -> None:
    """Even where somebody wrote the key into the settings, the journal that is left behind does not hold it."""
    settings, journal = tmp_path / "speakerd.yaml", tmp_path / "daemon.jsonl"
    settings.write_text("s3cret: 1\n")
    environment = {**os.environ, "GEMINI_API_KEY": "s3cret"}
    async with Daemon.running(settings, environment, journal, lambda _entry: None) as daemon:
        with pytest.raises(SpeakerdError, match=r"ended by itself, with status 78:\n.*\[key\]") as caught:
            await daemon.read()
    assert "s3cret" not in str(caught.value) + journal.read_text()
    assert "[key]" in journal.read_text()


def test_a_reader_that_goes_away_ends_it(tmp_path: Path) -> None:
    """In `speakerd demo | head -1` the demo ends with its reader, without a word and without a trace."""
    place = Place(tmp_path)
    with place.running() as demo:
        wait_for_line(demo, "connected")
        assert demo.stdout is not None
        demo.stdout.close()
        assert demo.stderr is not None
        assert (demo.wait(DEADLINE_S), demo.stderr.read()) == (1, "")
        assert place.processes() == []
    assert place.rubbish() == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_can_be_stopped_at_any_time(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """After Ctrl-C or a SIGTERM in the middle of it no process and no temporary file is left."""
    place = Place(tmp_path)
    with place.running() as demo:
        wait_for_line(demo, "somebody asks")
        demo.send_signal(number)
        _, complaints = demo.communicate(timeout=DEADLINE_S)
        assert (demo.returncode, complaints) == (status, "")
        assert place.processes() == []
    assert place.rubbish() == []


def test_a_daemon_that_dies_is_told_of(tmp_path: Path) -> None:
    """If the daemon dies, the demo fails, shows its last words and says where the rest of them is."""
    place = Place(tmp_path)
    with place.running() as demo:
        wait_for_line(demo, "somebody asks")
        (daemon,) = place.processes(b"--config")
        os.kill(daemon, signal.SIGKILL)
        _, complaints = demo.communicate(timeout=DEADLINE_S)
        assert demo.returncode == 1
        assert "the daemon ended by itself, with status -9" in complaints
        assert "connected: new conversation" in complaints
        assert "demo-out/daemon.jsonl" in complaints
        assert place.processes() == []
    assert (place.output / "conversation.png").exists()
    assert place.rubbish() == []


def test_people_can_talk_to_it_through_their_own_devices(tmp_path: Path) -> None:
    """With devices named no room is built; Ctrl-C ends the visit, and a picture of it is left."""
    place = Place(tmp_path)
    with Room(tmp_path / "kitchen") as kitchen:
        devices = ("--microphone", "mic", "--speaker", "speaker")
        with place.running(*devices, **kitchen.environment, TMPDIR=str(tmp_path / "tmp")) as demo:
            wait_for_line(demo, "speak to it")
            kitchen.say(questions()[0].pcm)
            wait_for_line(demo, "SPEAKING")
            demo.send_signal(signal.SIGINT)
            out, complaints = demo.communicate(timeout=DEADLINE_S)
            assert (demo.returncode, complaints) == (0, "")
            assert "cannot be recorded" in out
            assert place.processes() == []
    assert (place.output / "conversation.png").exists()
    assert not (place.output / "loudspeaker.wav").exists()


def test_a_file_in_its_way_is_named(tmp_path: Path) -> None:
    """An output directory that is a file is told, and stays as it is."""
    place = Place(tmp_path)
    place.environment()
    place.output.write_text("mine")
    with place.running() as demo:
        _, complaints = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 1
    assert complaints.startswith("speakerd: demo-out: ")
    assert "--output" in complaints
    assert place.output.read_text() == "mine"


def test_google_wants_a_key(tmp_path: Path) -> None:
    """Without a key, --live says where to get one and leaves nothing."""
    place = Place(tmp_path)
    with place.running("--live") as demo:
        _, complaints = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 78
    assert "https://aistudio.google.com/apikey" in complaints
    assert place.rubbish() == []
    assert not place.output.exists()
