"""A household for scenes: a sound card, a Live API, and the daemon as a process of its own between them."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from speakerd.simulate.card import SimulatedCard
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script

SPEECH = Path("/usr/share/pocketsphinx/test/data")
GO_FORWARD = (SPEECH / "goforward.raw").read_bytes()  # "go forward ten meters", 16 kHz mono
SOMETHING = (SPEECH / "something.raw").read_bytes()
KEY = "not-a-real-key-0123456789"
PAUSE = bytes(32000)  # a second of silence between two questions


class Daemon:
    """The real program, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.journal: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    async def read(self) -> None:
        """Collect its journal until it ends."""
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            line = raw.decode().rstrip()
            self.lines.append(line)
            with contextlib.suppress(json.JSONDecodeError):
                self.journal.append(json.loads(line))
            self._more.set()

    @property
    def states(self) -> list[str]:
        """All states so far, in order."""
        return [entry["state"] for entry in self.journal if entry.get("event") == "state"]

    async def until(self, timeout: float = 15.0, *, after: int = 0, **fields: object) -> int:
        """Wait for a journal entry with these fields after so many entries; return the count up to and with it."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._more.clear()
                    for number, entry in enumerate(self.journal[after:], after + 1):
                        if fields.items() <= entry.items():
                            return number
                    await self._more.wait()
        except TimeoutError:
            raise TimeoutError(f"no {fields} in the journal:\n" + "\n".join(self.lines)) from None

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit status and how many seconds the end took."""
        began = time.monotonic()
        self.process.send_signal(number)
        async with asyncio.timeout(20):
            status = await self.process.wait()
        return status, time.monotonic() - began


@dataclass
class Household:
    """All of it."""

    card: SimulatedCard
    live: LiveApi
    daemon: Daemon

    async def hear(self, pcm: bytes, timeout: float = 20.0) -> int:
        """Wait until the loudspeaker has played exactly this; return where in what it played."""
        return await until(lambda: self.card.played().find(pcm) + 1, "the sound", timeout) - 1


async def until(value: Callable[[], int], what: str, timeout: float = 10.0) -> int:
    """Wait for something to become true, and return it."""
    deadline = time.monotonic() + timeout
    while not (got := value()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.02)
    return got


@contextlib.asynccontextmanager
async def daemon(settings: Path, *, prefix: Sequence[str] = (), **environment: str) -> AsyncIterator[Daemon]:
    """Run the daemon; kill it if the scene ends first. ``prefix`` is a command that takes its place in the world."""
    process = await asyncio.create_subprocess_exec(
        # The SDK warns of values it does not know, which a test may well send; its own code may go on then.
        *prefix, sys.executable, "-W", "error", "-W", "ignore::UserWarning:google.genai._common",
        "-m", "speakerd", "run", "--config", str(settings),
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    running = Daemon(process)
    reader = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await reader


def write_settings(path: Path, base_url: str | None, **sections: dict[str, object]) -> Path:
    """Write a settings file for the simulated card and this server."""
    merged: dict[str, dict[str, object]] = {
        "microphone": {"device": "mic"},
        "speaker": {"device": "speaker", "volume": 100},
        # All that is said arrives as it was said, and what is played was said so by the model.
        "echo": {"mode": "off"},
        "listen": {"gate": "off"},
        "live": {"base_url": base_url},
        "log": {"level": "debug", "format": "json"},
    }
    for section, values in sections.items():
        merged[section] = merged.get(section, {}) | values
    path.write_text(yaml.safe_dump(merged))
    return path


@contextlib.asynccontextmanager
async def household(
    directory: Path,
    script: dict[str, Any] | None = None,
    *,
    key: str = KEY,
    environment: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
    host: str = "127.0.0.1",
    keep: bool = True,
    **sections: dict[str, object],
) -> AsyncIterator[Household]:
    """Set everything up; ``script`` is the stand-in's, ``sections`` are settings.

    ``prefix`` goes in front of the daemon's command line, and ``host`` is the address of the stand-in, which
    remembers what happened only in its files if not told to ``keep`` it.
    """
    told = Script.model_validate(script or {})
    options = LiveApiOptions(directory / "live", script=told, host=host, keys=frozenset({KEY}), keep=keep)
    with SimulatedCard(directory / "card") as card:
        async with LiveApi(options) as live:
            settings = write_settings(directory / "speakerd.yaml", live.url, **sections)
            variables = {
                **card.environment, "SSL_CERT_FILE": str(live.ca_file), "GEMINI_API_KEY": key, **(environment or {})
            }  # fmt: skip
            async with daemon(settings, prefix=prefix, **variables) as running:
                try:
                    yield Household(card, live, running)
                except BaseException:
                    print(*running.lines, sep="\n")  # shown beside the failure
                    raise
