"""Networks that fail, each in its own way: what the journal says, and how soon the line is back."""

import asyncio
import contextlib
import datetime as dt
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from websockets.asyncio.client import connect

from speakerd.errors import Cure, LinkError
from speakerd.host.clock import Clock
from speakerd.live.session import Caller
from speakerd.live.trouble import UNUSABLE, trouble
from speakerd.settings import Settings
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from tests.integration.household import KEY, household
from tests.unit.test_network import in_a_network_of_its_own

TODAY = dt.datetime.now(dt.UTC)
YEAR = dt.timedelta(days=365)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the proxy of the machine that runs the tests."""
    for name in ("WSS_PROXY", "SOCKS_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextlib.asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve at a port of the loopback; give its number."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def answering(answer: bytes) -> Serve:
    """Return what reads a request and gives this answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return serve


def caller(base_url: str) -> Caller:
    return Caller(Settings.model_validate({"live": {"base_url": base_url, "connect_timeout": 5}}), KEY)


async def refusal(base_url: str) -> LinkError:
    """Dial with the real SDK and return what comes of it."""
    with pytest.raises(LinkError) as caught:
        async with caller(base_url).dial():
            pass
    return caught.value


def certificate(authority: trustme.CA, *names: str, begins: dt.timedelta, ends: dt.timedelta) -> ssl.SSLContext:
    """Return a server's TLS with a certificate that is valid between these times, counted from now."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_before=TODAY + begins, not_after=TODAY + ends).configure_cert(tls)
    return tls


OTHER_NAME = "somebody else answers in the server's place, with a certificate of another name"
OTHER_ADDRESS = "somebody else answers in the server's place, with a certificate of another address"
NOT_YET = f"the server's certificate is not valid yet, and the clock shows {TODAY.date()}"
EXPIRED = f"the server's certificate has expired, and the clock shows {TODAY.date()}"
STRANGER = "the server's certificate comes from an authority that nobody here knows"

CERTIFICATES = {
    "not valid yet": ("localhost", "localhost", YEAR, 2 * YEAR, (NOT_YET, Cure.CLOCK, "")),
    "expired": ("localhost", "localhost", -2 * YEAR, -YEAR, (EXPIRED, Cure.CLOCK, "")),
    "another name": (
        "portal.example",
        "localhost",
        -YEAR,
        YEAR,
        (OTHER_NAME, Cure.NETWORK, "log in to the network's"),
    ),
    "another address": (
        "portal.example",
        "127.0.0.1",
        -YEAR,
        YEAR,
        (OTHER_ADDRESS, Cure.NETWORK, "log in to the network's"),
    ),
}


@pytest.mark.parametrize("case", CERTIFICATES)
async def test_a_certificate_that_does_not_fit_is_told_by_what_is_wrong_with_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is not set, and a network's log-in page, are recognised, and not taken for each other."""
    name, dialled, begins, ends, (words, cure, advice) = CERTIFICATES[case]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with serving(answering(b""), certificate(authority, name, begins=begins, ends=ends)) as port:
        found = await refusal(f"https://{dialled}:{port}")
    assert str(found) == words
    assert found.cure is cure
    assert found.advice.startswith(advice)
    assert bool(found.advice) == bool(advice)


async def test_an_authority_that_nobody_knows_may_be_a_portal_or_a_firewall() -> None:
    """Both are named, since the certificate does not tell them apart."""
    async with serving(answering(b""), certificate(trustme.CA(), "localhost", begins=-YEAR, ends=YEAR)) as port:
        found = await refusal(f"https://localhost:{port}")
    assert str(found) == STRANGER
    assert "log in" in found.advice
    assert "SSL_CERT_FILE" in found.advice


async def test_an_answer_without_tls_is_a_portals() -> None:
    """A network that answers for everybody often does so in plain HTTP."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n")
        await writer.drain()

    async with serving(serve) as port:
        found = await refusal(f"https://127.0.0.1:{port}")
    assert str(found) == "somebody answers in the server's place, without TLS"
    assert "log in" in found.advice


PORTALS = {
    "page": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: https://portal.example/?key=1\r\n\r\n",
    "511": b"HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("case", PORTALS)
async def test_a_portal_that_is_trusted_is_recognised_by_its_page(case: str) -> None:
    """Behind a proxy that reads along the certificate fits, and the log-in page comes as an answer."""
    authority = trustme.CA()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with serving(
        answering(PORTALS[case]), certificate(authority, "localhost", begins=-YEAR, ends=YEAR)
    ) as port:
        with pytest.raises(UNUSABLE) as caught:
            await connect(f"wss://localhost:{port}/ws", ssl=client)
    found = trouble(caught.value, 5.0)
    assert str(found).startswith("the network shows its own page in place of the server")
    assert "log in" in found.advice
    assert "portal.example" not in str(found), "its address may hold a key"


PROXY_ANSWERS = {
    "password": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answers HTTP 407", "a user name and a pass"),
    "no line": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "answers HTTP 502", ""),
    "garbage": (b"SSH-2.0-OpenSSH_9.6\r\n", "is no HTTP proxy", "is this a proxy for HTTPS?"),
    "nothing": (b"", "hung up without an answer", ""),
}


@pytest.mark.parametrize("case", PROXY_ANSWERS)
async def test_what_a_proxy_refuses_is_told_as_the_proxys(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is in the words; the password that we gave it is not."""
    answer, words, advice = PROXY_ANSWERS[case]
    async with serving(answering(answer)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:secret@127.0.0.1:{port}")
        found = await refusal("https://live.invalid")
    assert words in str(found)
    assert f"127.0.0.1:{port}" in str(found)
    assert advice in found.advice
    assert bool(found.advice) == bool(advice)
    assert not {"somebody", "secret"} & set(f"{found} {found.advice}".replace(":", " ").split())


async def test_a_proxy_that_works_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line leads through the proxy that the environment names."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).splitlines()[0])
        there_reader, there = await asyncio.open_connection("127.0.0.1", urlsplit(live.url).port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pour(reader, there), pour(there_reader, writer))

    async with LiveApi(LiveApiOptions(tmp_path, keys=frozenset({KEY}))) as live, serving(serve) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(live.ca_file))
        async with caller(live.url).dial():
            pass
    assert asked == [f"CONNECT {urlsplit(live.url).netloc} HTTP/1.1".encode()]


async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry everything from one side to the other."""
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()


NAMES = """
import asyncio, socket, subprocess, sys, tempfile, threading
from speakerd.errors import LinkError
from speakerd.live.session import Caller
from speakerd.settings import Settings

async def main():
    caller = Caller(Settings.model_validate({"live": {"base_url": "https://live.invalid"}}), "key")
    try:
        async with caller.dial():
            pass
    except LinkError as error:
        assert str(error) == sys.argv[1], error
        return
    raise AssertionError

def know_nothing(server):
    while True:
        question, asker = server.recvfrom(512)
        server.sendto(question[:2] + b"\\x81\\x83" + question[4:], asker)  # NXDOMAIN

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with tempfile.NamedTemporaryFile("w") as resolv:
    print("nameserver 127.0.0.1", file=resolv, flush=True)
    subprocess.run(["mount", "--bind", resolv.name, "/etc/resolv.conf"], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        if sys.argv[2] == "DNS":
            server.bind(("127.0.0.1", 53))
            threading.Thread(target=know_nothing, args=[server], daemon=True).start()
        asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("DNS", "DNS knows no live.invalid: if that lasts, check live.base_url"),
        ("no DNS", "no DNS server answers the question for live.invalid"),
    ],
)
def test_a_name_that_is_not_found_is_told_by_who_did_not_find_it(server: str, words: str) -> None:
    """A wrong name and a dead DNS server are mended in different places."""
    in_a_network_of_its_own(NAMES, words, server)


BACK = """
import asyncio, subprocess, sys, time
from pathlib import Path
from tests.integration.household import household

def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)

async def main():
    if sys.argv[2] == "outage":
        ip("link", "set", "lo", "up")
    async with household(Path(sys.argv[1])) as home:
        at = 0
        if sys.argv[2] == "outage":
            at = await home.daemon.until(event="link-up")
            ip("address", "flush", "dev", "lo")
            ip("link", "set", "lo", "down")
        for _ in range(4):
            at = await home.daemon.until(30, after=at, event="link-refused")
            text = home.daemon.journal[at - 1]["message"]
            assert "the server cannot be reached: Network is unreachable" in text, text
        ip("link", "set", "lo", "up")  # the kernel gives it its address again; the next dial would come after 4 s
        back = time.monotonic()
        at = await home.daemon.until(60, after=at, event="link-up")
        took = time.monotonic() - back
        assert took < 5, took
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "scene",
    [
        "boot",
        "outage",  # the server still holds the old connection then, and refuses the first dial
    ],
)
def test_a_network_that_returns_brings_the_line_back_within_five_seconds(scene: str, tmp_path: Path) -> None:
    """The real daemon in a network of its own, which is there too late, or is taken away and given back."""
    in_a_network_of_its_own(BACK, str(tmp_path), scene)


CLOCK = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How many seconds the scene's clock is off. */
static long off(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("SCENE_CLOCK"), "r");
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, which, now);
    if (!failed && which == CLOCK_REALTIME) now->tv_sec += off();
    return failed;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
"""
"""A clock that one process sees and this scene sets; the machine's own is not ours to set."""


async def test_a_board_whose_clock_is_not_set_waits_for_it(tmp_path: Path) -> None:
    """After a power cut it is 1970 until the network has told the time; the line is up seconds later."""
    (tmp_path / "clock.c").write_text(CLOCK)
    library, setting = tmp_path / "clock.so", tmp_path / "off"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "clock.c"], check=True)
    setting.write_text(f"{5 * 86400 - int(time.time())}")
    environment = {"LD_PRELOAD": str(library), "SCENE_CLOCK": str(setting)}
    retry = {"first": 20.0, "longest": 60.0}
    async with household(tmp_path, environment=environment, live={"retry": retry}) as home:
        refused = await home.daemon.until(event="link-refused")
        text = home.daemon.journal[refused - 1]["message"]
        assert "certificate is not valid yet, and the clock shows 1970-01-0" in text
        refused = await home.daemon.until(after=refused, event="link-refused")  # the third dial would come after 20 s
        setting.write_text("0")
        await home.daemon.until(10, after=refused, event="link-up")


async def test_a_clock_that_merely_runs_is_not_being_set() -> None:
    """Seconds that pass do not end the wait."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5):
            await Clock().until_set()
