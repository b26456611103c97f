"""A long life among faults: one daemon, one question after another, and something wrong at most of them.

``python -m tests.faults.soak --hours 1``. Connections and handles grow old forty times faster than in life, so that
a planned replacement comes every minute. Every question must be answered, and once; nothing may grow.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speakerd.errors import SpeakerdError
from speakerd.simulate.ledger import WireEvent
from tests.faults import soak_table
from tests.faults.life import Minute, growth
from tests.faults.misdeeds import MISDEEDS, WORLD, Misdeed, faults_of, slowness
from tests.faults.network import Network, enclosure
from tests.faults.scenario import Moment
from tests.faults.verdict import BURST, BURST_S, UP
from tests.faults.words import Phrases, Utterance, account
from tests.integration.household import Household, household, until

ENCLOSED = "SPEAKERD_SOAK_ENCLOSED"
"""Set in the process that has a network of its own."""

CLOCK = 40
"""A connection of the default model is cut after 87 s instead of 58 minutes, a handle is good for three minutes."""

LIVE: dict[str, Any] = {
    "rotate": {"after": 60.0, "at_latest": 80.0},
    # Two seconds of health between two faults stand for a minute.
    "retry": {"healthy_after": 2.0},
}
"""The settings that go with the hurried clock."""

UTTERANCES = 24
"""So many different questions, over and over; each one's account is closed before the next is asked."""

WELL = 0.25
"""The share of rounds in which nothing goes wrong on purpose."""

ANSWER_S = 40.0
"""How long an answer may take when what was wrong is over: two remedies for a stall, and what they cost."""

TOO_OLD_S = 10.0
"""A question that is 15 s old when the line is back is not told any more; an outage of this length can do that."""


@dataclass
class Round:
    """One question, and what went wrong with it."""

    number: int
    misdeed: str
    moment: str
    seconds: float | None
    after: bool
    """Whether it was asked only when all was well again."""
    at: float = 0.0
    """When it went wrong, by time.monotonic(); and when that was over."""
    over: float = 0.0
    answered: float | None = None
    """Seconds from the end of the question to the first sound of its answer."""
    recovered: float | None = None
    """Seconds without a connection after what went wrong, or after its end; None where it was not lost."""
    lost: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    excused: bool = False
    problems: list[str] = field(default_factory=list)


@dataclass
class Report:
    """All that is known at the end."""

    seed: int
    hours: float = 0.0
    rounds: list[Round] = field(default_factory=list)
    minutes: list[Minute] = field(default_factory=list)
    rotations: list[float] = field(default_factory=list)
    dials: list[float] = field(default_factory=list)
    journal_lines: int = 0
    problems: list[str] = field(default_factory=list)


class Soak:
    """The course of it."""

    def __init__(
        self, home: Household, network: Network, directory: Path, said: Sequence[Utterance], report: Report
    ) -> None:
        self._home = home
        self._network = network
        self._live = directory / "live"
        self._events = _Tail(self._live / "events.jsonl")
        self._microphone = directory / "card" / "mic.sink"
        self._sink = _Tail(directory / "card" / "speaker.sink")  # the whole of it grows too long to be read again
        self._played = bytearray()
        self._said = said
        self._report = report
        self._chance = random.Random(report.seed)
        self._journal = 0
        self._began = time.monotonic()

    async def run(self, seconds: float) -> None:
        """Ask and disturb for so long; note everything in the report."""
        await self._home.daemon.until(60, event="link-up")
        for number, utterance in zip(itertools.count(1), itertools.cycle(self._said)):
            if time.monotonic() - self._began > seconds or self._is_dead():
                break
            await self._round(number, utterance)
            if time.monotonic() - self._began > 60 * (len(self._report.minutes) + 1) and not self._is_dead():
                self._minute()
        await self._end()

    async def _round(self, number: int, utterance: Utterance) -> None:
        """Ask one question, with its misdeed; then close its account."""
        await asyncio.sleep(self._chance.uniform(0.2, 5.0))
        self._journal = len(self._home.daemon.journal)
        self._played.clear()
        misdeed = None if self._chance.random() < WELL else self._chance.choice(MISDEEDS)
        this = self._plan(number, misdeed)
        self._report.rounds.append(this)
        try:
            await self._play(this, misdeed, utterance)
            await self._quiet()
        except (AssertionError, TimeoutError) as error:
            this.problems.append((str(error) or "it hung").splitlines()[0])
        self._close_account(this, utterance, misdeed)

    def _plan(self, number: int, misdeed: Misdeed | None) -> Round:
        if misdeed is None:
            return Round(number, "nothing", "", None, after=False)
        moment = self._chance.choice(misdeed.moments)
        seconds = self._chance.uniform(*misdeed.seconds) if misdeed.seconds else None
        # What is said to a stopped process is lost in the card, as what is said to a speaker that is switched off.
        is_deaf = misdeed.verb in {"stopped", "no_card"}
        after = moment is Moment.IDLE and (is_deaf or self._chance.random() < 0.5)
        return Round(number, misdeed.name, moment, seconds, after)

    async def _play(self, this: Round, misdeed: Misdeed | None, utterance: Utterance) -> None:
        """Say it, let it go wrong, and hear the answer. Raise AssertionError where there is none."""
        if misdeed is None or this.moment == Moment.ANSWER:
            self._stand_in(misdeed, this)
            spoken = self._say(utterance)
        elif this.moment == Moment.IDLE:
            going = asyncio.create_task(self._go_wrong(this, misdeed))
            if this.after:
                await going
                await until(self._is_up, "a connection", ANSWER_S)
                await until(lambda: not self._away(), "both devices", ANSWER_S)
            else:
                await asyncio.sleep(self._chance.uniform(0.0, 2.0))
            spoken = self._say(utterance)
            await going
        else:
            spoken = self._say(utterance)
            await self._moment(Moment(this.moment), spoken, utterance)
            await self._go_wrong(this, misdeed)
        await self._hear(this, spoken, utterance)
        self._network.impair()

    def _say(self, utterance: Utterance) -> float:
        """Say it; return when it will have been said, by time.monotonic()."""
        self._home.card.speak(utterance.pcm)
        return time.monotonic() + len(utterance.pcm) / 32_000

    async def _moment(self, moment: Moment, spoken: float, utterance: Utterance) -> None:
        """Wait for the moment; each is a stretch of time, and it is somewhere in it."""
        now = time.monotonic()
        if moment is Moment.MID_UTTERANCE:
            await asyncio.sleep(self._chance.uniform(0.3, spoken - now))
        elif moment is Moment.THINKING:
            await asyncio.sleep(spoken - now + self._chance.uniform(0.5, 1.4))
        else:
            await until(lambda: self._count(utterance), "the answer, before anything went wrong", ANSWER_S)
            await asyncio.sleep(self._chance.uniform(0.3, 2.0))

    async def _go_wrong(self, this: Round, misdeed: Misdeed) -> None:
        """Let it go wrong, and wait until that is over."""
        this.at = time.monotonic()
        if misdeed.verb in WORLD:
            await self._disturb(misdeed.verb, this.seconds or 0.0)
        else:
            self._stand_in(misdeed, this)
            if misdeed.dead:
                await asyncio.sleep(this.seconds or 0.0)
        this.over = time.monotonic()

    def _stand_in(self, misdeed: Misdeed | None, this: Round) -> None:
        for fault in faults_of(misdeed, this.seconds) if misdeed else ():
            self._home.live.misbehave(fault)

    async def _disturb(self, verb: str, seconds: float) -> None:
        match verb:
            case "black_hole":
                self._network.black_hole(True)
                await asyncio.sleep(seconds)
                self._network.black_hole(False)
            case "unplugged":
                self._network.unplug()
                await asyncio.sleep(seconds)
                self._network.plug()
            case "no_card":
                self._home.card.unplug()
                await asyncio.sleep(seconds)
                self._home.card.replug()
            case "stopped":
                self._home.daemon.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(seconds)
                captured = self._microphone.stat().st_size
                self._home.daemon.process.send_signal(signal.SIGCONT)
                # The card makes up for the time, and what is said now must not have been said then.
                await until(lambda: self._microphone.stat().st_size > captured, "the microphone", ANSWER_S)
            case "slow":
                self._network.impair(**slowness(self._chance))

    async def _hear(self, this: Round, spoken: float, utterance: Utterance) -> None:
        """Wait for the answer, unless the question became too old to be told, as it may after a long outage."""
        await until(
            lambda: self._count(utterance) or self._is_too_old(this) or self._is_dead(), "the answer", ANSWER_S
        )
        if self._count(utterance):
            this.answered = max(time.monotonic() - spoken, 0.0)
        else:
            this.excused = self._is_too_old(this)

    async def _quiet(self) -> None:
        """Wait until there is a connection, and for a second nobody has spoken."""
        since = time.monotonic()
        deadline = since + ANSWER_S
        while time.monotonic() - since < 1.0 and not self._is_dead():
            await asyncio.sleep(0.05)
            if self._home.daemon.states[-1:] != ["idle"] or self._home.card.unheard_s:
                since = time.monotonic()
            assert since < deadline, f"it does not become idle: {self._home.daemon.states[-5:]}"

    def _close_account(self, this: Round, utterance: Utterance, misdeed: Misdeed | None) -> None:
        """Note what became of every word, and of what went down: the connection, or the sound card."""
        self._home.live.ledger.flush()
        events = [WireEvent(**json.loads(line)) for line in self._events.more().splitlines()]
        self._report.dials += [event.at for event in events if event.kind in {"open", "refused"}]
        self._count(utterance)
        words = account([utterance], events, bytes(self._played))
        entries = self._home.daemon.journal[self._journal :]
        # A service that keeps a question and does not answer it is asked again, as its user would do; it knows it
        # twice then.
        asked_again = any(entry.get("event") == "stall" for entry in entries)
        this.lost = () if this.excused else words.lost
        this.twice = words.heard_twice if asked_again else words.repeated
        others = [other for other in self._said if other is not utterance]
        if heard := [other.number for other in others if other.answer_start in self._played]:
            this.problems.append(f"answers to other questions were heard: {heard}")
        self._report.rotations += [entry["seconds"] for entry in entries if entry.get("event") == "link-rotated"]
        since = this.over if misdeed and misdeed.dead else this.at
        is_card = misdeed is not None and misdeed.verb == "no_card"
        downs, backs = ({"device-lost"}, {"device-back"}) if is_card else ({"link-lost"}, UP)
        went_down = any(entry.get("event") in downs for entry in entries)
        ups = [entry["monotonic"] for entry in entries if entry.get("event") in backs and entry["monotonic"] > since]
        if since and went_down and ups:
            this.recovered = (ups[-1] if is_card else ups[0]) - since

    def _count(self, utterance: Utterance) -> int:
        """Return how often the answer to an utterance was begun to be heard in this round."""
        self._played += self._sink.more()
        return self._played.count(utterance.answer_start)

    def _is_too_old(self, this: Round) -> bool:
        entries = self._home.daemon.journal[self._journal :]
        return (this.seconds or 0.0) > TOO_OLD_S and any(entry.get("event") == "question-lost" for entry in entries)

    def _is_up(self) -> bool:
        return self._home.daemon.states[-1:] not in (["offline"], ["connecting"], ["error"])

    def _away(self) -> set[str]:
        """Return which sound devices are away, as its journal tells."""
        told = [entry for entry in self._home.daemon.journal if entry.get("event") in {"device-lost", "device-back"}]
        return {
            entry["device"]
            for entry in {entry["device"]: entry for entry in told}.values()
            if entry["event"] == "device-lost"
        }

    def _is_dead(self) -> bool:
        return self._home.daemon.process.returncode is not None

    def _minute(self) -> None:
        """Look at the process, and say how it goes; forget the sound that was sent, which fills the disk."""
        self._report.minutes.append(Minute.of(self._home.daemon.process.pid, self._began))
        print(soak_table.line(self._report.minutes, self._report.rounds), flush=True)
        for file in self._live.glob("*-*.wav"):
            if time.time() - file.stat().st_mtime > 60:
                file.unlink()

    async def _end(self) -> None:
        """Stop the daemon, and look for what a speaker must never do."""
        report, daemon = self._report, self._home.daemon
        report.hours = (time.monotonic() - self._began) / 3600
        report.journal_lines = len(daemon.journal)
        if self._is_dead():
            report.problems.append(f"the daemon died: exit status {daemon.process.returncode}")
        else:
            status, seconds = await daemon.stop()
            if status or seconds > 2:
                report.problems.append(f"stopped with status {status} after {seconds:.1f} s")
        strange = [line for line in daemon.lines if not line.startswith("{") or "Traceback" in line]
        report.problems += [f"not a line of a journal: {line}" for line in strange[:5]]
        if any(late - early < BURST_S for early, late in zip(report.dials, report.dials[BURST:], strict=False)):
            report.problems.append("it dialled more than once a second")
        report.problems += growth(report.minutes)


class _Tail:
    """Reads what was added to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0

    def more(self) -> bytes:
        """Return what is new."""
        if not self._file.exists():
            return b""
        with self._file.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        self._at += len(new)
        return new


async def soak(hours: float, seed: int, output: Path) -> int:
    """Live so long; print a line a minute and a table at the end; return 1 if anything was wrong."""
    report = Report(seed)
    output.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}\n{soak_table.HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="speakerd-soak-") as temporary:
        directory = Path(temporary)
        phrases = await asyncio.to_thread(Phrases, directory / "words", UTTERANCES)
        async with (
            Network(seed) as network,
            household(
                directory,
                phrases.script | {"clock": CLOCK},
                prefix=network.prefix,
                host=network.host,
                keep=False,
                live=LIVE,
                log={"level": "info"},
            ) as home,
        ):
            await Soak(home, network, directory, phrases.utterances, report).run(hours * 3600)
        (output / "journal.jsonl").write_text("".join(f"{line}\n" for line in home.daemon.lines))
    (output / "soak.json").write_text(json.dumps(asdict(report), indent=1))
    print(soak_table.table(report.rounds, report.rotations))
    print(soak_table.summary(report.hours, report.seed, report.minutes, report.journal_lines))
    problems = [*soak_table.complaints(report.rounds), *report.problems]
    print("\n".join(problems) or "nothing was lost, nothing was said twice, nothing grew")
    return 1 if problems else 0


def main() -> int:
    """Read the command line and live."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--seed", type=int, default=None, help="of all that is left to chance (default: another one)")
    parser.add_argument("--output", type=Path, default=Path("soak-out"), help="where soak.json and journal.jsonl go")
    given = parser.parse_args()
    if ENCLOSED not in os.environ:
        try:
            argv = [*enclosure(), sys.executable, "-m", "tests.faults.soak", *sys.argv[1:]]
        except SpeakerdError as error:
            print(error, file=sys.stderr)
            return 1
        os.execvpe(argv[0], argv, {**os.environ, ENCLOSED: "1"})
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    return asyncio.run(soak(given.hours, seed, given.output))


if __name__ == "__main__":
    sys.exit(main())
