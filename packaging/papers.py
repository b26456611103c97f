"""Writes what Debian wants to read: `papers.py VERSION SUITE CHANGELOG.md WHEELS SOURCES DIRECTORY`.

That is the changelog, out of ours, and the copyright file, out of what each bundled package says of itself. The build
of the package runs it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import email
import email.message
import os
import re
import tarfile
import textwrap
import zipfile
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path

CONTROL = Path(__file__).with_name("debian") / "control"

LICENSES = {
    "Apache Software License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "MIT License": "MIT",
    "PSF": "PSF-2.0",
    "Public Domain": "Unlicense",
    "unlicense.org": "Unlicense",
}
"""What packages call their licences, where it is not what SPDX calls them."""


def main() -> None:
    """Write both files into the directory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("version")
    parser.add_argument("suite")
    parser.add_argument("changelog", type=Path)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("sources", type=Path)
    parser.add_argument("directory", type=Path)
    given = parser.parse_args()
    text = given.changelog.read_text(encoding="utf-8")
    (given.directory / "changelog").write_text(changelog(text, given.version, given.suite), encoding="utf-8")
    bundled = sorted([*of_wheels(given.wheels), *of_sources(given.sources)], key=lambda one: name_of(one).lower())
    (given.directory / "copyright").write_text(copyright_of(bundled), encoding="utf-8")


def changelog(text: str, version: str, suite: str) -> str:
    """Return our changelog as Debian writes it; the newest entry is the version that is built."""
    maintainer = re.search("^Maintainer: (.*)$", CONTROL.read_text(), re.MULTILINE)
    assert maintainer
    built = dt.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), dt.UTC)
    entries = []
    for number, part in enumerate(re.split(r"^## ", text, flags=re.MULTILINE)[1:]):
        head, _, body = part.partition("\n")
        date = re.search(r"\d{4}-\d\d-\d\d", head)
        day = dt.datetime.fromisoformat(f"{date[0]}T00:00:00+00:00") if date and number else built
        lines = [textwrap.fill(item, 78, initial_indent="  * ", subsequent_indent="    ") for item in items(body)]
        first = version if not number else head.split()[0]
        entries.append(
            f"speakerd ({first}) {suite}; urgency=medium\n\n"
            + "\n".join(lines)
            + f"\n\n -- {maintainer[1]}  {format_datetime(day)}\n"
        )
    return "\n".join(entries)


def items(body: str) -> list[str]:
    """Return the items of a list in Markdown, each as one line."""
    return [" ".join(item.split()) for item in re.split(r"^- ", body, flags=re.MULTILINE)[1:]]


def of_wheels(directory: Path) -> Iterator[email.message.Message]:
    """Return what the wheels of others say of themselves."""
    for path in directory.glob("*.whl"):
        if not path.name.startswith("speakerd-"):
            with zipfile.ZipFile(path) as wheel:
                name = next(name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
                yield email.message_from_string(wheel.read(name).decode())


def of_sources(directory: Path) -> Iterator[email.message.Message]:
    """Return what the source packages say of themselves."""
    for path in directory.glob("*.tar.gz"):
        with tarfile.open(path) as source:
            name = next(name for name in source.getnames() if re.fullmatch(r"[^/]+/PKG-INFO", name))
            file = source.extractfile(name)
            assert file
            yield email.message_from_string(file.read().decode())


def name_of(package: email.message.Message) -> str:
    """Return a package's name."""
    return str(package["Name"])


def license_of(package: email.message.Message) -> str:
    """Return a package's licence as SPDX writes it.

    Raises:
        LookupError: it says nothing that we know how to write.
    """
    told = [str(package["License-Expression"] or ""), str(package["License"] or "")]
    told += [one.rpartition(" :: ")[2] for one in package.get_all("Classifier", []) if one.startswith("License ::")]
    for one in told:
        known = LICENSES.get(one, one)
        if re.fullmatch(r"[A-Za-z0-9.+-]*\d[A-Za-z0-9.+-]*|MIT|Unlicense|ISC|.* (AND|OR) .*", known):
            return known
    raise LookupError(f"what is the licence of {name_of(package)}? It says {told}")


def copyright_of(bundled: list[email.message.Message]) -> str:
    """Return the copyright file, in the form of https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/."""
    site = "usr/lib/speakerd/lib/python*/site-packages"
    parts = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: speakerd",
        "Files: *\nCopyright: 2026 the authors of speakerd\nLicense: Apache-2.0",
    ]
    for package in bundled:
        folder = re.sub(r"[-_.]+", "_", name_of(package)).lower()
        authors = package["Author"] or package["Author-email"] or package["Maintainer"] or "its authors"
        parts.append(
            f"Files: {site}/{folder}-{package['Version']}.dist-info/*\n"
            f"Copyright: {' '.join(str(authors).split())}\n"
            f"License: {license_of(package)}\n"
            f"Comment: {name_of(package)} {package['Version']}, {page_of(package)}\n"
            " The texts of its licences lie in that directory."
        )
    parts.append("License: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.")
    texts = sorted({license_of(package) for package in bundled} - {"Apache-2.0"})
    parts += [f"License: {name}\n The text is in each package's directory that is named above." for name in texts]
    return "\n\n".join(parts) + "\n"


def page_of(package: email.message.Message) -> str:
    """Return where a package is at home."""
    urls = dict(str(url).split(", ", 1) for url in package.get_all("Project-URL", []))
    named = {name.lower(): url for name, url in urls.items()}
    pages = [package["Home-page"], *(named.get(name) for name in ("homepage", "repository", "source", "source code"))]
    return next((str(page) for page in [*pages, *urls.values()] if page and page != "UNKNOWN"), "which names no page")


if __name__ == "__main__":
    main()
