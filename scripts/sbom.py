"""Write what a card's system is made of: `scripts/sbom.py ROOT FILE`, with the directory of the system.

debsbom reads Debian's packages from dpkg's own list. What the speaker's package brings along for itself stands in no
such list, but in Python's; it is added beside them. The file is CycloneDX 1.6, as JSON, with SOURCE_DATE_EPOCH as its
date, so the same system has the same file.
"""

import argparse
import datetime as dt
import os
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from debsbom.generate import Debsbom, SBOMType
from packageurl import PackageURL

from speakerd import __version__

PRIVATE = "usr/lib/speakerd/lib/python3*/site-packages"
"""Where the speaker's package keeps what it brings along; see packaging/build."""


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT")
    parser.add_argument("file", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if not (arguments.root / "var/lib/dpkg/status").is_file():
        print(f"scripts/sbom.py: {arguments.root} is no Debian system", file=sys.stderr)
        return 1
    arguments.file.write_text(written(made_of(arguments.root, _date())))
    return 0


def made_of(root: Path, date: dt.datetime) -> Bom:
    """Return Debian's packages in a system, and Python's that are private to the speaker."""
    debian = Debsbom(
        distro_name="speakerd",
        root=root,
        distro_version=__version__,
        distro_summary="The system of a speaker's card",
        cdx_serialnumber=uuid.uuid5(uuid.NAMESPACE_URL, f"speakerd {__version__} {date.isoformat()}"),
        timestamp=date,
    )
    debian.scan()
    bom: Bom = debian.generate(SBOMType.CycloneDX)
    bom.components.update(_python(root))
    return bom


def written(bom: Bom) -> str:
    """Return the text of the file."""
    return str(JsonV1Dot6(bom).output_as_string(indent=1)) + "\n"


def _python(root: Path) -> Iterator[Component]:
    for found in distributions(path=[str(path) for path in sorted(root.glob(PRIVATE))]):
        name = found.name.lower().replace("_", "-")
        if name == "speakerd":
            continue  # dpkg's list has it
        url = PackageURL("pypi", None, name, found.version)
        yield Component(
            name=name, version=found.version, purl=url, bom_ref=url.to_string(), type=ComponentType.LIBRARY
        )


def _date() -> dt.datetime:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return dt.datetime.fromtimestamp(int(epoch), dt.UTC) if epoch else dt.datetime.now(dt.UTC)


if __name__ == "__main__":
    sys.exit(main())
