"""What leaves the house: what somebody says, and nothing else."""

import asyncio
import random
from array import array
from pathlib import Path
from typing import Any

import pytest

from tests.integration.household import GO_FORWARD, PAUSE, SOMETHING, household, until

QUICK: dict[str, Any] = {"thinking": 0.2}
VOICE: dict[str, object] = {"gate": "voice"}

FIRST_WORD, LAST_WORD = 32 * 400, 32 * 2400
"""Bytes: where in the recording somebody begins to talk, and has ended."""


def hiss(seconds: float, scale: int = 300) -> bytes:
    """Return the sound of a tap that runs."""
    source = random.Random(3)
    return array("h", (round(source.gauss(0, scale)) for _ in range(int(16_000 * seconds)))).tobytes()


async def test_without_a_voice_nothing_leaves(tmp_path: Path) -> None:
    """Neither silence nor a tap that runs costs a byte, nor lights the light."""
    async with household(tmp_path, QUICK, listen=VOICE) as home:
        await home.live.wait_for("setup")
        home.card.speak(hiss(4))
        await asyncio.sleep(5)
        assert home.live.heard(1) == b""
        assert "listening" not in home.daemon.states


@pytest.mark.parametrize("turns", ["server", "local"])
async def test_a_sentence_leaves_whole_and_ends(tmp_path: Path, turns: str) -> None:
    """From before its first sound to its last, then the server is told that it ended, and then nothing leaves."""
    async with household(tmp_path, QUICK, listen=VOICE | {"turns": turns}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD + hiss(3, scale=2))
        await home.live.wait_for("activity_end" if turns == "local" else "audio_stream_end", timeout=30)
        heard = home.live.heard(1)
        assert GO_FORWARD[FIRST_WORD:LAST_WORD] in heard
        await home.live.wait_for("turn_complete", timeout=30)
        await home.hear(home.live.answers[0].pcm)
        assert len(home.live.heard(1)) == len(heard)
        kinds = {event.kind for event in home.live.events}
        assert ("activity_start" in kinds) == (turns == "local")


async def test_an_answer_comes_sooner_when_we_say_where_the_turn_ends(tmp_path: Path) -> None:
    """With our own judgement of where a sentence ends, less is sent behind it than with the server's."""
    silence_sent = {}
    for turns in ("server", "local"):
        async with household(tmp_path / turns, QUICK, listen=VOICE | {"turns": turns}) as home:
            await home.live.wait_for("setup")
            home.card.speak(GO_FORWARD + PAUSE * 4)
            await home.live.wait_for("turn_complete", timeout=30)
            await asyncio.sleep(2)
            heard = home.live.heard(1)
            silence_sent[turns] = len(heard) - heard.find(GO_FORWARD[LAST_WORD - 6400 : LAST_WORD])
    assert silence_sent["local"] < silence_sent["server"] - 6400


@pytest.mark.parametrize("turns", ["server", "local"])
async def test_a_sentence_that_meets_a_reset_is_told_again(tmp_path: Path, turns: str) -> None:
    """The connection breaks in mid-sentence: the next one gets the sentence from its start, and answers it."""
    cut = {"when": {"event": "audio", "count": 40}, "do": {"reset": True}}
    async with household(tmp_path, QUICK | {"faults": [cut]}, listen=VOICE | {"turns": turns}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD + PAUSE * 4)
        await home.live.wait_for("turn_complete", timeout=30)
        assert GO_FORWARD[FIRST_WORD:LAST_WORD] in home.live.heard(2)
        await home.hear(home.live.answers[-1].pcm)


async def test_nothing_is_told_on_a_new_connection_while_nobody_talks(tmp_path: Path) -> None:
    """A connection that takes the place of another one in a silence hears nothing."""
    async with household(tmp_path, QUICK, listen=VOICE) as home:
        await home.live.wait_for("setup")
        await home.live.go_dark()
        await home.live.come_back()
        await home.live.wait_for("setup", count=2, timeout=30)
        home.card.speak(hiss(1))
        await asyncio.sleep(2)
        assert home.live.heard(1) == home.live.heard(2) == b""


@pytest.mark.parametrize("turns", ["server", "local"])
async def test_an_interruption_is_heard(tmp_path: Path, turns: str) -> None:
    """Who talks over the answer silences it, and is answered."""
    async with household(tmp_path, QUICK, listen=VOICE | {"turns": turns}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("answer_start", timeout=30)
        await until(lambda: len(home.card.played()) > 24000, "half a second of the answer")
        home.card.speak(SOMETHING)
        await home.live.wait_for("turn_complete", count=2, timeout=30)
        first, second = home.live.answers
        assert (first.interrupted, second.interrupted) == (True, False)
        await home.hear(second.pcm)
