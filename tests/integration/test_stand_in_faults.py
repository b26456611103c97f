"""The stand-in misbehaves as its script says, and only then."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.stand_in_talk import ANSWERS, MODEL, QUESTION, SILENCE, Caller, sound_of, spoken, stand_in


def told(what: dict[str, Any], **when: Any) -> dict[str, Any]:
    """Return a script with one fault."""
    return {"faults": [{"when": when, "do": what} if when else {"do": what}]}


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
async def test_the_door_may_stay_shut(tmp_path: Path, status: int) -> None:
    """The first caller is turned away before there is a connection, the second is not."""
    async with stand_in(tmp_path, **told({"http": status})) as live:
        with pytest.raises(InvalidStatus) as refused:
            async with Caller.call(live):
                pass
        assert refused.value.response.status_code == status
        assert (await live.wait_for("refused")).detail["status"] == status
        async with Caller.call(live) as caller:
            await caller.set_up()


async def test_the_door_may_open_slowly(tmp_path: Path) -> None:
    """A caller who is not patient gives up."""
    async with stand_in(tmp_path, **told({"stall_handshake": 30})) as live:
        with pytest.raises(TimeoutError):
            async with Caller.call(live, open_timeout=0.2):
                pass


async def test_a_setup_may_get_no_answer(tmp_path: Path) -> None:
    """The connection is open and nothing comes."""
    async with stand_in(tmp_path, **told({"no_setup_complete": True})) as live, Caller.call(live) as caller:
        await caller.send({"setup": {"model": f"models/{MODEL}"}})
        await live.wait_for("setup")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await caller.socket.recv()


async def test_something_else_may_come_first(tmp_path: Path) -> None:
    """The first frame may be another than setupComplete."""
    faults = [{"when": {"event": "setup"}, "do": {"send": {"goAway": {}}}}]
    async with stand_in(tmp_path, faults=faults) as live, Caller.call(live) as caller:
        await caller.send({"setup": {"model": f"models/{MODEL}"}})
        assert await caller.receive() == {"goAway": {}}


CLOSES = [
    (1007, "Request contains an invalid argument."),
    (1008, "The operation was aborted."),
    (1008, "Operation is not implemented, or supported, or enabled."),
    (1011, "Internal error encountered."),
    (1011, "The service is currently unavailable."),
    (1011, "Deadline expired before operation could complete"),
    (1011, "RESOURCE_EXHAUSTED: Maximum concurrent sessions"),
    (1000, ""),
    (1001, ""),
]


@pytest.mark.parametrize(("code", "reason"), CLOSES)
@pytest.mark.parametrize("event", ["setup", "answer_start"])
async def test_the_service_hangs_up(tmp_path: Path, event: str, code: int, reason: str) -> None:
    """At any moment, with any code, in the service's words."""
    script = told({"close": {"code": code, "reason": reason}}, event=event)
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        with contextlib.suppress(ConnectionClosed):  # the close may come before all was said
            await caller.send({"setup": {"model": f"models/{MODEL}"}})
            await caller.say(QUESTION + SILENCE)
        with pytest.raises(ConnectionClosed):
            await caller.until("nothing of this name")
        assert await caller.closed() == (code, reason)
        assert ("setupComplete" in caller.kinds) == (event == "answer_start")


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("how", ["drop", "reset"])
async def test_the_line_breaks(tmp_path: Path, how: str, secure: bool) -> None:
    """The connection is gone without a close frame."""
    script = told({how: True}, event="audio_out", count=2)
    async with stand_in(tmp_path, **script) as live, Caller.call(live, secure=secure) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        with pytest.raises(ConnectionClosed) as broken:
            await caller.until("nothing of this name")
        assert isinstance(broken.value.__cause__, ConnectionResetError) == (how == "reset")
        assert (await caller.closed())[0] == 1006
        assert (await live.wait_for("close")).detail["by"] == "nobody"
        assert live.answers[0].interrupted


async def test_an_outage(tmp_path: Path) -> None:
    """Everybody is cut off, nobody gets in for a while, and then all is well again."""
    async with stand_in(tmp_path, **told({"refuse": 0.5}, event="turn")) as live:
        async with Caller.call(live) as caller:
            await caller.set_up()
            await caller.say(QUESTION + SILENCE)
            assert (await caller.closed())[0] == 1006
        await live.wait_for("dark")
        with pytest.raises(ConnectionRefusedError):
            async with Caller.call(live):
                pass
        await live.wait_for("light")
        async with Caller.call(live) as caller:
            await caller.set_up()


@pytest.mark.parametrize("secure", [False, True])
async def test_reading_stops(tmp_path: Path, secure: bool) -> None:
    """What the client sends meanwhile is heard later, and nothing of it is lost."""
    script = told({"stop_reading": 0.3}, event="idle")
    async with stand_in(tmp_path, **script) as live, Caller.call(live, secure=secure) as caller:
        await caller.set_up()
        await live.wait_for("fault")
        began = time.monotonic()
        await caller.say(QUESTION + SILENCE)
        await (await caller.socket.ping())
        assert time.monotonic() - began > 0.25
        assert live.heard(1) == QUESTION + SILENCE


@pytest.mark.parametrize("secure", [False, True])
async def test_the_network_freezes(tmp_path: Path, secure: bool) -> None:
    """Nothing comes through in either direction for a while, then all of it does."""
    script = told({"freeze": 0.5}, event="audio_out", count=3)
    async with stand_in(tmp_path, **script) as live, Caller.call(live, secure=secure) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await live.wait_for("generation_complete")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await caller.until("generationComplete")
        await caller.until("turnComplete")
        assert sound_of(caller.messages) == spoken(ANSWERS[0])


async def test_pongs_stay_away(tmp_path: Path) -> None:
    """Pings are not answered, though all else is."""
    async with stand_in(tmp_path, **told({"no_pong": True}, event="setup")) as live, Caller.call(live) as caller:
        await caller.set_up()
        pong = await caller.socket.ping()
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pong


async def test_pongs_are_late(tmp_path: Path) -> None:
    """Pings are answered after a while."""
    async with stand_in(tmp_path, **told({"late_pong": 0.3}, event="setup")) as live, Caller.call(live) as caller:
        await caller.set_up()
        async with asyncio.timeout(10):
            assert await (await caller.socket.ping()) > 0.25


ODD = ["{", "[1, 2, 3]", "null", '{"bogus": 1}', '{"error": {"code": 503}}', {"serverContent": {}}, {}]


async def test_odd_frames(tmp_path: Path) -> None:
    """A script sends any text as it is, and any message as the service would."""
    async with stand_in(tmp_path, **told({"send": ODD}, event="idle")) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.until("sessionResumptionUpdate")
        for odd in ODD:
            frame = await caller.socket.recv()
            assert frame == odd if isinstance(odd, str) else (isinstance(frame, bytes) and json.loads(frame) == odd)


async def test_a_frame_too_long(tmp_path: Path) -> None:
    """One frame may be longer than a client takes, and is an empty message to one that does take it."""
    script = told({"send_bytes_size": 2 << 20}, event="idle")
    async with stand_in(tmp_path, **script) as live, Caller.call(live, max_size=None) as caller:
        await caller.set_up()
        await caller.until("sessionResumptionUpdate")
        frame = await caller.socket.recv()
        assert (len(frame), json.loads(frame)) == (2 << 20, {})
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        with pytest.raises(ConnectionClosed, match="1009"):
            await caller.until("nothing of this name")


async def test_a_flood(tmp_path: Path) -> None:
    """Many messages in one go."""
    script = told({"flood": 2000}, event="turn")
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        assert sum(message == {} for message in caller.messages) > 2000


async def test_going_away(tmp_path: Path) -> None:
    """The service says when it will hang up, and does."""
    async with stand_in(tmp_path, **told({"go_away": 0.2}, event="setup")) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.until("goAway") if "goAway" not in caller.kinds else None
        assert {"goAway": {"timeLeft": "0.2s"}} in caller.messages
        code, reason = await caller.closed()
        assert code == 1008
        assert reason.startswith("Connection aborted because the client failed to close the connection")


@pytest.mark.parametrize(
    ("model", "end"),
    [
        (MODEL, (1011, "Deadline expired before operation could complete")),
        ("gemini-3.1-flash-live-preview", (1008, "Connection aborted because the client failed to close")),
    ],
)
async def test_connections_grow_old(tmp_path: Path, model: str, end: tuple[int, str]) -> None:
    """After its time, which a script makes pass faster, the service ends a connection: 3.8 without a word."""
    async with stand_in(tmp_path, clock=6000) as live, Caller.call(live) as caller:
        await caller.set_up(model)
        code, reason = await caller.closed()
        assert (code, reason[: len(end[1])]) == end
        assert [event.kind for event in live.events].count("go_away") == (model != MODEL)


async def test_handles_grow_old(tmp_path: Path) -> None:
    """A handle is good for two hours and not longer."""
    async with stand_in(tmp_path, clock=7200 / 0.2) as live:
        async with Caller.call(live) as caller:
            await caller.set_up()
            handle = (await caller.until("sessionResumptionUpdate"))["sessionResumptionUpdate"]["newHandle"]
        await live.wait_for("close")
        await asyncio.sleep(0.25)  # that long is two hours here
        async with Caller.call(live) as caller:
            await caller.send({"setup": {"model": f"models/{MODEL}", "sessionResumption": {"handle": handle}}})
            assert await caller.closed() == (1008, "BidiGenerateContent session not found")


async def test_handles_are_forgotten(tmp_path: Path) -> None:
    """A service that has lost its memory refuses a handle that it gave a moment ago."""
    forget = {"when": {"event": "handle"}, "do": {"forget_handles": True}}
    async with stand_in(tmp_path, faults=[forget]) as live:
        async with Caller.call(live) as caller:
            await caller.set_up()
            handle = (await caller.until("sessionResumptionUpdate"))["sessionResumptionUpdate"]["newHandle"]
        await live.wait_for("close")
        async with Caller.call(live) as caller:
            await caller.send({"setup": {"model": f"models/{MODEL}", "sessionResumption": {"handle": handle}}})
            assert await caller.closed() == (1008, "BidiGenerateContent session not found")


@pytest.mark.parametrize("lets_go", [False, True])
async def test_a_conversation_that_still_has_a_connection_is_resumed_only_where_that_is_let_go_of(
    tmp_path: Path, lets_go: bool
) -> None:
    """A second connection of a conversation is refused, unless the script lets go of the first one."""
    faults = [{"when": {"event": "handle"}, "do": {"let_go": True}}] if lets_go else []
    async with stand_in(tmp_path, faults=faults) as live, Caller.call(live) as first:
        await first.set_up()
        handle = (await first.until("sessionResumptionUpdate"))["sessionResumptionUpdate"]["newHandle"]
        async with Caller.call(live) as second:
            await second.send({"setup": {"model": f"models/{MODEL}", "sessionResumption": {"handle": handle}}})
            if lets_go:
                await second.until("setupComplete")
            else:
                assert (await second.closed())[0] == 1011


ANSWERS_GONE_WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"empty_turn": True}, ["turnComplete", "usageMetadata"]),
    ({"turn_reason": "RESPONSE_REJECTED"}, ["turnComplete", "turnCompleteReason", "usageMetadata"]),
    ({"transcript_only": True}, ["outputTranscription", "generationComplete", "turnComplete", "usageMetadata"]),
]


@pytest.mark.parametrize(("what", "kinds"), ANSWERS_GONE_WRONG)
async def test_a_turn_without_sound(tmp_path: Path, what: dict[str, Any], kinds: list[str]) -> None:
    """The answer to one turn fails in the way that the script says, and the next one comes."""
    async with stand_in(tmp_path, **told(what)) as live, Caller.call(live) as caller:
        await caller.set_up("gemini-3.1-flash-live-preview")
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        assert caller.kinds[-len(kinds) :] == kinds
        assert sound_of(caller.messages) == b""
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        assert sound_of(caller.messages) == spoken(ANSWERS[1])


async def test_a_turn_without_anything(tmp_path: Path) -> None:
    """The service may not answer at all."""
    script = told({"no_answer": True}, event="turn", turn=1)
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await live.wait_for("idle", count=2)
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        assert sound_of(caller.messages) == spoken(ANSWERS[1])


async def test_sound_after_the_interruption(tmp_path: Path) -> None:
    """Some of the answer may still come after it was interrupted."""
    script = told({"late_audio": 3}) | {"pace": 1}
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("modelTurn")
        await caller.say(QUESTION)
        await caller.until("interrupted")
        caller.messages.clear()
        await caller.until("turnComplete")
        assert len(sound_of(caller.messages)) == 3 * 1920


async def test_an_interruption_by_nobody(tmp_path: Path) -> None:
    """An answer may be interrupted though nobody spoke."""
    script = told({"phantom_interrupted": True}, event="audio_out", count=2) | {"pace": 1}
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("interrupted")
        await caller.until("turnComplete")
        assert [event.kind for event in live.events].count("speech_start") == 1
        assert live.answers[0].interrupted


async def test_an_interruption_of_nothing(tmp_path: Path) -> None:
    """`interrupted` may come though the model was silent."""
    script = told({"phantom_interrupted": True}, event="idle", after=0.05)
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.until("interrupted")


async def test_an_answer_stutters(tmp_path: Path) -> None:
    """The sound may stop for a while in the middle."""
    script = told({"pause": 0.5}, event="audio_out", count=3)
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        third, fourth = [(await live.wait_for("audio_out", count=count)).at for count in (3, 4)]
        assert fourth - third > 0.45
        assert sound_of(caller.messages) == spoken(ANSWERS[0])


async def test_a_slow_answer(tmp_path: Path) -> None:
    """The sound may come more slowly than it is played."""
    script = told({"pace": 0.5}, event="setup")
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        first, last = [(await live.wait_for(kind)).at for kind in ("answer_start", "generation_complete")]
        assert last - first > 1.5 * len(spoken(ANSWERS[0])) / 48_000


async def test_a_function_call_lost_on_the_way(tmp_path: Path) -> None:
    """The line breaks while a function runs; its result, sent on a later connection, belongs to no call there."""
    faults = [
        {"do": {"tool_call": {"name": "lamp", "behavior": "BLOCKING"}}},
        {"when": {"event": "tool_call"}, "do": {"drop": True}},
    ]
    async with stand_in(tmp_path, faults=faults) as live:
        async with Caller.call(live) as caller:
            await caller.set_up()
            handle = (await caller.until("sessionResumptionUpdate"))["sessionResumptionUpdate"]["newHandle"]
            await caller.say(QUESTION + SILENCE)
            [call] = (await caller.until("toolCall"))["toolCall"]["functionCalls"]
            await caller.closed()
        await live.wait_for("close")
        async with Caller.call(live) as caller:
            await caller.set_up(sessionResumption={"handle": handle})
            await caller.send({"toolResponse": {"functionResponses": [{"id": call["id"], "response": {}}]}})
            assert (await caller.closed())[0] == 1007


async def test_faults_choose_their_moment(tmp_path: Path) -> None:
    """A fault can be meant for one connection, come after a delay, and come again."""
    faults = [
        {"when": {"event": "open", "connection": 2}, "do": {"drop": True}},
        {"when": {"after_seconds": 0.1, "connection": 3}, "do": {"close": 1011}},
        {"when": {"event": "open", "count": 4, "times": 2}, "do": {"close": 1001}},
    ]
    async with stand_in(tmp_path, faults=faults) as live:
        codes = []
        for number in range(1, 7):
            async with Caller.call(live) as caller:
                with contextlib.suppress(ConnectionClosed):  # some are turned away before they can speak
                    await caller.send({"setup": {"model": f"models/{MODEL}"}})
                if number in {1, 6}:
                    await caller.until("setupComplete")
                    await caller.socket.close()
                codes.append((await caller.closed())[0])
        assert codes == [1000, 1006, 1011, 1001, 1001, 1000]


async def test_a_fault_for_an_idle_moment_waits_for_one(tmp_path: Path) -> None:
    """What should happen in a pause does not happen while somebody speaks."""
    script = told({"close": 1001}, event="idle", after=0.3)
    async with stand_in(tmp_path, **script) as live, Caller.call(live) as caller:
        await caller.set_up()
        await caller.say(QUESTION + SILENCE)
        await caller.until("turnComplete")
        assert (await caller.closed())[0] == 1001
        assert (await live.wait_for("close")).at - (await live.wait_for("idle", count=2)).at > 0.25
