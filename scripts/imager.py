"""Write the entry by which Raspberry Pi Imager knows a card: `scripts/imager.py IMAGE [--url URL]`.

The image lies beside its packed form, IMAGE.xz. The entry is written beside them, as NAME.rpi-imager-manifest, with
an icon. Imager opens such a file, and offers its own dialog for Wi-Fi and name, since the entry says who reads them.
The keys: https://github.com/raspberrypi/rpi-imager, doc/json-schema/os-list-schema.json.
"""

import argparse
import datetime as dt
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

ICON = Path(__file__).parents[1] / "docs" / "icon.svg"

BOARDS = {
    "rpios": (
        ("Raspberry Pi 5", "pi5-64bit"),
        ("Raspberry Pi 4, 400", "pi4-64bit"),
        ("Raspberry Pi 3, Zero 2 W", "pi3-64bit"),
    ),
    # Debian's kernel has no driver for the card of a Pi 5, and its archive no Wi-Fi firmware for a Zero 2 W.
    "debian": (("Raspberry Pi 4, 400", "pi4-64bit"), ("Raspberry Pi 3", "pi3-64bit")),
}
"""For each base the boards that it is for, and the tags that Imager has for them: a Zero 2 W has those of a Pi 3."""


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, metavar="IMAGE", help="speakerd-VERSION-BASE.img")
    parser.add_argument("--url", help="where IMAGE.xz and the icon can be had; they are where IMAGE is, without it")
    arguments = parser.parse_args()
    image: Path = arguments.image.resolve()
    shutil.copy(ICON, image.with_name(f"{image.stem}.svg"))
    date = dt.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", image.stat().st_mtime)), dt.UTC).date()
    manifest = image.with_name(f"{image.stem}.rpi-imager-manifest")
    url = (arguments.url or image.parent.as_uri()).rstrip("/")
    manifest.write_text(json.dumps(entry(image, url, date), indent=2) + "\n")
    print(manifest)
    return 0


def entry(image: Path, url: str, date: dt.date) -> dict[str, Any]:
    """Return what Imager must know of an image that lies beside its packed form."""
    packed = image.with_name(f"{image.name}.xz")
    _, version, base = image.stem.split("-", 2)
    boards = BOARDS[base]
    devices = [
        {"name": name, "description": "64-bit", "tags": [tag], "matching_type": "inclusive", "architecture": "armv8"}
        for name, tag in boards
    ]
    system = {
        "name": f"speakerd {version}",
        "description": "A kitchen speaker that you talk with",
        "icon": f"{url}/{image.stem}.svg",
        "url": f"{url}/{packed.name}",
        "extract_size": image.stat().st_size,
        "extract_sha256": _sha256(image),
        "image_download_size": packed.stat().st_size,
        "image_download_sha256": _sha256(packed),
        "release_date": date.isoformat(),
        # One file on the FAT partition, which speakerd/provision reads.
        "init_format": "rpi-preseed",
        "architecture": "armv8",
        "devices": [tag for _, tag in boards],
        "capabilities": ["passwordless_sudo"],
        "bmap_url": f"{url}/{image.name}.bmap",
    }
    return {"imager": {"devices": devices}, "os_list": [system]}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
