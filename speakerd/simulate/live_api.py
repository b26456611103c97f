"""A stand-in for the Gemini Live API: a real server that any Live client can talk to."""

import asyncio
import contextlib
import http
import json
import os
import re
import ssl
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qs

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from speakerd.errors import SpeakerdError
from speakerd.simulate import certificate, refusals
from speakerd.simulate.connection import Connection, House
from speakerd.simulate.faults import Faults
from speakerd.simulate.handles import VALID_SECONDS, Handles
from speakerd.simulate.ledger import Answer, Ledger, WireEvent
from speakerd.simulate.line import Line
from speakerd.simulate.model import PRELUDE, Surroundings
from speakerd.simulate.post import Answer as HttpAnswer
from speakerd.simulate.post import Post
from speakerd.simulate.post import Request as HttpRequest
from speakerd.simulate.profiles import PROFILES
from speakerd.simulate.refusals import RefusedError
from speakerd.simulate.script import HANDSHAKE, Fault, Script
from speakerd.simulate.tokens import PREFIX, Tokens
from speakerd.simulate.voice import Voice

_PATH = re.compile(
    r"//?ws/google\.ai\.generativelanguage\.(v1|v1beta|v1alpha)\.GenerativeService\.BidiGenerateContent(Constrained)?"
)
"""One slash from LiteLLM, two from Google's own SDKs. The constrained path is `v1alpha` only."""

_TOKEN_PATH = re.compile(r"//?v1alpha/auth_tokens")


@dataclass(frozen=True, slots=True)
class LiveApiOptions:
    """Where the stand-in listens, and what it does."""

    directory: Path
    """Where the certificate, the events and all sound go; it is made where it is missing."""
    script: Script = field(default_factory=Script)
    host: str = "127.0.0.1"
    port: int = 0
    """For TLS; 0 is any that is free."""
    plain_port: int = 0
    keys: frozenset[str] | None = None
    """API keys, and tokens, that are good; None: all are."""
    names: tuple[str, ...] = ()
    """Further names and addresses under which clients may dial it."""
    keep: bool = True
    """Whether events and answers stay in memory; without, a run may last for weeks."""


class LiveApi:
    """Listen, serve, remember.

    ``async with LiveApi(options) as live:`` raises SpeakerdError where a port is taken, the directory cannot be
    written, or an answer cannot be spoken.
    """

    def __init__(self, options: LiveApiOptions) -> None:
        self._options = options
        self._port = options.port
        self._plain_port = options.plain_port
        self._connections = 0
        self._lines: weakref.WeakSet[Line] = weakref.WeakSet()
        self._servers: list[Server] = []
        self._retired: list[Server] = []
        faults = options.script.faults
        self._handshakes = Faults(fault for fault in faults if fault.do.verb in HANDSHAKE)
        self._faults = Faults(fault for fault in faults if fault.do.verb not in HANDSHAKE)
        self._over = asyncio.Event()
        self._tls: ssl.SSLContext
        self._house: House
        self.ledger: Ledger
        self.ca_file: Path

    async def __aenter__(self) -> Self:
        self._prepare_directory()
        try:
            await self._open()
        except BaseException:
            self.ledger.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await self.stop_listening()
        await asyncio.gather(*(line.end() for line in self._lines))
        for server in self._retired:
            await server.wait_closed()
        self.ledger.close()

    @property
    def url(self) -> str:
        """Return where it listens with TLS."""
        return f"https://{_bracketed(self._options.host)}:{self._port}"

    @property
    def plain_url(self) -> str:
        """Return where it listens without TLS."""
        return f"http://{_bracketed(self._options.host)}:{self._plain_port}"

    @property
    def events(self) -> list[WireEvent]:
        """Return everything that happened."""
        return self.ledger.events

    @property
    def answers(self) -> list[Answer]:
        """Return every answer that is over, in the order in which they ended."""
        return self.ledger.answers

    def heard(self, connection: int) -> bytes:
        """Return all sound that came over a connection, S16_LE mono at 16 kHz."""
        return self.ledger.heard(connection)

    async def wait_for(
        self,
        kind: str,
        *,
        count: int = 1,
        connection: int | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109  # whoever waits wants to read what happened instead
    ) -> WireEvent:
        """Return the ``count``-th event of a kind, past or future. Raise TimeoutError that lists what did happen."""
        return await self.ledger.wait_for(kind, count, connection, timeout)

    async def go_dark(self) -> None:
        """Vanish: refuse new connections and cut the open ones without a word."""
        await self.stop_listening()
        for line in self._lines:
            line.drop()
        self.ledger.note(0, "-", "dark", {})

    async def come_back(self) -> None:
        """Listen again, on the same ports."""
        await self.resume_listening()
        self.ledger.note(0, "-", "light", {})

    async def stop_listening(self) -> None:
        """Refuse new connections; those that are open stay."""
        for server in self._servers:
            server.close(close_connections=False)
        self._retired += self._servers
        self._servers.clear()
        # The servers close their sockets in a task of their own, which runs now.
        await asyncio.sleep(0)

    async def resume_listening(self) -> None:
        """Take new connections again, on the same ports. Raise SpeakerdError where a port is taken."""
        if self._servers:
            return
        tls = await self._listen(self._port, self._tls)
        self._servers.append(tls)
        self._port = _port_of(tls)
        plain = await self._listen(self._plain_port, None)
        self._servers.append(plain)
        self._plain_port = _port_of(plain)

    def misbehave(self, fault: Fault) -> None:
        """Take one more fault into the script while it runs; what it waits for is counted from now on."""
        (self._handshakes if fault.do.verb in HANDSHAKE else self._faults).add(fault)

    async def _open(self) -> None:
        options = self._options
        valid = VALID_SECONDS / options.script.clock
        around = Surroundings(options.script, Voice(), Handles(valid), self.ledger)
        await asyncio.to_thread(_rehearse, around.voice, options.script)
        tokens = Tokens(options.script.clock)
        self._house = House(around, self._faults, options.keys, tokens, self._dark_for)
        await self.resume_listening()

    def _prepare_directory(self) -> None:
        directory = self._options.directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.ledger = Ledger(directory, keep=self._options.keep)
            self.ca_file, self._tls = certificate.make(directory, self._options.host, *self._options.names)
        except OSError as error:
            raise SpeakerdError(
                f"{directory} cannot be written: {error.strerror}. Name another directory."
            ) from error

    async def _listen(self, port: int, tls: ssl.SSLContext | None) -> Server:
        host = self._options.host
        try:
            return await serve(
                self._serve,
                host,
                port,
                ssl=tls,
                # Declared as a class, called as a function.
                create_connection=cast("type[ServerConnection]", self._new_line),
                process_request=self._handshake,
                server_header=None,
                # A script may want the handshake to stall.
                open_timeout=None,
                ssl_handshake_timeout=10 if tls else None,
                # A dead client must be noticed some day, or its conversation could never be resumed.
                ping_interval=20,
                ping_timeout=60,
                close_timeout=2,
                max_size=16 << 20,
            )
        except OSError as error:
            await self.stop_listening()
            raise SpeakerdError(
                f"cannot listen on {host} port {port}: {os.strerror(error.errno) if error.errno else error}. "
                "If another program has the port, choose another one; 0 is any that is free."
            ) from error

    def _new_line(self, protocol: ServerProtocol, server: Server, **options: Any) -> Line:
        line = Line(protocol, server, **options)
        line.post = Post(self._make_token)
        self._lines.add(line)
        return line

    async def _serve(self, line: ServerConnection) -> None:
        assert isinstance(line, Line)
        await Connection(line, self._house).serve()

    async def _handshake(self, line: ServerConnection, request: Request) -> Response | None:
        assert isinstance(line, Line)
        self._connections += 1
        line.number = self._connections
        for fault in self._handshakes.due("open", line.number, None):
            do = fault.do
            if do.stall_handshake is not None:
                await self._wait(do.stall_handshake)
            if do.http is not None:
                self.ledger.note(line.number, "out", "refused", {"status": do.http})
                return line.respond(http.HTTPStatus(do.http), f"{do.http}\n")
        path = request.path.partition("?")[0]
        match = _PATH.fullmatch(path)
        if match is None or (match[1] != "v1alpha" and match[2]):
            self.ledger.note(line.number, "out", "refused", {"status": 404, "path": path})
            return line.respond(http.HTTPStatus.NOT_FOUND, "There is no such method.\n")
        return None

    def _make_token(self, request: HttpRequest) -> HttpAnswer:
        """Answer as `POST /v1alpha/auth_tokens` does."""
        path, _, query = request.target.partition("?")
        key = request.headers.get("x-goog-api-key", "") or parse_qs(query).get("key", [""])[0]
        keys = self._options.keys
        try:
            if not _TOKEN_PATH.fullmatch(path):
                return _refusal(404, "Not Found", "NOT_FOUND")
            if not key:
                return _refusal(403, refusals.no_key().reason, "PERMISSION_DENIED")
            if key.startswith(PREFIX) or (keys is not None and key not in keys):
                return _refusal(400, refusals.bad_key().reason, "INVALID_ARGUMENT")
            made = self._house.tokens.make(_json(request.body))
        except RefusedError as refused:
            return _refusal(400, refused.reason, "INVALID_ARGUMENT")
        self.ledger.note(0, "out", "minted", {"until": made["expireTime"]})
        return 200, dict(made)

    async def _dark_for(self, seconds: float) -> None:
        await self.go_dark()
        await self._wait(seconds)
        if not self._over.is_set():
            await self.come_back()

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until the stand-in ends."""
        with contextlib.suppress(TimeoutError):  # the time is up, which is what was waited for
            async with asyncio.timeout(seconds):
                await self._over.wait()


def _rehearse(voice: Voice, script: Script) -> None:
    """Prepare every answer, so that nobody waits for one later."""
    if script.profile and PROFILES[script.profile].says_twice:
        voice.say(PRELUDE)
    _ = script.vocabulary  # reads the recordings
    for answer in (*script.answers, *script.replies.values()):
        if isinstance(answer, str):
            voice.say(answer)
        else:
            voice.play(answer.wav)


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusals.not_json() from error


def _refusal(code: int, message: str, status: str) -> HttpAnswer:
    return code, {"error": {"code": code, "message": message, "status": status}}


def _port_of(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
