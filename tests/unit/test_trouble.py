"""What a failed dial is told as."""

import errno
import socket

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidProxyStatus, InvalidStatus
from websockets.http11 import Response

from speakerd.errors import Cause, Cure
from speakerd.live.trouble import trouble

UNREACHABLE = [
    (OSError(errno.ENETUNREACH, "…"), "the server cannot be reached: Network is unreachable"),
    (OSError(errno.EHOSTUNREACH, "…"), "the server cannot be reached: No route to host"),
    (ConnectionRefusedError(errno.ECONNREFUSED, "…"), "the server cannot be reached: Connection refused"),
    (TimeoutError(errno.ETIMEDOUT, "…"), "the server cannot be reached: Connection timed out"),
    (TimeoutError("timed out during opening handshake"), "the server does not answer the dial"),
    (TimeoutError(), "no answer from the server within 10 s"),
    (OSError("Multiple exceptions: …"), "the server cannot be reached: Multiple exceptions: …"),
    (socket.gaierror(socket.EAI_AGAIN, "…"), "no DNS server answers the question for live.example"),
    (socket.gaierror(socket.EAI_NONAME, "…"), "DNS knows no live.example: if that lasts, check live.base_url"),
    (socket.gaierror(socket.EAI_NODATA, "…"), "DNS knows no live.example: if that lasts, check live.base_url"),
    (socket.gaierror(socket.EAI_FAIL, "broken"), "the name live.example is not found: broken"),
]

UNUSABLE_PROXIES = [
    "somebody:secret@proxy.example:3128",
    "ftp://somebody:secret@proxy.example:3128",
    "http://somebody@proxy.example:3128",
    "http://somebody:sec/secret@proxy.example:3128",
    "http://proxy.example:secret",
    "http://[somebody:secret",
]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the proxy of the machine that runs the tests."""
    for name in ("WSS_PROXY", "SOCKS_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(("error", "words"), UNREACHABLE, ids=lambda value: str(value)[:40])
def test_a_network_that_does_not_lead_there_is_waited_for(error: OSError, words: str) -> None:
    """Each way in which a network fails has its words, and the end of all of them is that it is back."""
    found = trouble(error, 10.0, "https://live.example")
    assert str(found) == words
    assert found.cure is Cure.NETWORK
    assert not found.advice, "the light must not ask a person to do what time does"


@pytest.mark.parametrize("error", [ConnectionResetError(), ConnectionAbortedError(), BrokenPipeError()], ids=repr)
def test_a_server_that_hangs_up_during_the_dial_is_waited_for(error: OSError) -> None:
    """A dial that went through to a server, or to whoever answers in its place, has ended before it began."""
    found = trouble(error, 10.0)
    assert str(found) == "the server hung up while the connection was made"
    assert found.cure is Cure.NETWORK


@pytest.mark.parametrize("status", [200, 204, 302, 307, 511])
def test_a_web_page_in_place_of_the_server_is_the_networks_own(status: int) -> None:
    """A network that wants a log-in says so through us."""
    found = trouble(InvalidStatus(Response(status, "…", Headers())), 10.0)
    assert str(found) == f"the network shows its own page in place of the server (HTTP {status})"
    assert "log in" in found.advice
    assert found.cause is Cause.LOGIN


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_what_the_server_itself_refuses_keeps_its_status(status: int) -> None:
    """The verdict over key, model and quota is made of it."""
    found = trouble(InvalidStatus(Response(status, "…", Headers())), 10.0)
    assert (found.code, found.advice, found.cure) == (status, "", None)


@pytest.mark.parametrize("address", UNUSABLE_PROXIES)
def test_an_unusable_proxy_setting_is_named_without_its_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal learns which variable to mend, and nobody's name or password."""
    monkeypatch.setenv("https_proxy", address)
    found = trouble(ValueError(f"as the library tells it: {address}"), 10.0)
    assert str(found) == "https_proxy holds no address of a proxy that could be used"
    assert found.advice == "write https_proxy as http://HOST:PORT, or take it out of the environment"


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (403, "ask whoever runs the proxy to let this device reach live.example"),
        (405, "is this a proxy for HTTPS? Look at HTTPS_PROXY"),
        (407, "write a user name and a password into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT"),
        (511, "log in to the network's own page with a browser, or use another network"),
        (502, ""),
        (503, ""),
    ],
)
def test_a_proxys_refusal_is_told_from_its_weakness(
    status: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that wants a password needs a person; one that has no line itself needs time."""
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:secret@proxy.example:3128")
    found = trouble(InvalidProxyStatus(Response(status, "…", Headers())), 10.0, "https://live.example")
    assert str(found) == f"the proxy proxy.example:3128 answers HTTP {status}"
    assert found.advice == advice


def test_an_unreachable_proxy_is_not_called_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks for the fault looks at the proxy; the server was never asked."""
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:secret@[2001:db8::1]:3128")
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "…")
    found = trouble(refused, 10.0)
    assert str(found) == "the proxy [2001:db8::1]:3128 cannot be reached: Connection refused"
    monkeypatch.setenv("NO_PROXY", "live.example")
    found = trouble(refused, 10.0, "https://live.example")
    assert str(found) == "the server cannot be reached: Connection refused"
