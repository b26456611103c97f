"""Compare speakerd with what people use today, in one run: print the table as Markdown, write everything as JSON."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.__main__ import count
from bench.peers import kitchen, outcome, talk, trouble, work
from bench.peers.environments import version
from bench.peers.peer import PEERS, Peer
from bench.peers.work import Failure, Task
from bench.results import about, rounded, save
from bench.room_words import answers, write_answers
from bench.track import compose
from speakerd.errors import SpeakerdError

MARGIN_S = 300.0
"""By so much a scene may take longer than it should before it is given up: a peer is waited for twice a minute."""


@dataclass(frozen=True, slots=True)
class Part:
    """Scenes of a kind, and how many of them may be seen at a time."""

    tasks: list[Task]
    at_once: int

    @property
    def seconds(self) -> float:
        """Return how long it takes as a rule."""
        return sum(task.seconds for task in self.tasks) / self.at_once


def main() -> int:
    """Measure, print the table, write the file; return 0 unless measuring itself failed."""
    arguments = arguments_of(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it ends its children, as for Ctrl-C
    file = arguments.output / "peers.json"
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
        versions = {peer.name: version(peer) for peer in arguments.only}  # makes the environments
        comparison = Comparison(file, _plan(arguments) | {"versions": versions})
        with tempfile.TemporaryDirectory(prefix="speakerd-peers-") as directory:
            comparison.run(parts_of(arguments, Path(directory)))
    except (SpeakerdError, OSError) as error:
        print(f"bench.peers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"bench.peers: what there was so far is in {file}", file=sys.stderr)
        return 130
    print(*outcome.markdown(comparison.found), f"all of it: {file}", sep="\n")
    return 0


class Comparison:
    """Collects what came of every peer; one that fails is said to, and the others go on."""

    def __init__(self, file: Path, plan: Mapping[str, Any]) -> None:
        """Prepare; everything found so far is always in ``file``."""
        self._file = file
        self.found: dict[str, Any] = {
            **about("bench.peers", "bench-peers"),
            "finished": [],
            **plan,
            "loads": {},
            "samples": {},
            "counts": {},
            "troubles": {},
            "kitchen": {},
            "voids": {},
        }

    def run(self, parts: Mapping[str, Part]) -> None:
        """Do everything, one part after the other."""
        began = time.monotonic()
        left = {name: part.seconds for name, part in parts.items()}
        for name, part in parts.items():
            _tell(f"{name}: {len(part.tasks)} scenes, {part.at_once} at a time; about {_minutes(left)} left in all")
            with closing(work.perform(part.tasks, part.at_once)) as scenes:
                for number, (task, came) in enumerate(scenes, 1):
                    left[name] -= task.seconds / part.at_once
                    gone = (time.monotonic() - began) / 60
                    words = self.note(task, came)
                    _tell(f"{gone:.1f} min gone, about {_minutes(left)} left; {name} {number} of {len(part.tasks)}: "
                          f"{task.title}, {task.peer.name}{words}")  # fmt: skip
                    self._save()
            del left[name]
            self.found["finished"].append(name)
            self.found["loads"][name] = round(os.getloadavg()[0], 2)
            self._save()

    def note(self, task: Task, came: Any) -> str:
        """Keep what came of a scene; return it in words, where there are some."""
        peer = task.peer.name
        match came:
            case Failure(words):
                self.found["voids"].setdefault(f"{peer}, {task.title}", []).append(words)
                return f": FAILED, {words}"
            case talk.Talk(values, counts):
                samples = self.found["samples"].setdefault(peer, {})
                for name, more in values.items():
                    samples.setdefault(name, []).extend(rounded(name, more))
                counted = self.found["counts"].setdefault(peer, {})
                for name, number in counts.items():
                    counted[name] = counted.get(name, 0) + number
                return ""
            case trouble.Outcome():
                told = self.found["troubles"].setdefault(peer, {}).setdefault(came.trouble, [])
                told.append(asdict(came))
                return f": {outcome.trials([asdict(came)])}"
            case kitchen.Stay():
                self.found["kitchen"][peer] = asdict(came)
                return f": {outcome.interruptions(asdict(came))}"
            case _:
                raise TypeError(f"{task.title}: nobody knows what {came!r} is")

    def _save(self) -> None:
        save(self._file, self.found)


def _plan(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what is wanted, for the file."""
    names = ("starts", "rounds", "questions", "trials", "minutes", "at_once")
    return {"peers": [peer.name for peer in arguments.only]} | {name: getattr(arguments, name) for name in names}


def parts_of(arguments: argparse.Namespace, directory: Path) -> dict[str, Part]:
    """Return all that is to be done, by part: peers take turns, and what is timed to the millisecond is alone."""
    made: dict[str, Callable[[], Part]] = {
        "starts": partial(_starts, arguments, directory),
        "talk": partial(_talk, arguments, directory),
        "troubles": partial(_troubles, arguments, directory),
        "kitchen": partial(_kitchen, arguments, directory),
    }
    return {name: make() for name, make in made.items() if name in arguments.parts}


def _starts(arguments: argparse.Namespace, directory: Path) -> Part:
    return Part(
        [
            _task(
                peer, f"start {number + 1}", partial(talk.start, peer), directory / f"start-{number}-{peer.name}", 4.5
            )
            for number in range(arguments.starts)
            for peer in _turns(arguments.only, number)
        ],
        at_once=1,
    )


def _talk(arguments: argparse.Namespace, directory: Path) -> Part:
    track = compose(arguments.part, arguments.questions)
    return Part(
        [
            _task(
                peer,
                f"conversation {number + 1}",
                partial(talk.converse, peer, track),
                directory / f"talk-{number}-{peer.name}",
                track.seconds + 9,
            )
            for number in range(arguments.rounds)
            for peer in _turns(arguments.only, number)
        ],
        at_once=1,
    )


def _troubles(arguments: argparse.Namespace, directory: Path) -> Part:
    return Part(
        [
            _task(
                peer,
                one.title,
                partial(trouble.endure, peer, one),
                directory / f"{one.name}-{number}-{peer.name}",
                20 + one.lasts_s + 0.4 * one.patience_s,  # two of five trials end without an answer
            )
            for number in range(arguments.trials)
            for one in trouble.TROUBLES
            for peer in _turns(arguments.only, number)
        ],
        arguments.at_once,
    )


def _kitchen(arguments: argparse.Namespace, directory: Path) -> Part:
    files = write_answers(answers(), directory)
    # The air is computed in real time, and one that stands still for another's sake is no room: it tells so.
    return Part(
        [
            _task(
                peer,
                f"kitchen {kitchen.ROOM}",
                partial(kitchen.stay, peer, arguments.minutes, files),
                directory / f"kitchen-{peer.name}",
                arguments.minutes * 60 + 12,
            )
            for peer in arguments.only
        ],
        at_once=2,
    )


def _turns(peers: list[Peer], number: int) -> list[Peer]:
    """Return who is next in a round: another one begins each."""
    first = number % len(peers)
    return peers[first:] + peers[:first]


def _task(peer: Peer, title: str, scene: Callable[[Path], Any], place: Path, seconds: float) -> Task:
    return Task(peer, title, scene, place, seconds, seconds + MARGIN_S)


def _minutes(left: Mapping[str, float]) -> str:
    return f"{sum(left.values()) / 60:.0f} min"


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _some(text: str, known: tuple[str, ...], what: str) -> list[str]:
    """Return the names in a list with commas, in the order in which they are known; argparse tells of others."""
    names = text.split(",")
    if strangers := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"there is no {what} {strangers[0]!r}; there are: {', '.join(known)}")
    return [name for name in known if name in names]


def _peers(text: str) -> list[Peer]:
    names = _some(text, tuple(peer.name for peer in PEERS), "peer")
    return [peer for peer in PEERS if peer.name in names]


PARTS = ("starts", "talk", "troubles", "kitchen")


def arguments_of(words: Sequence[str]) -> argparse.Namespace:
    """Read the words of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    add = parser.add_argument
    everybody, everything = ",".join(peer.name for peer in PEERS), ",".join(PARTS)
    add("--only", type=_peers, default=everybody, metavar="NAMES", help="of the peers (default: %(default)s)")
    add("--parts", type=partial(_some, known=PARTS, what="part"), default=everything, metavar="NAMES",
        help="of the run (default: %(default)s)")  # fmt: skip
    add("--starts", type=count, default=28, metavar="N", help="of each peer (default: %(default)s)")
    add("--rounds", type=count, default=3, metavar="N", help="conversations with each (default: %(default)s)")
    add("--questions", type=count, default=12, metavar="N", help="in a conversation (default: %(default)s)")
    add("--trials", type=count, default=3, metavar="N", help="of each trouble with each (default: %(default)s)")
    add("--at-once", type=count, default=6, metavar="N", help="troubles at the same time (default: %(default)s)")
    add("--minutes", type=float, default=10.0, help="in the kitchen, each (default: %(default)g)")
    add("--quick", action="store_true", help="short, to see whether it works")
    add("--output", type=Path, default=Path("bench-out"), metavar="DIR", help="where peers.json goes (%(default)s)")
    arguments = parser.parse_args(words)
    arguments.part = 6.0
    if arguments.quick:
        arguments.part, arguments.starts, arguments.rounds, arguments.questions = 3.0, 1, 1, 4
        arguments.trials, arguments.minutes = 1, 0.5
    return arguments


if __name__ == "__main__":
    sys.exit(main())
