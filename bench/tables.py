"""Write what `make bench-peers` found into the README, between its marks: `python -m bench.tables`."""

import argparse
import json
import sys
from pathlib import Path

from bench.peers.outcome import markdown
from speakerd.errors import SpeakerdError

BEGIN, END = "<!-- peers: written by python -m bench.tables -->", "<!-- end of peers -->"


def main() -> int:
    """Write it; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("--readme", type=Path, default=Path("README.md"), metavar="FILE")
    parser.add_argument("--peers", type=Path, default=Path("bench-out/peers/peers.json"), metavar="FILE")
    arguments = parser.parse_args()
    try:
        write(arguments.readme, arguments.peers)
    except SpeakerdError as error:
        print(f"bench.tables: {error}", file=sys.stderr)
        return 1
    return 0


def write(readme: Path, results: Path) -> None:
    """Replace what is between the marks.

    Raises:
        SpeakerdError: there are no marks, or no results.
    """
    try:
        found = json.loads(results.read_text())
    except OSError as error:
        raise SpeakerdError(f"{results} cannot be read; run: make bench-peers") from error
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SpeakerdError(f"{readme} has no lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{markdown(found)}{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
