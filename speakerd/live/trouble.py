"""What a dial that failed says about the network, in plain words."""

import datetime as dt
import os
import socket
import ssl
from urllib.parse import urlsplit

from websockets.exceptions import (
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    SecurityError,
    WebSocketException,
)
from websockets.proxy import Proxy, get_proxy, parse_proxy
from websockets.uri import WebSocketURI

from speakerd.errors import Cause, Cure, LinkError

UNUSABLE = (
    OSError,
    WebSocketException,
    ImportError,  # a SOCKS proxy in the environment asks for a library
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)
"""What a network, a proxy or a server that speaks something else makes of a dial."""

GOOGLE = "https://generativelanguage.googleapis.com"

# A person must log in, so it is advice; the network is there once they have.
_LOG_IN = "log in to the network's own page with a browser, or use another network"
_TRUST = (
    "log in to the network's own page with a browser, if it has one; where a firewall reads along on purpose, put "
    "its authority into a file and name that in SSL_CERT_FILE"
)
_PORTAL = "the network shows its own page in place of the server"
_NOT_FOR_TLS = "is this a proxy for HTTPS? Look at {variable}"
_CLOCK = "and the clock shows {today}"

_CERTIFICATES: dict[int, tuple[str, Cure | None, str]] = {
    9: (f"the server's certificate is not valid yet, {_CLOCK}", Cure.CLOCK, ""),
    10: (f"the server's certificate has expired, {_CLOCK}", Cure.CLOCK, ""),
    18: ("the server's certificate is its own, not an authority's", Cure.NETWORK, _TRUST),
    19: ("the server's certificate comes from an authority that nobody here knows", Cure.NETWORK, _TRUST),
    20: ("the server's certificate comes from an authority that nobody here knows", Cure.NETWORK, _TRUST),
    21: ("the server's certificate comes from nobody that could be asked", Cure.NETWORK, _TRUST),
    62: ("somebody else answers in the server's place, with a certificate of another name", Cure.NETWORK, _LOG_IN),
    64: ("somebody else answers in the server's place, with a certificate of another address", Cure.NETWORK, _LOG_IN),
}
"""OpenSSL's codes (openssl-verification-options(1), X509_V_ERR_*): the words, what ends it, what a person can do."""

_PROXY_ANSWERS = {
    400: _NOT_FOR_TLS,
    403: "ask whoever runs the proxy to let this device reach {server}",
    405: _NOT_FOR_TLS,
    407: "write a user name and a password into {variable}: http://USER:PASSWORD@HOST:PORT",
    501: _NOT_FOR_TLS,
    511: _LOG_IN,
}
"""What only a person can do about a proxy's refusal; whatever else it answers may pass (RFC 9110, RFC 6585)."""

_VARIABLES = ("wss_proxy", "WSS_PROXY", "socks_proxy", "SOCKS_PROXY", "https_proxy", "HTTPS_PROXY")
"""Where websockets finds its proxy, the one that it prefers first."""

_NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)


def proxy_to(host: str, port: int) -> Proxy | None:
    """Return the proxy through which this server is dialled; None where it is dialled directly.

    Raises:
        ValueError: the environment names a proxy that cannot be used; the text may hold its password.
    """
    address = get_proxy(
        WebSocketURI(secure=True, host=host, port=port, path="", query="", username=None, password=None)
    )
    try:
        return parse_proxy(address) if address is not None else None
    except InvalidProxy as error:
        raise ValueError(str(error)) from error


def trouble(error: Exception, limit: float, base_url: str | None = None, setting: str = "live.base_url") -> LinkError:
    """Return what to make of ``error``, which ended a dial of ``base_url`` that might take ``limit`` seconds.

    ``setting`` is where the address comes from.
    """
    server = urlsplit(base_url or GOOGLE)
    name = server.hostname or ""
    try:
        proxy = proxy_to(name, server.port or 443)
    except ValueError:
        return LinkError(
            f"{_variable()} holds no address of a proxy that could be used",
            advice=f"write {_variable()} as http://HOST:PORT, or take it out of the environment",
        )
    match error:
        case ProxyError() | ImportError() if proxy:
            return _of_proxy(error, proxy, name)
        case ssl.SSLError():
            return _of_tls(error)
        case OSError():
            if proxy:
                return _of_network(error, limit, f"the proxy {_address(proxy)}", proxy.host, _variable())
            return _of_network(error, limit, "the server", name, setting)
    return _of_answer(error)


def _of_network(error: OSError, limit: float, hop: str, name: str, setting: str) -> LinkError:
    """Return what a network says that does not get us to ``hop``, which ``setting`` names."""
    match error:
        case TimeoutError(errno=None) if str(error):  # the library's own limit, on the way to an open WebSocket
            text = f"{hop} does not answer the dial"
        case TimeoutError(errno=None):
            text = f"no answer from {hop} within {limit:g} s"
        case socket.gaierror(errno=socket.EAI_AGAIN):
            text = f"no DNS server answers the question for {name}"
        # No advice: routers that have lost their line are known to answer this for every name.
        case socket.gaierror(errno=int(number)) if number in _NO_SUCH_NAME:
            text = f"DNS knows no {name}: if that lasts, check {setting}"
        case socket.gaierror():
            text = f"the name {name} is not found: {error.strerror}"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            text = f"{hop} hung up while the connection was made"
        case OSError(errno=int(number)):
            text = f"{hop} cannot be reached: {os.strerror(number)}"
        case _:
            text = f"{hop} cannot be reached: {error}"
    return LinkError(text, cure=Cure.NETWORK)


def _of_tls(error: ssl.SSLError) -> LinkError:
    match error:
        case ssl.SSLCertVerificationError(verify_code=code) if code in _CERTIFICATES:
            text, cure, advice = _CERTIFICATES[code]
            cause = Cause.LOGIN if cure is Cure.NETWORK else None
            text = text.format(today=dt.datetime.now(dt.UTC).date())
            return LinkError(text, cure=cure, advice=advice, cause=cause)
        case ssl.SSLCertVerificationError():
            return LinkError(f"the server's certificate is not to be trusted: {error.verify_message}")
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "RECORD_LAYER_FAILURE"):
            return _of_portal("somebody answers in the server's place, without TLS")
        case _:
            return LinkError(f"TLS fails: {error.reason or error}", cure=Cure.NETWORK)


def _of_proxy(error: Exception, proxy: Proxy, server: str) -> LinkError:
    address = _address(proxy)
    match error:
        case InvalidProxyStatus():
            status = error.response.status_code
            advice = _PROXY_ANSWERS.get(status, "").format(variable=_variable(), server=server)
            cause = Cause.LOGIN if status == 511 else None
            return LinkError(f"the proxy {address} answers HTTP {status}", advice=advice, cause=cause)
        case InvalidProxyMessage(__cause__=EOFError()):
            return LinkError(f"the proxy {address} hung up without an answer")
        case InvalidProxyMessage():
            return LinkError(
                f"what answers at {address} is no HTTP proxy", advice=_NOT_FOR_TLS.format(variable=_variable())
            )
        case ImportError():
            advice = f"install the Python package python-socks, or name an HTTP proxy in {_variable()}"
            return LinkError(f"the SOCKS proxy {address} cannot be used: a library is missing", advice=advice)
        case _:
            return LinkError(f"the proxy {address} makes no connection to the server")


def _of_answer(error: Exception) -> LinkError:
    match error:
        # The library follows redirects within TLS; one that leads out of WebSockets ends as an invalid URI.
        case InvalidURI():
            return _of_portal(f"{_PORTAL}: it sends us elsewhere")
        case SecurityError() if "redirect" in str(error):
            return _of_portal(f"{_PORTAL}: it sends us elsewhere")
        case InvalidStatus():
            status = error.response.status_code
            if 200 <= status < 400 or status == 511:
                return _of_portal(f"{_PORTAL} (HTTP {status})")
            return LinkError(f"the server answers HTTP {status}", code=status)
        case InvalidMessage(__cause__=EOFError()):
            return LinkError("the server hung up without an answer")
        case _:
            return LinkError(f"the server does not speak the Live API ({type(error).__name__})")


def _of_portal(text: str) -> LinkError:
    return LinkError(text, cure=Cure.NETWORK, advice=_LOG_IN, cause=Cause.LOGIN)


def _address(proxy: Proxy) -> str:
    """Return where a proxy is, without the user name and the password that its URL may hold."""
    return f"[{proxy.host}]:{proxy.port}" if ":" in proxy.host else f"{proxy.host}:{proxy.port}"


def _variable() -> str:
    """Return the name of the environment's variable that names the proxy."""
    return next((name for name in _VARIABLES if os.environ.get(name)), "HTTPS_PROXY")
