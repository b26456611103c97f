"""`speakerd calibrate` in simulated kitchens, through the real ALSA library."""

import json
from pathlib import Path

import pytest
import yaml

from speakerd.cli import main
from speakerd.simulate.acoustics import ROOMS, Room
from speakerd.simulate.kitchen import Kitchen
from speakerd.sound.calibration import Calibrations


def settings_in(directory: Path) -> list[str]:
    file = directory / "speakerd.yaml"
    devices = {"microphone": {"device": "mic"}, "speaker": {"device": "speaker", "volume": 100}}
    file.write_text(yaml.safe_dump(devices))
    return ["calibrate", "--config", str(file), "--state", str(directory)]


@pytest.mark.parametrize("name", ["A", "C", "D"])
def test_it_measures_a_kitchen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Delay and level are right, and what follows from them is kept for these two devices."""
    with Kitchen(tmp_path / "kitchen", ROOMS[name], seed=1) as kitchen:
        for variable, value in kitchen.environment.items():
            monkeypatch.setenv(variable, value)
        code = main([*settings_in(tmp_path), "--json"])
        assert kitchen.starved == 0, "this machine was too busy to be a room"
    told = json.loads(capsys.readouterr().out)
    assert told["measured"]["delay_ms"] == pytest.approx(ROOMS[name].delay_s * 1000, abs=8)
    level = ROOMS[name].level_db
    assert level is not None
    assert told["measured"]["return_db"] == pytest.approx(level, abs=3)
    kept = Calibrations(tmp_path).of("mic", "speaker")
    assert kept is not None
    assert kept.mode == told["result"]["mode"] == "cancel"
    assert code == 0


def test_it_says_what_is_wrong_and_draws_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loudspeaker beside the microphone is too loud for it; nothing is kept where nothing is to be."""
    picture = tmp_path / "echo.png"
    with Kitchen(tmp_path / "kitchen", Room(6, 0.05, 0.1), seed=1) as kitchen:
        for variable, value in kitchen.environment.items():
            monkeypatch.setenv(variable, value)
        assert main([*settings_in(tmp_path), "--dry-run", "--plot", str(picture)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "dB louder than you" in said
    assert "move them apart, or lower the volume: speaker.volume: " in said
    assert "it would say: its own voice is taken out" in said
    assert Calibrations(tmp_path).of("mic", "speaker") is None
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_headset_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is heard, and nothing is done; that is no mistake."""
    with Kitchen(tmp_path / "kitchen", ROOMS["quiet"], seed=1) as kitchen:
        for variable, value in kitchen.environment.items():
            monkeypatch.setenv(variable, value)
        assert main(settings_in(tmp_path)) == 0
    assert "does not hear the loudspeaker" in capsys.readouterr().out
    kept = Calibrations(tmp_path).of("mic", "speaker")
    assert kept is not None
    assert kept.mode == "off"


def test_a_microphone_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names it, and nothing is played."""
    assert main(settings_in(tmp_path)) == 1
    assert "there is no microphone mic" in capsys.readouterr().err
