"""The scenes of what lies beside the card: its packed form, the map of its blocks, and Imager's entry."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema

from tests.image.card import parts
from tests.image.kitchen import Kitchen

OLD = b"\xff" * (1 << 20)
"""What a used card holds everywhere."""

BLOCK = 4096
"""What the map counts in, in bytes."""

SCHEMA = Path("doc/json-schema/os-list-schema.json")
"""Where https://github.com/raspberrypi/rpi-imager has it; RPI_IMAGER names a copy of that repository."""


async def the_packed_card_is_the_card(kitchen: Kitchen) -> str:
    """Whoever downloads the card gets these very bytes, and Imager finds them to be what its entry says."""
    image, packed = kitchen.image, kitchen.image.with_name(f"{kitchen.image.name}.xz")
    subprocess.run(["sha256sum", "--check", "--quiet", f"{packed.name}.sha256"], cwd=image.parent, check=True)
    told = json.loads(image.with_suffix(".rpi-imager-manifest").read_text())
    (system,) = told["os_list"]
    assert _unpacked(packed) == (system["extract_size"], system["extract_sha256"])
    assert system["extract_size"] == image.stat().st_size
    assert system["image_download_size"] == packed.stat().st_size
    assert system["image_download_sha256"] == packed.with_name(f"{packed.name}.sha256").read_text().split()[0]
    for url in (system["url"], system["icon"], system["bmap_url"]):
        assert (image.parent / url.rpartition("/")[2]).is_file(), f"{url} is not beside the card"
    return f"{system['extract_size']} octets, packed {system['image_download_size']}; {_judged(told)}"


async def a_used_card_keeps_nothing_that_is_read(kitchen: Kitchen) -> str:
    """Flashed by the map of its blocks, the card is the image wherever it is read, whatever was on it before."""
    used = kitchen.card.file.with_name("used.img")
    flash = ("bmaptool", "--quiet", "copy", "--bmap", f"{kitchen.image}.bmap", kitchen.image)
    subprocess.run([*flash, used], check=True)  # it compares the checksums of the map, and of each of its ranges
    # A file is emptied by it, as a card is not: what it writes is written here onto what was before.
    ranges = re.findall(r"<Range[^>]*> (\d+)(?:-(\d+))? <", Path(f"{kitchen.image}.bmap").read_text())
    with kitchen.image.open("rb") as image, used.open("wb") as file:
        for _ in range(0, kitchen.image.stat().st_size, len(OLD)):
            file.write(OLD)
        for first, last in ranges:
            image.seek(int(first) * BLOCK)
            file.seek(image.tell())
            file.write(image.read((int(last or first) - int(first) + 1) * BLOCK))
    differ = [name for name, part in parts(kitchen.image).items() if part.of(used) != part.of(kitchen.image)]
    used.unlink()
    # The half that an update will write holds nothing yet.
    assert differ == ["root-b"], differ
    return f"{', '.join(differ)} keeps old bytes"


def _unpacked(packed: Path) -> tuple[int, str]:
    octets, digest = 0, hashlib.sha256()
    with subprocess.Popen(["xz", "-dc", packed], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(1 << 20):
            octets += len(chunk)
            digest.update(chunk)
    assert process.returncode == 0
    return octets, digest.hexdigest()


def _judged(told: Any) -> str:
    """See what Imager's own schema says, where it is at hand."""
    if "RPI_IMAGER" not in os.environ:
        return "not judged by Imager's schema: RPI_IMAGER names no copy of it"
    schema = json.loads((Path(os.environ["RPI_IMAGER"]) / SCHEMA).read_text())
    mistakes = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(told)]
    assert not mistakes, mistakes
    return "Imager's schema agrees"


SCENES = (the_packed_card_is_the_card, a_used_card_keeps_nothing_that_is_read)
