"""The daemon as a service: what it tells the service manager, how it is told to reload, and with what it ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from speakerd.simulate.panel import SimulatedPanel
from tests.integration.household import GO_FORWARD, KEY, PAUSE, Household, household, until
from tests.integration.manager import Manager
from tests.integration.test_mute import BUTTON, LED, PANEL, Kitchen, is_open, variables


@asynccontextmanager
async def served(
    directory: Path, script: dict[str, Any] | None = None, *, up: bool = True
) -> AsyncIterator[tuple[Kitchen, Manager]]:
    async with Manager.listening(directory) as manager:
        environment = variables(directory) | manager.environment
        async with household(directory, script, environment=environment, panel=PANEL) as home:
            panel = SimulatedPanel(directory / "pins", button=BUTTON, led=LED)
            await home.daemon.until(event="link-up" if up else "started")
            yield Kitchen(home, panel, directory / "state", directory / "run"), manager


def change(directory: Path, **sections: dict[str, object]) -> None:
    """Write other settings where the daemon's are."""
    file = directory / "speakerd.yaml"
    merged = yaml.safe_load(file.read_text())
    for section, values in sections.items():
        merged[section] = merged.get(section, {}) | values
    file.write_text(yaml.safe_dump(merged))


async def reload(home: Household, event: str = "reloaded") -> None:
    count = len(home.daemon.journal)
    home.daemon.process.send_signal(signal.SIGHUP)
    await home.daemon.until(event=event, after=count)


# What is told.


async def test_the_line_of_status_follows_the_state_and_names_the_trouble(tmp_path: Path) -> None:
    """Systemctl status says in one line what the light shows, and while it is offline since when and why."""
    async with served(tmp_path) as (here, manager):
        await manager.until("STATUS=Idle")
        await here.home.live.go_dark()
        line = await manager.until("STATUS=Offline for ", timeout=20)
        assert line.startswith("STATUS=Offline for 0 s: ")
        assert await manager.until("STATUS=Offline for ", count=2, timeout=20) != line
        await here.home.live.come_back()
        await here.press()
        await manager.until("STATUS=Muted")
        assert [line for line in manager.status if "\n" in line or KEY in line] == []


async def test_a_key_that_is_refused_is_in_the_line_of_status(tmp_path: Path) -> None:
    """What a person must do is said there; the key itself is not."""
    script = {"faults": [{"when": {"times": "always"}, "do": {"http": 403}}]}
    async with served(tmp_path, script, up=False) as (_, manager):
        line = await manager.until("STATUS=Error: ")
        assert "key" in line
        assert KEY not in line


async def test_ready_waits_for_no_network_and_loads_no_sdk(tmp_path: Path) -> None:
    """It is ready with light, sound and control socket; what takes long is loaded behind that."""
    program = (
        "import sys\n"
        "from systemd import daemon\n"
        "def notify(text):\n"
        "    if 'READY=1' in text:\n"
        "        print([name for name in ('google.genai', 'numpy', 'websockets', 'httpx', 'soxr') "
        "if name in sys.modules], flush=True)\n"
        "daemon.notify = notify\n"
        "from speakerd.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    async with served(tmp_path) as (here, _):
        environment = {**os.environ, **here.home.card.environment, "GEMINI_API_KEY": KEY}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "run", "--config", str(tmp_path / "speakerd.yaml"),
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            async with asyncio.timeout(15):
                assert await process.stdout.readline() == b"[]\n"
        finally:
            process.kill()
            await process.wait()


# Reloading.


async def test_new_settings_are_taken_while_it_runs(tmp_path: Path) -> None:
    """A reload keeps the process and the conversation; the new settings hold, and the next question is answered."""
    async with served(tmp_path) as (here, manager):
        home = here.home
        home.card.speak(GO_FORWARD + PAUSE)
        await home.live.wait_for("turn_complete", timeout=30)
        await home.daemon.until(state="idle", after=await home.daemon.until(state="speaking"))
        change(tmp_path, assistant={"voice": "Puck"})
        (here.state / "handle.json").unlink()  # the process knows it as well
        before = time.monotonic_ns() // 1000
        await reload(home)
        await manager.until("READY=1", count=2)
        told = [told for _, told in manager.told]
        assert told.index("RELOADING=1") < len(told) - 1 - told[::-1].index("READY=1")
        moment = await manager.until("MONOTONIC_USEC=")
        assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        await home.live.wait_for("resumed", timeout=20)
        home.card.speak(GO_FORWARD + PAUSE)
        await home.live.wait_for("turn_complete", count=2, timeout=30)
        setups = [event for event in home.live.events if event.kind == "setup"]
        assert "Kore" in str(setups[0])
        assert "Puck" in str(setups[-1])
        assert not [told for _, told in manager.told if told == "STOPPING=1"]
        status, _ = await home.daemon.stop()
        assert status == 0


async def test_settings_with_mistakes_leave_everything_as_it_was(tmp_path: Path) -> None:
    """All mistakes are told, the connection is not touched, and once they are corrected a reload takes them."""
    async with served(tmp_path) as (here, manager):
        good = (tmp_path / "speakerd.yaml").read_text()
        change(tmp_path, microphone={"devise": "mic"}, speaker={"volume": "loud"})
        await reload(here.home, "settings-refused")
        refusal = next(entry for entry in here.home.daemon.journal if entry.get("event") == "settings-refused")
        assert refusal["level"] == "error"
        assert "devise" in refusal["message"]
        assert "speaker.volume" in refusal["message"]
        await manager.until("READY=1", count=2)
        await here.flows()
        assert len([event for event in here.home.live.events if event.kind == "setup"]) == 1
        (tmp_path / "speakerd.yaml").write_text(good)
        await reload(here.home)
        await here.flows()


async def test_settings_that_are_gone_leave_everything_as_it_was(tmp_path: Path) -> None:
    """A file that was taken away is a mistake like any other."""
    async with served(tmp_path) as (here, _):
        (tmp_path / "speakerd.yaml").unlink()
        await reload(here.home, "settings-refused")
        await here.flows()


async def test_a_reload_never_unmutes(tmp_path: Path) -> None:
    """Muted before, it is muted after: no byte leaves, the light is red again, and the button ends it."""
    async with served(tmp_path) as (here, _):
        await here.press()
        await reload(here.home)
        await until(here.is_red, "the red light")
        assert not is_open(here.home.card)
        await here.stays_silent(1)
        await here.press()
        await here.flows()
        assert here.disk == "not muted"


async def test_a_reload_without_a_disk_never_unmutes(tmp_path: Path) -> None:
    """What the disk has lost, the process still knows."""
    async with served(tmp_path) as (here, _):
        await here.press()
        (here.state / "mute").write_text("not muted\n")
        await reload(here.home)
        await until(here.is_red, "the red light")
        await here.stays_silent(1)


async def test_a_finger_on_the_button_during_a_reload_mutes(tmp_path: Path) -> None:
    """Whoever is about to ask for privacy gets it, and the disk knows before the light says so."""
    async with served(tmp_path) as (here, _):
        await here.flows()
        finger = asyncio.create_task(asyncio.to_thread(here.panel.press, 1.5))
        await until(lambda: any(event.kind == "audio_stream_end" for event in here.home.live.events), "the finger")
        await reload(here.home)
        await finger
        await until(here.is_red, "the red light")
        assert here.disk == "muted"
        await here.stays_silent(1)


async def test_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    """Neither descriptors nor threads are left behind."""
    async with served(tmp_path) as (here, _):
        proc = Path(f"/proc/{here.home.daemon.process.pid}")

        async def held() -> tuple[int, int]:
            await reload(here.home)
            await here.home.daemon.until(event="link-up", after=len(here.home.daemon.journal))
            return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

        before = await held()
        for _ in range(5):
            after = await held()
        assert after[0] <= before[0] + 1
        assert after[1] <= before[1] + 2


async def test_who_closes_the_terminal_ends_the_daemon(tmp_path: Path) -> None:
    """Run by hand, a window that is closed must not leave a microphone open that nobody sees."""
    async with served(tmp_path) as (here, _):
        program = [sys.executable, "-m", "speakerd", "run", "--config", str(tmp_path / "speakerd.yaml")]
        command = ["env", "--default-signal=HUP", *program]  # who runs the tests with nohup has it ignored
        environment = {**os.environ, **here.home.card.environment, "GEMINI_API_KEY": KEY}
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *command, stdin=theirs, stderr=subprocess.PIPE, env=environment, start_new_session=True
        )
        try:
            assert process.stderr is not None
            async with asyncio.timeout(15):
                while b"is ready" not in await process.stderr.readline():
                    pass
                process.send_signal(signal.SIGHUP)
                await process.communicate()
            assert process.returncode == -signal.SIGHUP
        finally:
            os.close(ours)
            os.close(theirs)
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_reload_leaves_no_hanging_driver_behind(tmp_path: Path) -> None:
    """The device would be busy for ever; so the process ends, says why, and the service manager starts it anew."""
    async with served(tmp_path) as (here, _):
        here.home.card.hang("mic")
        await here.home.daemon.until(event="device-lost", device="microphone")
        here.home.daemon.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(15):
            assert await here.home.daemon.process.wait() == 1
        await until(lambda: "so all begins anew" in here.home.daemon.lines[-1], "the reason")


# The sandbox.

HARDENED = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1  # linux/prctl.h, since Linux 6.3
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


async def test_it_needs_no_memory_that_is_both_written_and_run(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute costs nothing: a question is answered, and the driver of the pins can be loaded."""
    prefix = [sys.executable, "-c", HARDENED]
    use = "import ctypes; ctypes.CFUNCTYPE(None)(print)(); import alsaaudio, lgpio, pydantic_core, yaml"
    lgpio = subprocess.run([*prefix, sys.executable, "-c", use], check=False, capture_output=True, cwd=tmp_path)
    if lgpio.returncode == 77:
        pytest.skip("this kernel cannot refuse such memory")
    assert lgpio.returncode == 0, lgpio.stderr
    async with household(tmp_path, prefix=prefix, environment=variables(tmp_path), panel=PANEL) as home:
        await home.daemon.until(event="link-up")
        home.card.speak(GO_FORWARD + PAUSE)
        await home.live.wait_for("turn_complete", timeout=30)
        await home.hear(home.live.answers[0].pcm)


# The end.


async def test_a_driver_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Stopped, it ends within two seconds, whatever its threads are waiting for."""
    async with served(tmp_path) as (here, manager):
        here.home.card.hang("mic")
        await here.home.daemon.until(event="device-lost", device="microphone")
        status, seconds = await here.home.daemon.stop()
        assert status == 0
        assert seconds < 2
        await manager.until("STOPPING=1")


@pytest.mark.parametrize(
    ("content", "key", "words"),
    [
        ("speaker: {volume: loud}\n", KEY, "speaker.volume"),
        ("{}\n", "", "no API key"),
        ("{}\n", "two words", "is not an API key"),
    ],
)
def test_what_a_person_must_correct_ends_with_78(tmp_path: Path, content: str, key: str, words: str) -> None:
    """The service manager does not try again, and the journal says why in lines that are marked as errors."""
    settings = tmp_path / "speakerd.yaml"
    settings.write_text(content)
    log = (tmp_path / "stderr").open("w+")
    status = os.fstat(log.fileno())
    environment = {**os.environ, "GEMINI_API_KEY": key, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    command = [sys.executable, "-m", "speakerd", "run", "--config", str(settings)]
    with log:
        done = subprocess.run(command, env=environment, stderr=log, timeout=20, check=False)
        log.seek(0)
        lines = log.read().splitlines()
    assert done.returncode == 78
    assert len(lines) == 1
    assert lines[0].startswith("<3>speakerd: ")
    assert words in lines[0]
    assert "two words" not in lines[0]
