"""A model that falls silent, and answers that break off: the real daemon against a server that has its moods."""

from pathlib import Path
from typing import Any

import pytest

from speakerd.simulate.live_api import LiveApi
from speakerd.sound import chimes
from tests.integration.household import GO_FORWARD, PAUSE, SOMETHING, household

QUICK = {"thinking": 0.2, "pace": 8}
WORDS = GO_FORWARD[12_000:64_000]  # from its first word to its last


def setups(live: LiveApi) -> list[str | None]:
    """Return the handle of each dial, None for a new conversation."""
    return [event.detail["handle"] for event in live.events if event.kind == "setup"]


@pytest.mark.parametrize("fault", ["no_answer", "empty_turn", "transcript_only"])
async def test_a_question_that_came_to_nothing_is_asked_again(tmp_path: Path, fault: str) -> None:
    """The model says nothing: after a while it is asked once more on a fresh connection, and answers."""
    script = QUICK | {"faults": [{"do": {fault: True}}]}
    async with household(tmp_path, script) as home:
        await home.live.wait_for("handle")
        home.card.speak(GO_FORWARD + PAUSE)
        await home.daemon.until(event="stall", remedy="renew", timeout=30)
        await home.daemon.until(event="told-again")
        await home.daemon.until(state="thinking")
        await home.live.wait_for("answer_start", connection=2, timeout=20)
        await home.live.wait_for("turn_complete", connection=2, timeout=20)
        await home.hear(home.live.answers[-1].pcm)
        assert home.live.heard(2).count(WORDS) == 1
        handles = setups(home.live)
        assert handles[0] is None
        assert handles[1]
        assert len(handles) == 2


async def test_the_first_remedy_costs_nothing(tmp_path: Path) -> None:
    """A model that only waits for the end of the sound is told of it, on the same connection."""
    async with household(tmp_path, QUICK | {"faults": [{"do": {"no_answer": True}}]}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD + PAUSE)
        await home.daemon.until(event="stall", remedy="nudge", timeout=20)
        await home.live.wait_for("audio_stream_end", connection=1)


async def test_a_conversation_in_which_everything_is_refused_is_begun_anew(tmp_path: Path) -> None:
    """Once is a judgement of what was said; at the second time the conversation is at fault."""
    refuse = {"when": {"event": "turn", "times": 2}, "do": {"turn_reason": "RESPONSE_REJECTED"}}
    async with household(tmp_path, QUICK | {"faults": [refuse]}) as home:
        await home.live.wait_for("handle")
        home.card.speak(GO_FORWARD + PAUSE)
        seen = await home.daemon.until(event="stall", remedy="nothing", timeout=20)
        home.card.speak(SOMETHING + PAUSE)
        await home.daemon.until(event="stall", remedy="restart", timeout=20, after=seen)
        await home.live.wait_for("turn_complete", connection=2, timeout=20)
        await home.hear(home.live.answers[-1].pcm)
        assert setups(home.live) == [None, None]


async def test_after_an_answer_that_nobody_interrupted_the_next_question_is_answered(tmp_path: Path) -> None:
    """An interruption out of nowhere costs that answer and nothing else."""
    phantom = {"when": {"event": "audio_out", "count": 10}, "do": {"phantom_interrupted": True}}
    async with household(tmp_path, QUICK | {"faults": [phantom]}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD + PAUSE)
        await home.daemon.until(event="stall", stall="phantom", timeout=20)
        home.card.speak(SOMETHING + PAUSE)
        await home.live.wait_for("turn_complete", count=2, timeout=30)
        await home.hear(home.live.answers[-1].pcm)


async def test_a_question_whose_answer_was_interrupted_before_it_began_is_asked_again(tmp_path: Path) -> None:
    """An interruption while the model still thinks leaves nothing to hear: that is silence, and treated like it."""
    phantom = {"when": {"event": "turn", "after": 0.5}, "do": {"phantom_interrupted": True}}
    async with household(tmp_path, QUICK | {"thinking": 1.5, "faults": [phantom]}) as home:
        await home.live.wait_for("handle")
        home.card.speak(GO_FORWARD + PAUSE)
        await home.live.wait_for("interrupted", timeout=20)
        await home.live.wait_for("turn_complete", connection=2, timeout=40)
        await home.hear(home.live.answers[-1].pcm)


async def test_an_answer_that_breaks_off_is_said_to_be_lost(tmp_path: Path) -> None:
    """It is heard as far as it came, then two falling tones; it is not begun again."""
    cut: dict[str, Any] = {"when": {"event": "audio_out", "count": 50}, "do": {"reset": True}}
    async with household(tmp_path, QUICK | {"pace": 2, "faults": [cut]}) as home:
        await home.live.wait_for("handle")
        home.card.speak(GO_FORWARD + PAUSE)
        await home.daemon.until(event="answer-lost", timeout=20)
        at = await home.hear(chimes.lost())
        begun = home.live.answers[0].sent[:24_000]
        assert home.card.played().find(begun) < at
        await home.daemon.until(event="link-up", resumed=True)
        home.card.speak(SOMETHING + PAUSE)
        await home.live.wait_for("turn_complete", connection=2, timeout=30)
        await home.hear(home.live.answers[-1].pcm)
        assert len([event for event in home.live.events if event.kind == "turn"]) == 2, "nothing was asked twice"
        assert not [entry for entry in home.daemon.journal if entry.get("event") == "told-again"]


async def test_a_sentence_survives_two_losses(tmp_path: Path) -> None:
    """The connection that it was told to breaks as well, and the next one is told it from its start."""
    faults = [
        {"when": {"event": "speech_start", "connection": 1, "after": 0.8}, "do": {"reset": True}},
        {"when": {"event": "speech_end", "connection": 2}, "do": {"close": 1011}},
    ]
    async with household(tmp_path, QUICK | {"faults": faults}) as home:
        await home.live.wait_for("handle")
        home.card.speak(GO_FORWARD + PAUSE)
        await home.live.wait_for("turn_complete", connection=3, timeout=30)
        assert home.live.heard(3).count(WORDS) == 1
        await home.hear(home.live.answers[-1].pcm)
