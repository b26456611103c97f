"""The watchdog of the real daemon: each part is really hung, and a service manager is really starved."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from speakerd.simulate.card import SimulatedCard
from speakerd.simulate.panel import SimulatedPanel
from tests.integration.household import GO_FORWARD, KEY, PAUSE, Household, daemon, household, until, write_settings
from tests.integration.manager import Manager
from tests.integration.test_mute import BUTTON, LED, NOISE, PANEL, variables

WATCHDOG_S = 4.0
"""What the service manager allows; far above what a busy machine takes, far below what a test may."""


@contextlib.asynccontextmanager
async def guarded(directory: Path, *, up: bool = True) -> AsyncIterator[tuple[Household, Manager]]:
    async with Manager.listening(directory, WATCHDOG_S) as manager:
        environment = variables(directory) | manager.environment
        async with household(directory, environment=environment, panel=PANEL) as home:
            if up:
                await home.daemon.until(event="link-up")
            await manager.until("WATCHDOG=1")
            yield home, manager


async def test_a_microphone_that_hangs_is_told_and_not_survived(tmp_path: Path) -> None:
    """Its driver does not come back: the light stops to say that it listens, then the watchdog goes hungry."""
    async with guarded(tmp_path) as (home, manager):
        home.card.speak(GO_FORWARD + NOISE)
        await home.daemon.until(event="state", state="listening")
        listened = len(home.daemon.journal)
        home.card.hang("mic")
        hung = time.monotonic()
        await home.daemon.until(after=listened, event="device-lost", device="microphone")
        lost = next(entry for entry in home.daemon.journal if entry.get("event") == "device-lost")
        assert lost["message"] == "the microphone mic says nothing"
        assert lost["monotonic"] - hung < 2
        await home.daemon.until(event="watchdog", part="microphone")
        assert home.daemon.states[-1] != "listening"
        assert await manager.starves(WATCHDOG_S) < hung + WATCHDOG_S
        # It would be ended here. A driver that comes back meanwhile is taken up again, and told of.
        home.card.unhang("mic")
        await home.daemon.until(event="device-back", device="microphone")
        await until(lambda: time.monotonic() - manager.fed_at < 1, "a watchdog that is fed again")


async def test_a_loudspeaker_that_hangs_starves_the_watchdog(tmp_path: Path) -> None:
    """A write that does not come back is caught."""
    async with guarded(tmp_path) as (home, manager):
        home.card.speak(GO_FORWARD + PAUSE)
        await home.daemon.until(state="speaking", timeout=30)
        home.card.hang("speaker")
        hung = time.monotonic()
        await home.daemon.until(event="watchdog", part="loudspeaker")
        assert await manager.starves(WATCHDOG_S) < hung + WATCHDOG_S


async def test_a_process_that_stands_still_starves_the_watchdog(tmp_path: Path) -> None:
    """Nothing runs, so nothing is fed; when it goes on, nothing is taken for stuck that only slept."""
    async with guarded(tmp_path) as (home, manager):
        home.daemon.process.send_signal(signal.SIGSTOP)
        await manager.starves(WATCHDOG_S)
        home.daemon.process.send_signal(signal.SIGCONT)
        await until(lambda: time.monotonic() - manager.fed_at < 1, "a watchdog that is fed again")
        await manager.thrives(3, WATCHDOG_S)
        assert not [entry for entry in home.daemon.journal if entry.get("event") == "watchdog"]


LOOP = """
import signal, sys
from speakerd.cli import main
def hang(*_):
    open(sys.argv[2]).read()  # in the thread of the event loop; nobody ever writes
signal.signal(signal.SIGUSR1, hang)
sys.exit(main(["run", "--config", sys.argv[1]]))
"""


async def test_an_event_loop_that_hangs_starves_the_watchdog(tmp_path: Path) -> None:
    """The threads go on; but what nobody attends to is not alive. Ended, it says where each thread was."""
    os.mkfifo(tmp_path / "fifo")
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9")
    with SimulatedCard(tmp_path / "card") as card:
        async with Manager.listening(tmp_path, WATCHDOG_S) as manager:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", LOOP, str(settings), str(tmp_path / "fifo"), stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **card.environment, **manager.environment, "GEMINI_API_KEY": KEY},
            )  # fmt: skip
            try:
                await manager.until("WATCHDOG=1")
                process.send_signal(signal.SIGUSR1)
                hung = time.monotonic()
                assert await manager.starves(WATCHDOG_S) < hung + WATCHDOG_S / 2
                process.send_signal(signal.SIGABRT)  # as the service manager does
                _, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    assert process.returncode == -signal.SIGABRT
    assert b"in hang" in said
    assert KEY.encode() not in said


@pytest.mark.parametrize("how", ["idle", "muted", "speaking", "device away", "offline"])
async def test_whoever_is_well_is_fed(tmp_path: Path, how: str) -> None:
    """Whatever the speaker does, or must do without, the watchdog is fed as long as nothing is stuck."""
    async with guarded(tmp_path) as (home, manager):
        match how:
            case "muted":
                panel = SimulatedPanel(tmp_path / "pins", button=BUTTON, led=LED)
                await asyncio.to_thread(panel.press)
                await home.daemon.until(state="muted")
            case "speaking":
                home.card.speak((GO_FORWARD + PAUSE) * 2)
                await home.daemon.until(state="speaking", timeout=30)
            case "device away":
                home.card.unplug()
                await home.daemon.until(event="device-lost", device="microphone")
            case "offline":
                await home.live.go_dark()
                await home.daemon.until(state="offline")
        await manager.thrives(WATCHDOG_S * 1.5, WATCHDOG_S)
        assert not [entry for entry in home.daemon.journal if entry.get("event") == "watchdog"]


async def test_it_is_fed_with_half_the_time_to_spare(tmp_path: Path) -> None:
    """Between two feedings there is half of what is allowed, so that a busy machine does not cost a life."""
    async with guarded(tmp_path, up=False) as (_, manager):
        await manager.until("WATCHDOG=1", count=4)
        fed = manager.moments("WATCHDOG=1")
        gaps = [later - earlier for earlier, later in itertools.pairwise(fed)]
        assert max(gaps) < WATCHDOG_S * 0.75
        assert min(gaps) > WATCHDOG_S / 5


async def daemon_without_watchdog(tmp_path: Path) -> list[str]:
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9")
    with SimulatedCard(tmp_path / "card") as card:
        async with Manager.listening(tmp_path) as manager:
            environment = {**card.environment, **manager.environment, "GEMINI_API_KEY": KEY}
            async with daemon(settings, **environment) as running:
                await manager.until("READY=1")
                card.hang("mic")
                await running.until(event="watchdog", part="microphone")
                return [told for _, told in manager.told]


async def test_without_a_watchdog_it_feeds_nobody_and_tells_all_the_same(tmp_path: Path) -> None:
    """Run by hand, a part that hangs is a line in the journal."""
    assert "WATCHDOG=1" not in await daemon_without_watchdog(tmp_path)
