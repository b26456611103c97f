"""A speaker without an API key: tokens from a program or an address of the owner's, and who makes them."""

import asyncio
import contextlib
import json
import shlex
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from speakerd.errors import LinkError
from speakerd.live.session import Caller
from speakerd.mint import mint
from speakerd.settings import Settings
from speakerd.simulate import certificate
from speakerd.simulate.card import SimulatedCard
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script
from tests.integration.household import GO_FORWARD, KEY, Daemon, Household, daemon, write_settings
from tests.integration.stand_in_talk import Caller as PlainCaller
from tests.integration.test_ask import speakerd

CONSTRAINED = "/ws/google.ai.generativelanguage.{}.GenerativeService.BidiGenerateContentConstrained?access_token={}"


@dataclass
class Office:
    """A stand-in that makes tokens and takes them."""

    live: LiveApi
    directory: Path

    def settings(self, sections: dict[str, Any], **live: object) -> Settings:
        return Settings.model_validate({"live": {"base_url": self.live.url, **live}, **sections})

    async def token(self, *, minutes: float = 30, opening: float = 2, uses: int = 1) -> str:
        """Make a token as `speakerd token` does; return what that prints."""
        return await asyncio.to_thread(mint, self.settings({}), KEY, minutes, opening, uses)

    def caller(self, answer: str, **sections: object) -> Caller:
        """Return what dials with this token, which can be exchanged in its file."""
        file = self.directory / "token"
        file.write_text(answer)
        return Caller(self.settings(sections, token={"command": ["cat", str(file)]}), "")


@contextlib.asynccontextmanager
async def office(directory: Path, monkeypatch: pytest.MonkeyPatch, **script: object) -> AsyncIterator[Office]:
    options = LiveApiOptions(directory / "live", script=Script.model_validate(script), keys=frozenset({KEY}))
    async with LiveApi(options) as live:
        monkeypatch.setenv("SSL_CERT_FILE", str(live.ca_file))
        yield Office(live, directory)


async def test_a_token_opens_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one machine made with its key, another talks with, on the path for tokens, and only there."""
    async with office(tmp_path, monkeypatch) as at:
        answer = await at.token()
        async with at.caller(answer).dial() as session:
            await session.send_audio(bytes(640))
            await at.live.wait_for("audio")
            assert session.expires_at < float("inf")
        (opened,) = (event for event in at.live.events if event.kind == "open")
        assert opened.detail["path"].endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")


@pytest.mark.parametrize(("uses", "sessions"), [(1, 1), (2, 2), (0, 3)])
async def test_a_token_begins_as_many_sessions_as_it_was_made_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uses: int, sessions: int
) -> None:
    """One more is refused; with a use of 0 there is no limit. To go on with a session is no use."""
    async with office(tmp_path, monkeypatch) as at:
        name = json.loads(await at.token(uses=uses, opening=30))["name"]
        caller = at.caller(name)
        for _ in range(sessions):
            async with caller.dial():
                pass
        handle = (await at.live.wait_for("handle")).detail["handle"]
        async with caller.dial(handle):
            await at.live.wait_for("resumed")
        if uses:
            with pytest.raises(LinkError, match="not good any more"):
                await stay(caller)


async def stay(caller: Caller) -> None:
    """Dial, and send sound until the connection ends."""
    async with caller.dial() as session:

        async def send() -> None:
            while True:
                await session.send_audio(bytes(640))
                await asyncio.sleep(0.02)

        sending = asyncio.create_task(send())
        try:
            async with asyncio.timeout(10):
                async for _ in session.events():
                    pass
        finally:
            sending.cancel()


async def test_a_token_that_was_not_good_is_replaced_by_the_next_dial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, it is forgotten without advice; the next dial fetches another one and is through."""
    async with office(tmp_path, monkeypatch) as at:
        caller = at.caller(json.loads(await at.token())["name"])
        async with caller.dial():
            pass
        (tmp_path / "token").write_text(await at.token())
        with pytest.raises(LinkError) as failure:
            await stay(caller)
        assert (failure.value.code, failure.value.reason, failure.value.advice) == (None, "", "")
        async with caller.dial():
            pass


@pytest.mark.parametrize("what", ["unknown", "spent", "expired-for-sessions"])
async def test_a_new_token_that_is_refused_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Where the token came from this very moment, its source needs a person; the token is not shown."""
    async with office(tmp_path, monkeypatch) as at:
        answer = await at.token(opening=0.002 if what == "expired-for-sessions" else 2)
        if what == "unknown":
            answer = "auth_tokens/0123456789abcdef"
        if what == "spent":
            async with at.caller(answer).dial():
                pass
        if what == "expired-for-sessions":
            await asyncio.sleep(0.15)
        with pytest.raises(LinkError) as failure:
            await stay(at.caller(answer))
        assert "live.token.command" in failure.value.advice
        assert "auth_tokens/" not in str(failure.value)


async def test_a_connection_ends_when_its_token_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first message after that is refused; the link may dial again at once."""
    async with office(tmp_path, monkeypatch) as at:
        with pytest.raises(LinkError) as failure:
            await stay(at.caller(await at.token(minutes=1 / 60, opening=1 / 60)))
        assert failure.value.advice == ""
        assert (await at.live.wait_for("close")).detail["code"] == 1008


@pytest.mark.parametrize(
    "sections",
    [
        {"assistant": {"model": "gemini-3.1-flash-live-preview"}},
        {"assistant": {"voice": "Puck"}},
        {"assistant": {"language": "de-DE"}},
        {"assistant": {"instructions": "You are a pirate."}},
    ],
)
async def test_a_token_is_good_for_its_settings_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, dict[str, str]]
) -> None:
    """A device that asks for another model, voice, language or role is refused."""
    async with office(tmp_path, monkeypatch) as at:
        answer = await at.token()
        with pytest.raises(LinkError) as failure:
            await stay(at.caller(answer, **sections))
        assert failure.value.reason == "Request contains an invalid argument."


async def test_a_device_may_ask_for_what_its_token_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transcripts, and handles, are not locked where they are not set."""
    async with office(tmp_path, monkeypatch) as at:
        caller = at.caller(await at.token(), assistant={"transcripts": True})
        async with caller.dial():
            (setup,) = (event.detail["setup"] for event in at.live.events if event.kind == "setup")
            assert "inputAudioTranscription" in setup


@pytest.mark.parametrize("credential", [KEY, "auth_tokens/none"])
async def test_the_door_for_tokens_takes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credential: str
) -> None:
    """A key does not fit, nor does a token that nobody made."""
    path = CONSTRAINED.format("v1alpha", credential)
    async with office(tmp_path, monkeypatch) as at, PlainCaller.call(at.live, path) as caller:
        await caller.send({"setup": {"model": "models/gemini-3.8-live"}})
        assert (await caller.closed())[0] == 1007


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_the_door_for_tokens_is_in_one_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Under another one there is no such path."""
    async with office(tmp_path, monkeypatch) as at:
        name = json.loads(await at.token())["name"]
        with pytest.raises(InvalidStatus, match="404"):
            async with PlainCaller.call(at.live, CONSTRAINED.format(version, name)):
                pass


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"bogus": 1}, 'Unknown name "bogus"'),
        ({"uses": "many"}, "auth_token.uses"),
        ({"expireTime": "soon"}, "Timestamp"),
        ({"expireTime": "2020-01-01T00:00:00Z"}, "invalid argument"),
        ({"expireTime": "2999-01-01T00:00:00Z"}, "invalid argument"),
        ({"bidiGenerateContentSetup": {"bogus": 1}}, 'Unknown name "bogus"'),
        ([], "Invalid JSON payload"),
    ],
)
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "TLS"])
async def test_a_token_that_cannot_be_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: object, told: str, plain: bool
) -> None:
    """On both ports, whoever asks for it wrongly is answered as the service does it: HTTP 400, and why."""
    async with office(tmp_path, monkeypatch) as at:
        url = at.live.plain_url if plain else at.live.url
        async with httpx2.AsyncClient(headers={"x-goog-api-key": KEY}) as client:
            done = await client.post(f"{url}/v1alpha/auth_tokens", json=request_)
            assert (done.status_code, done.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
            assert told in done.json()["error"]["message"]
            done = await client.post(f"{url}/v1alpha/auth_tokens", json={})
            assert done.json()["name"].startswith("auth_tokens/")
            assert (await client.post(f"{url}/v1beta/auth_tokens", json={})).status_code == 404


async def test_times_of_tokens_run_with_the_scripts_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour is a second, where an hour is two."""
    async with office(tmp_path, monkeypatch, clock=1800) as at:
        with pytest.raises(LinkError):
            await stay(at.caller(json.loads(await at.token(opening=30))["name"]))
        assert (await at.live.wait_for("close")).detail["code"] == 1008


def command(at: Path) -> list[str]:
    """Return `speakerd token` as a device runs it on the machine that has the key."""
    script = at / "mint.sh"
    words = shlex.join([sys.executable, "-W", "error", "-m", "speakerd", "token", "--config", str(at / "mint.yaml")])
    script.write_text(f"GEMINI_API_KEY={KEY} exec {words}\n")
    return ["sh", str(script)]


@pytest.mark.parametrize(
    ("words", "environment", "status", "told"),
    [
        ([], {"GEMINI_API_KEY": ""}, 78, "no API key in GEMINI_API_KEY"),
        ([], {"GEMINI_API_KEY": "wrong"}, 78, "check the API key: it was refused"),
        ([], {"HTTPS_PROXY": "http://127.0.0.1:9"}, 1, "cannot be reached: Connection refused"),
        (["--minutes", "1201"], {}, 2, "20 hours, at most"),
        (["--minutes", "0"], {}, 2, "must be 2 at least"),
        (["--uses", "-1"], {}, 2, "must be 0 or more"),
        (["--minutes", "soon"], {}, 2, "invalid"),
    ],
)
async def test_why_there_is_no_token_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environment: dict[str, str],
    status: int,
    told: str,
) -> None:
    """No key, a wrong key, no network, times that cannot be: each has its words and status, and prints no token."""
    async with office(tmp_path, monkeypatch) as at:
        settings = write_settings(tmp_path / "mint.yaml", at.live.url)
        done = await speakerd("token", *words, "--config", settings, **({"GEMINI_API_KEY": KEY} | environment))
        assert (done.status, done.out) == (status, "")
        assert told in done.err
        assert not [event for event in at.live.events if event.kind == "minted"]


async def test_a_token_is_printed_so_that_it_can_be_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON object with its name and times, and nothing else, on standard output."""
    async with office(tmp_path, monkeypatch) as at:
        settings = write_settings(tmp_path / "mint.yaml", at.live.url)
        done = await speakerd("token", "--uses", "0", "--minutes", "60", "--config", settings, GEMINI_API_KEY=KEY)
        assert (done.status, done.err) == (0, "")
        answer = json.loads(done.out)
        assert set(answer) == {"name", "expireTime", "newSessionExpireTime"}
        async with at.caller(done.out).dial():
            pass


def no_secret_in(*texts: str) -> None:
    """Hold that neither key nor token can be read here."""
    for text in texts:
        assert "auth_tokens/" not in text
        assert KEY not in text
        assert "hunter2" not in text


@contextlib.asynccontextmanager
async def keyless(
    directory: Path, source: Callable[[LiveApi], dict[str, Any]], *, trust: Path | None = None, **environment: str
) -> AsyncIterator[Household]:
    """Run the daemon without a key; ``trust`` is the authority of whoever else it asks."""
    options = LiveApiOptions(
        directory / "live", script=Script.model_validate({"thinking": 0.2}), keys=frozenset({KEY})
    )
    with SimulatedCard(directory / "card") as card:
        async with LiveApi(options) as live:
            write_settings(directory / "mint.yaml", live.url)
            settings = write_settings(directory / "speakerd.yaml", live.url, live={"token": source(live)})
            bundle = directory / "authorities.pem"
            bundle.write_bytes(live.ca_file.read_bytes() + (trust.read_bytes() if trust else b""))
            variables = {**card.environment, "SSL_CERT_FILE": str(bundle), "GEMINI_API_KEY": "", **environment}
            async with daemon(settings, **variables) as running:
                try:
                    yield Household(card, live, running)
                except BaseException:
                    print(*running.lines, sep="\n")  # shown beside the failure
                    raise
                finally:
                    no_secret_in(*running.lines, *arguments_of(running))


def arguments_of(running: Daemon) -> list[str]:
    """Return the command lines of the daemon and what it started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[1]) == running.process.pid:
                found.append((process / "cmdline").read_text())
    return [*found, Path(f"/proc/{running.process.pid}/cmdline").read_text()] if found else found


async def is_answered(home: Household, turn: int = 1) -> None:
    """Ask a question and hear the answer to its end."""
    home.card.speak(GO_FORWARD)
    await home.live.wait_for("turn_complete", count=turn, timeout=30)
    await home.hear(home.live.answers[turn - 1].pcm)


async def test_a_speaker_talks_with_tokens_from_a_program(tmp_path: Path) -> None:
    """With `speakerd token` as its program, and no key of its own, it answers as ever."""
    async with keyless(tmp_path, lambda live: {"command": command(tmp_path)}) as home:
        await home.live.wait_for("setup", timeout=30)
        await is_answered(home)
        assert "error" not in home.daemon.states


@dataclass
class Counter:
    """An address that answers with tokens; each is made when it is asked for."""

    url: str
    ca_file: Path
    make: Callable[[], str]
    asked: list[str]
    status: int = 200


@contextlib.asynccontextmanager
async def counter(directory: Path) -> AsyncIterator[Counter]:
    """Serve tokens over TLS on this machine."""
    directory.mkdir()
    ca_file, tls = certificate.make(directory)
    at = Counter("", ca_file, str, [])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            at.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            body = (await asyncio.to_thread(at.make)).encode()
            head = f"HTTP/1.1 {at.status} x\r\nLocation: http://127.0.0.1/\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        at.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/token"
        yield at
        server.close()


def maker(live: LiveApi, seconds: float) -> Callable[[], str]:
    """Return what makes tokens that live so long."""
    settings = Settings.model_validate({"live": {"base_url": live.url}})
    return lambda: mint(settings, KEY, seconds / 60, seconds / 60, 1)


@pytest.mark.parametrize("known", [True, False], ids=["end-known", "end-unknown"])
async def test_a_speaker_survives_the_end_of_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """It leaves before, or is hung up on; with the next token it goes on with the conversation, and nobody acts."""
    authorization = "Bearer hunter2"
    async with counter(tmp_path / "counter") as desk:

        def source(live: LiveApi) -> dict[str, Any]:
            monkeypatch.setenv("SSL_CERT_FILE", str(live.ca_file))
            first = maker(live, 6)
            desk.make = first if known else lambda: str(json.loads(first())["name"])
            return {"url": desk.url}

        async with keyless(tmp_path, source, trust=desk.ca_file, SPEAKERD_TOKEN_AUTHORIZATION=authorization) as home:
            await home.live.wait_for("setup")
            desk.make = maker(home.live, 1800)
            await home.live.wait_for("resumed", timeout=20)
            await is_answered(home)
            lost = [entry for entry in home.daemon.journal if entry.get("event") == "link-lost"]
            assert bool(lost) is not known
            assert "error" not in home.daemon.states
    assert len(desk.asked) >= 2
    assert all(f"\r\nAuthorization: {authorization}\r\n" in head for head in desk.asked)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (403, "auth_tokens/hunter2", "token-authorization"),
        (404, "auth_tokens/hunter2", "check live.token.url"),
        (302, "auth_tokens/hunter2", "check live.token.url"),
        (200, "<p>hunter2</p>", "let live.token.url answer what `speakerd token` prints"),
        (200, "auth_tokens/hunter2", "its new token was refused"),
    ],
)
async def test_an_address_that_gives_no_token_turns_on_the_light(
    tmp_path: Path, status: int, body: str, told: str
) -> None:
    """One line of the journal says what to do; nothing of the answer is in it."""
    async with counter(tmp_path / "counter") as desk:
        desk.make, desk.status = (lambda: body), status
        async with keyless(tmp_path, lambda live: {"url": desk.url}, trust=desk.ca_file) as home:
            await home.daemon.until(event="state", state="error")
            (line,) = [entry for entry in home.daemon.journal if entry["level"] == "error"]
            assert told in line["message"]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_an_address_that_is_out_of_order_is_asked_again(tmp_path: Path, status: int) -> None:
    """Nobody must act: as soon as it gives tokens again, the speaker talks."""
    async with counter(tmp_path / "counter") as desk:
        made: list[Callable[[], str]] = []

        def source(live: LiveApi) -> dict[str, Any]:
            made.append(maker(live, 1800))
            return {"url": desk.url}

        desk.status = status
        async with keyless(tmp_path, source, trust=desk.ca_file) as home:
            await home.daemon.until(event="link-refused")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SSL_CERT_FILE", str(home.live.ca_file))
                desk.make, desk.status = made[0], 200
                await home.live.wait_for("setup", timeout=20)
            assert "error" not in home.daemon.states


async def test_two_hundred_tokens_cost_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each needs a client of its own; what the one before it held is given back."""
    async with office(tmp_path, monkeypatch) as at:
        caller = at.caller("")

        async def renew(number: int) -> None:
            # Nobody takes it, so that the next dial has another one.
            (tmp_path / "token").write_text(f"auth_tokens/{number:064x}")
            with pytest.raises(LinkError):
                await stay(caller)

        for number in range(50):
            await renew(number)
        before = resident()
        for number in range(50, 250):
            await renew(number)
        assert resident() - before < 200 * KEPT_KIB


KEPT_KIB = 30
"""For each token. A client that is never given back costs 45; 17 at most were seen where all are, for the stand-in's
connections in this process, and its book of them."""


def resident() -> int:
    """Return the memory of this process in KiB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


async def test_certificates_that_have_gone_are_a_matter_for_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the daemon could read at its start may be gone when a new token needs it; it says so and tries again."""
    async with office(tmp_path, monkeypatch) as here:
        caller = here.caller(await here.token())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone"))
        with pytest.raises(LinkError, match="cannot be set up") as failure:
            async with caller.dial():
                pass
        assert "SSL_CERT_FILE" in failure.value.advice
