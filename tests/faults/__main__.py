"""Run the fault suite, or one scenario of it."""

import argparse
import asyncio
import fnmatch
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults import runner, table
from tests.faults.scenario import Scenario, scenarios
from tests.faults.suite import suite
from tests.faults.words import Phrases

OUTPUT = Path("faults-out")

JOBS = 4
"""At a time, on two cores: most of their time is waiting."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status."""
    given = _parser().parse_args(arguments)
    wanted = [
        scenario
        for scenario in scenarios()
        if any(fnmatch.fnmatchcase(scenario.name, glob) for glob in given.only.split())
        and (scenario.quick or not given.quick)
    ]
    if given.list:
        print(*(f"{scenario.name:52} {scenario.kind}" for scenario in wanted), sep="\n")
        return 0
    if given.one:
        return _one(next(s for s in scenarios() if s.name == given.one), given.directory, given.words)
    if not wanted:
        print(f"no scenario is named like {given.only}; see --list", file=sys.stderr)
        return 2
    return asyncio.run(suite(wanted, given.jobs, given.output))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", metavar="GLOBS", default="*", help="only scenarios with such names")
    parser.add_argument("--quick", action="store_true", help="only the short selection")
    parser.add_argument("--list", action="store_true", help="name the scenarios and do nothing")
    parser.add_argument("--jobs", type=int, default=JOBS, help="how many at a time (%(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="for faults.json and what failed (%(default)s)")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--words", type=Path, help=argparse.SUPPRESS)
    return parser


def _one(scenario: Scenario, directory: Path | None, words: Path | None) -> int:
    """Run one scenario here."""
    directory = directory or Path(tempfile.mkdtemp(prefix="speakerd-faults-"))
    result = asyncio.run(runner.run(scenario, directory, Phrases(words or directory / "words")))
    (directory / "result.json").write_text(json.dumps(asdict(result)))
    print(table.row(result))
    return bool(result.problems)


if __name__ == "__main__":
    sys.exit(main())
