"""Hunt each target for a while, as many at a time as there are processors, and tell what came of it."""

import argparse
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.hunt import TARGETS, repeat
from tests.fuzz.target import CORPUS

OUTPUT = Path("fuzz-out")

WARM_UP = 0.3
"""Of the time; by then everything is imported and most of what can be found has been found."""

MOST_GROWTH_MIB = 16
"""After the warm-up. The hunter itself keeps each input that leads anywhere: 3 MiB in five minutes were the most that
was measured. A leak of a kilobyte in an attempt is more than 16 MiB in ten minutes at 40 attempts a second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a hunt; memory in MiB."""

    name: str
    seed: int
    seconds: int
    known: int
    """With so many inputs it began."""
    attempts: int
    branches: int
    inputs: int
    warm: float
    end: float
    finding: Path | None
    is_whole: bool

    @property
    def is_good(self) -> bool:
        """Say whether nothing was found."""
        return self.verdict == "good"

    @property
    def verdict(self) -> str:
        """Return what it comes to, in a word."""
        if self.finding is not None:
            return "FOUND"
        # One that only looked at what it was given has not hunted.
        if not self.is_whole or self.attempts <= self.known:
            return "FAILED"
        return "GROWS" if self.end - self.warm > MOST_GROWTH_MIB else "good"

    def __str__(self) -> str:
        """Return a line of the table."""
        grown = f"{self.end - self.warm:+.1f} MiB from {self.warm:.0f}"
        return (
            f"{self.name:10} {self.attempts:>10,} {self.branches:>9,} {self.inputs:>7,}   {grown:22} {self.verdict}"
        )

    def as_json(self) -> dict[str, object]:
        """Return it for the file that is kept; memory in MiB."""
        return {
            "target": self.name, "seed": self.seed, "seconds": self.seconds, "attempts": self.attempts,
            "branches": self.branches, "inputs": self.inputs, "memory_mib": [round(self.warm), round(self.end)],
            "verdict": self.verdict,
        }  # fmt: skip


HEADING = f"{'target':10} {'attempts':>10} {'branches':>9} {'inputs':>7}   {'memory':22}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status."""
    given = _parser().parse_args(arguments)
    names = given.only.split() if given.only else list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        print(f"there is no target {unknown[0]}; there is {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if given.repeat:
        repeat(names[0], given.repeat)
        return 0
    given.output.mkdir(parents=True, exist_ok=True)
    print(HEADING, flush=True)
    outcomes = []
    with ThreadPoolExecutor(given.at_once) as hunters:
        hunts = [hunters.submit(_hunt, name, round(given.minutes * 60), given.seed, given.output) for name in names]
        try:
            for hunt in hunts:
                outcomes.append(hunt.result())
                print(outcomes[-1], flush=True)
                _keep(outcomes, given.output / "fuzz.json")
        finally:
            hunters.shutdown(cancel_futures=True)  # whoever presses Ctrl-C wants no further one
    for outcome in outcomes:
        if not outcome.is_good:
            _tell(outcome, given.output)
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for each target (%(default)s)")
    parser.add_argument(
        "--at-once", type=int, default=min(os.cpu_count() or 1, len(TARGETS)), choices=range(1, len(TARGETS) + 1),
        metavar="N", help="so many of them at a time (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--only", metavar="NAMES", help=f"only these: {', '.join(TARGETS)}")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31, help="begin with this number")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="one attempt, with this input, at the one target")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="for inputs and findings (%(default)s)")
    return parser


def _hunt(name: str, seconds: int, seed: int, output: Path) -> Outcome:
    """Hunt a target in a process of its own, and watch its memory."""
    command = [sys.executable, "-m", "tests.fuzz.hunt", name, f"--seconds={seconds}", f"--seed={seed}"]
    known, begun, memory = set(output.iterdir()), time.monotonic(), [0.0]
    log = output / f"{name}.log"
    with log.open("wb") as out, subprocess.Popen([*command, f"--output={output}"], stdout=out, stderr=out) as process:
        warm = 0.0
        while process.poll() is None:
            memory.append(_memory(process.pid) or memory[-1])
            if not warm and time.monotonic() - begun > seconds * WARM_UP:
                warm = memory[-1]
            time.sleep(1)
    text = log.read_text(errors="replace")
    # libFuzzer may stop in the middle of a line: the newest figures are the last ones that are whole.
    figures = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)/", text) or [("0", "0")]
    attempts = re.findall(r"^(?:stat::number_of_executed_units: +|#)(\d+)", text, re.MULTILINE) or ["0"]
    found = sorted(set(output.glob(f"{name}-*")) - known)
    return Outcome(
        name, seed, seconds, _known(name),
        int(attempts[-1]), int(figures[-1][0]), int(figures[-1][1]), warm or memory[-1], memory[-1],
        found[0] if found else None, process.returncode == 0,
    )  # fmt: skip


def _known(name: str) -> int:
    """Return with how many inputs a target begins."""
    return sum(file.is_file() for file in (CORPUS / name).iterdir())


def _keep(outcomes: list[Outcome], file: Path) -> None:
    """Write what came of the hunts up to now, for whoever asks later."""
    about = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
    }
    file.write_text(json.dumps({**about, "hunts": [one.as_json() for one in outcomes]}, indent=1) + "\n")


def _memory(pid: int) -> float:
    """Return the memory of a process in MiB, 0 when it is over."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _tell(outcome: Outcome, output: Path) -> None:
    print(f"\n{outcome.name}: the whole story is in {output / outcome.name}.log")
    if outcome.finding is not None:
        print(f"  the input: {outcome.finding}")
        print(f"  to repeat: {sys.executable} -m tests.fuzz --only {outcome.name} --repeat {outcome.finding}")


if __name__ == "__main__":
    sys.exit(main())
