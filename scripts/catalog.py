"""Writes systemd's message catalog from our list of events: `scripts/catalog.py FILE`; the package build runs it.

`journalctl -x` then shows below each line what it means and what to do. The format is described at
https://systemd.io/CATALOG/.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from pathlib import Path

from speakerd.host.vocabulary import Kind, kinds

WIDTH = 70
"""Columns: 80, less three that journalctl puts in front of each line, and what fields add to it."""


def entry(kind: Kind) -> str:
    """Return an event as the catalog has it."""
    paragraphs = [kind.meaning, f"What to do: {kind.do}"] if kind.do else [kind.meaning]
    fields = [f"SPEAKERD_{name.upper()}: {what}" for name, what in kind.fields.items()]
    return "\n".join(
        [
            f"-- {kind.id}",
            f"Subject: {variables(kind.title)}",
            "Defined-By: speakerd",
            "Support: sudo speakerd doctor",
            "Documentation: man:speakerd(8)",
            "",
            "\n\n".join(variables(textwrap.fill(text, WIDTH)) for text in paragraphs),
            *(
                ["", "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in fields)]
                * bool(fields)
            ),
            "",
        ]
    )


def variables(text: str) -> str:
    """Return a text with its fields as journalctl fills them in."""
    return re.sub(r"\{(\w+)\}", lambda found: f"@SPEAKERD_{found[1].upper()}@", text)


def main() -> None:
    """Write the file that is named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE")
    file: Path = parser.parse_args().file
    file.write_text("\n".join(entry(kind) for kind in kinds().values()), encoding="utf-8")


if __name__ == "__main__":
    main()
