"""Write what the benches found, as `bench/results` keeps it, into the documentation: `python -m bench.tables`.

A table is between two marks of its page, and is left alone until there are results for it. Nothing is measured here.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report, room_report
from bench.peers import outcome, picture
from bench.results import KEPT, load
from speakerd.errors import SpeakerdError

CHECKOUT = Path(__file__).parents[1]

Found = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the documentation: its mark, its pages, and the results that it is made of.

    ``needs`` are the names of files; where one of these matches none, there is no table. ``lines`` makes it of all.
    """

    name: str
    pages: tuple[str, ...]
    needs: tuple[str, ...]
    lines: Callable[[Found], Iterable[str]]
    target: str

    @property
    def begin(self) -> str:
        """Return the line before it."""
        return f"<!-- {self.name}: written by python -m bench.tables -->"

    @property
    def end(self) -> str:
        """Return the line after it."""
        return f"<!-- end of {self.name} -->"


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of the documentation, made of one file of results."""

    file: str
    needs: str
    draw: Callable[[Found], bytes]
    target: str


TABLES = (
    Table("peers", ("README.md",), ("peers.json",), lambda only: outcome.markdown(only[0]), "bench-peers"),
    Table("speed", ("bench/README.md",), ("bench.json",), lambda only: report.markdown(only[0]), "bench"),
    Table("rooms", ("bench/README.md",), ("room-?-cancel.json",), room_report.markdown, "bench-room"),
    Table(
        "modes",
        ("README.md", "bench/README.md"),
        ("room-?-cancel.json", "room-?-half-duplex.json", "room-?-off.json"),
        room_report.modes,
        "bench-room",
    ),
)

PLOTS = (
    Plot("docs/peers-figures.svg", "peers.json", lambda only: picture.figures(only[0]), "bench-peers"),
    Plot("docs/peers-troubles.svg", "peers.json", lambda only: picture.troubles(only[0]), "bench-peers"),
)


def main() -> int:
    """Write everything; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("--results", type=Path, default=KEPT, metavar="DIR", help="where they are (bench/results)")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, metavar="DIR", help="whose pages are written")
    arguments = parser.parse_args()
    try:
        for file, content in documents(arguments.results, arguments.checkout).items():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            print(file)
    except (SpeakerdError, OSError) as error:
        print(f"bench.tables: {error}", file=sys.stderr)
        return 1
    return 0


def documents(results: Path, checkout: Path) -> dict[Path, bytes]:
    """Return every page and picture as it should be with these results.

    Raises:
        SpeakerdError: results are damaged, or a page has no marks; the text says which, and what to do.
    """
    pages: dict[Path, str] = {}
    for table in TABLES:
        groups = [sorted(results.glob(pattern)) for pattern in table.needs]
        lines = (
            _made([file for group in groups for file in group], table.lines, table.target) if all(groups) else None
        )
        for page in (checkout / name for name in table.pages):
            text = pages[page] if page in pages else page.read_text(encoding="utf-8")
            before, begin, rest = text.partition(f"{table.begin}\n")
            inside, end, after = rest.partition(f"{table.end}\n")
            if not begin or not end:
                raise SpeakerdError(f"{page} has no lines {table.begin} and {table.end}; put them round the table")
            if lines is not None:
                inside = "\n".join(lines) + "\n"
            pages[page] = "".join((before, begin, inside, end, after))
    written = {page: text.encode() for page, text in pages.items()}
    for plot in PLOTS:
        if (file := results / plot.needs).exists():
            written[checkout / plot.file] = _made([file], plot.draw, plot.target)
    return written


def _made(files: Sequence[Path], make: Callable[[Found], Any], target: str) -> Any:
    found = [load(file) for file in files]
    try:
        made = make(found)
        return made if isinstance(made, bytes) else list(made)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        names = ", ".join(map(str, files))
        raise SpeakerdError(
            f"{names}: not what make {target} writes ({error!r}); copy it from a run again"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
