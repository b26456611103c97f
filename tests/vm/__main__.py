"""The command `python -m tests.vm`: build the guest where it is missing, boot it, and let it play the scenes."""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.vm.machine import BOOTS, Guest, Machine, PanicError
from tests.vm.overlay import CHECKOUT, make_overlay
from tests.vm.power import PowerCuts

POWER = "power"

LEAVE_S = 120.0
"""How long the guest may take to boot, and to leave behind what it has."""

POWER_S = 600.0
"""How long each boot of those scenes may take."""


def main() -> int:
    """Return the exit status: 0 where every scene went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="NAME,…", help="play scenes that have one of these in their names"
    )
    parser.add_argument("--output", type=Path, default=Path("vm-out"), metavar="DIR", help="where everything goes")
    parser.add_argument("--limit", type=float, default=4800, metavar="S", help="end the guest after so many seconds")
    parser.add_argument("--package", type=Path, metavar="FILE", help="install this one, instead of one built for it")
    parser.add_argument("--cuts", type=int, default=5, metavar="N", help="let the power fail so often")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="at these moments")
    arguments = parser.parse_args()
    began = time.monotonic()
    guest = Guest(_built_by(CHECKOUT / "tests" / "vm" / "build"))
    package = arguments.package or _built_by(CHECKOUT / "packaging" / "build", "amd64")
    print(f"the guest and {package} are ready after {time.monotonic() - began:.0f} s")
    _clear(arguments.output)
    with tempfile.TemporaryDirectory() as directory:
        make_overlay(guest, package, Path(directory))
        well = asyncio.run(_play(guest, Path(directory), arguments))
    print(f"{'passed' if well else f'FAILED; see {arguments.output}'}, {time.monotonic() - began:.0f} s in all")
    return 0 if well else 1


def _clear(output: Path) -> None:
    """Make room for this run, so that nothing of one before passes for it."""
    if output.exists() and any(output.iterdir()):
        if not list(output.rglob("console*.txt")):
            sys.exit(f"{output} holds something else than a run before: choose another --output")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)


def _built_by(*command: str | Path) -> Path:
    """Return what a command has built, which is what it prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=CHECKOUT)
    return CHECKOUT / done.stdout.strip()


async def _play(guest: Guest, directory: Path, arguments: argparse.Namespace) -> bool:
    """Play what is asked for: the scenes of one boot first, and then, on another disk, those of several."""
    only = arguments.only.split(",")
    # Those of several boots have one name, "power".
    inside = ",".join(part for part in only if not part.startswith(POWER))
    well = True
    if inside or not arguments.only:
        well = await _scenes(Machine(guest, directory, arguments.output), inside, arguments.limit)
    if not arguments.only or inside != arguments.only:
        output = arguments.output / POWER
        output.mkdir(exist_ok=True)
        machine = Machine(guest, directory, output)
        try:
            well &= await PowerCuts(machine, cuts=arguments.cuts, seed=arguments.seed, limit=POWER_S).play()
        except PanicError:
            print(f"the guest's kernel panicked {BOOTS} times before the scene")
            return False
    return well


async def _scenes(machine: Machine, only: str, limit: float) -> bool:
    for number in range(1, BOOTS + 1):
        await machine.furnish()
        try:
            # The guest ends in time to leave behind what it has.
            console = await machine.boot(f"scenes.only={only} scenes.limit={limit:.0f}", limit=limit + LEAVE_S)
        except PanicError:
            print(f"boot {number}: the guest's kernel panicked before the first scene")
            continue
        machine.unpack()
        return console.went_well and console.is_over
    return False


if __name__ == "__main__":
    sys.exit(main())
