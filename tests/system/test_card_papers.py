"""What comes with a card, judged by others: Imager's own schema, and the program that lists what it is made of.

`make test-image` runs this, after it has installed what this needs.
"""

import json
import os
from pathlib import Path

import jsonschema

from tests.card_papers import manifest, run, small_card

HOW = "run: git clone https://github.com/raspberrypi/rpi-imager, and set RPI_IMAGER to where it is"


def test_imagers_own_schema_agrees(tmp_path: Path) -> None:
    """The entry is what the schema in Imager's repository asks for; RPI_IMAGER names a copy of that repository."""
    assert "RPI_IMAGER" in os.environ, HOW
    schema = Path(os.environ["RPI_IMAGER"]) / "doc" / "json-schema" / "os-list-schema.json"

    validator = jsonschema.Draft7Validator(json.loads(schema.read_text()))
    told = manifest(small_card(tmp_path))
    assert [error.message for error in validator.iter_errors(told)] == []
    del told["os_list"][0]["extract_sha256"]
    assert list(validator.iter_errors(told))


def test_the_list_names_debians_and_pythons_packages(tmp_path: Path) -> None:
    """A package of Debian's and one that the speaker brings along are in it; twice made, it is the same."""
    dpkg = tmp_path / "var" / "lib" / "dpkg"
    dpkg.mkdir(parents=True)
    (dpkg / "status").write_text(
        "Package: dpkg\nStatus: install ok installed\nArchitecture: arm64\nVersion: 1.22.21\n"
        "Maintainer: Dpkg Developers <debian-dpkg@lists.debian.org>\nDescription: package manager\n"
    )
    python = tmp_path / "usr/lib/speakerd/lib/python3.13/site-packages/websockets-17.4.dist-info"
    python.mkdir(parents=True)
    (python / "METADATA").write_text("Metadata-Version: 2.1\nName: websockets\nVersion: 17.4\n")

    first, second = tmp_path / "first.json", tmp_path / "second.json"
    for file in (first, second):
        run("sbom.py", tmp_path, file)

    names = [component["purl"] for component in json.loads(first.read_text())["components"]]
    assert "pkg:deb/debian/dpkg@1.22.21?arch=arm64" in names
    assert names.count("pkg:pypi/websockets@17.4") == 1
    assert first.read_bytes() == second.read_bytes()
