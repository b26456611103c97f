"""A visit to a kitchen with the real daemon in it: it answers, people talk over it, and something clatters."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

import numpy as np
import yaml

from bench.room_measure import FADED_DB, onset_s, share_told
from bench.room_offline import pieces
from bench.room_result import Clatter, Interruption, Plan, Replies, Result, Talk, Tape
from bench.room_words import ANSWER_S, ASKED_DB, OVER, QUESTION
from bench.sound import Sound
from speakerd.errors import SpeakerdError
from speakerd.simulate.acoustics import ROOMS
from speakerd.simulate.daemon import Daemon
from speakerd.simulate.evidence import Entry
from speakerd.simulate.kitchen import Kitchen
from speakerd.simulate.levels import as_sound, at_level
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.noises import RATE, clink, cough, fan
from speakerd.simulate.noises import Sound as Samples
from speakerd.simulate.script import Script
from speakerd.simulate.talkers import recording
from speakerd.sound.echo import Mode

KEY = "bench"
SEED = 1
"""Of the air; what happens when is drawn from the seed of the plan."""

NOISE_DB = -65.0
"""A cooker hood in the next room."""

LEVELS_DB = (6.0, 0.0)
"""How much louder than the echo people are who talk over it."""

CLATTER_DB = 3.0
"""How much louder than the echo coughs and clinks are."""

CLATTERS = {"cough": cough, "clink": clink}

ANSWERED_S = 8.0
"""An answer begins, or nobody waits for one any more, within this time after a talk."""

TRIES = 5
"""So often it is brought to talk for a while; where it interrupts itself, it does not."""

LATE_S = 0.2
"""What is on its way when an answer begins, is of the question."""

NOTICED_S = 1.5
"""So long after a sound an interruption is one by that sound."""

SHOWN_S = 60.0
"""How much of a visit is shown, from the first interruption on."""

LEARNING_S = 30.0
"""So much before that is kept too, for the canceller must know the room by then."""


async def visit(plan: Plan) -> Result:
    """Go there, and stay for as long as it takes.

    Raises:
        SpeakerdError: the daemon ended, or did not answer.
    """
    with tempfile.TemporaryDirectory(prefix="speakerd-room-") as directory:
        async with Visit.begun(plan, Path(directory)) as here:
            await here.ask()
            replies = await here.replies(plan.minutes * 60)
            lot = np.random.default_rng(plan.seed)
            began = time.monotonic()
            talks = [(OVER[number % len(OVER)], db) for db in LEVELS_DB for number in range(plan.interruptions)]
            over = [await here.interrupt(name, db, lot.uniform(2.5, 5)) for name, db in talks]
            things = list(CLATTERS) * plan.interruptions
            clatters = [await here.clatter(name, lot) for name in things]
            starved = here.kitchen.starved
            tape = here.tape(began)
    interruptions = [_judged(talk) for talk in over if talk is not None]
    return Result(replies, interruptions, [one for one in clatters if one is not None], tape, starved)


def _judged(talk: Talk) -> Interruption:
    said, told = recording(talk.name), as_sound(talk.on_wire)
    shares = share_told(said, told), share_told(said, told, FADED_DB)
    return Interruption(talk.name, talk.near_db, talk.at, talk.noticed_ms, *shares)


class Visit:
    """Everything that is there during a visit, and what one can do."""

    def __init__(self, plan: Plan, kitchen: Kitchen, live: LiveApi) -> None:
        self.kitchen = kitchen
        self._plan = plan
        self._live = live
        self._daemon: Daemon
        self._journal: list[Entry] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def begun(cls, plan: Plan, directory: Path) -> AsyncIterator[Self]:
        """Put the daemon into the kitchen; its connection is up when the block begins."""
        answers = [{"wav": file} for file in plan.answers]
        script = Script.model_validate({"thinking": 0.2, "answers": answers})
        noise = at_level(fan(30, np.random.default_rng(SEED)), NOISE_DB)
        options = LiveApiOptions(directory / "live", script=script, keys=frozenset({KEY}))
        with Kitchen(directory / "kitchen", ROOMS[plan.room], seed=SEED, noise=noise) as kitchen:
            async with LiveApi(options) as live:
                here = cls(plan, kitchen, live)
                settings = _write_settings(directory / "speakerd.yaml", live.url, plan.mode)
                environment = os.environ | kitchen.environment | {
                    "SSL_CERT_FILE": str(live.ca_file), "GEMINI_API_KEY": KEY, "no_proxy": "127.0.0.1"
                }  # fmt: skip
                log, tell = directory / "daemon.jsonl", here._journal.append
                async with Daemon.running(settings, environment, log, tell) as here._daemon:
                    reading = asyncio.create_task(here._daemon.read(), name="journal")
                    try:
                        await live.wait_for("setup", timeout=30)
                        yield here
                    finally:
                        await here._daemon.stop()
                        await reading

    @property
    def _state(self) -> str:
        states = self._entries("state")
        return str(states[-1].fields["state"]) if states else ""

    def _entries(self, event: str, since: float = 0.0) -> list[Entry]:
        return [entry for entry in self._journal if entry.event == event and entry.at >= since]

    async def _within(self, seconds: float, happened: Callable[[], object]) -> bool:
        """Wait until its journal tells that something happened; return whether it was in time."""
        try:
            await self._daemon.until("", seconds, happened)
        except SpeakerdError:
            return False
        return True

    def _say(self, sound: Samples, db: float) -> float:
        """Say something; return when its first sample is at the microphone."""
        return self.kitchen.say(at_level(sound, db))

    async def ask(self) -> None:
        """Ask a question, and wait until the answer is heard.

        Raises:
            SpeakerdError: there is none.
        """
        at = self._say(recording(QUESTION), ASKED_DB)

        def is_answered() -> bool:
            return any(entry.fields["state"] == "speaking" for entry in self._entries("state", at))

        await self._daemon.until("an answer", 30, is_answered)

    async def replies(self, seconds: float) -> Replies:
        """Listen to answers for so long, and say nothing over them."""
        began = time.monotonic()
        # Where it interrupts itself, it may never have spoken for so long.
        while (left := seconds - self._spoken_s(began)) > 0 and time.monotonic() - began < 2 * seconds:
            if self._state == "idle":
                await self.ask()
            else:
                await self._within(max(left, 0.1), lambda: self._state == "idle")
        spans = self._spoken(began)
        left_bytes = sum(
            event.detail["bytes"]
            for event in self._live.events
            if event.kind == "audio" and any(first + LATE_S < event.at <= last for first, last in spans)
        )
        return Replies(self._spoken_s(began), len(self._entries("interrupted", began)), left_bytes)

    def _spoken_s(self, since: float) -> float:
        return sum(last - first for first, last in self._spoken(since))

    def _spoken(self, since: float) -> list[tuple[float, float]]:
        """Return when it spoke, up to now."""
        states = [(entry.at, entry.fields["state"]) for entry in self._entries("state")]
        ends = [at for at, _ in states[1:]] + [time.monotonic()]
        spans = [(max(at, since), end) for (at, state), end in zip(states, ends, strict=True) if state == "speaking"]
        return [span for span in spans if span[1] > since]

    async def _speaks(self, seconds: float, more: float) -> bool:
        """Have it speak for so long, with so much more to say; return whether it did, without a break."""
        for _ in range(TRIES):
            if not await self._within(ANSWERED_S, lambda: self._state == "speaking"):
                await self.ask()
            since, _ = self._spoken(0)[-1]
            if time.monotonic() - since + seconds + more > ANSWER_S:
                await self._within(ANSWER_S, lambda: self._state != "speaking")
            elif not await self._within(seconds, lambda: self._state != "speaking"):
                return True
        return False

    async def interrupt(self, name: str, near_db: float, after_s: float) -> Talk | None:
        """Talk over a reply that has gone on for so long; return None where it breaks off by itself before."""
        talk = recording(name)
        if not await self._speaks(after_s, len(talk) / RATE + 1):
            return None
        told = len(self._heard())
        said_at = self._say(talk, self._plan.echo_db + near_db)
        end, onset = said_at + len(talk) / RATE, said_at + onset_s(talk)
        noticed = await self._within(end + 0.5 - time.monotonic(), lambda: self._entries("interrupted", said_at))
        await asyncio.sleep(max(end + 0.5 - time.monotonic(), 0))
        noticed_ms = 1e3 * (self._entries("interrupted", said_at)[0].at - onset) if noticed else None
        if noticed_ms is not None and noticed_ms < 0:
            return None  # it broke off by itself
        return Talk(name, near_db, onset, noticed_ms, self._heard()[told:])

    async def clatter(self, name: str, lot: np.random.Generator) -> Clatter | None:
        """Cough, or clink, while it speaks; return None where it does not speak."""
        if not await self._speaks(lot.uniform(0.5, 1.0), NOTICED_S):
            return None
        at = self._say(CLATTERS[name](lot), self._plan.echo_db + CLATTER_DB)
        return Clatter(name, at, await self._within(NOTICED_S, lambda: self._entries("interrupted", at)))

    def _heard(self) -> bytes:
        """Return what came over all connections, in their order."""
        connections = sum(event.kind == "open" for event in self._live.events)
        return b"".join(self._live.heard(number) for number in range(1, connections + 1))

    def tape(self, since: float) -> Tape:
        """Return what passed the converters from this moment on, and what the canceller learnt from."""
        first, end = since - LEARNING_S, since + SHOWN_S
        played, captured = (
            pieces(Sound.of(self.kitchen.card, direction), first, end) for direction in ("speaker", "mic")
        )
        return Tape(since, played, captured)


def _write_settings(path: Path, url: str, mode: Mode) -> Path:
    wanted = {
        "microphone": {"device": "mic"},
        "speaker": {"device": "speaker", "volume": 100},
        "echo": {"mode": mode},
        "live": {"base_url": url},
        "log": {"format": "json"},
    }
    path.write_text(yaml.safe_dump(wanted))
    return path
