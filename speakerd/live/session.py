"""One connection to the Live API, from its dial to its end, through google-genai.

The only module of the daemon that knows the SDK: its exceptions end here, as ``LinkError``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import websockets.exceptions
from google import genai
from google.genai import errors, types

from speakerd.errors import LinkError, SpeakerdError
from speakerd.live.events import Event, ToolCall, events_of
from speakerd.live.setup import setup_of
from speakerd.live.token import Token, Tokens
from speakerd.live.trouble import UNUSABLE, trouble
from speakerd.live.wire import Wire
from speakerd.settings import Settings
from speakerd.yaml_file import LOOKS_LIKE_A_KEY

if TYPE_CHECKING:
    from google.genai.live import AsyncSession

log = logging.getLogger(__name__)

INPUT_MIME = "audio/pcm;rate=16000"

MAX_BAD_FRAMES = 100
"""Frames in a row that cannot be read before the connection is given up; no real one was ever seen to send two."""

_WEBSOCKET = {
    "ping_interval": 20,
    # The service answers pings up to 30 s late (https://github.com/aicc2025/sip-to-ai/issues/14).
    "ping_timeout": 60,
    "open_timeout": None,  # the whole of a dial has a limit, live.connect_timeout
    # A dead peer answers no close either; the daemon must be able to stop within two seconds.
    "close_timeout": 0.5,
    # Base64 of sound hardly compresses; deflate only costs time.
    "compression": None,
    # A server may put half a minute of sound into one frame; the default of 1 MiB would end the connection.
    "max_size": 8 << 20,
}


class Session:
    """An open connection. Sounds go out, events come in; it ends with ``LinkError``."""

    def __init__(
        self,
        session: AsyncSession,
        wire: Wire,
        expires_at: float,
        prepare: Callable[[], Awaitable[None]],
        *,
        local_turns: bool,
    ) -> None:
        self._local_turns = local_turns
        self._is_in_turn = False  # the server was told that somebody talks
        self._session = session
        self._wire = wire
        self._prepare = prepare
        self.expires_at = expires_at
        """When the server will end it, since its token is over, in seconds of the monotonic clock; or infinity."""

    def backlog(self) -> int:
        """Return how many bytes that were sent have not arrived."""
        return self._wire.backlog()

    def unsent(self) -> int:
        """Return how many bytes that were sent have not left this machine."""
        return self._wire.unsent()

    def discard(self) -> None:
        """End the connection without a word, and throw away what was sent and has not left this machine."""
        self._wire.discard()

    async def prepare_next(self) -> None:
        """Fetch now what the next dial would have to fetch, while this connection still serves.

        Where that fails, the next dial tries again and tells what is wrong.
        """
        with contextlib.suppress(LinkError):  # the next dial meets it again
            await self._prepare()

    async def send_audio(self, pcm: bytes) -> None:
        """Send sound of the room: S16_LE, mono, 16 kHz."""
        with self._ends_in_events():
            if self._local_turns and not self._is_in_turn:
                self._is_in_turn = True
                await self._session.send_realtime_input(activity_start=types.ActivityStart())
            await self._session.send_realtime_input(audio=types.Blob(data=pcm, mime_type=INPUT_MIME))

    async def end_audio(self) -> None:
        """Tell the server that no more sound comes for now."""
        with self._ends_in_events():
            if not self._local_turns:
                await self._session.send_realtime_input(audio_stream_end=True)
            elif self._is_in_turn:
                self._is_in_turn = False
                await self._session.send_realtime_input(activity_end=types.ActivityEnd())

    async def refuse(self, call: ToolCall) -> None:
        """Answer a function call that nobody here can serve, so that the model does not wait for ever."""
        answer = types.FunctionResponse(
            id=call.id, name=call.name, response={"error": f"there is no function {call.name!r} on this device"}
        )
        with self._ends_in_events():
            await self._session.send_tool_response(function_responses=[answer])

    async def events(self) -> AsyncIterator[Event]:
        """Yield what the server says for as long as the connection lives.

        Raises:
            LinkError: the connection has ended, however politely.
        """
        bad_frames = 0
        while True:  # the SDK's generator ends with every turn, and handles may follow a turn
            try:
                async for message in self._session.receive():
                    bad_frames = 0
                    for event in events_of(message):
                        yield event
            except errors.APIError as error:
                failure = _closed(error)
                if failure.code is not None and failure.code >= 1000:
                    raise failure from error
                complaint, code = (
                    f"the server reports an error and keeps the connection: {failure.code}",
                    failure.code,
                )
            except (TypeError, ValueError, AttributeError, RecursionError) as error:
                # A frame that the SDK cannot parse; the socket is still good and the next frame is whole.
                complaint = f"a message of the server makes no sense and is skipped ({type(error).__name__})"
                code = 1007
            else:
                continue
            if not bad_frames:
                log.warning("%s", complaint, extra={"event": "message-skipped"})
            bad_frames += 1
            if bad_frames >= MAX_BAD_FRAMES:
                raise LinkError(f"{bad_frames} messages in a row were of no use: {complaint}", code=code)

    @contextlib.contextmanager
    def _ends_in_events(self) -> Iterator[None]:
        # The receiving side learns of the same end, with code and reason; one report is enough.
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            yield


class Caller:
    """Dials the Live API: holds the SDK's client, which serves every connection of a key or a token."""

    def __init__(self, settings: Settings, secret: str) -> None:
        """Prepare to dial with ``secret``, which is as ``read_secret`` gives it; nothing is sent yet."""
        self._settings = settings
        self._wires: list[Wire] = []  # of the newest dial: one, and one more for each redirect
        self._client: genai.Client
        self._token: Token | None = None
        self._tokens = Tokens(settings.live.token, secret) if settings.live.token.given else None
        if self._tokens is None:
            self._client = self._new_client(secret, settings.live.api_version)
        else:  # the SDK says at each dial that it may change; we notice by our tests
            warnings.filterwarnings("ignore", "The SDK's ephemeral token support", errors.ExperimentalWarning)

    @contextlib.asynccontextmanager
    async def dial(self, handle: str | None = None) -> AsyncIterator[Session]:
        """Open a connection and hang up at the end; ``handle`` resumes an earlier conversation.

        Raises:
            LinkError: it cannot be opened, or not within ``live.connect_timeout``; or there is no token for it.
        """
        if self._tokens is None:
            async with self._opened(handle, float("inf")) as session:
                yield session
            return
        token, fresh = await self._tokens.take()
        await self._use(token)
        was_up = False
        try:
            async with self._opened(handle, token.expires_at) as session:
                was_up = True
                yield session
        except LinkError as error:
            if judged := self._tokens.judge(token, error, fresh=fresh, was_up=was_up):
                raise judged from error
            raise

    @contextlib.asynccontextmanager
    async def _opened(self, handle: str | None, expires_at: float) -> AsyncIterator[Session]:
        settings, limit = self._settings, self._settings.live.connect_timeout
        setup = types.LiveConnectConfig.model_validate(setup_of(settings, handle))
        self._wires.clear()
        async with contextlib.AsyncExitStack() as stack:
            connection = self._client.aio.live.connect(model=settings.assistant.model, config=setup)
            try:
                async with asyncio.timeout(limit):  # the SDK itself waits for ever
                    session = await stack.enter_async_context(connection)
            except errors.APIError as error:
                raise _closed(error) from error
            except websockets.exceptions.ConnectionClosed as error:  # before the setup was out
                raise _ended(
                    error.rcvd.code if error.rcvd else 1006, error.rcvd.reason if error.rcvd else ""
                ) from error
            except UNUSABLE as error:
                if isinstance(error, TimeoutError) and any(wire.was_open for wire in self._wires):
                    raise LinkError(f"the server does not answer our setup within {limit:g} s", code=1006) from error
                raise trouble(error, limit, settings.live.base_url) from error
            if session.setup_complete is None:
                raise LinkError("the server's first message is not the answer to our setup", code=1007)
            local_turns = settings.listen.turns == "local"
            yield Session(session, self._wires[-1], expires_at, self._prepare, local_turns=local_turns)

    async def _prepare(self) -> None:
        if self._tokens is not None:
            token, _ = await self._tokens.take()
            await self._use(token)

    async def _use(self, token: Token) -> None:
        """Have a client for this token; the SDK fixes a client's secret when it is made."""
        if self._token is token:
            return
        # In a thread, for it reads every certificate of the machine. v1alpha is the one version that takes tokens.
        try:
            client = await asyncio.to_thread(self._new_client, token.name, "v1alpha")
        except SpeakerdError as error:  # what could be done at the start may be impossible by now
            raise LinkError(str(error), advice="look at SSL_CERT_FILE and the proxy variables") from error
        old = self._client if self._token is not None else None
        self._client, self._token = client, token
        if old is not None:
            old.close()
            await old.aio.aclose()

    def _new_client(self, secret: str, version: str) -> genai.Client:
        return _client(
            api_key=secret,
            vertexai=False,  # or the environment could turn it into another service
            http_options=types.HttpOptions(
                api_version=version,
                base_url=self._settings.live.base_url,
                # Nothing but WebSockets is used, which find their proxy themselves; the HTTP clients that come along
                # with the SDK would refuse proxies that WebSockets can use, with the password in the text.
                client_args={"trust_env": False},
                async_client_args={**_WEBSOCKET, "trust_env": False, "create_connection": self._connected},
            ),
        )

    def _connected(self, *arguments: Any, **named: Any) -> Wire:
        self._wires.append(Wire(*arguments, **named))
        return self._wires[-1]


def _client(**named: Any) -> genai.Client:
    try:
        return genai.Client(**named)
    except (OSError, ValueError, ImportError) as error:
        text = (
            f"the network cannot be set up ({error}); look at SSL_CERT_FILE and the proxy variables (HTTPS_PROXY …)"
        )
        raise SpeakerdError(text) from error


def _closed(error: errors.APIError) -> LinkError:
    return _ended(error.code, error.details if isinstance(error.details, str) else str(error.details or ""))


def _ended(code: int, reason: str) -> LinkError:
    if code == 1006:
        return LinkError("the connection broke off", code=code)
    reason = LOOKS_LIKE_A_KEY.sub("(a secret)", reason)  # a server might repeat what it refuses
    return LinkError(f"the server ended the connection ({code} {reason.strip()})", code=code, reason=reason)
