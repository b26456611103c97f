"""When the service manager is fed, and what counts as stuck."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from speakerd import mute as mute_module
from speakerd.errors import HardwareError
from speakerd.host import watchdog as watchdog_module
from speakerd.host.mute_file import MuteFile
from speakerd.host.watchdog import Watchdog, allowed_s
from speakerd.live import link as link_module
from speakerd.live.handle import Handle
from speakerd.live.link import Link
from speakerd.mute import Mute
from speakerd.panel.button import Gesture
from speakerd.settings import Live
from tests.integration.household import until
from tests.integration.manager import Manager


@asynccontextmanager
async def at_work(watchdog: Watchdog) -> AsyncIterator[None]:
    task = asyncio.create_task(watchdog.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def stuck_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.part for record in caplog.records if getattr(record, "event", "") == "watchdog"]  # type: ignore[attr-defined] # a field of the event


async def test_one_stuck_part_is_enough_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While one of several parts is stuck nothing is fed; that it was is forgotten when it goes on."""
    reasons: dict[str, str | None] = {"mute": None, "link": None}
    async with Manager.listening(tmp_path, 0.8) as manager:
        for name, value in manager.environment.items():
            monkeypatch.setenv(name, value)
        async with at_work(Watchdog({name: lambda name=name: reasons[name] for name in reasons})):  # type: ignore[misc] # it is bound
            await manager.until("WATCHDOG=1", count=2)
            for _ in range(2):
                reasons["link"] = "no try"
                await manager.starves(0.8)
                reasons["link"] = None
                await manager.until("WATCHDOG=1", count=len(manager.moments("WATCHDOG=1")) + 1)
    assert stuck_lines(caplog) == ["link", "link"]


async def test_one_look_is_not_enough_to_be_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine that was busy, or asleep, for a moment finds everything late once."""
    monkeypatch.setattr(watchdog_module, "LOOK_S", 0.01)
    looks = iter([None, "no try", None, None, "no try", None])
    seen = []

    def part() -> str | None:
        seen.append(next(looks, None))
        return seen[-1]

    async with at_work(Watchdog({"link": part})):
        await until(lambda: len(seen) > 6, "seven looks")
    assert stuck_lines(caplog) == []


async def test_without_a_service_manager_it_tells_and_feeds_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Run by hand, a part that is stuck is a line in the journal."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.setattr(watchdog_module, "LOOK_S", 0.01)
    with caplog.at_level(logging.ERROR):
        async with at_work(Watchdog({"link": lambda: "no try"})):
            await until(lambda: len(stuck_lines(caplog)), "the line")
    assert caplog.messages == ["no try: stuck"]


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [("20000000", None, 20.0), ("20000000", "self", 20.0), ("20000000", "1", None), ("0", None, None),
     ("soon", None, None), (None, None, None)],
)  # fmt: skip
def test_only_who_is_meant_feeds(
    microseconds: str | None, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a parent left in the environment, or nonsense, is not obeyed."""
    for name, value in (
        ("WATCHDOG_USEC", microseconds),
        ("WATCHDOG_PID", str(os.getpid()) if pid == "self" else pid),
    ):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert allowed_s() == seconds


class Deaf:
    """A microphone and an owner in one, for a mute that has neither."""

    async def close(self) -> None:
        raise HardwareError("it does not let go")

    def open(self) -> None: ...
    def why_open(self) -> str | None: ...
    def deafen(self) -> None: ...
    def undeafen(self) -> None: ...
    def muted(self, *, muted: bool, trouble: str | None) -> None: ...
    def begin_anew(self) -> None: ...
    def set_up(self) -> None: ...


async def test_a_mute_that_is_neither_done_nor_given_up_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task hangs: nobody may go on believing that the button works."""
    monkeypatch.setattr(mute_module, "STUCK_S", 0.05)
    mute = Mute(MuteFile(None), Deaf(), Deaf(), muted=False)
    assert mute.why_stuck() is None
    mute.gesture(Gesture.DOWN)
    mute.gesture(Gesture.PRESS)
    assert mute.why_stuck() is None
    await asyncio.sleep(0.1)
    assert mute.why_stuck()
    task = asyncio.create_task(mute.run())  # it goes on, and what it finds is trouble, but no hang
    await until(lambda: mute.why_stuck() is None, "an end of it")
    task.cancel()
    assert mute.trouble


async def test_a_line_that_tries_nothing_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be without a connection for hours is no hang, to dial no more is one."""
    link = Link(None, {}, Live(), Handle(None, "model"), None)  # type: ignore[arg-type] # nothing is dialled
    monkeypatch.setattr(link_module, "STUCK_S", -link_module.LONG_WAIT_S - Live().connect_timeout + 0.2)
    assert link.why_stuck() is None
    began = time.monotonic()
    await until(lambda: link.why_stuck() is not None, "the word")
    assert time.monotonic() - began >= 0.1
    assert link.down_s >= 0.1
