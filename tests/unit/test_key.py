"""Where the API key comes from."""

from pathlib import Path

import pytest

from speakerd.errors import SettingsError
from speakerd.live.key import read_key


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GEMINI_API_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)


def test_a_service_gets_its_key_as_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credential wins over the environment, and its final newline is not part of the key."""
    (tmp_path / "gemini-api-key").write_text("from-credential\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("GEMINI_API_KEY", "from-environment")
    assert read_key() == "from-credential"


@pytest.mark.parametrize("pasted", ["k3y", " k3y\n", '"k3y"', "'k3y'\r\n"])
def test_a_pasted_key_is_freed_of_what_came_with_it(pasted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotation marks and white space around a key are dropped."""
    monkeypatch.setenv("GEMINI_API_KEY", pasted)
    assert read_key() == "k3y"


def test_without_a_key_one_is_told_how_to_get_one() -> None:
    """A missing key is a matter of the settings, with words that help."""
    with pytest.raises(SettingsError, match=r"no API key in GEMINI_API_KEY: get a key at .* export GEMINI_API_KEY="):
        read_key()


@pytest.mark.parametrize("wrong", ["two words", "käse", "x" * 5000, "a\0b"])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put there by mistake may be another secret; it is not shown."""
    (tmp_path / "gemini-api-key").write_text(wrong)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SettingsError) as refusal:
        read_key()
    assert wrong[:20] not in str(refusal.value)
