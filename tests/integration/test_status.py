"""The status and the mute of the real daemon, asked by real commands, over the control socket and over HTTP."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from speakerd.host.control import MOST
from speakerd.status.metrics import CONTENT_TYPE
from tests.integration.household import GO_FORWARD, KEY, PAUSE, daemon, household, until
from tests.integration.test_mute import kitchen, variables

QUICK = {"thinking": 0.4}


async def command(runtime: Path, *words: str) -> tuple[int, str, str]:
    """Run a command beside the daemon; return its exit status and what it prints."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "speakerd", *words, "--runtime", str(runtime),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await program.communicate()
    assert program.returncode is not None
    return program.returncode, out.decode(), err.decode()


async def status(runtime: Path) -> dict[str, Any]:
    code, out, err = await command(runtime, "status", "--json")
    assert code == 0, err
    said: dict[str, Any] = json.loads(out)
    return said


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_it_says_what_the_others_know(tmp_path: Path) -> None:
    """After a turn, its numbers are those of the journal, of the service and of the sound card's names."""
    async with kitchen(tmp_path, QUICK) as here:
        home = here.home
        home.card.speak(GO_FORWARD + PAUSE)
        at = await home.daemon.until(40, event="turn")
        said = await status(here.run)
        turn = {name: home.daemon.journal[at - 1][name] for name in said["last_turn"]}
        assert said["last_turn"] == turn
        assert (said["state"], said["to_do"], said["muted"]) == ("idle", None, False)
        assert said["link"]["up"] is True
        assert 0 < said["link"]["handle_seconds"] < said["link"]["seconds"] < said["process"]["seconds"]
        assert (said["microphone"]["name"], said["microphone"]["use"]) == ("mic", "open")
        assert (said["loudspeaker"]["name"], said["loudspeaker"]["use"]) == ("speaker", "open")
        assert said["panel"] == {"button": None, "light": None}
        assert said["totals"]["turns"] == 1
        assert said["totals"]["bytes_down"] == len(home.live.answers[0].sent)
        assert said["totals"]["bytes_up"] > len(GO_FORWARD)
        assert said["today"]["tokens_in"] == turn["tokens_in"]
        assert said["process"]["pid"] == home.daemon.process.pid
        rss = next(line for line in Path(f"/proc/{said['process']['pid']}/status").read_text().splitlines()
                   if line.startswith("VmRSS"))  # fmt: skip
        assert said["process"]["memory_bytes"] == pytest.approx(int(rss.split()[1]) * 1024, rel=0.2)
        assert 0 < said["state_seconds"] < said["process"]["seconds"] < 120


async def test_sound_that_was_lost_is_counted(tmp_path: Path) -> None:
    """Held up for a second, it loses sound; status, journal and the line of the next turn say how often."""
    async with kitchen(tmp_path, QUICK) as here:
        home = here.home
        await here.flows()
        home.daemon.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        home.daemon.process.send_signal(signal.SIGCONT)
        await home.daemon.until(event="xrun", device="microphone")
        lost = (await status(here.run))["microphone"]["xruns"]
        await home.daemon.until(event="xrun", device="microphone", count=lost)  # a busy machine loses more meanwhile
        home.card.speak(GO_FORWARD + PAUSE)
        at = await home.daemon.until(40, event="turn")
        said = await status(here.run)
        xruns = said["microphone"]["xruns"] + said["loudspeaker"]["xruns"]
        assert 0 < lost <= home.daemon.journal[at - 1]["xruns"] <= xruns


async def test_it_says_what_is_wrong(tmp_path: Path) -> None:
    """Away and offline it says why, and muted that the microphone is closed; what a person must do comes first."""
    async with kitchen(tmp_path, QUICK) as here:
        here.home.card.unplug()
        await here.home.live.go_dark()
        await here.home.daemon.until(event="link-lost")
        await here.home.daemon.until(20, event="device-missing")
        said = await status(here.run)
        assert (said["state"], said["link"]["up"]) == ("error", False)
        assert "Connection refused" in said["link"]["trouble"]
        assert said["microphone"]["use"] == "away"
        assert "No such device" in said["microphone"]["trouble"]
        assert "microphone" in said["to_do"]
        await here.press()
        code, page, _ = await command(here.run, "status")
        assert code == 0
        assert page.startswith("Muted since ")
        assert "mic, closed on purpose" in page
        assert max(map(len, page.splitlines())) <= 80


async def test_nothing_secret_is_in_it(tmp_path: Path) -> None:
    """Not even where the service hangs up with words that hold the key."""
    secret = "AIza" + "S3cret" * 6
    close = {"close": {"code": 1011, "reason": f"no quota for {secret}"}}
    script = {"faults": [{"when": {"event": "open", "times": "always"}, "do": close}]}
    async with household(tmp_path, script, environment=variables(tmp_path)) as home:
        await home.daemon.until(event="link-refused")
        said = await status(tmp_path / "run")
        assert "no quota for (a secret)" in said["link"]["trouble"]
        for words in ([], ["--json"], ["--metrics"]):
            code, out, err = await command(tmp_path / "run", "status", *words)
            assert code == 0
            assert [word for word in (secret, KEY) if word in out + err] == []


@contextlib.asynccontextmanager
async def flood(path: Path) -> AsyncIterator[asyncio.StreamReader]:
    """Let a thousand call the socket from a process of their own; yield what says when all have called."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.flood", path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    try:
        yield program.stdout
    finally:
        await program.communicate(b"")


async def test_a_thousand_callers_do_not_disturb_an_answer(tmp_path: Path) -> None:
    """While it talks, it is flooded, lied to and stared at; it plays on without a gap, and keeps no descriptor."""
    async with kitchen(tmp_path, QUICK) as here:
        home, pid = here.home, here.home.daemon.process.pid
        home.card.speak(GO_FORWARD + PAUSE)
        await home.daemon.until(40, state="speaking")
        before = most = descriptors(pid)
        async with flood(here.run / "control") as says:
            done = asyncio.create_task(says.readline())
            async with asyncio.timeout(30):
                while not done.done():
                    most = max(most, descriptors(pid))
                    await asyncio.sleep(0.01)
            assert done.result() == b"done\n"
            assert home.daemon.states[-1] == "speaking"  # or the flood came too late to disturb anybody
            assert most - before <= MOST + 1
            await home.live.wait_for("turn_complete", timeout=40)
            await home.hear(home.live.answers[0].pcm, timeout=40)
            await home.daemon.until(event="turn", turn=1, xruns=0)
        await until(lambda: descriptors(pid) <= before, "the descriptors to come back", 20)
        assert (await status(here.run))["muted"] is False


async def test_a_mute_that_could_never_end_is_refused(tmp_path: Path) -> None:
    """Where there is neither button nor switch, the command says what to do instead, and the speaker listens on."""
    async with household(tmp_path, environment=variables(tmp_path)) as home:
        await home.daemon.until(event="link-up")
        code, _, err = await command(tmp_path / "run", "mute")
        assert code == 1
        assert "neither a button nor a switch" in err
        assert "systemctl stop speakerd" in err
        assert (await status(tmp_path / "run"))["muted"] is False
        count = len([event for event in home.live.events if event.kind == "audio"])
        await until(
            lambda: len([event for event in home.live.events if event.kind == "audio"]) > count + 5, "more sound"
        )


async def test_a_mute_is_told_with_who_asked(tmp_path: Path) -> None:
    """The journal has the process and the user, and then the mute itself."""
    async with kitchen(tmp_path) as here:
        assert (await command(here.run, "mute"))[:2] == (0, "muted\n")
        at = await here.home.daemon.until(event="mute-asked", uid=os.getuid())
        await here.home.daemon.until(event="mute", muted=True, after=at)
        assert (await status(here.run))["muted"] is True


async def test_a_daemon_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Its socket is still there, nobody answers; the next daemon listens there."""
    async with kitchen(tmp_path) as here:
        here.home.daemon.process.kill()
        await here.home.daemon.process.wait()
        assert (here.run / "control").is_socket()
        code, out, err = await command(here.run, "status")
        assert (code, out) == (1, "")
        assert "systemctl status speakerd" in err
    async with kitchen(tmp_path) as here:
        assert (await status(here.run))["process"]["pid"] == here.home.daemon.process.pid


async def test_a_second_daemon_leaves_the_socket_to_the_first(tmp_path: Path) -> None:
    """It says which process has it, and goes on without; when it ends, the first still answers."""
    async with kitchen(tmp_path) as here:
        first = here.home.daemon.process.pid
        second = {"RUNTIME_DIRECTORY": str(here.run), "GEMINI_API_KEY": KEY, **here.home.card.environment}
        async with daemon(tmp_path / "speakerd.yaml", **second) as other:
            at = await other.until(event="no-control")
            assert f"process {first} listens there" in other.journal[at - 1]["message"]
            await other.until(event="started")
            await other.stop()
        assert (await status(here.run))["process"]["pid"] == first


async def test_after_a_reload_it_answers_as_before(tmp_path: Path) -> None:
    """The process is the same, the numbers are counted anew, the tokens of the day are not."""
    async with kitchen(tmp_path, QUICK) as here:
        here.home.card.speak(GO_FORWARD + PAUSE)
        await here.home.daemon.until(40, event="turn")
        before = await status(here.run)
        here.home.daemon.process.send_signal(signal.SIGHUP)
        await here.home.daemon.until(event="reloaded")
        after = await status(here.run)
        assert after["process"]["pid"] == before["process"]["pid"]
        assert after["process"]["seconds"] > before["process"]["seconds"]
        assert after["counted_seconds"] < after["process"]["seconds"]
        assert (before["totals"]["turns"], after["totals"]["turns"]) == (1, 0)
        assert after["today"] == before["today"]
        assert after["today"]["tokens_in"] > 0


UNITS = Path(__file__).parents[2] / "systemd"
SOCKET, SERVICE = UNITS / "speakerd-metrics.socket", UNITS / "speakerd-metrics@.service"


def test_the_units_of_the_metrics_have_no_mistake(tmp_path: Path) -> None:
    """Systemd prints nothing about them, and finds what listens to the network hardly exposed."""
    service = tmp_path / SERVICE.name.replace("@", "@1")
    service.write_text(SERVICE.read_text().replace("/usr/bin/speakerd", "/bin/true"))
    shutil.copy(SOCKET, tmp_path)
    shutil.copy(service, tmp_path / SERVICE.name)
    verify = ["verify", "--man=no", "--recursive-errors=no", str(tmp_path / SOCKET.name), str(service)]
    for words in (verify, ["security", "--offline=true", "--threshold=15", str(service)]):
        done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@contextlib.asynccontextmanager
async def metrics_socket(runtime: Path) -> AsyncIterator[str]:
    """Listen as speakerd-metrics.socket does, and start what speakerd-metrics@.service does; yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    line = next(line for line in SERVICE.read_text().splitlines() if line.startswith("ExecStart="))
    words = line.removeprefix("ExecStart=/usr/bin/speakerd ").split()
    listener = await asyncio.create_subprocess_exec(
        "systemd-socket-activate", "--accept", "--inetd", f"--listen={address}", "--setenv=PATH",
        sys.executable, "-m", "speakerd", *words, "--runtime", str(runtime), stderr=subprocess.PIPE,
    )  # fmt: skip
    assert listener.stderr is not None
    try:
        async with asyncio.timeout(10):
            while b"Listening on" not in await listener.stderr.readline():
                pass
        yield f"http://{address}/metrics"
    finally:
        listener.kill()
        await listener.communicate()


async def test_prometheus_can_scrape_it(tmp_path: Path) -> None:
    """A client of HTTP gets the metrics, as often as it asks; without a daemon it gets an error with the reason."""
    async with metrics_socket(tmp_path / "run") as url:
        async with kitchen(tmp_path):
            for _ in range(3):
                status_code, kind, text = await asyncio.to_thread(get, url)
                assert (status_code, kind) == (200, CONTENT_TYPE)
                assert "\nspeakerd_link_up 1\n" in text
                assert text.endswith("# EOF\n")
        status_code, _, text = await asyncio.to_thread(get, url)
        assert status_code == 503
        assert "no speakerd listens at" in text


async def test_a_scrape_waits_for_the_whole_request(tmp_path: Path) -> None:
    """To hang up on a client that still talks could throw away what it was told."""
    async with metrics_socket(tmp_path) as url:
        host, port = url.removeprefix("http://").removesuffix("/metrics").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await reader.read(1)
        writer.write(b"Host: speaker\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
            await reader.read()
        writer.close()


def get(url: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as reply:
            return reply.status, reply.headers["Content-Type"], reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()
