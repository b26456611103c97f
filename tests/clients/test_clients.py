"""Clients that are not ours ask the stand-in Live API a question, and must hear the answer.

They speak the protocol with code of their own, so they show what our own client and the stand-in might get wrong
together. What is installed goes below the cache directory, from the package registries, so this is no part of the
ordinary tests.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soxr

from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "speakerd" / "clients"
SPEECH = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
"""Somebody who says: go forward ten meters; from the Debian package pocketsphinx-testdata."""


@dataclass(frozen=True)
class Client:
    """A foreign client: how to get it into a directory and start it there, and the rate at which it sends, Hz."""

    name: str
    install: Callable[[Path], None]
    command: Callable[[Path], list[str]]
    rate: int


def install_javascript(directory: Path) -> None:
    """Get Google's JavaScript SDK."""
    # Node looks for packages beside the script, not beside who starts it.
    (directory / "javascript.mjs").write_bytes((HERE / "javascript.mjs").read_bytes())
    if not (directory / "node_modules/@google/genai").exists():
        npm = ["npm", "install", "--no-audit", "--no-fund", "@google/genai@2.32.0"]
        subprocess.run(npm, cwd=directory, check=True)


def install_litellm(directory: Path) -> None:
    """Get LiteLLM, in an environment of its own."""
    python = directory / "venv/bin/python"
    if not (directory / "venv/bin/litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "litellm[proxy]==1.106.2"], check=True)


CLIENTS = (
    Client("javascript", install_javascript, lambda directory: ["node", str(directory / "javascript.mjs")], 16_000),
    Client(
        "litellm",
        install_litellm,
        lambda directory: [str(directory / "venv/bin/python"), str(HERE / "through_litellm.py")],
        24_000,
    ),
)


def question(rate: int) -> bytes:
    """Return the question at a rate, with the silence after it that ends a turn."""
    pcm = np.frombuffer(SPEECH.read_bytes() + bytes(48_000), "<i2")
    sound: bytes = soxr.resample(pcm, 16_000, rate).astype("<i2").tobytes()
    return sound


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_a_foreign_client_hears_the_answer(client: Client, tmp_path: Path) -> None:
    """Somebody asks with a client that Google or others wrote, and hears the whole answer, byte for byte."""
    directory = CACHE / client.name
    directory.mkdir(parents=True, exist_ok=True)
    client.install(directory)
    asked, heard = tmp_path / "question.raw", tmp_path / "answer.raw"
    asked.write_bytes(question(client.rate))
    script = Script(strict=False, answers=("It is a quarter past seven.",), pace=10, thinking=0.1)
    async with LiveApi(LiveApiOptions(directory=tmp_path / "live", script=script)) as live:
        command = [*client.command(directory), live.plain_url, str(asked), str(heard)]
        environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        try:
            async with asyncio.timeout(90):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert live.answers[0].pcm
        assert heard.read_bytes() == live.answers[0].pcm
        assert not live.answers[0].interrupted
