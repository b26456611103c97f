"""The daemon in a kitchen, where its microphone hears its loudspeaker, through the air and the real ALSA library."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from speakerd.simulate.acoustics import ROOMS
from speakerd.simulate.kitchen import Kitchen
from speakerd.simulate.levels import as_sound, at_level
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.noises import Sound, clink
from speakerd.simulate.script import Script
from speakerd.simulate.talkers import recording
from tests.integration.household import KEY, Daemon, daemon, until, write_settings

RECIPE = (
    "Take a large pot, fill it with water, add a spoon of salt, and wait until it boils. Then the noodles go in, and "
    "you stir them once in a while. After nine minutes try one of them. If it is soft, pour the water away and serve "
    "them with the sauce that you like best."
)

ASKED_DB = -26.0
"""Somebody two steps away."""


@dataclass
class Cooking:
    """Somebody in a kitchen, and the speaker there."""

    kitchen: Kitchen
    live: LiveApi
    daemon: Daemon
    room: str

    def loudness_db(self, near_db: float) -> float:
        """Return how loud somebody is who is so much louder than the echo of what was played so far."""
        played = np.frombuffer(self.kitchen.card.played(), np.int16)
        return ROOMS[self.room].echo_db(played) + near_db

    def say(self, sound: Sound, db: float) -> float:
        """Say something this loud at the microphone; return when it begins there."""
        return self.kitchen.say(at_level(sound, db))

    async def ask(self) -> None:
        """Ask a question, and wait until two seconds of the answer have been heard."""
        self.say(recording("goforward.raw"), ASKED_DB)
        await self.live.wait_for("answer_start", timeout=30)
        await until(lambda: len(self.kitchen.card.played()) > 2 * 48_000, "two seconds of the answer", 20)

    async def answered(self) -> None:
        """Wait until the answer has been heard to its end."""
        await self.daemon.until(timeout=40, state="idle", after=await self.daemon.until(state="speaking"))


@contextlib.asynccontextmanager
async def cooking(directory: Path, room: str, **sections: dict[str, object]) -> AsyncIterator[Cooking]:
    """Put the daemon into a room, with the settings that it is delivered with."""
    script = Script.model_validate({"thinking": 0.2, "answers": [RECIPE]})
    options = LiveApiOptions(directory / "live", script=script, keys=frozenset({KEY}))
    usual: dict[str, dict[str, object]] = {"echo": {"mode": "auto"}, "listen": {"gate": "voice"}}
    with Kitchen(directory / "kitchen", ROOMS[room], seed=1) as kitchen:
        async with LiveApi(options) as live:
            settings = write_settings(directory / "speakerd.yaml", live.url, **(usual | sections))
            variables = {**kitchen.environment, "SSL_CERT_FILE": str(live.ca_file), "GEMINI_API_KEY": KEY}
            async with daemon(settings, **variables) as running:
                await live.wait_for("setup")
                try:
                    yield Cooking(kitchen, live, running, room)
                    assert kitchen.starved == 0, "this machine was too busy to be a room"
                except BaseException:
                    print(*running.lines, sep="\n")  # shown beside the failure
                    raise


@pytest.mark.parametrize("room", ["A", "D"])
async def test_it_does_not_answer_itself(tmp_path: Path, room: str) -> None:
    """A long answer in a hard room: it is heard to its end, and nothing of it goes back to the server."""
    async with cooking(tmp_path, room) as here:
        await here.ask()
        sent = len(here.live.heard(1))
        await here.live.wait_for("turn_complete", timeout=40)
        await here.daemon.until(
            timeout=40, event="state", state="idle", after=await here.daemon.until(state="speaking")
        )
        assert len(here.live.heard(1)) == sent
        assert not [entry for entry in here.daemon.journal if entry.get("event") == "interrupted"]
        assert here.daemon.states.count("speaking") == 1
        (told,) = (entry for entry in here.daemon.journal if entry.get("event") == "echo")
        assert told["mode"] == "cancel"
        assert told["erle_db"] > 30
        await here.daemon.stop()
        assert [line for line in here.daemon.lines if not line.startswith("{")] == []


async def test_without_any_means_it_does(tmp_path: Path) -> None:
    """The same with nothing done about the echo: this is what the others prevent."""
    async with cooking(tmp_path, "D", echo={"mode": "off"}) as here:
        await here.ask()
        await here.daemon.until(timeout=40, event="interrupted")


async def test_who_interrupts_is_heard(tmp_path: Path) -> None:
    """Twice as loud as the echo: the loudspeaker stops before the server says so, and every word is told."""
    async with cooking(tmp_path, "B") as here:
        await here.ask()
        sent = len(here.live.heard(1))
        words = recording("numbers.raw")
        here.say(words, here.loudness_db(6))
        number = await here.daemon.until(timeout=20, event="interrupted")
        assert here.daemon.journal[number - 1]["noticed_by"] == "us"
        await here.live.wait_for("answer_start", count=2, timeout=30)
        told = as_sound(here.live.heard(1)[sent:])
        assert _share_of(words, told) > 0.95


async def test_what_clinks_does_not_interrupt(tmp_path: Path) -> None:
    """Whoever cooks hears the answer to its end."""
    async with cooking(tmp_path, "B") as here:
        await here.ask()
        sent = len(here.live.heard(1))
        for seed in (1, 2, 3):
            here.say(clink(np.random.default_rng(seed)), here.loudness_db(3))
            await asyncio.sleep(1.5)
        await here.daemon.until(
            timeout=40, event="state", state="idle", after=await here.daemon.until(state="speaking")
        )
        assert not [entry for entry in here.daemon.journal if entry.get("event") == "interrupted"]
        assert len(here.live.heard(1)) == sent


async def test_in_half_duplex_it_does_not_answer_itself_either(tmp_path: Path) -> None:
    """Without a canceller the answer is heard to its end as well."""
    async with cooking(tmp_path, "C", echo={"mode": "half-duplex"}) as here:
        await here.ask()
        sent = len(here.live.heard(1))
        await here.daemon.until(
            timeout=40, event="state", state="idle", after=await here.daemon.until(state="speaking")
        )
        assert len(here.live.heard(1)) == sent


def _share_of(words: Sound, told: Sound) -> float:
    """Return how much of what is loud in a recording is loud in what was told, where the two fit best."""
    loud, heard = _loudness(words) > -20, _loudness(told) > -40
    fits = [
        int(np.sum(loud & np.resize(np.append(heard[shift:], np.zeros(len(loud), bool)), len(loud))))
        for shift in range(len(heard))
    ]
    before = [
        int(np.sum(loud & np.append(np.zeros(shift, bool), np.append(heard, np.zeros(len(loud), bool)))[: len(loud)]))
        for shift in range(len(loud))
    ]
    return max(*fits, *before) / int(np.sum(loud))


def _loudness(sound: Sound) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the level of each 20 ms, in dB below the loudest."""
    periods = sound[: len(sound) // 320 * 320].reshape(-1, 320)
    levels = 10 * np.log10(np.mean(periods.astype(np.float64) ** 2, axis=1) + 1e-10)
    return np.asarray(levels - levels.max())
