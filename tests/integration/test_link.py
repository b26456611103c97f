"""The line to the Live API, with the real SDK and a real server."""

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from speakerd.errors import Cure, LinkError
from speakerd.host.network import Reachability
from speakerd.live import link
from speakerd.live.events import Event
from speakerd.live.handle import Handle
from speakerd.live.link import Link
from speakerd.live.session import Caller
from speakerd.live.verdict import Verdict
from speakerd.settings import Settings
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script
from speakerd.state import Line
from tests.integration.household import GO_FORWARD, KEY, until

PERIOD = 640


@dataclass
class Listener:
    """Who is told about the line, as the assistant is."""

    lines: list[tuple[Line, str | None]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    left: int = 0
    quiet: bool = True
    again: bytes = b""
    latest: bytes = b""

    def went_up(self) -> None:
        self.lines.append((Line.UP, None))

    def went_down(self, error: LinkError, what: Verdict) -> None:
        self.lines.append((Line.DOWN, what.advice or None))

    def happened(self, event: Event) -> None:
        self.events.append(event)

    def sound_left(self, octets: int) -> None:
        self.left += octets

    def is_quiet(self) -> bool:
        return self.quiet

    def to_tell_again(self) -> bytes:
        again, self.again = self.again, b""
        return again

    def is_heard(self) -> bool:
        return True

    def just_heard(self) -> bytes:
        return self.latest

    async def up(self, times: int = 1) -> None:
        """Wait until the line has come up so many times."""
        await until(lambda: [line for line, _ in self.lines].count(Line.UP) >= times, f"line up {times}", 20)


@dataclass
class Call:
    """A link to a stand-in, and who listens to it."""

    live: LiveApi
    link: Link
    owner: Listener

    async def say(self, pcm: bytes) -> None:
        """Speak at four times the pace of speech: the server counts time in sound."""
        for at in range(0, len(pcm), PERIOD):
            self.link.send(pcm[at : at + PERIOD].ljust(PERIOD, b"\0"))
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def call(
    directory: Path, script: dict[str, Any] | None = None, handle: Handle | None = None, **live_settings: object
) -> AsyncIterator[Call]:
    options = LiveApiOptions(directory, script=Script.model_validate(script or {}), keys=frozenset({KEY}))
    async with LiveApi(options) as live:
        settings = Settings.model_validate(
            {"live": {"base_url": live.url, "retry": {"first": 0.5, "longest": 1.0}, **live_settings}}
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(live.ca_file))
            caller = Caller(settings, KEY)
        owner = Listener()
        server = urlsplit(live.url)
        network = Reachability(server.hostname or "", server.port or 443)
        link = Link(caller.dial, {Cure.NETWORK: network.returns}, settings.live, handle or Handle(None, "m"), owner)
        running = asyncio.create_task(link.run())
        try:
            yield Call(live, link, owner)
            assert not running.done(), running
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def test_sound_goes_out_as_it_came_in(tmp_path: Path) -> None:
    """Every period is one message, in order, and counted when it is on its way."""
    async with call(tmp_path) as on:
        await on.owner.up()
        await on.say(GO_FORWARD[: PERIOD * 50])
        await on.live.wait_for("audio", count=50)
        assert on.live.heard(1) == GO_FORWARD[: PERIOD * 50]
        assert on.owner.left == PERIOD * 50


async def test_longer_messages_hold_several_periods(tmp_path: Path) -> None:
    """With live.send_ms at 60, three periods make a message, and not a sample is lost between them."""
    async with call(tmp_path, send_ms=60) as on:
        await on.owner.up()
        await on.say(GO_FORWARD[: PERIOD * 30])
        await on.live.wait_for("audio", count=10)
        assert on.live.heard(1) == GO_FORWARD[: PERIOD * 30]


async def test_what_is_said_without_a_line_is_not_delivered_late(tmp_path: Path) -> None:
    """Sound from before the connection, or from an outage, does not arrive after it."""
    async with call(tmp_path) as on:
        for _ in range(5):
            on.link.send(GO_FORWARD[:PERIOD])
        await on.owner.up()
        await on.say(GO_FORWARD[PERIOD * 5 : PERIOD * 10])
        await on.live.wait_for("audio", count=5)
        assert on.live.heard(1) == GO_FORWARD[PERIOD * 5 : PERIOD * 10]


async def test_the_server_is_told_when_the_microphone_closes(tmp_path: Path) -> None:
    """A closed microphone is not mere silence, and the server learns of it."""
    async with call(tmp_path) as on:
        await on.owner.up()
        await on.say(GO_FORWARD[: PERIOD * 5])
        on.link.end_sound()
        await on.live.wait_for("audio_stream_end")


async def test_an_outage_is_one_line_at_its_start_and_one_at_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the dial fails meanwhile, the journal is not filled, and the conversation goes on after it."""
    caplog.set_level(logging.INFO, "speakerd")
    async with call(tmp_path) as on:
        await on.owner.up()
        await on.live.wait_for("handle")
        await on.live.go_dark()
        await until(lambda: on.owner.lines[-1][0] is Line.DOWN, "the loss")
        await asyncio.sleep(3)
        await on.live.come_back()
        await on.live.wait_for("resumed")
        await on.owner.up(2)
    levels = [record.levelname for record in caplog.records]
    assert levels.count("WARNING") == 2, "the loss, and why there is no dialling: " + caplog.text
    assert levels.count("INFO") == 2, caplog.text
    assert "conversation resumed after" in caplog.text


async def test_a_conversation_that_the_server_has_forgotten_is_begun_anew(tmp_path: Path) -> None:
    """A refused handle is tried once and never again."""
    refuse = {"close": {"code": 1008, "reason": "BidiGenerateContent session not found"}}
    script = {
        "faults": [
            {"when": {"event": "idle"}, "do": {"reset": True}},
            {"when": {"event": "open", "connection": 2}, "do": refuse},
        ]
    }
    async with call(tmp_path, script) as on:
        setups = await until(
            lambda: len([event for event in on.live.events if event.kind == "setup" and event.connection >= 3]),
            "a third dial",
            20,
        )
        assert setups
        await on.owner.up(2)
        third = next(event for event in on.live.events if event.kind == "setup" and event.connection == 3)
        assert not third.detail["setup"].get("sessionResumption"), third.detail
        assert not [event for event in on.live.events if event.kind == "resumed"]


@pytest.mark.parametrize(
    "fault",
    [
        {"flood": 5000},
        {"send_bytes_size": 12 << 20},
        {"send": ["nonsense"] * 150},
        {"close": {"code": 1011, "reason": "Internal error encountered."}},
        {"close": {"code": 1000}},
        {"reset": True},
        {"drop": True},
    ],
    ids=lambda fault: next(iter(fault)),
)
async def test_whatever_the_server_does_the_line_is_there_afterwards(tmp_path: Path, fault: dict[str, Any]) -> None:
    """Floods, giant messages, nonsense, hang-ups and cut lines: a question asked afterwards is answered."""
    script = {"thinking": 0, "pace": 50, "faults": [{"when": {"event": "audio", "count": 10}, "do": fault}]}
    async with call(tmp_path, script) as on:
        await on.owner.up()
        await on.say(bytes(PERIOD * 100))
        await on.live.wait_for("fault")
        await asyncio.sleep(2)
        await until(lambda: on.owner.lines[-1][0] is Line.UP, "the line", 20)
        await on.say(GO_FORWARD + bytes(40_000))
        await on.live.wait_for("turn_complete", timeout=20)


async def test_a_bad_key_is_not_dialled_with_again_and_again(tmp_path: Path) -> None:
    """What only a person can mend is tried slowly, and the advice reaches the light."""
    async with call(tmp_path, {"faults": [{"when": {"times": "always"}, "do": {"http": 403}}]}) as on:
        await until(lambda: len(on.owner.lines), "a refusal")
        await asyncio.sleep(2.5)
        assert on.owner.lines[0] == (Line.DOWN, on.owner.lines[0][1])
        assert "check the API key" in (on.owner.lines[0][1] or "")
        assert len(on.owner.lines) <= 3  # live.retry.longest is a second here


async def test_a_sentence_without_an_answer_is_told_again_before_anything_else(tmp_path: Path) -> None:
    """What a lost connection had not answered goes out first, faster than speech, and then what is said now."""
    script = {"faults": [{"when": {"event": "audio", "count": 20}, "do": {"reset": True}}]}
    async with call(tmp_path, script) as on:
        await on.owner.up()
        on.owner.again = GO_FORWARD[: PERIOD * 100]
        await on.say(GO_FORWARD[: PERIOD * 20])
        await on.owner.up(2)
        await on.say(GO_FORWARD[PERIOD * 100 : PERIOD * 110])
        await on.live.wait_for("audio", connection=2, count=110)
        assert on.live.heard(2) == GO_FORWARD[: PERIOD * 110]


async def test_a_word_that_begins_while_there_is_no_connection_is_not_cut(tmp_path: Path) -> None:
    """What was heard in the last moments goes out first, though nobody had noticed anyone talk in it."""
    async with call(tmp_path, {"faults": [{"when": {"event": "idle"}, "do": {"reset": True}}]}) as on:
        on.owner.latest = GO_FORWARD[: PERIOD * 20]
        await on.owner.up(2)
        await on.say(GO_FORWARD[PERIOD * 20 : PERIOD * 30])
        await on.live.wait_for("audio", connection=2, count=30)
        assert on.live.heard(2) == GO_FORWARD[: PERIOD * 30]


async def test_a_connection_is_replaced_in_a_silence_before_the_server_cuts_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Told that the server will hang up, it waits until nobody talks, and nobody notices the change."""
    caplog.set_level(logging.INFO, "speakerd")
    script = {"faults": [{"when": {"event": "idle"}, "do": {"go_away": 30.0}}]}
    async with call(tmp_path, script) as on:
        await on.owner.up()
        on.owner.quiet = False
        await on.live.wait_for("go_away")
        await asyncio.sleep(2)
        assert not [event for event in on.live.events if event.connection == 2], "cut into the conversation"
        on.owner.quiet = True
        await on.live.wait_for("resumed")
        await on.owner.up(2)
        first_closed = await on.live.wait_for("close", connection=1)
        second_opened = await on.live.wait_for("open", connection=2)
        assert first_closed.detail["code"] == 1000
        assert first_closed.at < second_opened.at, "the service refuses two connections of one conversation"
    assert [line for line, _ in on.owner.lines] == [Line.UP, Line.UP], "the light need not know"
    assert "connection replaced in a silence" in caplog.text


async def test_where_there_is_no_silence_it_is_replaced_at_the_last_moment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A talk that does not pause is cut by us, with its handle, rather than by the server."""
    caplog.set_level(logging.INFO, "speakerd")
    script = {"faults": [{"when": {"event": "idle"}, "do": {"go_away": 5.0}}]}
    async with call(tmp_path, script) as on:
        on.owner.quiet = False
        told = await on.live.wait_for("go_away")
        closed = await on.live.wait_for("close", connection=1)
        assert closed.detail["by"] == "client"
        assert closed.at < told.at + 5
        await on.owner.up(2)
    assert "at the last moment" in caplog.text


async def test_an_old_connection_is_replaced_without_being_told_to(tmp_path: Path) -> None:
    """Our own clock does not wait for the server's warning."""
    async with call(tmp_path, rotate={"after": 5, "at_latest": 60}) as on:
        await on.live.wait_for("resumed", timeout=15)


async def test_a_restart_goes_on_with_the_conversation(tmp_path: Path) -> None:
    """The handle outlives the process, and is only for its owner to read."""
    file = tmp_path / "handle.json"
    async with call(tmp_path / "one", handle=Handle(file, "m")) as on:
        await on.live.wait_for("handle")
        await until(file.exists, "the file")
    assert file.stat().st_mode & 0o777 == 0o600
    handle = Handle(file, "m").value
    assert handle
    assert Handle(file, "another model").value is None


async def test_never_more_than_one_dial_a_second(tmp_path: Path) -> None:
    """A server that hangs up on everybody is not hammered."""
    script = {"faults": [{"when": {"event": "setup", "times": "always"}, "do": {"close": 1011}}]}
    async with call(tmp_path, script) as on:
        await asyncio.sleep(6)
        dials = [event.at for event in on.live.events if event.kind == "open"]
    assert 3 <= len(dials) <= 7
    assert min(later - sooner for sooner, later in itertools.pairwise(dials)) > 0.9


async def test_the_end_of_a_long_outage_is_noticed_at_once(tmp_path: Path) -> None:
    """While the next dial is far away, the server's return is seen within seconds."""
    async with call(tmp_path, retry={"first": 20.0, "longest": 60.0}) as on:
        await on.owner.up()
        await on.live.go_dark()
        await until(lambda: on.owner.lines[-1][0] is Line.DOWN, "the loss")
        await asyncio.sleep(4)  # the second try has failed, the third would come after 20 s
        loop = asyncio.get_running_loop()
        await on.live.come_back()
        back = loop.time()
        await on.owner.up(2)
        assert loop.time() - back < 5


async def held_after(reconnects: int, directory: Path) -> tuple[list[str], int, int]:
    """Return the tasks, threads and descriptors that are there after so many connections."""
    close = {"when": {"event": "idle", "times": reconnects}, "do": {"close": 1000}}
    async with call(directory, {"faults": [close]}, retry={"healthy_after": 0}) as on:
        await until(lambda: [line for line, _ in on.owner.lines].count(Line.UP) > reconnects, "the last one", 60)
        await on.live.wait_for("idle", count=reconnects + 1)
        await asyncio.sleep(0.5)  # what is over has time to end
        tasks = sorted(getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
        return tasks, threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


async def test_reconnecting_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After two hundred connections there are as many tasks, threads and descriptors as after ten."""
    monkeypatch.setattr(link, "DIAL_GAP_S", 0.0)
    monkeypatch.setattr(link, "AT_ONCE_S", 0.0)
    assert await held_after(200, tmp_path / "many") == await held_after(10, tmp_path / "few")
