"""A plain HTTP request that comes to a port for WebSockets: the one that asks for a token."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11

LONGEST = 1 << 20
"""Bytes of a request; a setup with tools is far shorter."""

SERVED = b"POST "
"""How a request begins that is not for WebSockets, which begin with GET."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    target: str
    headers: dict[str, str]
    """Names in small letters."""
    body: bytes


Answer = tuple[int, dict[str, Any]]
"""A status, and a JSON object."""


class Post:
    """Reads one request, piece by piece, and returns its answer when it is whole."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self._answer = answer
        self._http = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = b""

    def receive(self, data: bytes) -> bytes | None:
        """Return the bytes of the answer, after which the connection is over; None while the request is not whole."""
        try:
            self._http.receive_data(data)
            return self._read()
        except h11.RemoteProtocolError as error:
            return self._written(error.error_status_hint, {"error": {"code": error.error_status_hint}})

    def _read(self) -> bytes | None:
        while True:
            match event := self._http.next_event():
                case h11.Request():
                    self._head = event
                case h11.Data():
                    self._body += event.data
                    if len(self._body) > LONGEST:
                        raise h11.RemoteProtocolError("too long", error_status_hint=413)
                case h11.EndOfMessage():
                    return self._written(*self._answer(self._request()))
                case _:
                    return None

    def _request(self) -> Request:
        assert self._head is not None
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in self._head.headers}
        return Request(self._head.target.decode("ascii"), headers, self._body)

    def _written(self, status: int, answer: dict[str, Any]) -> bytes:
        body = json.dumps(answer, indent=2).encode() + b"\n"
        headers = [
            ("Content-Type", "application/json; charset=UTF-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        pieces = (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
        return b"".join(self._http.send(piece) or b"" for piece in pieces)
