"""Measure speakerd beside the control loop: the same stand-in, the same sound, sessions in turn."""

import argparse
import platform
import signal
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from bench import measure, report
from bench.programs import Program
from bench.results import machine, save
from bench.session import Session, Start, converse, start
from bench.stand_in import StandIn
from bench.track import Track, compose, write_answers
from speakerd.errors import SpeakerdError
from speakerd.simulate.voice import Voice

Samples = defaultdict[str, dict[Program, list[float]]]
Counts = defaultdict[str, dict[Program, int]]


def main() -> int:
    """Measure, print the table, write the file; return 0 unless measuring itself failed."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it ends its children, as for Ctrl-C
    part_s, questions, starts = (3.0, 6, 2) if arguments.quick else (12.0, 12, 5)
    try:
        bench = Bench(compose(part_s, questions))
        with tempfile.TemporaryDirectory(prefix="speakerd-bench-") as directory:
            bench.run(Path(directory), arguments.rounds, starts)
    except SpeakerdError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "bench.json"
    save(file, report.as_json(bench.samples, bench.counts, arguments.rounds))
    about = machine()
    print(
        f"{about['processor']}, {about['cores']} cores, load {about['load']:.1f}, Python {platform.python_version()}"
    )
    print(*report.table(bench.samples, bench.counts), f"all of it: {file}", sep="\n")
    return 0


class Bench:
    """Collects the samples of many sessions."""

    def __init__(self, track: Track) -> None:
        """Prepare to play this track in every session."""
        self._track = track
        self.samples: Samples = defaultdict(lambda: {program: [] for program in Program})
        self.counts: Counts = defaultdict(lambda: dict.fromkeys(Program, 0))

    def run(self, directory: Path, rounds: int, starts: int) -> None:
        """Start each program so many times, then hold so many sessions with each, one after the other, in turn."""
        script = write_answers(self._track.answers, directory)
        # As the stand-in reads them, for a file that is resampled is not the same to the last bit.
        answers = [Voice().play(Path(answer["wav"])).pcm for answer in script["answers"]]
        with StandIn(directory, script) as stand_in:
            for number in range(starts):
                for program in Program:
                    _tell(f"start {number + 1} of {starts}: {program}")
                    self._add_start(program, start(program, stand_in, directory / f"{program}-start-{number}"))
            for number in range(rounds):
                for program in Program:
                    _tell(f"round {number + 1} of {rounds}: {program}, {self._track.seconds:.0f} s")
                    place = directory / f"{program}-session-{number}"
                    self._add(program, converse(program, stand_in, self._track, place), answers)
        for name, both in self.samples.items():
            for program, values in both.items():
                if not values:
                    raise SpeakerdError(
                        f"there is not one sample of {name} of {program}: see the counts {self.counts}"
                    )

    def _add_start(self, program: Program, start: Start) -> None:
        ready = start.first_message if start.ready is None else start.ready
        self._sample(program, "start_to_ready_ms", ready * 1e3)
        self._sample(program, "start_to_connected_ms", start.connected * 1e3)

    def _add(self, program: Program, session: Session, answers: list[bytes]) -> None:
        self._add_start(program, session.start)
        up = measure.uplink(session.events, session.heard, session.captured)
        down = measure.downlink(measure.answers(session.events, answers), session.played)
        self._sample(program, "microphone_to_wire_ms", *(delay * 1e3 for delay in up.delays))
        self._sample(program, "reply_to_sound_ms", *(delay * 1e3 for delay in down.first_sounds))
        self._sample(program, "interrupted_to_silence_ms", *(delay * 1e3 for delay in down.silences))
        for name, share in session.cpu.items():
            self._sample(program, f"cpu_{name}_percent", share * 100)
        self._sample(program, "peak_rss_mib", session.memory.peak_rss / 1024)
        self._sample(program, "pss_mib", session.memory.pss / 1024)
        counted = {
            "messages": len(up.delays),
            "microphone frames lost": up.lost,
            "answers heard": len(down.first_sounds),
            "answers not heard": down.unheard,
            "gaps within answers": down.torn,
            "interruptions": len(down.silences),
        }
        for what, number in counted.items():
            self.counts[what][program] += number

    def _sample(self, program: Program, name: str, *values: float) -> None:
        self.samples[name][program] += values


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("bench-out"), metavar="DIR", help="where it goes (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=count, default=2, metavar="N", help="sessions of each program (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="short sessions, to see whether it works")
    return parser.parse_args()


def count(text: str) -> int:
    """Return a number of at least one; argparse tells of anything else."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least one")
    return number


if __name__ == "__main__":
    sys.exit(main())
