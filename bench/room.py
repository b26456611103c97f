"""Measure the speaker in a simulated kitchen, room by room: what it makes of its own voice, and of people's.

All of it goes through the real daemon and the real ALSA library, in real time; only what the canceller takes out, and
what it costs, is measured beside that. The exit status is 0 where all targets are met.
"""

import argparse
import asyncio
import gc
import multiprocessing
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.__main__ import count
from bench.results import save
from bench.room_offline import measure, memory_mib
from bench.room_picture import draw
from bench.room_report import Measured, as_json, is_met, table
from bench.room_result import Plan
from bench.room_visit import visit
from bench.room_words import answers, write_answers
from speakerd.errors import SpeakerdError
from speakerd.simulate.acoustics import ROOMS
from speakerd.sound.echo import Mode

MODES: tuple[Mode, ...] = ("cancel", "half-duplex", "off")


def main() -> int:
    """Measure, print the tables, write the files."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it ends its children, as for Ctrl-C
    arguments.output.mkdir(parents=True, exist_ok=True)
    modes: dict[str, dict[str, Measured]] = {mode: {} for mode in arguments.modes}
    wanted = {name: getattr(arguments, name) for name in ("minutes", "interruptions", "seed")}
    try:
        with tempfile.TemporaryDirectory(prefix="speakerd-room-") as directory:
            plans, before = _offline(arguments, Path(directory))
            # Each in a process of its own: the air of one must not wait for the stand-in of another.
            with multiprocessing.get_context("spawn").Pool(arguments.at_once, _begin) as pool:
                for plan, one in pool.imap_unordered(_visited, zip(plans, before, strict=True)):
                    modes[plan.mode][plan.room] = one
                    name = f"{plan.room}-{plan.mode}"
                    told = as_json(plan.room, plan.mode, one, **wanted)
                    save(arguments.output / f"room-{name}.json", told)
                    if one.result is not None:
                        draw(plan, one.result, arguments.output / f"{name}.png")
    except SpeakerdError as error:
        print(f"bench.room: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    modes = {mode: dict(sorted(rooms.items())) for mode, rooms in modes.items()}
    for mode, rooms in modes.items():
        print(*table(mode, rooms), "", sep="\n")
    print(f"all of it, and pictures: {arguments.output}")
    return 0 if all(is_met(rooms) for rooms in modes.values()) else 1


def _offline(arguments: argparse.Namespace, directory: Path) -> tuple[list[Plan], list[Measured]]:
    """Measure what needs no real time; nothing that does may run beside it."""
    recipe, novel = said = answers()
    files, memory = write_answers(said, directory), memory_mib()
    plans, before = [], []
    for mode in arguments.modes:
        for room in arguments.rooms:
            _tell(f"{room}, {mode}: what is taken out of the echo, and what it costs")
            # The novel first: a person's voice is harder to take out.
            offline = measure(room, mode, np.concatenate((novel, recipe)))
            talks = arguments.interruptions
            plans.append(Plan(room, mode, arguments.minutes, talks, offline.echo_db, files, arguments.seed))
            before.append(Measured(offline, memory, None))
    return plans, before


def _begin() -> None:
    """Leave it to the parent when to end, and end in good order then: there is a daemon to be stopped."""
    gc.disable()  # it would stop the air for longer than a microphone can wait
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _visited(task: tuple[Plan, Measured]) -> tuple[Plan, Measured]:
    """Visit a room; say what came of it, with what was known before."""
    plan, before = task
    _tell(f"{plan.room}, {plan.mode}: {plan.minutes:g} minutes of replies, and talk over some more")
    try:
        result = asyncio.run(visit(plan))
    except (SpeakerdError, TimeoutError) as error:
        return plan, replace(before, void=str(error))
    void = f"this machine was too slow {result.starved} times" if result.starved else ""
    return plan, replace(before, result=result, void=void)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.room", description=__doc__)
    output, rooms = Path("bench-out/room"), [room for room in ROOMS if room != "quiet"]
    add = parser.add_argument
    add("--minutes", type=float, default=30.0, help="of replies in each room (default: %(default)g)")
    add("--interruptions", type=count, default=12, metavar="N", help="at each level (default: %(default)s)")
    add("--rooms", nargs="+", choices=rooms, default=rooms, metavar="ROOM", help="A to D (default: all)")
    add("--modes", nargs="+", choices=MODES, default=["cancel"], help="what is done about the echo (default: cancel)")
    add("--at-once", type=count, default=2, metavar="N", help="rooms at the same time (default: %(default)s)")
    add("--seed", type=int, default=1, help="of the moments of what is said (default: %(default)s)")
    add("--output", type=Path, default=output, metavar="DIR", help="where it goes (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
