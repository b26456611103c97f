"""A key, a token or a password reaches the daemon in every way there is, and is found nowhere in what it tells."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from speakerd.host.control import ask_for_status
from speakerd.simulate.card import SimulatedCard
from tests.integration import household as home
from tests.integration.household import household, until, write_settings
from tests.integration.real_journal import Journal, journal

SECRET = "hunter2"
KEY = f"AIzaSyA-{SECRET}-0123456789"
ECHO = f"API key {KEY} not valid, nor is auth_tokens/{SECRET}."
PROXY = f"http://me:{SECRET}@127.0.0.1"


def no_secret_in(*texts: str) -> None:
    """Hold that none can be read here, in any spelling."""
    for text in texts:
        assert SECRET not in text.lower()
        assert home.KEY not in text


@pytest.fixture
def room() -> Iterator[Journal]:
    with journal() as made:
        made.start()
        yield made


def fault(do: dict[str, Any], **when: Any) -> dict[str, Any]:
    return {"script": {"faults": [{"when": {"times": "always", **when}, "do": do}]}}


TROUBLES: dict[str, dict[str, Any]] = {
    "a key that is refused": {"key": KEY},
    "a refusal that repeats it": fault({"close": {"code": 1008, "reason": ECHO}}, event="open"),
    "an end that repeats it": fault({"close": {"code": 1011, "reason": ECHO}}, event="setup", after=0.2),
    "an end that names a token": fault({"close": {"code": 1011, "reason": f"no auth_tokens/{SECRET}"}}, event="open"),
    "nonsense that repeats it": fault({"send": f'{{"error": "{ECHO}"'}, event="setup", after=0.2),
    "HTTP": fault({"http": 403}),
    "a proxy that is away": {"environment": {"HTTPS_PROXY": f"{PROXY}:9"}},
    "a proxy of another kind": {"environment": {"HTTPS_PROXY": f"socks5://me:{SECRET}@127.0.0.1:9"}},
    "a proxy that cannot be": {"environment": {"HTTPS_PROXY": f"{PROXY}:port"}},
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_no_trouble_with_the_connection_tells_a_secret(trouble: str, room: Journal, tmp_path: Path) -> None:
    """With all that can be logged, neither the whole journal nor the command line, stderr or status shows it."""
    log: dict[str, object] = {"format": "journal", "level": "debug"}
    given = TROUBLES[trouble]
    given = given | {"environment": given.get("environment", {}) | {"RUNTIME_DIRECTORY": str(tmp_path)}}
    async with household(tmp_path, prefix=room.prefix, log=log, **given) as at:
        told = ("link-lost", "link-refused", "message-skipped")
        await until(lambda: len(room.entries(*(f"SPEAKERD_EVENT={event}" for event in told))), "the trouble")
        arguments = Path(f"/proc/{at.daemon.process.pid}/cmdline").read_text()
        status = await asyncio.to_thread(ask_for_status, tmp_path)
        assert (await at.daemon.stop())[0] == 0
    no_secret_in(arguments, status, room.show("--output=export"), *at.daemon.lines)
    assert room.entries("SPEAKERD_EVENT=stopping")


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_other_form_tells_it_either(form: str, tmp_path: Path) -> None:
    """What is refused and repeated by the server is hidden in the text, and in the fields."""
    log: dict[str, object] = {"format": form, "level": "debug"}
    async with household(tmp_path, log=log, **TROUBLES["a refusal that repeats it"]) as at:
        await until(lambda: sum("cannot connect" in line for line in at.daemon.lines), "the trouble")
        assert (await at.daemon.stop())[0] == 0
    assert any("(a secret)" in line for line in at.daemon.lines)
    no_secret_in(*at.daemon.lines)


@pytest.mark.parametrize(
    "settings",
    [
        f"live: {{api_key: {SECRET}}}",
        f"live: {{base_url: 'https://me:{SECRET}@example.org/?key={KEY}'}}",
        f"assistant: {{instructions: 'the key is {KEY}'}}",
        f"speaker: {{volume: {KEY}}}",
        f"assistant: [{KEY}",
        f"{KEY}: {KEY}",
    ],
)
@pytest.mark.parametrize("command", ["run", "check", "config"])
def test_no_mistake_in_the_settings_tells_it(command: str, settings: str, tmp_path: Path) -> None:
    """Where somebody wrote it into the file, the line is named, and not what is in it."""
    file = tmp_path / "speakerd.yaml"
    file.write_text(settings)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "speakerd", command, "--config", file],
        capture_output=True, text=True, timeout=30, env={**os.environ, "GEMINI_API_KEY": ""},
    )  # fmt: skip
    assert done.returncode == os.EX_CONFIG
    no_secret_in(done.stdout, done.stderr)


@pytest.mark.parametrize("limit", ["unlimited", "0"])
def test_no_core_file_is_made(limit: str, tmp_path: Path) -> None:
    """A watchdog ends the daemon with SIGABRT; its memory, with the key in it, is not written to the disk."""
    with SimulatedCard(tmp_path / "card") as card:
        settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9")
        with subprocess.Popen(
            ["prlimit", f"--core={limit}", sys.executable, "-m", "speakerd", "run", "--config", settings],
            cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **card.environment, "GEMINI_API_KEY": KEY},
        ) as daemon:  # fmt: skip
            assert daemon.stderr is not None
            assert any('"started"' in line for line in daemon.stderr)
            daemon.send_signal(signal.SIGABRT)
            ended = os.waitid(os.P_PID, daemon.pid, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGABRT)
    assert not list(tmp_path.glob("core*"))
