"""What a dial that failed says about the network, in plain words; pure."""

import os
import socket
import ssl

import websockets.exceptions

from speakerd.errors import Cure, LinkError

UNUSABLE = (
    OSError,
    websockets.exceptions.WebSocketException,
    ImportError,  # a SOCKS proxy in the environment asks for a library
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)
"""What a network, a proxy or a server that speaks something else makes of a dial."""


def trouble(error: Exception, limit: float) -> LinkError:
    """Return what to make of ``error``, which ended a dial that might take ``limit`` seconds."""
    unreachable = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
    return LinkError(_words(error, limit), cure=Cure.NETWORK if unreachable else None)


def _words(error: Exception, limit: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer from the server within {limit:g} s"
        case socket.gaierror():
            return "the server's name is not found (no internet, or no DNS)"
        case ssl.SSLCertVerificationError():
            return f"the server's certificate is not to be trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS fails: {error.reason or error}"
        case OSError(errno=int(number)):
            return f"the server cannot be reached: {os.strerror(number)}"
        case OSError():
            return f"the server cannot be reached: {error}"
        case ImportError():
            return f"the proxy in the environment cannot be used: {error}"
        case _:
            return f"the server does not speak the Live API ({type(error).__name__})"
