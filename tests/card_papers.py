"""What the tests of a card's papers share: a small file that stands for a card, and the scripts that write of it."""

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[1] / "scripts"

EPOCH = "1795392000"
"""2026-11-23, in seconds."""


def small_card(directory: Path) -> Path:
    """Make a file that stands for a card, and its packed form."""
    image = directory / "speakerd-1.2.3-rpios.img"
    image.write_bytes(b"card" * 4096)
    image.with_name(f"{image.name}.xz").write_bytes(lzma.compress(image.read_bytes()))
    return image


def run(script: str, *words: str | Path) -> None:
    """Run one of the scripts, which dates what it writes."""
    command = [sys.executable, SCRIPTS / script, *words]
    subprocess.run(command, check=True, env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH})


def manifest(card: Path) -> dict[str, Any]:
    """Return what Imager is told of a card."""
    run("imager.py", card, "--url", "https://example.org/cards/")
    told: dict[str, Any] = json.loads(card.with_suffix(".rpi-imager-manifest").read_text())
    return told
