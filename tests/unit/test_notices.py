"""The spoken notices, spoken by the real synthesiser."""

import shutil
import subprocess
import sys
from array import array
from pathlib import Path

import numpy as np
import pytest
import yaml

import speakerd
from speakerd.sound.notices import Notice, sound_of

PACKAGE = Path(speakerd.__file__).parent
SPEAK = PACKAGE.parent / "scripts" / "notices.py"
TEXTS: dict[str, dict[str, str]] = yaml.safe_load((PACKAGE / "sound" / "notices.yaml").read_text(encoding="utf-8"))
RATE = 24_000

each_language = pytest.mark.parametrize("language", TEXTS)


def speak(output: Path, *languages: str) -> None:
    chosen = [argument for language in languages for argument in ("--language", language)]
    subprocess.run([sys.executable, SPEAK, *chosen, "--output", output], check=True)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with all notices in all languages."""
    output = tmp_path_factory.mktemp("spoken")
    speak(output)
    return output


def test_there_are_seven_languages() -> None:
    """Those that the README promises."""
    assert sorted(TEXTS) == ["de", "en", "es", "fr", "it", "ja", "pt"]


@each_language
def test_every_language_has_words_for_every_cause(language: str) -> None:
    """Nobody gets half of the notices in English."""
    assert set(TEXTS[language]) == {"voice"} | {notice.value for notice in Notice}
    assert len(set(TEXTS[language].values())) == len(Notice) + 1


def test_japanese_is_written_as_it_sounds() -> None:
    """The synthesiser spells out Chinese characters, so there is none."""
    texts = "".join(text for name, text in TEXTS["ja"].items() if name != "voice")
    assert all("\u3040" <= letter <= "\u30ff" or letter in " 。" for letter in texts)


@each_language
def test_a_notice_is_short(language: str, spoken: Path) -> None:
    """It is over within three seconds, and it begins at once."""
    for notice in Notice:
        samples = array("h", sound_of(notice, language, spoken) or b"")
        assert 1.0 < len(samples) / RATE < 3.0, notice
        begin = next(i for i, sample in enumerate(samples) if abs(sample) > 100)
        assert begin / RATE <= 0.05, notice
        assert max(abs(sample) for sample in samples[:10] + samples[-10:]) < 100, notice


@each_language
def test_notices_are_as_loud_as_answers(language: str, spoken: Path) -> None:
    """All are within 2 dB of -20 dB where they speak, and none is clipped."""
    for notice in Notice:
        samples = np.frombuffer(sound_of(notice, language, spoken) or b"", "<i2") / 32768
        frames = np.square(samples[: len(samples) // 480 * 480]).reshape(-1, 480).mean(axis=1)
        speaking = frames[frames > 10 ** (-36 / 10)]
        assert -22 < 10 * np.log10(speaking.mean()) < -18, notice
        assert np.abs(samples).max() <= 10 ** (-1 / 20) + 0.001, notice


def test_all_notices_are_small(spoken: Path) -> None:
    """Twelve sentences in seven languages take less than 2.2 MB of the card."""
    assert sum(file.stat().st_size for file in spoken.rglob("*.xz")) < 2_200_000


def test_the_same_text_gives_the_same_file(spoken: Path, tmp_path: Path) -> None:
    """Who builds it again gets every byte again."""
    speak(tmp_path, "de")
    files = sorted((tmp_path / "de").iterdir())
    assert len(files) == len(Notice)
    assert [file.read_bytes() for file in files] == [(spoken / "de" / file.name).read_bytes() for file in files]


def test_a_country_speaks_the_language_of_its_neighbours(spoken: Path) -> None:
    """Who sets de-AT hears German, and who sets pt-BR Portuguese."""
    assert sound_of(Notice.KEY, "de-AT", spoken) == sound_of(Notice.KEY, "de-DE", spoken)
    assert sound_of(Notice.KEY, "de-AT", spoken) != sound_of(Notice.KEY, "en-US", spoken)
    assert sound_of(Notice.KEY, "pt-BR", spoken) == sound_of(Notice.KEY, "PT", spoken)


def test_a_language_without_notices_hears_english(spoken: Path) -> None:
    """English is better than silence."""
    assert sound_of(Notice.CLOCK, "sw-KE", spoken) == sound_of(Notice.CLOCK, "en-GB", spoken) is not None


def test_without_a_synthesiser_at_the_build_there_are_no_notices(tmp_path: Path) -> None:
    """Then somebody else must chime instead."""
    assert sound_of(Notice.OFFLINE, "de-DE", tmp_path) is None


def test_a_damaged_notice_is_told_and_english_is_said(
    spoken: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worn SD card costs a notice, not the speaker."""
    whole = (spoken / "de" / "offline.wav.xz").read_bytes()
    (tmp_path / "de").mkdir()
    shutil.copytree(spoken / "en", tmp_path / "en")
    for damaged in (b"", b"nothing", whole[: len(whole) // 2], whole[:2000] + b"?" * 100 + whole[2100:]):
        (tmp_path / "de" / "offline.wav.xz").write_bytes(damaged)
        caplog.clear()
        assert sound_of(Notice.OFFLINE, "de-DE", tmp_path) == sound_of(Notice.OFFLINE, "en", spoken)
        assert "offline.wav.xz" in caplog.text
