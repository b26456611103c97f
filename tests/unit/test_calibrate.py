"""How does the loudspeaker sound to the microphone? Without devices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speakerd.app import calibrated
from speakerd.calibrate.measured import Measured, measure
from speakerd.calibrate.sweep import sweep
from speakerd.calibrate.verdict import findings, settle
from speakerd.doctor.finding import Mark
from speakerd.settings import Settings
from speakerd.simulate.acoustics import ROOMS, Room
from speakerd.simulate.levels import as_sound, at_level
from speakerd.simulate.noises import fan
from speakerd.sound.calibration import NAME, Calibration, Calibrations

BEFORE_S = 0.7
WELL = Measured(60.0, -10.0, {1000: -10.0}, -35.0, -65.0, 0.0)


def measured(room: Room, noise_db: float = -65.0, loudness: float = 1.0) -> Measured | None:
    """Return what is measured in a room in which a cooker hood is on."""
    said = np.concatenate([np.zeros(round(BEFORE_S * 24_000)), sweep(24_000) * loudness, np.zeros(36_000)])
    noise = at_level(fan(len(said) / 24_000 + 1, np.random.default_rng(1)), noise_db)
    heard = room.hear(np.asarray(said * 32767, np.int16), noise=noise, seed=1)
    return measure(as_sound(heard).astype(np.float64), 16_000, BEFORE_S)


@pytest.mark.parametrize("name", "ABCD")
def test_delay_and_strength_of_an_echo_are_found(name: str) -> None:
    """To three milliseconds, and to two decibels of what an answer's echo has."""
    room, found = ROOMS[name], measured(ROOMS[name])
    assert found is not None
    assert found.delay_ms == pytest.approx(room.delay_s * 1000, abs=3)
    assert found.return_db == pytest.approx(room.level_db, abs=2)
    assert found.noise_db == pytest.approx(-65, abs=1)
    assert settle(found).mode == "cancel"


def test_a_clean_loudspeaker_shows_no_distortion_and_a_bad_one_does() -> None:
    """What a membrane adds is told apart from the room's own echo."""
    clean, hoarse = (measured(Room(-6, 0.06, 0.2, clips_at=limit, clips_hard=True)) for limit in (None, 0.02))
    assert clean is not None
    assert hoarse is not None
    assert clean.distortion_db < -30
    assert hoarse.distortion_db > -12
    assert settle(hoarse).mode == "half-duplex"
    assert settle(hoarse).margin_db > settle(clean).margin_db


def test_each_octave_is_told_by_itself() -> None:
    """A small loudspeaker has no low tones, and that is seen."""
    found = measured(Room(-6, 0.04, 0.1, high_pass_hz=700))
    assert found is not None
    assert found.bands_db[125] < found.bands_db[1000] - 15
    assert found.bands_db[4000] == pytest.approx(found.bands_db[2000], abs=4)


def test_a_microphone_that_hears_nothing_of_it_is_left_alone() -> None:
    """Neither one that cancels by itself, nor a loudspeaker without power, is taken for an echo."""
    assert measured(ROOMS["quiet"]) is None
    assert settle(None).mode == "off"
    assert findings(None, 80)[0].mark is Mark.NOTE


def test_what_is_fainter_than_the_room_needs_nothing() -> None:
    """The whistle stands out of the noise where an answer would not."""
    found = measured(Room(-45), noise_db=-60)
    assert found is not None
    assert settle(found).mode == "off"


def test_a_late_loudspeaker_is_waited_for() -> None:
    """What a canceller cannot know by itself is kept; some of the delay is left to it."""
    found = measured(Room(-6, 0.4, 0.2))
    assert found is not None
    assert settle(found).delay_ms == pytest.approx(360, abs=3)
    assert settle(measured(ROOMS["A"])).delay_ms == 0


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"return_db": 8.0}, "louder than you"),
        ({"clipped": 0.01}, "overdrives the microphone"),
        ({"distortion_db": -5.0}, "distorts"),
        ({"noise_db": -28.0}, "do it again when it is quieter"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(told: dict[str, float], words: str) -> None:
    """With what to do about it; where all is well, only the figures are said."""
    said = [f"{finding.text}; {finding.advice}" for finding in findings(replace(WELL, **told), 80)]  # type: ignore[arg-type]  # each is a float
    assert any(words in line for line in said)
    assert not any(words in finding.text for finding in findings(WELL, 80))
    assert [finding.mark for finding in findings(WELL, 80)] == [Mark.OK]


def test_each_pair_of_devices_has_its_own(tmp_path: Path) -> None:
    """Who plugs the old loudspeaker in again finds what was measured of it."""
    kept = Calibrations(tmp_path)
    assert kept.of("a", "b") is None
    kept.keep("a", "b", Calibration("cancel", 120, 11.0))
    kept.keep("a", "c", Calibration("off"))
    kept.keep("a", "c", Calibration("half-duplex"))
    assert Calibrations(tmp_path).of("a", "b") == Calibration("cancel", 120, 11.0)
    assert Calibrations(tmp_path).of("a", "c") == Calibration("half-duplex")
    assert Calibrations(None).of("a", "b") is None


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"a hears b": {"mode": "loud"}}', '{"a hears b": {"delay_ms": 3}}', '{"a hears b": 3}', "\0"],
)
def test_a_damaged_file_is_not_used(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    """It costs a line that says how to have it anew, and nothing else."""
    (tmp_path / NAME).write_text(content)
    assert Calibrations(tmp_path).of("a", "b") is None
    assert "sudo speakerd calibrate" in caplog.text


def test_the_speaker_takes_up_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For these two devices, and where the owner has not decided otherwise."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    devices = {"microphone": {"device": "a"}, "speaker": {"device": "b"}}
    Calibrations(tmp_path).keep("a", "b", Calibration("half-duplex", 120, 14.0))
    settings, known = calibrated(Settings.model_validate(devices))
    assert known == Calibration("half-duplex", 120, 14.0)
    assert settings.echo.margin_db == 14.0
    settings, known = calibrated(Settings.model_validate(devices | {"echo": {"mode": "cancel"}}))
    assert known is not None
    assert settings.echo.margin_db == 10.0
    assert calibrated(Settings.model_validate(devices | {"speaker": {"device": "c"}}))[1] is None
