"""The scenes of a talk: a question that somebody asks, its answer, and an outage between two of them."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from tests.vm.guest.kitchen import Kitchen, until
from tests.vm.guest.panel import flashes
from tests.vm.guest.room import HEARD_RATE, SPOKEN_RATE, Match, compare

QUESTION = Path("/opt/scenes/question.raw")
"""A recording of a person, S16_LE, 16 kHz, mono."""

OUTAGE_S = 20.0

BACK_S = 10.0
"""How soon after an outage there is a connection again; the emulated processor needs seconds for TLS alone."""

SAME = 0.95
"""How much of a sound must come through unchanged: the emulated processor may be too busy for a period or two."""


@dataclass(frozen=True, slots=True)
class Talk:
    """How a question and its answer came through."""

    heard: Match
    said: Match
    waited_s: float
    """From the end of the question until the answer was heard."""

    def __str__(self) -> str:
        return f"question: {self.heard}; answer: {self.said}, {self.waited_s:.1f} s after the question"


async def converse(kitchen: Kitchen, name: str) -> Talk:
    """Ask, wait for the answer, and compare both with what was really said, sample by sample."""
    question, answers, seen = QUESTION.read_bytes(), len(kitchen.live.answers), len(kitchen.journal.entries)
    kitchen.room.be_quiet()
    async with kitchen.room.recorded(name) as recording:
        await kitchen.room.say(question)
        asked = time.monotonic()
        spoke = await kitchen.journal.until(30, after=seen, state="speaking")
        await until(lambda: len(kitchen.live.answers) > answers, "the end of the answer", 30)
        await kitchen.until_state("idle")
    kitchen.room.be_noisy()
    answer = kitchen.live.answers[answers]
    heard = compare(question, kitchen.live.heard(answer.connection), HEARD_RATE)
    said = compare(answer.sent, recording.read_bytes(), SPOKEN_RATE)
    talk = Talk(heard, said, spoke.at - asked)
    assert min(heard.share, said.share) >= SAME, str(talk)
    return talk


async def a_question_and_its_answer(kitchen: Kitchen) -> str:
    """On its way from the room to the server, and back, a question and its answer stay as they were said."""
    await kitchen.at_home()
    seen = len(kitchen.journal.entries)
    talk = await converse(kitchen, "answer")
    new = kitchen.journal.entries[seen:]
    states = [entry.fields["state"] for entry in new if entry.fields.get("event") == "state"]
    assert "listening" in states, states
    assert states[-2:] == ["speaking", "idle"], states
    return f"{talk}; states {states}"


async def an_outage_ends_by_itself(kitchen: Kitchen) -> str:
    """Without a server for 20 s the light says so; when that is back the speaker is, and answers."""
    await kitchen.at_home()
    gone = time.monotonic()
    await kitchen.live.go_dark()
    try:
        await kitchen.until_state("offline")
        noticed = time.monotonic() - gone
        told = await flashes(kitchen, "outage", on=[0.1], off=[1.9])
        await asyncio.sleep(gone + OUTAGE_S - time.monotonic())
        assert kitchen.octets_since(gone + 1) == 0, kitchen.octets_since(gone + 1)
    finally:
        await kitchen.live.come_back()
    back = time.monotonic()
    await kitchen.until_state("idle")
    up = time.monotonic() - back
    await kitchen.until_sound()
    heard = time.monotonic() - back
    assert up <= BACK_S, f"{up:.1f} s"
    talk = await converse(kitchen, "after-the-outage")
    return f"OFFLINE after {noticed:.1f} s, light {told}; up {up:.1f} s and heard {heard:.1f} s after its end; {talk}"


SCENES = (a_question_and_its_answer, an_outage_ends_by_itself)
