"""The scenes of a talk: a question that somebody asks, its answer, and an outage between two of them."""

import asyncio
import time
from array import array
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

TRIES = 3
"""How often a talk is tried: where the host has no time for the guest, players and speaker alike lose sound."""

LOUD = 1000
"""Of the samples of an answer, which reach 3000; silence has none."""


@dataclass(frozen=True, slots=True)
class Talk:
    """How a question and its answer came through."""

    heard: Match
    said: Match
    peak: int
    """The loudest sample that the loudspeaker played."""
    waited_s: float
    """From the end of the question until the answer was heard."""
    gaps: int
    """How often the speaker told that the machine was too busy for it."""

    def __str__(self) -> str:
        busy = f"; the machine was too busy {self.gaps} times" if self.gaps else ""
        return f"question: {self.heard}; answer: {self.said}, {self.waited_s:.1f} s after the question{busy}"


async def converse(kitchen: Kitchen, name: str) -> Talk:
    """Ask, wait for the answer, see that it is heard, and compare both with what was said, sample by sample."""
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
    played = recording.read_bytes()
    talk = Talk(
        compare(question, kitchen.live.heard(answer.connection), HEARD_RATE),
        compare(answer.sent, played, SPOKEN_RATE),
        max(array("h", played[: len(played) & ~1]), default=0),
        spoke.at - asked,
        sum(entry.fields.get("event") == "xrun" for entry in kitchen.journal.entries[seen:]),
    )
    assert talk.peak >= LOUD, f"the answer is not heard: {talk}"
    return talk


async def a_question_and_its_answer(kitchen: Kitchen) -> str:
    """On its way from the room to the server, and back, a question and its answer stay as they were said."""
    await kitchen.at_home()
    tries: list[str] = []
    while len(tries) < TRIES:
        seen = len(kitchen.journal.entries)
        talk = await converse(kitchen, f"answer-{len(tries) + 1}")
        new = kitchen.journal.entries[seen:]
        states = [entry.fields["state"] for entry in new if entry.fields.get("event") == "state"]
        # Behind an underrun, and only there, it speaks twice.
        assert {"listening", "speaking"} <= set(states), states
        assert states.index("listening") < states.index("speaking"), states
        tries.append(str(talk))
        if min(talk.heard.share, talk.said.share) >= SAME:
            return f"{talk}; states {states}; try {len(tries)}"
    raise AssertionError("; ".join(tries))


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
