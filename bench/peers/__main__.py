"""Compare speakerd with what people use today; write the table as Markdown, and everything as JSON."""

import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.__main__ import count
from bench.peers import kitchen, outcome, talk, work
from bench.peers.environments import python, version
from bench.peers.peer import PEERS, Peer
from bench.peers.picture import draw
from bench.peers.trouble import TROUBLES, Outcome
from bench.room_words import answers, write_answers
from bench.track import compose
from speakerd.errors import SpeakerdError

PARTS = ("talk", "troubles", "kitchen")


def main() -> int:
    """Measure, print the table, write the files; return 0 unless measuring itself failed."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it ends its children, as for Ctrl-C
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        for peer in arguments.only:
            python(peer)  # makes its environment
        with tempfile.TemporaryDirectory(prefix="speakerd-peers-") as directory:
            comparison = Comparison(arguments, Path(directory))
            comparison.run()
    except SpeakerdError as error:
        print(f"bench.peers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    found = comparison.found()
    (arguments.output / "peers.json").write_text(json.dumps(found, indent=2) + "\n")
    (arguments.output / "peers.md").write_text(outcome.markdown(found))
    draw(found, arguments.output / "peers.png")
    print(outcome.markdown(found))
    print(f"all of it: {arguments.output}")
    return 0


class Comparison:
    """Collects what came of every peer; one that fails is said to, and the others go on."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        """Prepare; recordings go to ``directory``, one scene's at a time."""
        self._arguments = arguments
        self._directory = directory
        self._scenes = 0
        self._figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._troubles: dict[str, dict[str, Outcome]] = defaultdict(dict)
        self._stays: dict[str, kitchen.Stay] = {}
        self._voids: dict[str, str] = {}

    def run(self) -> None:
        """Run all parts that are wanted."""
        context, at_once = multiprocessing.get_context("spawn"), self._arguments.at_once
        if "talk" in self._arguments.parts:
            # Alone, and each in a process that knows nothing of the one before.
            with context.Pool(1, work.begin, maxtasksperchild=1) as pool:
                self._talk(pool)
        if "troubles" in self._arguments.parts:
            with context.Pool(at_once, work.begin, maxtasksperchild=1) as pool:
                self._trouble(pool)
        if "kitchen" in self._arguments.parts:
            with context.Pool(min(at_once, 2), work.begin, maxtasksperchild=1) as pool:
                self._stay(pool)

    def found(self) -> dict[str, Any]:
        """Return everything."""
        arguments = self._arguments
        about = {
            "command": " ".join(["python -m bench.peers", *sys.argv[1:]]),
            "peers": [peer.name for peer in arguments.only],
            "versions": {peer.name: version(peer) for peer in arguments.only},
            "rounds": arguments.rounds,
            "minutes": arguments.minutes,
            "voids": self._voids,
        }
        return outcome.as_json(self._figures, self._counts, self._troubles, self._stays, about)

    def _talk(self, pool: Any) -> None:
        for number in range(self._arguments.starts):
            for peer in self._arguments.only:
                _tell(f"start {number + 1} of {self._arguments.starts}: {peer.name}")
                self._add(peer, pool.apply(work.started, (peer, self._place())))
        track = compose(self._arguments.part, self._arguments.questions)
        for number in range(self._arguments.rounds):
            for peer in self._arguments.only:
                _tell(f"conversation {number + 1} of {self._arguments.rounds}: {peer.name}, {track.seconds:.0f} s")
                self._add(peer, pool.apply(work.conversed, (peer, track, self._place())))

    def _add(self, peer: Peer, said: talk.Talk | str) -> None:
        if isinstance(said, str):
            self._voids[f"{peer.name}, conversation"] = said
            return
        for name, values in said.values.items():
            self._figures[peer.name][name] += values
        for name, number in said.counts.items():
            self._counts[peer.name][name] += number

    def _trouble(self, pool: Any) -> None:
        _tell(f"troubles: {', '.join(one.name for one in TROUBLES)}; {self._arguments.at_once} at once")
        tasks = [(peer, one, self._place()) for one in TROUBLES for peer in self._arguments.only]
        for peer, one, came in pool.imap_unordered(work.endured, tasks):
            _tell(f"{one.name}: {peer.name}: {outcome.in_words(asdict(came), one)}")
            self._troubles[peer.name][one.name] = came
            if came.void:
                self._voids[f"{peer.name}, {one.title}"] = came.void

    def _stay(self, pool: Any) -> None:
        _tell(f"kitchen {kitchen.ROOM}: {self._arguments.minutes:g} minutes each")
        files = write_answers(answers(), self._directory)
        tasks = [(peer, self._arguments.minutes, files, self._place()) for peer in self._arguments.only]
        for peer, came in pool.imap_unordered(work.stayed, tasks):
            _tell(f"kitchen: {peer.name}: {outcome.interruptions(outcome.as_told(came))}")
            self._stays[peer.name] = came
            if came.void or came.starved:
                self._voids[f"{peer.name}, kitchen"] = came.void or f"this machine was too slow {came.starved} times"

    def _place(self) -> Path:
        self._scenes += 1
        return self._directory / str(self._scenes)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _names(text: str) -> list[Peer]:
    known = {peer.name: peer for peer in PEERS}
    return [known[name] for name in text.split(",")]


def _parts(text: str) -> list[str]:
    if unknown := set(text.split(",")) - set(PARTS):
        raise ValueError(unknown)
    return text.split(",")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    add = parser.add_argument
    everybody = ",".join(peer.name for peer in PEERS)
    add("--only", type=_names, default=everybody, metavar="NAMES", help="of the peers (default: %(default)s)")
    add("--parts", type=_parts, default=",".join(PARTS), metavar="NAMES", help="of the run (default: %(default)s)")
    add("--rounds", type=count, default=2, metavar="N", help="conversations with each (default: %(default)s)")
    add("--starts", type=count, default=3, metavar="N", help="further starts of each (default: %(default)s)")
    add("--questions", type=count, default=18, metavar="N", help="in a conversation (default: %(default)s)")
    add("--minutes", type=float, default=3.0, help="in the kitchen, each (default: %(default)g)")
    add("--at-once", type=count, default=3, metavar="N", help="troubles at the same time (default: %(default)s)")
    add("--quick", action="store_true", help="short, to see whether it works")
    add("--output", type=Path, default=Path("bench-out/peers"), metavar="DIR", help="where it goes (%(default)s)")
    arguments = parser.parse_args()
    arguments.part = 6.0
    if arguments.quick:
        arguments.rounds, arguments.starts, arguments.questions, arguments.part, arguments.minutes = 1, 1, 4, 3.0, 0.5
    return arguments


if __name__ == "__main__":
    sys.exit(main())
