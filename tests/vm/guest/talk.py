"""The scenes of a talk: a question that somebody asks, its answer, and an outage between two of them."""

import asyncio
import contextlib
import itertools
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

from tests.vm.guest.kitchen import COLOURS, START_S, Kitchen, until
from tests.vm.guest.panel import flashes
from tests.vm.guest.pins import Watch
from tests.vm.guest.room import HEARD_RATE, SPOKEN_RATE, Match, compare

QUESTION = Path("/opt/scenes/question.raw")
"""A recording of a person, S16_LE, 16 kHz, mono."""

OUTAGE_S = 20.0

BACK_S = 10.0
"""How soon after an outage there is a connection again."""

SAME = 0.98
"""How much of a sound must come through unchanged."""

TAIL_S = 0.3
"""How long the other end of the cable goes on listening."""

COARSE_S = 0.015
"""How often three lamps are looked at; more would take the processor's time from the talk."""

LATE_S = 0.15
"""How long the light may take to follow a state, and the journal to tell of it."""

OFF, ON, PULSE = (0.0, 0.02), (0.98, 1.0), (0.1, 0.9)
"""Shares of the time."""

LIGHTS = {
    "listening": {"red": OFF, "green": ON, "blue": OFF},
    "thinking": {"red": OFF, "green": PULSE, "blue": PULSE},
    "speaking": {"red": OFF, "green": OFF, "blue": ON},
}
"""What each lamp does in each state of a talk."""

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
        await asyncio.sleep(TAIL_S)
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
    assert min(talk.heard.share, talk.said.share) >= SAME, talk
    return talk


async def a_question_and_its_answer(kitchen: Kitchen) -> str:
    """On its way from the room to the server, and back, a question and its answer stay as they were said."""
    await kitchen.at_home()
    seen = len(kitchen.journal.entries)
    talk = await converse(kitchen, "answer")
    new = kitchen.journal.entries[seen:]
    states = [entry.fields["state"] for entry in new if entry.fields.get("event") == "state"]
    # Behind an underrun, and only there, it speaks twice.
    assert {"listening", "speaking"} <= set(states), states
    assert states.index("listening") < states.index("speaking"), states
    return f"{talk}; states {states}"


async def the_light_follows_a_talk(kitchen: Kitchen) -> str:
    """While somebody talks the light is green, while an answer is awaited it pulses in cyan, then it is blue."""
    await kitchen.at_home(COLOURS)
    seen = len(kitchen.journal.entries)
    with contextlib.ExitStack() as stack:
        lamps = {name: stack.enter_context(Watch(pin, COARSE_S)) for name, pin in COLOURS["led"].items()}
        talk = await converse(kitchen, "answer-with-light")
    for name, trace in lamps.items():
        kitchen.keep(trace, f"talk-{name}")
    turns = [entry for entry in kitchen.journal.entries[seen:] if entry.fields.get("event") == "state"]
    told = []
    for entry, following in itertools.pairwise(turns):
        state, begin, end = entry.fields["state"], entry.at + LATE_S, following.at - LATE_S
        if state not in LIGHTS or end - begin < LATE_S:
            continue
        for name, trace in lamps.items():
            levels = [level for at, level in trace.looks if begin <= at <= end]
            assert levels, f"nobody looked at {name} while it was {state}"
            share = sum(levels) / len(levels)
            low, high = LIGHTS[state][name]
            assert low <= share <= high, f"{state}: {name} was on for {share:.2f} of {end - begin:.1f} s"
            told.append(f"{state} {name} {share:.2f}")
    assert {one.split()[0] for one in told} == set(LIGHTS), told
    return f"of each time the lamps were on: {', '.join(told)}; {talk}"


async def as_it_is_delivered(kitchen: Kitchen) -> str:
    """With canceller and gate, a question is answered, and of a quarter of a minute of silence nothing leaves."""
    await kitchen.at_home()
    with kitchen.drop_in_settings("echo: {mode: auto}\nlisten: {gate: voice}\n"):
        await kitchen.reload()
        await kitchen.until_state("idle", START_S)
        await asyncio.sleep(10)  # the ear is loaded
        kitchen.room.be_quiet()
        answers, seen = len(kitchen.live.answers), len(kitchen.journal.entries)
        async with kitchen.room.recorded("answer-as-delivered") as recording:
            began = time.monotonic()
            await kitchen.room.say(QUESTION.read_bytes())
            await kitchen.journal.until(30, after=seen, state="speaking")
            await until(lambda: len(kitchen.live.answers) > answers, "the end of the answer", 30)
            await kitchen.until_state("idle")
            await asyncio.sleep(TAIL_S)
        heard = kitchen.octets_since(began)
        said = compare(kitchen.live.answers[answers].sent, recording.read_bytes(), SPOKEN_RATE)
        await asyncio.sleep(5)
        quiet = time.monotonic()
        await asyncio.sleep(15)
        assert kitchen.octets_since(quiet) == 0, kitchen.octets_since(quiet)
    kitchen.room.be_noisy()
    await kitchen.reload()
    assert heard >= len(QUESTION.read_bytes()) / 2, f"the server heard {heard} bytes of the question"
    assert said.share >= SAME, said
    return f"the server heard {heard} bytes of a question of {QUESTION.stat().st_size}; answer: {said}; then 0 bytes"


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


SCENES = (a_question_and_its_answer, the_light_follows_a_talk, as_it_is_delivered, an_outage_ends_by_itself)
