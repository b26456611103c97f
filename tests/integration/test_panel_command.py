"""`speakerd panel`: the pins on trial, as a program of its own."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from speakerd.panel.light import PATTERNS
from speakerd.simulate.panel import SimulatedPanel
from speakerd.state import State

RGB = {"red": 5, "green": 6, "blue": 13}


@contextlib.asynccontextmanager
async def trial(directory: Path, panel: dict[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start it with these settings."""
    settings = directory / "speakerd.yaml"
    settings.write_text(yaml.safe_dump({"panel": panel}))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "speakerd", "panel", "--config", str(settings),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"SPEAKERD_PINS": str(directory / "pins")},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    async with asyncio.timeout(20):
        return (await process.stdout.readline()).decode().rstrip()


async def test_it_shows_each_state_and_tells_each_gesture(tmp_path: Path) -> None:
    """What it says is what the pins do; Ctrl-C ends it well, with the light dark."""
    front = SimulatedPanel(tmp_path / "pins", led=tuple(RGB.values()))
    async with trial(tmp_path, {"pin_factory": "mock", "mute_button": {"pin": 17}, "led": RGB}) as process:
        for state, pattern in PATTERNS.items():
            assert (await line(process)).startswith(f"light: {state.value} ({pattern.colour}, ")
            await asyncio.sleep(0.5)
            if state is not State.ERROR:  # which may be between two blinks
                assert front.colour_now() == pattern.colour
        assert "press the button" in await line(process)
        await asyncio.to_thread(front.press)
        assert [await line(process) for _ in range(2)] == ["button: down", "button: press"]
        await asyncio.to_thread(front.hold, 2.2)
        assert [await line(process) for _ in range(3)] == ["button: down", "button: hold", "button: release"]
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert front.colour_now() == "off"


async def test_it_tells_where_a_switch_is(tmp_path: Path) -> None:
    """At once, and when it is moved; a light is not needed for that."""
    front = SimulatedPanel(tmp_path / "pins", button=22)
    front.switch(True)
    async with trial(tmp_path, {"pin_factory": "mock", "mute_switch": {"pin": 22}}) as process:
        assert {await line(process), await line(process)} >= {"switch: muted"}
        front.switch(False)
        assert await line(process) == "switch: not muted"


@pytest.mark.parametrize(
    ("panel", "words"),
    [
        ({}, "the settings name no pins; set panel.board"),
        ({"pin_factory": "mock", "led": {"pin": 45}}, "panel.led.pin: this board has no GPIO 45"),
    ],
)
async def test_it_fails_in_words_when_nothing_can_be_tried(tmp_path: Path, panel: dict[str, Any], words: str) -> None:
    """Whoever wired it learns what to do, and a script learns that it failed."""
    async with trial(tmp_path, panel) as process:
        async with asyncio.timeout(20):
            said, complaint = await process.communicate()
        assert process.returncode == 1
        assert said == b""
        assert words in complaint.decode()
        assert "Traceback" not in complaint.decode()


@pytest.mark.skipif(Path("/dev/gpiochip0").exists(), reason="this machine has a GPIO chip")
async def test_without_a_gpio_chip_it_says_so(tmp_path: Path) -> None:
    """A laptop has no pins."""
    async with trial(tmp_path, {"mute_button": {"pin": 17}, "led": {"pin": 27}}) as process:
        async with asyncio.timeout(20):
            _, complaint = await process.communicate()
        assert process.returncode == 1
        assert complaint.decode().count("no GPIO chip") == 1
