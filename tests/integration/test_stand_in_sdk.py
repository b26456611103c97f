"""Google's own SDK, over TLS, talks to the stand-in as it talks to the service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.genai.live import AsyncSession

from speakerd.simulate.live_api import LiveApi
from tests.integration.stand_in_talk import ANSWERS, CHUNK, MODEL, QUESTION, SILENCE, spoken, stand_in

MODELS = (
    "gemini-3.8-live",
    "gemini-3.8-live-extended-thinking",
    "gemini-3.1-flash-live-preview",
    "gemini-2.5-flash-native-audio-preview-12-2025",
)

LAMP: dict[str, Any] = {"name": "switch_lamp", "description": "Switch the lamp."}


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the stand-in's own authority, which is made when it starts, and nobody else."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@contextlib.asynccontextmanager
async def session(
    live: LiveApi, model: str = MODEL, key: str = "test-key", version: str = "v1beta", **config: Any
) -> AsyncIterator[AsyncSession]:
    """Connect the SDK."""
    client = genai.Client(api_key=key, http_options={"base_url": live.url, "api_version": version})
    wanted = types.LiveConnectConfig.model_validate({"response_modalities": ["AUDIO"]} | config)
    async with asyncio.timeout(20), client.aio.live.connect(model=model, config=wanted) as connected:
        yield connected


async def say(session: AsyncSession, pcm: bytes) -> None:
    for start in range(0, len(pcm), CHUNK):
        blob = types.Blob(data=pcm[start : start + CHUNK], mime_type="audio/pcm;rate=16000")
        await session.send_realtime_input(audio=blob)


async def turn(session: AsyncSession) -> list[types.LiveServerMessage]:
    """Read to the end of a turn."""
    async with asyncio.timeout(10):
        return [message async for message in session.receive()]


def sound(messages: list[types.LiveServerMessage]) -> bytes:
    return b"".join(part.inline_data.data or b"" for part in _parts(messages) if part.inline_data)


def _parts(messages: list[types.LiveServerMessage]) -> Iterator[types.Part]:
    for message in messages:
        if message.server_content and message.server_content.model_turn:
            yield from message.server_content.model_turn.parts or []


def handle_in(messages: list[types.LiveServerMessage]) -> str:
    """Return the last handle that can be used."""
    updates = [message.session_resumption_update for message in messages]
    return [update.new_handle for update in updates if update and update.resumable and update.new_handle][-1]


@pytest.mark.parametrize("model", MODELS)
async def test_a_spoken_question_gets_a_spoken_answer(tmp_path: Path, model: str) -> None:
    """Whoever asks something hears an answer, whole and unchanged, from every model."""
    async with stand_in(tmp_path) as live, session(live, model) as talk:
        await say(talk, QUESTION + SILENCE)
        heard = sound(await turn(talk))
        assert heard.endswith(spoken(ANSWERS[0]))
        assert live.answers[-1].sent == live.answers[-1].pcm == spoken(ANSWERS[0])
        assert not live.answers[-1].interrupted
        assert live.heard(1) == QUESTION + SILENCE


async def test_each_question_gets_the_next_answer(tmp_path: Path) -> None:
    """Answers differ, so that a listener knows which question one belongs to."""
    async with stand_in(tmp_path) as live, session(live) as talk:
        for answer in ANSWERS:
            await say(talk, QUESTION + SILENCE)
            assert sound(await turn(talk)) == spoken(answer)


async def test_a_written_question_gets_a_spoken_answer(tmp_path: Path) -> None:
    """Text is answered like speech, by either of the two ways to send it."""
    async with stand_in(tmp_path) as live, session(live) as talk:
        await talk.send_client_content(turns=types.Content(role="user", parts=[types.Part(text="What time is it?")]))
        assert sound(await turn(talk)) == spoken(ANSWERS[0])
        await talk.send_realtime_input(text="And what is for breakfast?")
        assert sound(await turn(talk)) == spoken(ANSWERS[1])


async def test_speaking_over_an_answer_stops_it(tmp_path: Path) -> None:
    """Somebody speaks while the answer is still being sent: it ends there, and is not said to be complete."""
    async with stand_in(tmp_path, pace=1) as live, session(live) as talk:
        await say(talk, QUESTION + SILENCE)
        await live.wait_for("audio_out", count=3)
        await say(talk, QUESTION)
        contents = [message.server_content for message in await turn(talk) if message.server_content]
        assert [content.interrupted for content in contents if content.interrupted] == [True]
        assert not any(content.generation_complete for content in contents)
        assert contents[-1].turn_complete
        assert live.answers[0].interrupted
        assert len(live.answers[0].sent) < len(live.answers[0].pcm)


async def test_speaking_over_the_end_of_an_answer_stops_it_too(tmp_path: Path) -> None:
    """All of the answer was sent but not yet played: it is interrupted all the same, and the next one comes."""
    answers = ["It is a quarter past seven, and the sun comes up in twenty minutes.", ANSWERS[1]]
    async with stand_in(tmp_path, answers=answers) as live, session(live) as talk:
        await say(talk, QUESTION + SILENCE)
        await live.wait_for("generation_complete")
        await say(talk, QUESTION + SILENCE)
        contents = [message.server_content for message in await turn(talk) if message.server_content]
        done = [content for content in contents if content.generation_complete or content.interrupted]
        assert [bool(content.interrupted) for content in done] == [False, True]
        assert live.answers[0].interrupted
        # At once, and not when the rest would have been played, which is seconds later.
        interrupted, spoke = await live.wait_for("interrupted"), await live.wait_for("speech_start", count=2)
        assert interrupted.at - spoke.at < 1
        assert live.answers[0].sent == live.answers[0].pcm
        assert sound(await turn(talk)) == spoken(ANSWERS[1])


async def test_nothing_interrupts_whom_nothing_may_interrupt(tmp_path: Path) -> None:
    """With NO_INTERRUPTION an answer is said to its end, whoever speaks meanwhile."""
    handling = {"activity_handling": "NO_INTERRUPTION"}
    async with stand_in(tmp_path) as live, session(live, realtime_input_config=handling) as talk:
        await say(talk, QUESTION + SILENCE)
        await live.wait_for("audio_out")
        await say(talk, QUESTION + SILENCE)
        assert sound(await turn(talk)) == spoken(ANSWERS[0])
        assert sound(await turn(talk)) == spoken(ANSWERS[1])


async def test_a_function_is_called_before_the_answer(tmp_path: Path) -> None:
    """A BLOCKING function: the model is silent until it knows the result."""
    faults = [{"do": {"tool_call": {"name": "switch_lamp", "args": {"on": True}, "say": "The lamp is on."}}}]
    tools = [{"function_declarations": [LAMP | {"behavior": "BLOCKING"}]}]
    async with stand_in(tmp_path, faults=faults) as live, session(live, tools=tools) as talk:
        await say(talk, QUESTION + SILENCE)
        heard: list[types.LiveServerMessage] = []
        async with asyncio.timeout(10):
            async for message in talk.receive():
                heard.append(message)
                if message.tool_call:
                    assert not sound(heard)
                    [call] = message.tool_call.function_calls or []
                    assert (call.name, call.args) == ("switch_lamp", {"on": True})
                    result = types.FunctionResponse(id=call.id, name=call.name, response={"result": "ok"})
                    await talk.send_tool_response(function_responses=result)
        # A blocking call has no turn of its own: what follows is this turn's answer.
        assert sound(heard) == spoken(ANSWERS[0])
        answered = await live.wait_for("tool_response")
        assert answered.detail["response"] == {"result": "ok"}
        assert answered.at < (await live.wait_for("answer_start")).at


@pytest.mark.parametrize("scheduling", ["WHEN_IDLE", "INTERRUPT", "SILENT"])
async def test_a_function_may_run_while_the_model_talks(tmp_path: Path, scheduling: str) -> None:
    """A NON_BLOCKING function: its result is told afterwards, at once, or not at all, as the client wishes."""
    faults = [{"do": {"tool_call": {"name": "switch_lamp", "say": "The lamp is on."}}}]
    tools = [{"function_declarations": [LAMP]}]
    async with stand_in(tmp_path, faults=faults, pace=1) as live, session(live, tools=tools) as talk:
        await say(talk, QUESTION + SILENCE)
        call = await live.wait_for("tool_call")
        assert not call.detail["blocking"]
        await live.wait_for("audio_out", count=2)
        wanted = types.FunctionResponseScheduling(scheduling)
        await talk.send_tool_response(
            function_responses=types.FunctionResponse(
                id=call.detail["id"], name="switch_lamp", response={}, scheduling=wanted
            )
        )
        first = await turn(talk)
        assert live.answers[0].interrupted == (scheduling == "INTERRUPT")
        if scheduling != "INTERRUPT":
            assert sound(first) == spoken(ANSWERS[0])
        if scheduling != "SILENT":
            assert sound(await turn(talk)) == spoken("The lamp is on.")
        else:
            await say(talk, QUESTION + SILENCE)
            assert sound(await turn(talk)) == spoken(ANSWERS[1])


async def test_speaking_over_a_function_cancels_it(tmp_path: Path) -> None:
    """Somebody speaks while the model waits for a function: the call is taken back."""
    faults = [{"do": {"tool_call": {"name": "switch_lamp", "behavior": "BLOCKING"}}}]
    async with stand_in(tmp_path, faults=faults) as live, session(live) as talk:
        await say(talk, QUESTION + SILENCE)
        call = await live.wait_for("tool_call")
        await say(talk, QUESTION + SILENCE)
        messages = await turn(talk)
        [cancelled] = [message.tool_call_cancellation for message in messages if message.tool_call_cancellation]
        assert cancelled.ids == [call.detail["id"]]
        assert sound(await turn(talk)) == spoken(ANSWERS[1])


async def test_a_conversation_is_resumed_where_it_was(tmp_path: Path) -> None:
    """With a handle the next connection knows what was said; without one it starts anew."""
    async with stand_in(tmp_path) as live:
        async with session(live, session_resumption={}) as talk:
            await say(talk, QUESTION + SILENCE)
            handle = handle_in(await turn(talk))
        await live.wait_for("close", connection=1)
        async with session(live, session_resumption={"handle": handle}) as talk:
            await live.wait_for("resumed", connection=2)
            await say(talk, QUESTION + SILENCE)
            assert sound(await turn(talk)) == spoken(ANSWERS[1])
        async with session(live) as talk:
            await say(talk, QUESTION + SILENCE)
            assert sound(await turn(talk)) == spoken(ANSWERS[0])


async def test_what_was_said_after_a_handle_is_forgotten(tmp_path: Path) -> None:
    """A handle stands for the moment it was given at, however much was said later."""
    async with stand_in(tmp_path) as live:
        async with session(live) as talk:
            await say(talk, QUESTION + SILENCE)
            handle = handle_in(await turn(talk))
            await say(talk, QUESTION + SILENCE)
            assert sound(await turn(talk)) == spoken(ANSWERS[1])
        await live.wait_for("close", connection=1)
        async with session(live, session_resumption={"handle": handle}) as talk:
            await say(talk, QUESTION + SILENCE)
            assert sound(await turn(talk)) == spoken(ANSWERS[1])


async def test_a_conversation_is_not_resumed_while_it_goes_on(tmp_path: Path) -> None:
    """Whoever resumes before the old connection is closed is turned away."""
    async with stand_in(tmp_path) as live, session(live) as talk:
        await say(talk, QUESTION + SILENCE)
        handle = handle_in(await turn(talk))
        with pytest.raises(errors.APIError) as refused:
            async with session(live, session_resumption={"handle": handle}):
                pass
        assert (refused.value.code, refused.value.details) == (1011, "Internal error encountered.")


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"key": "wrong-key"}, 1007, "API key not valid. Please pass a valid API key."),
    (
        {"model": "gemini-nope-live"},
        1008,
        "models/gemini-nope-live is not found for API version v1beta, or is not supported for bidiGenerateContent. "
        "Call ModelService",
    ),
    ({"session_resumption": {"handle": "stale"}}, 1008, "BidiGenerateContent session not found"),
    ({"proactivity": {"proactive_audio": False}}, 1007, "Request contains an invalid argument."),
    ({"thinking_config": {"thinking_budget": 0}}, 1007, "Request contains an invalid argument."),
    ({"enable_affective_dialog": True}, 1007, "Request contains an invalid argument."),
    ({"response_modalities": ["TEXT"]}, 1007, "Request contains an invalid argument."),
    ({"model": MODELS[3], "proactivity": {"proactive_audio": True}}, 1007, "Request contains an invalid argument."),
]


@pytest.mark.parametrize(("wish", "code", "reason"), REFUSALS)
async def test_a_wrong_setup_is_refused_in_the_services_words(
    tmp_path: Path, wish: dict[str, Any], code: int, reason: str
) -> None:
    """A client reads the same close code and the same words as from the service."""
    async with stand_in(tmp_path, keys=frozenset({"test-key"})) as live:
        with pytest.raises(errors.APIError) as refused:
            async with session(live, **wish):
                pass
        assert (refused.value.code, refused.value.details) == (code, reason)


async def test_a_model_that_falls_silent_does_so_here(tmp_path: Path) -> None:
    """gemini-3.1 never answers a setup with a field that it does not know."""
    async with stand_in(tmp_path) as live:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), session(live, MODELS[2], enable_affective_dialog=True):
                pass
        await live.wait_for("error")


@pytest.mark.filterwarnings("ignore:The SDK's ephemeral token:Warning")
async def test_a_token_opens_the_constrained_door_only(tmp_path: Path) -> None:
    """An ephemeral token works where tokens do, and an API key does not."""
    async with stand_in(tmp_path) as live, session(live, key="auth_tokens/one", version="v1alpha") as talk:
        await say(talk, QUESTION + SILENCE)
        assert sound(await turn(talk)) == spoken(ANSWERS[0])
        assert (
            (await live.wait_for("open"))
            .detail["path"]
            .endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")
        )
