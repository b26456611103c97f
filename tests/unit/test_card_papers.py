"""What comes with a card: the entry for Raspberry Pi Imager, and the list of all that it is made of."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.card_papers import manifest, small_card

REQUIRED = {
    "name",
    "description",
    "icon",
    "url",
    "extract_size",
    "extract_sha256",
    "image_download_size",
    "release_date",
    "devices",
}
"""What https://github.com/raspberrypi/rpi-imager, doc/json-schema/os-list-schema.json, asks of a system."""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Make a small file that stands for a card, and its packed form."""
    return small_card(tmp_path)


def test_imager_is_told_all_that_it_asks_for(card: Path) -> None:
    """Sizes and sums are those of the card and of its packed form, so Imager does not refuse it after an hour."""
    (system,) = manifest(card)["os_list"]
    packed = card.with_name(f"{card.name}.xz").read_bytes()

    assert set(system) >= REQUIRED
    assert system["url"] == "https://example.org/cards/speakerd-1.2.3-rpios.img.xz"
    assert system["extract_size"] == 16384
    assert system["extract_sha256"] == hashlib.sha256(b"card" * 4096).hexdigest()
    assert system["image_download_size"] == len(packed)
    assert system["image_download_sha256"] == hashlib.sha256(packed).hexdigest()
    assert system["release_date"] == "2026-11-23"


def test_imager_offers_its_dialog(card: Path) -> None:
    """It asks for Wi-Fi and name, and writes the one file that the speaker reads on its first boot."""
    (system,) = manifest(card)["os_list"]

    assert system["init_format"] == "rpi-preseed"


def test_only_boards_that_start_are_offered(card: Path) -> None:
    """The card with Debian's kernel is not offered for a Pi 5, which it cannot start."""
    of_debian = card.rename(card.with_name("speakerd-1.2.3-debian.img"))
    card.with_name(f"{card.name}.xz").rename(card.with_name(f"{of_debian.name}.xz"))

    offered = json.dumps(manifest(of_debian))
    assert "pi4-64bit" in offered
    assert "pi5-64bit" not in offered
    assert "Zero 2" not in offered
