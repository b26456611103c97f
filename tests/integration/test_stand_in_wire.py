"""What goes over the wire, frame by frame, seen by a client that speaks the protocol by hand."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from speakerd.errors import SpeakerdError
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from tests.integration.stand_in_talk import ANSWERS, PATH, QUESTION, SILENCE, Caller, sound_of, spoken, stand_in

SERVICE = "google.ai.generativelanguage"
V25 = "gemini-2.5-flash-native-audio-preview-12-2025"
V31 = "gemini-3.1-flash-live-preview"
V38 = "gemini-3.8-live"
TRANSCRIPTS: dict[str, Any] = {"inputAudioTranscription": {}, "outputAudioTranscription": {}}
MANUAL: dict[str, Any] = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}


async def test_the_service_speaks_binary_frames(tmp_path: Path) -> None:
    """Every frame from the service is binary and holds JSON on several lines."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.send({"setup": {"model": "models/gemini-3.8-live"}})
        frame = await caller.socket.recv()
        assert isinstance(frame, bytes)
        assert json.loads(frame) == {"setupComplete": {}}
        assert frame.count(b"\n") > 1


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
@pytest.mark.parametrize("slashes", ["/", "//"])
async def test_every_way_in_leads_in(tmp_path: Path, version: str, slashes: str) -> None:
    """All three versions are served, with one slash or two."""
    path = f"{slashes}ws/{SERVICE}.{version}.GenerativeService.BidiGenerateContent?key=k"
    async with stand_in(tmp_path) as live, Caller.call(live, path) as caller:
        await caller.set_up()


@pytest.mark.parametrize(
    "path", ["/", "/ws/google.ai.generativelanguage.alpha.GenerativeService.BidiGenerateContent"]
)
async def test_a_wrong_path_leads_nowhere(tmp_path: Path, path: str) -> None:
    """A path that the service does not have is answered with 404."""
    async with stand_in(tmp_path) as live:
        with pytest.raises(InvalidStatus) as refused:
            async with Caller.call(live, path):
                pass
        assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("", {}, 1008),
        ("", {"x-goog-api-key": "good"}, None),
        ("?key=good", {}, None),
        ("?key=bad", {}, 1007),
        ("?key=auth_tokens/good", {}, 1007),
    ],
)
async def test_who_may_come_in(tmp_path: Path, query: str, headers: dict[str, str], code: int | None) -> None:
    """A key is shown in a header or in the query, and without one nobody comes in."""
    path = PATH.partition("?")[0] + query
    keys = frozenset({"good", "auth_tokens/good"})
    async with stand_in(tmp_path, keys=keys) as live, Caller.call(live, path, additional_headers=headers) as caller:
        await caller.send({"setup": {"model": "models/gemini-3.8-live"}})
        if code is None:
            await caller.until("setupComplete")
        else:
            assert (await caller.closed())[0] == code


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("?access_token=auth_tokens/good", {}, None),
        ("", {"Authorization": "Token auth_tokens/good"}, None),
        ("?key=good", {}, 1008),
        ("?access_token=auth_tokens/bad", {}, 1007),
    ],
)
async def test_who_may_come_in_with_a_token(
    tmp_path: Path, query: str, headers: dict[str, str], code: int | None
) -> None:
    """The constrained door opens for tokens, not for keys."""
    path = PATH.partition("?")[0].replace("v1beta", "v1alpha") + "Constrained" + query
    keys = frozenset({"good", "auth_tokens/good"})
    async with stand_in(tmp_path, keys=keys) as live, Caller.call(live, path, additional_headers=headers) as caller:
        await caller.send({"setup": {"model": "models/gemini-3.8-live"}})
        if code is None:
            await caller.until("setupComplete")
        else:
            assert (await caller.closed())[0] == code


async def test_frames_may_be_compressed(tmp_path: Path) -> None:
    """A client that offers deflate gets it, one that does not is served all the same."""
    async with stand_in(tmp_path) as live:
        for compression, extensions in (("deflate", 1), (None, 0)):
            async with Caller.call(live, compression=compression) as caller:
                await caller.set_up()
                assert len(caller.socket.protocol.extensions) == extensions


SPELLINGS: list[dict[str, Any]] = [
    {"realtime_input": {"audio": {"data": "{}", "mime_type": "audio/pcm;rate=16000"}}},
    {"realtimeInput": {"audio": {"data": "{}", "mimeType": "audio/pcm;rate=16000"}}},
    {"realtimeInput": {"mediaChunks": [{"data": "{}", "mime_type": "audio/pcm;rate=16000"}]}},
    {"realtime_input": {"media_chunks": [{"data": "{}", "mimeType": "audio/pcm;rate=16000"}]}},
]


@pytest.mark.parametrize("message", SPELLINGS)
@pytest.mark.parametrize("binary", [False, True])
async def test_every_spelling_is_understood(tmp_path: Path, message: dict[str, Any], binary: bool) -> None:
    """Names in either case, base64 of either alphabet, padded or not, in text frames or binary ones."""
    pcm = bytes(range(251, 256)) * 2  # has both letters that differ between the alphabets
    texts = {
        encoded.rstrip(b"=" if bare else b"").decode()
        for encoded in (base64.b64encode(pcm), base64.urlsafe_b64encode(pcm))
        for bare in (False, True)
    }
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up()
        for text in texts:
            frame = json.dumps(message).replace("{}", text)
            await caller.socket.send(frame.encode() if binary else frame)
        await live.wait_for("audio", count=len(texts))
        assert live.heard(1) == pcm * len(texts)


INVALID = "Request contains an invalid argument."
UNKNOWN = "Invalid JSON payload received. Unknown name \"{}\" at '{}': Cannot find field."
AUDIO = {"data": "AAAA", "mimeType": "audio/pcm;rate=16000"}
MISTAKES: list[tuple[Any, str]] = [
    ({"setup": {"model": "models/gemini-3.8-live"}}, INVALID),
    ({"setup": {"bogusField": 1}}, UNKNOWN.format("bogusField", "setup")),
    ({"realtimeInput": {"audio": AUDIO | {"rate": 1}}}, UNKNOWN.format("rate", "realtime_input.audio")),
    ({"realtimeInput": {"audio": AUDIO | {"mimeType": "audio/pcm"}}}, INVALID),
    ({"realtimeInput": {"audio": AUDIO | {"data": "AAA="[:2]}}}, INVALID),
    ({"realtimeInput": {"activityStart": {}}}, INVALID),
    ({"realtimeInput": {}, "clientContent": {}}, INVALID),
    ({"toolResponse": {"functionResponses": [{"id": "never-called", "response": {}}]}}, INVALID),
    ([1, 2], "Invalid JSON payload received."),
]


@pytest.mark.parametrize(("message", "reason"), MISTAKES)
async def test_mistakes_end_the_connection(tmp_path: Path, message: Any, reason: str) -> None:
    """Whatever a client may not send ends the connection with 1007 and says why."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.send(message)
        assert await caller.closed() == (1007, reason)
        assert (await live.wait_for("close")).detail == {"code": 1007, "reason": reason, "by": "server"}


@pytest.mark.parametrize(
    ("setup", "where"),
    [
        ({"bogusField": 1}, "setup"),
        ({"sessionResumption": {"bogusField": True}}, "setup.session_resumption"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"bogusField": False}}]}]},
            "setup.tools[0].function_declarations[0].parameters",
        ),
    ],
)
async def test_an_unknown_field_is_named(tmp_path: Path, setup: dict[str, Any], where: str) -> None:
    """The close says which field is unknown, and where it stands, as far as the reason has room."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.send({"setup": {"model": "models/gemini-3.8-live"} | setup})
        assert await caller.closed() == (1007, UNKNOWN.format("bogusField", where)[:123])


async def test_foreign_clients_may_be_less_exact(tmp_path: Path) -> None:
    """What is strict only towards our own client can be switched off."""
    lenient = [message for message, reason in MISTAKES if "toolResponse" in message or "AA" in str(message)][1:]
    async with stand_in(tmp_path, strict=False) as live, Caller.call(live) as caller:
        await caller.set_up()
        for message in lenient:
            await caller.send(message)
        await live.wait_for("tool_response")


async def test_foreign_clients_may_send_at_another_rate(tmp_path: Path) -> None:
    """Sound at 24 kHz is heard as long as it is, and so is a rate that nobody named; half a sample is nothing."""
    second = base64.b64encode(bytes(48_001)).decode()
    async with stand_in(tmp_path, strict=False) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.send({"realtimeInput": {"audio": {"data": second, "mimeType": "audio/pcm;rate=24000"}}})
        await live.wait_for("audio")
        # The converter keeps a little back until it knows what comes after.
        assert 0.9 < len(live.heard(1)) / 32_000 <= 1
        await caller.send({"realtimeInput": {"audio": {"data": second, "mimeType": "audio/pcm"}}})
        assert (await live.wait_for("audio", count=2)).detail["bytes"] == 48_000


async def test_sound_before_the_setup_is_refused(tmp_path: Path) -> None:
    """The first message must be the setup."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.say(bytes(4))
        assert (await caller.closed())[0] == 1007


async def test_the_client_may_say_when_it_speaks(tmp_path: Path) -> None:
    """With detection switched off, start and end of the user's turn are what the client says."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up(**MANUAL)
        await caller.say(QUESTION + SILENCE)
        await caller.send({"realtimeInput": {"activityStart": {}}})
        await caller.say(bytes(3200))
        await caller.send({"realtimeInput": {"activityEnd": {}}})
        await caller.until("turnComplete")
        assert sound_of(caller.messages) == spoken(ANSWERS[0])
        assert (await live.wait_for("activity_end")).detail["seconds"] == 0.1


async def test_a_turn_in_which_nothing_was_sent_is_refused(tmp_path: Path) -> None:
    """A manual turn without sound ends the connection."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up(**MANUAL)
        await caller.send({"realtimeInput": {"activityStart": {}}})
        await caller.send({"realtimeInput": {"activityEnd": {}}})
        assert await caller.closed() == (1007, "Precondition check failed.")


@pytest.mark.parametrize(("model", "ends"), [(V38, False), (V31, True), (V25, True)])
async def test_what_the_end_of_the_stream_means(tmp_path: Path, model: str, ends: bool) -> None:
    """AudioStreamEnd ends an utterance, save for 3.8, which waits for silence that must be sent."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up(model)
        await caller.say(QUESTION)
        await caller.send({"realtimeInput": {"audioStreamEnd": True}})
        await live.wait_for("audio_stream_end")
        assert [event.kind for event in live.events].count("speech_end") == ends
        if not ends:
            await caller.say(SILENCE)
        await caller.until("turnComplete")
        assert sound_of(caller.messages) == spoken(ANSWERS[0])


async def test_the_client_chooses_how_long_a_pause_ends_a_turn(tmp_path: Path) -> None:
    """silence_duration_ms is kept, counted in sound and not by a clock."""
    setup: dict[str, Any] = {"realtimeInputConfig": {"automaticActivityDetection": {"silenceDurationMs": 2000}}}
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up(**setup)
        await caller.say(QUESTION + SILENCE + QUESTION + SILENCE + SILENCE)
        end = await live.wait_for("speech_end")
        assert end.detail["seconds"] > 5


ORDERS = {
    V38: [
        "setupComplete", "sessionResumptionUpdate", "voiceActivity:ACTIVITY_START", "inputTranscription",
        "voiceActivity:ACTIVITY_END", "sessionResumptionUpdate", "audio", "outputTranscription", "audio",
        "generationComplete", "sessionResumptionUpdate", "turnComplete", "usageMetadata",
    ],
    V31: [
        "setupComplete", "inputTranscription", "sessionResumptionUpdate", "audio", "outputTranscription", "audio",
        "generationComplete", "sessionResumptionUpdate", "turnComplete", "usageMetadata",
    ],
    V25: [
        "setupComplete", "inputTranscription", "sessionResumptionUpdate", "thought", "outputTranscription", "audio",
        "generationComplete", "turnComplete", "usageMetadata", "sessionResumptionUpdate",
    ],
}  # fmt: skip


@pytest.mark.parametrize("model", ORDERS)
async def test_messages_come_in_the_order_of_life(tmp_path: Path, model: str) -> None:
    """Each model has its own order of messages, as it was recorded."""
    async with stand_in(tmp_path, answers=["Tea."]) as live, Caller.call(live) as caller:
        await caller.set_up(model, **TRANSCRIPTS)
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        if ORDERS[model][-1] == "sessionResumptionUpdate":
            await caller.receive()
        assert caller.kinds == ORDERS[model]


async def test_a_blank_comes_before_the_sound(tmp_path: Path) -> None:
    """3.8 sends a literal {} before each frame of sound."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("generationComplete")
        sounds = [number for number, message in enumerate(caller.messages) if sound_of([message])]
        assert sounds
        assert all(caller.messages[number - 1] == {} for number in sounds)


async def test_what_is_said_is_transcribed_if_asked_for(tmp_path: Path) -> None:
    """Put together, the pieces of the transcript are the answer's text; unasked, there is none."""
    async with stand_in(tmp_path, answers=["Milk, butter, onions and bread."]) as live:
        for setup, text in ((TRANSCRIPTS, "Milk, butter, onions and bread."), ({}, "")):
            async with Caller.call(live) as caller:
                await caller.set_up(**setup)
                await caller.say(QUESTION + SILENCE)
                await caller.until("generationComplete")
                contents = [message.get("serverContent", {}) for message in caller.messages]
                assert "".join(c.get("outputTranscription", {}).get("text", "") for c in contents) == text


async def test_an_answer_may_be_a_recording(tmp_path: Path) -> None:
    """A sound file of any rate and any number of channels is said as it is, in the service's format."""
    seconds = np.arange(48_000) / 48_000
    soundfile.write(tmp_path / "tone.wav", np.stack([np.sin(440 * 2 * np.pi * seconds)] * 2, axis=1) / 2, 48_000)
    answers = [{"wav": tmp_path / "tone.wav", "text": "Hum."}]
    async with stand_in(tmp_path, answers=answers) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("generationComplete")
        sound = np.frombuffer(sound_of(caller.messages), "<i2")
        assert len(sound) == 24_000
        assert np.argmax(np.abs(np.fft.rfft(sound))) == 440


async def test_what_was_heard_is_transcribed(tmp_path: Path) -> None:
    """The transcript of the user is what the script says, whole or in pieces, as the model does."""
    for model, count in ((V38, 1), (V25, 2)):
        async with stand_in(tmp_path, heard=["Go forward ten metres."]) as live, Caller.call(live) as caller:
            await caller.set_up(model, **TRANSCRIPTS)
            await caller.say(QUESTION + SILENCE)
            await caller.until("modelTurn")
            contents = [message.get("serverContent", {}) for message in caller.messages]
            pieces = [c["inputTranscription"]["text"] for c in contents if "inputTranscription" in c]
            assert "".join(pieces) == "Go forward ten metres."
            assert len(pieces) == count


async def test_sound_comes_faster_than_it_is_played(tmp_path: Path) -> None:
    """An answer is sent at the pace of the script, and the turn ends when it has been played."""
    async with stand_in(tmp_path, pace=4) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        complete = (await live.wait_for("turn_complete")).at
        started, generated = [(await live.wait_for(kind)).at for kind in ("answer_start", "generation_complete")]
        seconds = len(spoken(ANSWERS[0])) / 48_000
        assert seconds / 4 - 0.05 <= generated - started < seconds * 0.7
        assert complete - started >= seconds - 0.01


async def test_the_context_is_billed_again_with_every_turn(tmp_path: Path) -> None:
    """Token counts grow from turn to turn, until compression cuts the context."""
    counts = []
    setup: dict[str, Any] = {
        "contextWindowCompression": {"triggerTokens": 150, "slidingWindow": {"targetTokens": 20}}
    }
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up(**setup)
        for _ in range(3):
            await caller.say(QUESTION + SILENCE)
            counts.append((await caller.until("turnComplete"))["usageMetadata"]["promptTokenCount"])
    assert counts[0] < counts[1]
    assert counts[2] < 150


async def test_history_is_taken_without_an_answer(tmp_path: Path) -> None:
    """A client that said so may first tell what was said before; only then the model answers."""
    history = [{"role": "user", "parts": [{"text": "I like tea."}]}]
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up(V31, historyConfig={"initialHistoryInClientContent": True})
        await caller.send({"clientContent": {"turns": history, "turnComplete": True}})
        await live.wait_for("text")
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        assert sound_of(caller.messages) == spoken(ANSWERS[0])


async def test_one_model_takes_no_text_in_mid_conversation(tmp_path: Path) -> None:
    """3.1 closes on client_content once the conversation has begun."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up(V31)
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        await caller.send({"clientContent": {"turns": [{"parts": [{"text": "hi"}]}], "turnComplete": True}})
        assert await caller.closed() == (1007, INVALID)


async def test_text_interrupts(tmp_path: Path) -> None:
    """A complete client_content always breaks off the answer that is under way."""
    async with stand_in(tmp_path, pace=1) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await live.wait_for("audio_out")
        await caller.send({"client_content": {"turns": [{"parts": [{"text": "hi"}]}], "turn_complete": True}})
        await caller.until("interrupted")
        await caller.until("turnComplete", count=2)
        assert live.answers[1].sent == spoken(ANSWERS[1])


async def test_an_extended_thinker_speaks_twice(tmp_path: Path) -> None:
    """For the thinking model turnComplete is not the end: interactionStatus tells."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up("gemini-3.8-live-extended-thinking")
        await caller.say(QUESTION + SILENCE)
        statuses = [(await caller.until("turnComplete"))["serverContent"]["interactionStatus"] for _ in range(2)]
        assert statuses == ["IN_PROGRESS", "IDLE"]


async def test_it_vanishes_and_comes_back_at_the_same_place(tmp_path: Path) -> None:
    """In the dark nobody gets in and nobody stays; afterwards all is where it was."""
    async with stand_in(tmp_path) as live:
        where = live.url, live.plain_url
        async with Caller.call(live) as caller:
            await caller.set_up()
            await live.go_dark()
            assert (await caller.closed())[0] == 1006
        with pytest.raises(ConnectionRefusedError):
            async with connect(live.plain_url.replace("http", "ws") + PATH):
                pass
        await live.come_back()
        assert (live.url, live.plain_url) == where
        for secure in (False, True):
            async with Caller.call(live, secure=secure) as caller:
                await caller.set_up()


async def test_it_does_not_wait_for_who_says_nothing(tmp_path: Path) -> None:
    """Somebody who only opened a connection and says nothing does not keep the stand-in from ending."""
    async with asyncio.timeout(10):
        async with stand_in(tmp_path) as live:
            host, port = live.plain_url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
        assert await reader.read() == b""
        writer.close()


async def test_who_waits_in_vain_is_told_what_happened(tmp_path: Path) -> None:
    """A wait that ends without its event lists the events that there were."""
    async with stand_in(tmp_path) as live, Caller.call(live) as caller:
        await caller.set_up()
        with pytest.raises(TimeoutError, match=r"no go_away number 1 on connection 1 .*'1:setup': 1.* Last: 1:open"):
            await live.wait_for("go_away", connection=1, timeout=0.05)


async def test_everything_is_in_the_files_afterwards(tmp_path: Path) -> None:
    """The directory holds the events and all sound of both directions."""
    async with stand_in(tmp_path) as live:
        async with Caller.call(live) as caller:
            await caller.set_up()
            await caller.say(QUESTION + SILENCE)
            await caller.until("turnComplete")
        await live.wait_for("close")
        count = len(live.events)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert len(events) >= count
    assert {"setup", "audio", "answer_start", "turn_complete", "close"} <= {event["kind"] for event in events}
    assert (tmp_path / "heard-1.wav").read_bytes()[44:] == QUESTION + SILENCE
    assert (tmp_path / "answer-1.wav").read_bytes()[44:] == spoken(ANSWERS[0])


async def test_a_port_in_use_is_said_in_words(tmp_path: Path) -> None:
    """Two on one port: the second says which port it is, and what to do."""
    async with stand_in(tmp_path / "one") as live:
        port = int(live.plain_url.rpartition(":")[2])
        with pytest.raises(SpeakerdError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            async with LiveApi(LiveApiOptions(directory=tmp_path / "two", plain_port=port)):
                pass
