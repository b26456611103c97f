"""The scene of the card that is built once more."""

import asyncio
import hashlib
import os
import subprocess
from pathlib import Path

from tests.image.card import parts
from tests.image.kitchen import Kitchen

CHECKOUT = Path(__file__).parents[2]

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "speakerd-image"
"""Where image/debian/root keeps the bare system."""


async def built_again_it_is_the_same(kitchen: Kitchen) -> str:
    """Build it from the same bare system, the package and the initramfs anew, far away: not one byte is another."""
    lines = kitchen.image.with_suffix(".buildinfo").read_text().splitlines()
    told = dict(line.split(": ", 1) for line in lines)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40"], cwd=CHECKOUT, check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    assert commit.strip() == told["Commit"], "the card is of another commit: run make image"
    work = kitchen.card.file.with_name("again").resolve()
    cache = work / "cache" / "speakerd-image"
    cache.mkdir(parents=True)
    tar = told["System"].split()[1]
    (cache / tar).symlink_to(CACHE / tar)
    day = {"DAY": tar.removeprefix("root-")[:10], "SOURCE_DATE_EPOCH": told["SOURCE_DATE_EPOCH"]}
    package = await _printed("packaging/build", "arm64", str(work), environment=day)
    anew = {"XDG_CACHE_HOME": str(work / "cache"), "OUTPUT": str(work), "TZ": "Asia/Tokyo"}
    again = Path(await _printed("image/build", "debian", package, environment=day | anew))
    assert _digest(Path(package).read_bytes()) == told["Package"], "the package is another"
    differ = [
        name for name, part in parts(again).items() if _digest(part.of(again)) != _digest(part.of(kitchen.image))
    ]
    assert not differ, f"{', '.join(differ)} of the two differ"
    subprocess.run(["cmp", again, kitchen.image], check=True)
    for end in (".cdx.json", ".buildinfo"):
        assert again.with_suffix(end).read_text() == kitchen.image.with_suffix(end).read_text(), end
    return f"root-a has the SHA-256 {_digest(parts(again)['root-a'].of(again))}"


async def _printed(*command: str, environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=CHECKOUT, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}"
    return said.decode().strip()


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


SCENES = (built_again_it_is_the_same,)
