"""A daemon's clock that the fault suite can hurry and set."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.clock import Clock

SLEEPER = """
import asyncio, sys, threading, time
async def main():
    began = time.monotonic(), time.time()
    print("started", flush=True)
    await asyncio.sleep(float(sys.argv[1]))
    print(time.monotonic() - began[0], time.time() - began[1], flush=True)
    threading.Event().wait(0.2)  # a thread's wait with a limit ends, whatever the clock shows
asyncio.run(main())
"""


async def asleep(clock: Clock, seconds: float) -> asyncio.subprocess.Process:
    """Start a program that sleeps for so many seconds, and wait until it does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLEEPER, str(seconds),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, **clock.environment},
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"started\n"
    return process


async def test_an_hour_passes_in_seconds(tmp_path: Path) -> None:
    """A program that sleeps for twenty minutes is woken after two seconds, by both of its clocks on time."""
    clock, began = Clock(tmp_path), time.monotonic()
    process = await asleep(clock, 1200)
    clock.run_at(600)
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    clock.run_at(1)
    took = time.monotonic() - began
    monotonic, wall = map(float, printed.split())
    assert 1200 <= monotonic < 1200 + 600 * took
    assert abs(wall - monotonic) < 1
    assert process.returncode == 0
    assert 1200 - 5 < clock.ahead < 600 * took


async def test_the_clock_never_jumps_when_its_speed_changes(tmp_path: Path) -> None:
    """Faster, slower, faster again: its time goes on from where it was."""
    clock = Clock(tmp_path)
    ahead = [clock.ahead]
    for speed in (240, 1, 3000, 1):
        clock.run_at(speed)
        ahead.append(clock.ahead)
    assert ahead == sorted(ahead)
    assert ahead[-1] < 60  # what passed between these lines, however slow this machine is


async def test_somebody_sets_the_time_of_day(tmp_path: Path) -> None:
    """A day forward and two back: the time of day follows, and whoever sleeps for two seconds sleeps for two."""
    clock = Clock(tmp_path)
    for step in (86400, -2 * 86400):
        process = await asleep(clock, 2)
        clock.step(step)
        printed, _ = await process.communicate()
        monotonic, wall = map(float, printed.split())
        assert 2 <= monotonic < 30
        assert abs(wall - step - monotonic) < 1
    assert abs(clock.ahead) < 0.001


def test_the_rest_of_the_world_keeps_its_time() -> None:
    """Nothing is replaced in a program that was not started with the clock."""
    script = "import selectors, sys, time; print(time.monotonic.__module__, 'tests' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert printed == "time False\n"
