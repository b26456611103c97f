"""The command `python -m tests.vm`: build the guest where it is missing, boot it, and let it play the scenes."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.vm.machine import Guest, PanicError, boot
from tests.vm.overlay import CHECKOUT, make_overlay

BOOTS = 3
"""How often a guest is booted that panics before its first scene: one boot in twelve was seen to, under emulation."""


def main() -> int:
    """Return the exit status: 0 where every scene went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="NAME,…", help="play scenes that have one of these in their names"
    )
    parser.add_argument("--output", type=Path, default=Path("vm-out"), metavar="DIR", help="where everything goes")
    parser.add_argument("--limit", type=float, default=1500, metavar="S", help="end the guest after so many seconds")
    arguments = parser.parse_args()
    began = time.monotonic()
    guest = Guest(_built_by(CHECKOUT / "tests" / "vm" / "build"))
    package = _built_by(CHECKOUT / "packaging" / "build", "amd64")
    print(f"the guest and {package} are ready after {time.monotonic() - began:.0f} s")
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        make_overlay(guest, package, Path(directory))
        well = _play(guest, Path(directory), arguments)
    print(f"{'passed' if well else f'FAILED; see {arguments.output}'}, {time.monotonic() - began:.0f} s in all")
    return 0 if well else 1


def _built_by(*command: str | Path) -> Path:
    """Return what a command has built, which is what it prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=CHECKOUT)
    return CHECKOUT / done.stdout.strip()


def _play(guest: Guest, directory: Path, arguments: argparse.Namespace) -> bool:
    for number in range(1, BOOTS + 1):
        try:
            return asyncio.run(boot(guest, directory, arguments.output, only=arguments.only, limit=arguments.limit))
        except PanicError:
            print(f"boot {number}: the guest's kernel panicked before the first scene")
    return False


if __name__ == "__main__":
    sys.exit(main())
