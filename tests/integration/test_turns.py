"""The line of each turn, compared with what the service and the sound card know."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.household import GO_FORWARD, SOMETHING, Household, household, until

QUICK = {"thinking": 0.4}

WORDS = GO_FORWARD[15_840:64_000]
"""From the first loud sample to the last; with nothing at all around them, where they begin and end is known."""

CLOSE_MS = 100


async def turn(home: Household, number: int) -> dict[str, Any]:
    """Return the line of a turn, when it is there."""
    at = await home.daemon.until(30, event="turn", turn=number)
    return home.daemon.journal[at - 1]


def end_of_speech(home: Household) -> float:
    """Return when the last of the words was at the microphone."""
    return home.card.moment_captured((home.card.captured().index(WORDS) + len(WORDS)) // 2)


async def test_the_line_says_how_long_each_step_took(tmp_path: Path) -> None:
    """Heard, first byte, first sound and answer are those of the wire and of the sound card, within 100 ms."""
    async with household(tmp_path, QUICK) as home:
        await home.live.wait_for("setup")
        home.card.speak(WORDS)
        first_byte = await home.live.wait_for("audio_out", timeout=30)
        line = await turn(home, 1)
        (answer,) = home.live.answers
        at = await home.hear(answer.pcm)
        ended = end_of_speech(home)
        played_at = home.card.moment_played(at // 2)
        assert line["heard_ms"] == pytest.approx(len(WORDS) / 32, abs=CLOSE_MS)
        assert line["first_byte_ms"] == pytest.approx((first_byte.at - ended) * 1000, abs=CLOSE_MS)
        assert line["first_sound_ms"] == pytest.approx((played_at - ended) * 1000, abs=CLOSE_MS)
        assert line["answer_ms"] == pytest.approx(len(answer.pcm) / 48, abs=CLOSE_MS)
        assert (line["interruptions"], line["reason"], line["level"]) == (0, None, "info")
        # It is written when the last sample has been played, not before.
        end = home.card.moment_played((at + len(answer.pcm)) // 2 - 1)
        assert -0.1 < line["monotonic"] - end < 1.5


async def test_the_line_counts_the_tokens_that_were_sent(tmp_path: Path) -> None:
    """Counts and estimate are those of the service's own account."""
    frame = {
        "usageMetadata": {
            "promptTokenCount": 1000,
            "responseTokenCount": 100,
            "totalTokenCount": 1100,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 400}],
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}],
        }
    }
    script = QUICK | {"faults": [{"when": {"event": "audio_out", "count": 3}, "do": {"send": [frame]}}]}
    async with household(tmp_path, script) as home:
        await home.live.wait_for("setup")
        home.card.speak(WORDS)
        line = await turn(home, 1)
        (answer,) = home.live.answers
        said = len(answer.sent) * 25 // 48_000
        prompt = line["tokens_in"] - 1000
        assert prompt > 0
        assert line["tokens_out"] == 100 + said
        estimate = (400 * 0.75 + 600 * 3 + 100 * 12 + prompt * 3 + said * 12) / 1e6
        assert line["cost_usd"] == pytest.approx(estimate, abs=1e-6)


async def test_an_interrupted_turn_and_the_one_after_it_have_a_line_each(tmp_path: Path) -> None:
    """Of the first it says what was heard until the interruption."""
    async with household(tmp_path, QUICK | {"pace": 50}) as home:
        await home.live.wait_for("setup")
        home.card.speak(WORDS)
        await home.live.wait_for("answer_start", timeout=30)
        await until(lambda: len(home.card.played()) > 24000, "half a second of the answer")
        home.card.speak(SOMETHING)
        first = await turn(home, 1)
        second = await turn(home, 2)
        cut, whole = home.live.answers
        at = await home.hear(whole.pcm)
        assert (first["interruptions"], second["interruptions"]) == (1, 0)
        assert first["answer_ms"] < len(cut.pcm) / 48 - CLOSE_MS
        assert first["answer_ms"] == pytest.approx(at / 48, abs=CLOSE_MS)
        assert second["answer_ms"] == pytest.approx(len(whole.pcm) / 48, abs=CLOSE_MS)
        assert second["heard_ms"] > 300


async def test_a_turn_whose_connection_breaks_off_is_told(tmp_path: Path) -> None:
    """The line says so, and how much of the answer was heard."""
    fault = {"when": {"event": "audio_out", "count": 40, "connection": 1}, "do": {"reset": True}}
    async with household(tmp_path, QUICK | {"pace": 2, "faults": [fault]}) as home:
        await home.live.wait_for("setup")
        home.card.speak(WORDS)
        line = await turn(home, 1)
        assert line["reason"] == "connection lost"
        sent = home.live.answers[0].sent
        assert line["answer_ms"] == pytest.approx(len(sent) / 48, abs=CLOSE_MS)
        assert line["tokens_out"] == 0
