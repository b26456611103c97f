"""What lies on the card for its owner: it must be right when its # is taken away."""

import re
from pathlib import Path

import pytest

from speakerd.host.card import KEY, REPORT
from speakerd.provision import hat, preseed
from speakerd.provision.boot import Boot
from speakerd.provision.provision import SETTINGS
from speakerd.settings import load

FILES = Path(__file__).parents[2] / "image" / "boot"


def uncommented(name: str) -> str:
    """Return an example with all that it offers switched on."""
    text = Boot(FILES).read(FILES / name)
    return re.sub(r"^#(?=\S|  )", "", text, flags=re.MULTILINE)  # what explains has one blank behind its #


def test_the_settings_of_the_example_are_settings(tmp_path: Path) -> None:
    """Each of them is known, and good."""
    file = tmp_path / "speakerd.yaml"
    file.write_text(uncommented("speakerd.example.yaml"))
    settings = load(file)
    assert settings.speaker.volume == 60
    assert settings.panel.board == "button-led"
    assert settings.assistant.language == "de-DE"


def test_the_example_for_network_and_name_is_taken(tmp_path: Path) -> None:
    """Whoever takes every # away and mends nothing gets a valid file."""
    told = preseed.parse(uncommented("rpi-preseed.example.toml"))
    assert told.unused == []
    assert told.wlan is not None
    assert told.wlan.country == "DE"
    assert told.ssh.enabled
    assert told.system.hostname == "kitchen"
    assert told.speakerd.journal == "persistent"
    assert told.locale.timezone == "Europe/Berlin"


def test_the_examples_are_not_taken_for_the_files() -> None:
    """Only what the owner has written counts."""
    boot = Boot(FILES)
    assert [boot.find(name) for name in (SETTINGS, KEY, preseed.NAME)] == [[]] * 3
    assert boot.slips((SETTINGS, KEY, preseed.NAME)) == {}


@pytest.mark.parametrize("file", sorted(FILES.iterdir()), ids=lambda file: file.name)
def test_every_computer_shows_them(file: Path) -> None:
    """ASCII, with the ends of lines that Windows needs, in 80 columns."""
    content = file.read_bytes()
    assert content.isascii()
    assert content.count(b"\r\n") == content.count(b"\n") > 0
    assert max(map(len, content.split(b"\r\n"))) <= 80


def test_the_firmware_is_told_of_no_board_yet() -> None:
    """The file that both systems include is there from the beginning, and a new card does not start twice for it."""
    assert Boot(FILES).text(hat.FILE) == f"{hat.HEAD}\n"
    for base in ("debian", "rpios/image"):
        assert hat.INCLUDE in (FILES.parent / base / hat.CONFIG).read_text().splitlines()


def test_the_words_to_the_owner_name_the_files_that_count() -> None:
    """As the program looks for them."""
    said = (FILES / "README.txt").read_text()
    for name in (SETTINGS, KEY, preseed.NAME, REPORT, "speakerd.example.yaml", "rpi-preseed.example.toml"):
        assert name in said
