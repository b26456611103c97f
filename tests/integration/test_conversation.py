"""Conversations: a recorded human voice goes in through ALSA, spoken answers come out through ALSA."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import pytest

from tests.integration.household import GO_FORWARD, KEY, PAUSE, SOMETHING, household, until

QUICK = {"thinking": 0.2}


async def test_a_question_is_answered(tmp_path: Path) -> None:
    """The answer is heard from the loudspeaker sample by sample as the server sent it, and the light follows."""
    async with household(tmp_path, QUICK) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("turn_complete", timeout=30)
        (answer,) = home.live.answers
        await home.hear(answer.pcm)
        await home.daemon.until(event="state", state="idle", after=await home.daemon.until(state="speaking"))
        assert GO_FORWARD[:32000] in home.live.heard(1)
        assert not answer.interrupted
        states = home.daemon.states
        assert states[:2] == ["connecting", "idle"] or states[:3] == ["starting", "connecting", "idle"]
        assert states[states.index("listening") :] == ["listening", "thinking", "speaking", "idle"]
        status, seconds = await home.daemon.stop()
        assert (status, seconds < 2) == (0, True)


@pytest.mark.parametrize("pace", [1.2, 50], ids=["while-it-is-generated", "after-generation-complete"])
async def test_whoever_interrupts_is_listened_to(tmp_path: Path, pace: float) -> None:
    """The old answer stops, not a sample of it is heard any more, and the new question gets its answer whole."""
    async with household(tmp_path, QUICK | {"pace": pace}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("answer_start", timeout=30)
        await until(lambda: len(home.card.played()) > 24000, "half a second of the answer")
        home.card.speak(SOMETHING)
        await home.live.wait_for("interrupted", timeout=30)
        await home.daemon.until(event="interrupted")
        cut_at = len(home.card.played())
        await home.live.wait_for("turn_complete", count=2, timeout=30)
        first, second = home.live.answers
        assert first.interrupted
        assert not second.interrupted
        at = await home.hear(second.pcm)
        played = home.card.played()
        assert len(played) < len(first.pcm) + len(second.pcm)
        assert played[:at] == first.pcm[:at]
        # What the loudspeaker had played when the interruption was told is all there is of the first answer.
        assert at <= cut_at + 2 * 960


async def test_late_sound_of_a_cut_answer_is_not_heard(tmp_path: Path) -> None:
    """The server may go on sending for a moment after the interruption; nobody wants to hear it."""
    script = QUICK | {"pace": 1.2, "faults": [{"when": {"turn": 1}, "do": {"late_audio": 5}}]}
    async with household(tmp_path, script) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("answer_start", timeout=30)
        await until(lambda: len(home.card.played()) > 24000, "half a second of the answer")
        home.card.speak(SOMETHING)
        await home.live.wait_for("turn_complete", count=2, timeout=40)
        first, second = home.live.answers
        at = await home.hear(second.pcm)
        assert home.card.played()[:at] == first.pcm[:at]


ODD_FRAMES = [
    "{}",
    '{"serverContent":{}}',
    "null",
    "",
    "not json",
    "[1,2,3]",
    "[]",
    '""',
    "7",
    '{"error":{"code":500,"message":"x"}}',
    '{"code":503,"message":"x","status":"UNAVAILABLE"}',
    '{"code":400,"message":"x","status":"INVALID_ARGUMENT"}',
    '{"neverSeen":{}}',
    '{"neverSeen":{},"serverContent":{}}',
    '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"!!!"}}]}}}',
    '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}}}',
    '{"serverContent":{"modelTurn":"x"}}',
    '{"serverContent":{"modelTurn":{"parts":[{"text":"thinking","thought":true},{"neverSeen":1}]}}}',
    '{"serverContent":{"speechState":"x","turnCompleteReason":"NEVER_SEEN"}}',
    '{"serverContent":{"interactionStatus":"NEVER_SEEN"}}',
    '{"voiceActivity":{"type":"NEVER_SEEN"}}',
    '{"voiceActivityDetectionSignal":{"vadSignalType":"VAD_SIGNAL_TYPE_SOS"}}',
    '{"usageMetadata":{}}',
    '{"usageMetadata":{"promptTokensDetails":[{"modality":"SMELL","tokenCount":1}]}}',
    '{"sessionResumptionUpdate":{}}',
    '{"sessionResumptionUpdate":{"resumable":false}}',
    '{"sessionResumptionUpdate":{"newHandle":"","resumable":true}}',
    '{"toolCallCancellation":{"ids":["never-called"]}}',
    '{"toolCall":{}}',
    '{"toolCall":{"functionCalls":[{"name":"no_id"}]}}',
    '{"setupComplete":{}}',
    '{"setupComplete":true}',
    "[" * 100_000,
]


async def test_every_odd_message_is_survived_without_loss(tmp_path: Path) -> None:
    """In the middle of an answer the server sends all that was ever seen and more; the answer is heard whole."""
    script = QUICK | {"faults": [{"when": {"event": "audio_out", "count": 10}, "do": {"send": ODD_FRAMES}}]}
    async with household(tmp_path, script) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("turn_complete", timeout=30)
        await home.hear(home.live.answers[0].pcm)
        home.card.speak(SOMETHING)
        await home.live.wait_for("turn_complete", count=2, timeout=30)
        await home.hear(home.live.answers[1].pcm)
        assert not [event for event in home.live.events if event.kind == "close"]
        senseless = [entry for entry in home.daemon.journal if "makes no sense" in entry["message"]]
        assert 1 <= len(senseless) <= len(ODD_FRAMES)
        assert not any("Traceback" in line for line in home.daemon.lines)


@pytest.mark.parametrize("frame", ['{"error":{"code":503}}', "not json"])
async def test_a_server_that_says_nothing_else_is_left(tmp_path: Path, frame: str) -> None:
    """A connection on which a hundred errors come, and nothing between them, is replaced by another."""
    script = QUICK | {"faults": [{"when": {"event": "setup", "after": 0.5}, "do": {"send": [frame] * 100}}]}
    async with household(tmp_path, script) as home:
        await home.live.wait_for("setup")
        lost = await home.daemon.until(event="link-lost")
        assert "100 messages in a row were of no use" in home.daemon.journal[lost - 1]["message"]
        await home.daemon.until(after=lost, event="link-up")


async def test_half_a_sample_at_the_end_of_a_message_is_put_together_again(tmp_path: Path) -> None:
    """Sound may be cut anywhere, also in the middle of a sample."""
    # "AQID" is three bytes: one sample and a half.
    pieces = [
        {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}} for data in ("AQID", "BAUG", "BwgJ" * 1000)
    ]
    frames = [{"serverContent": {"modelTurn": {"parts": [piece]}}} for piece in pieces]
    end = {"serverContent": {"generationComplete": True, "turnComplete": True}}
    script = {"faults": [{"when": {"event": "setup", "after": 1.0}, "do": {"send": [*frames, end]}}]}
    async with household(tmp_path, script) as home:
        await home.hear(bytes([1, 2, 3, 4, 5, 6]) + bytes([7, 8, 9]) * 1000)


async def test_a_function_that_nobody_has_is_refused_at_once(tmp_path: Path) -> None:
    """A model that calls an unknown function gets an error to work with, and goes on to answer."""
    call = {"name": "open_the_oven", "args": {"now": True}, "behavior": "BLOCKING"}
    async with household(tmp_path, QUICK | {"faults": [{"do": {"tool_call": call}}]}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("tool_response", timeout=30)
        await home.live.wait_for("turn_complete", timeout=30)
        await home.hear(home.live.answers[-1].pcm)


async def test_a_lost_connection_is_made_again_and_the_conversation_goes_on(tmp_path: Path) -> None:
    """After a reset the next question is answered, by the server's account in the same conversation."""
    script = QUICK | {"faults": [{"when": {"event": "idle", "count": 2}, "do": {"reset": True}}]}
    async with household(tmp_path, script) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("resumed", timeout=40)
        await home.daemon.until(event="link-lost")
        home.card.speak(SOMETHING)
        await home.live.wait_for("turn_complete", connection=2, timeout=30)
        await home.hear(home.live.answers[-1].pcm)
        assert "offline" in home.daemon.states


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("moment", "script"),
    [
        ("link-refused", {"faults": [{"when": {"times": "always"}, "do": {"http": 503}}]}),
        ("handshake", {"faults": [{"when": {"times": "always"}, "do": {"stall_handshake": 60}}]}),
        ("setup", {"faults": [{"when": {"times": "always"}, "do": {"no_setup_complete": True}}]}),
        ("link-up", {}),
        ("speaking", QUICK),
        ("dead", {"faults": [{"when": {"event": "setup", "after": 0.5}, "do": {"freeze": 60}}]}),
    ],
)
async def test_it_stops_when_told_to(
    tmp_path: Path, moment: str, script: dict[str, object], number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end it well and within two seconds, whatever it is doing and whatever the network does."""
    async with household(tmp_path, script) as home:
        match moment:
            case "link-refused" | "link-up":
                await home.daemon.until(event=moment)
            case "setup":
                await home.live.wait_for("setup")
            case "handshake":  # which the server does not see as such
                await home.daemon.until(state="connecting")
                await asyncio.sleep(1.5)
            case "speaking":
                await home.live.wait_for("setup")
                home.card.speak(GO_FORWARD)
                await home.daemon.until(30, state="speaking")
            case "dead":
                await home.daemon.until(event="link-up")
                await asyncio.sleep(1)
        status, seconds = await home.daemon.stop(number)
        assert status == 0, home.daemon.lines
        assert seconds < 2
        assert not any("Traceback" in line for line in home.daemon.lines)


async def test_it_stops_while_the_network_does_not_even_answer(tmp_path: Path) -> None:
    """A server that takes no connection, like a network without a route, does not hold up the end."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.socket() as first:
            first.connect(full.getsockname())  # fills the queue: further connections are neither made nor refused
            url = f"https://127.0.0.1:{full.getsockname()[1]}"
            async with household(tmp_path, live={"base_url": url}) as home:
                await home.daemon.until(state="connecting")
                await asyncio.sleep(1.5)
                status, seconds = await home.daemon.stop()
                assert (status, seconds < 2) == (0, True)


@pytest.mark.parametrize(
    ("key", "model", "words"),
    [
        ("a-key-that-is-wrong-42", "gemini-3.8-live", "check the API key"),
        (KEY, "gemini-0.1-nope", "check assistant.model"),
    ],
)
async def test_a_refusal_that_only_a_person_can_mend_is_shown_as_an_error(
    tmp_path: Path, key: str, model: str, words: str
) -> None:
    """A wrong key or model lights ERROR and says what to do; the daemon stays, and never shows the key."""
    async with household(tmp_path, key=key, assistant={"model": model}) as home:
        await home.daemon.until(state="error")
        assert any(words in entry["message"] for entry in home.daemon.journal if entry["level"] == "error")
        assert home.daemon.process.returncode is None
        assert not any(key in line for line in home.daemon.lines)
        status, seconds = await home.daemon.stop()
        assert (status, seconds < 2) == (0, True)


async def test_a_speaker_without_its_sound_devices_stays_up_and_says_so(tmp_path: Path) -> None:
    """Without its microphone it says which one is missing, connects all the same, and calls for a person."""
    async with household(tmp_path, QUICK, microphone={"device": "nowhere"}) as home:
        await home.daemon.until(event="device-lost", device="microphone")
        await home.live.wait_for("setup")
        lost = next(entry for entry in home.daemon.journal if entry.get("event") == "device-lost")
        assert "nowhere" in lost["message"]
        assert "speakerd devices" in lost["message"]
        await home.daemon.until(20, event="device-missing", level="error")
        await home.daemon.until(state="error")
        assert home.daemon.process.returncode is None


async def test_a_card_that_is_pulled_out_and_put_back_goes_on(tmp_path: Path) -> None:
    """Between two questions the card is away for a moment; the second is heard and answered like the first."""
    async with household(tmp_path, QUICK) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("turn_complete", timeout=30)
        home.card.unplug()
        await home.daemon.until(event="device-lost", device="microphone")
        home.card.replug()
        await home.daemon.until(event="device-back", device="microphone")
        home.card.speak(PAUSE + SOMETHING)
        await home.live.wait_for("turn_complete", count=2, timeout=30)
        await home.hear(home.live.answers[1].pcm)


async def test_the_service_manager_is_told(tmp_path: Path) -> None:
    """READY comes without waiting for the network, STATUS follows the state, STOPPING comes at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        address = str(tmp_path / "notify")
        notify.bind(address)
        notify.setblocking(False)
        script = {"faults": [{"when": {"times": "always"}, "do": {"stall_handshake": 60}}]}
        async with household(tmp_path, script, environment={"NOTIFY_SOCKET": address}) as home:
            loop = asyncio.get_running_loop()
            told = b""
            async with asyncio.timeout(15):
                while b"READY=1" not in told:
                    told += await loop.sock_recv(notify, 4096) + b"\n"
            assert b"STATUS=" in told
            await home.daemon.stop()
            async with asyncio.timeout(5):
                while b"STOPPING=1" not in told:
                    told += await loop.sock_recv(notify, 4096) + b"\n"


async def test_a_service_manager_that_has_gone_is_no_trouble(tmp_path: Path) -> None:
    """A variable left behind by a terminal or a container does not stop the speaker."""
    async with household(tmp_path, environment={"NOTIFY_SOCKET": str(tmp_path / "gone")}) as home:
        await home.daemon.until(event="link-up")


async def test_an_outage_and_a_wrong_key_are_both_told(tmp_path: Path) -> None:
    """When the network comes late and then the key is refused, the journal says what to do about the key."""
    faults = [
        {"when": {"connection": number}, "do": {"http": status}} for number, status in ((1, 503), (2, 403), (3, 403))
    ]
    async with household(tmp_path, {"faults": faults}) as home:
        await home.daemon.until(level="warning", event="link-refused", code=503)
        await home.daemon.until(level="error", event="link-refused", code=403)
        assert any("check the API key" in entry["message"] for entry in home.daemon.journal)


async def test_nothing_can_be_connected_to(tmp_path: Path) -> None:
    """A speaker in a kitchen listens to people, not on sockets."""
    async with household(tmp_path) as home:
        await home.daemon.until(event="link-up")
        pid = home.daemon.process.pid
        mine = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                state, inode = line.split()[3], line.split()[9]
                waits = state == "0A" if table.startswith("tcp") else True
                assert not (waits and f"socket:[{inode}]" in mine), line


async def test_what_was_said_is_in_the_journal_only_on_request(tmp_path: Path) -> None:
    """Transcripts are off by default; on, both sides of the conversation are told."""
    words = "what time is it in the kitchen"
    async with household(tmp_path, QUICK | {"heard": [words]}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("turn_complete", timeout=30)
        said = home.live.answers[0].text
        assert words not in json.dumps(home.daemon.journal)
        assert said[:20] not in json.dumps(home.daemon.journal)
    async with household(tmp_path / "on", QUICK | {"heard": [words]}, assistant={"transcripts": True}) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await home.live.wait_for("turn_complete", timeout=30)
        await home.daemon.until(event="transcript-heard")
        await home.daemon.until(event="transcript-said")


@pytest.mark.parametrize(
    "fault",
    [
        {"when": {"event": "speech_start", "connection": 1, "after": 0.8}, "do": {"reset": True}},
        {"when": {"event": "speech_end", "connection": 1}, "do": {"reset": True}},
        {"when": {"event": "speech_start", "connection": 1, "after": 0.5}, "do": {"refuse": 3}},
    ],
    ids=["in-mid-sentence", "between-question-and-answer", "outage-while-speaking"],
)
async def test_no_word_is_lost_with_a_connection(tmp_path: Path, fault: dict[str, object]) -> None:
    """The whole sentence reaches the next connection, once, and is answered."""
    async with household(tmp_path, QUICK | {"faults": [fault]}) as home:
        await home.live.wait_for("setup")
        await asyncio.sleep(1)
        home.card.speak(GO_FORWARD)
        await home.daemon.until(event="told-again", timeout=30)
        await home.live.wait_for("turn_complete", timeout=30)
        heard = home.live.heard(2)
        words = GO_FORWARD[12_000:64_000]  # from its first word to its last
        assert heard.count(words) == 1
        await home.hear(home.live.answers[-1].pcm)
        assert len([event for event in home.live.events if event.kind == "turn"]) <= 2


async def test_a_network_that_swallows_everything_is_given_up_within_seconds(tmp_path: Path) -> None:
    """A connection that is dead without saying so is noticed by what it does not take."""
    script = {"faults": [{"when": {"event": "setup", "connection": 1, "after": 1.0}, "do": {"freeze": 120}}]}
    async with household(tmp_path, script) as home:
        await home.daemon.until(event="link-up")
        # The ping would notice after 80 s at the earliest; what is not taken shows much sooner.
        await home.daemon.until(event="link-lost", timeout=60)
