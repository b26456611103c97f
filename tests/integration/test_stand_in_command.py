"""`speakerd simulate`: the stand-in as a program of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.integration.stand_in_talk import PATH


@contextlib.asynccontextmanager
async def simulate(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start it on free ports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "speakerd", "simulate", "--port", "0", "--plain-port", "0", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ | environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def welcome(process: asyncio.subprocess.Process) -> str:
    """Read what it says when it listens."""
    assert process.stdout
    async with asyncio.timeout(20):
        return (await process.stdout.readuntil(b"SIGTERM.\n")).decode()


async def failure(process: asyncio.subprocess.Process) -> str:
    """Wait for its end, which must not be a success; return what it says about it."""
    async with asyncio.timeout(20):
        _, complaint = await process.communicate()
    assert process.returncode
    assert b"Traceback" not in complaint
    return complaint.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_how_to_use_it_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """It prints where it listens and whom to trust, serves, and ends well on a signal, its files complete."""
    async with simulate("--directory", str(tmp_path / "out"), "--key", "test-key") as process:
        said = await welcome(process)
        assert f"export SSL_CERT_FILE={tmp_path}/out/ca.pem" in said
        assert (tmp_path / "out/ca.pem").exists()
        plain = next(word for word in said.split() if word.startswith("http://"))
        async with connect(plain.replace("http", "ws") + PATH) as socket:
            await socket.send('{"setup": {"model": "models/gemini-3.8-live"}}')
            assert json.loads(await socket.recv()) == {"setupComplete": {}}
            process.send_signal(number)
            async with asyncio.timeout(10):
                assert await process.wait() == 0
                await socket.wait_closed()
            assert socket.close_code == 1001
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "out/events.jsonl").read_text().splitlines()]
    assert kinds[:2] == ["open", "setup"]
    assert kinds[-1] == "close"


async def test_a_mistake_in_the_script_is_told(tmp_path: Path) -> None:
    """A wrong script ends it with the file, the line and what would be right."""
    script = tmp_path / "script.yaml"
    script.write_text("pace: 4\nanswrs: [x]\n")
    async with simulate("--directory", str(tmp_path), "--script", str(script)) as process:
        assert f"{script}:2: answrs: unknown setting; did you mean answers?" in await failure(process)
        assert process.returncode == 78


async def test_without_a_voice_it_says_what_to_install(tmp_path: Path) -> None:
    """Where espeak-ng is missing it says so, and what else would do."""
    async with simulate("--directory", str(tmp_path), PATH=str(tmp_path)) as process:
        assert "espeak-ng is not installed" in await failure(process)


async def test_a_missing_sound_file_is_named(tmp_path: Path) -> None:
    """An answer that cannot be played is known before anybody asks for it."""
    script = tmp_path / "script.yaml"
    script.write_text("answers: [{wav: missing.wav}]\n")
    async with simulate("--directory", str(tmp_path), "--script", str(script)) as process:
        assert f"{tmp_path}/missing.wav is missing or is not sound" in await failure(process)


async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """It does not start where it could not tell what happened."""
    (tmp_path / "file").write_text("")
    async with simulate("--directory", str(tmp_path / "file/out")) as process:
        assert f"{tmp_path}/file/out cannot be written" in await failure(process)
