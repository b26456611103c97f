"""Where the API key, and what else opens a door, comes from."""

from pathlib import Path

import pytest

from speakerd.errors import SettingsError
from speakerd.live.key import read_key, read_secret
from speakerd.settings import Settings


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GEMINI_API_KEY", "SPEAKERD_TOKEN_AUTHORIZATION", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"):
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


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_service_is_told_how_to_store_its_key(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a credential, or with an empty one, the text names it and the commands that store it."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    if content is not None:
        (tmp_path / "gemini-api-key").write_text(content)
    with pytest.raises(SettingsError, match="no API key in the credential gemini-api-key: get a key") as refusal:
        read_key()
    for words in ("speakerd setup", "systemd-creds encrypt --name=gemini-api-key - ", "systemctl restart speakerd"):
        assert words in str(refusal.value)
    assert "export" not in str(refusal.value)


def test_a_credential_that_cannot_be_read_is_no_reason_to_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there and unreadable is told, even where another key is in the environment."""
    (tmp_path / "gemini-api-key").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("GEMINI_API_KEY", "k3y")
    with pytest.raises(SettingsError, match="the credential gemini-api-key cannot be read: Is a directory; store"):
        read_key()


def test_a_credential_of_ten_megabytes_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong file, given as a key, is refused without being repeated."""
    (tmp_path / "gemini-api-key").write_bytes(b"wrong" * 2_000_000)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SettingsError, match="what is in the credential gemini-api-key is not an API key") as refusal:
        read_key()
    assert "wrong" not in str(refusal.value)


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


def settings(token: dict[str, object]) -> Settings:
    return Settings.model_validate({"live": {"token": token}})


URL: dict[str, object] = {"url": "https://home.example/token"}


@pytest.mark.parametrize("token", [URL, {"command": ["true"]}])
def test_with_tokens_no_key_is_needed_or_read(token: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that gets its tokens from elsewhere has no use for a key, not even for one that is there."""
    assert read_secret(settings(token)) == ""
    monkeypatch.setenv("GEMINI_API_KEY", "k3y")
    assert read_secret(settings(token)) == ""
    assert read_secret(settings({})) == "k3y"


def test_an_address_may_ask_who_wants_its_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to show it is a credential of the service, or a variable by hand."""
    monkeypatch.setenv("SPEAKERD_TOKEN_AUTHORIZATION", " Bearer by hand\n")
    assert read_secret(settings(URL)) == "Bearer by hand"
    (tmp_path / "token-authorization").write_text("Bearer of the service\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(settings(URL)) == "Bearer of the service"


@pytest.mark.parametrize("wrong", ["Bearer\nhunter2", "Bearer hünter2", "hunter2" * 500])
def test_what_cannot_be_shown_in_a_header_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told which one is wrong, and not what is in it."""
    monkeypatch.setenv("SPEAKERD_TOKEN_AUTHORIZATION", wrong)
    with pytest.raises(
        SettingsError, match="SPEAKERD_TOKEN_AUTHORIZATION cannot be the value of a header"
    ) as refusal:
        read_secret(settings(URL))
    assert "nter2" not in str(refusal.value)
