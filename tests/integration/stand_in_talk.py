"""What the scenes with the stand-in Live API share: human speech, short answers, and a client of plain sockets."""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script
from speakerd.simulate.voice import Voice

SPEECH = Path("/usr/share/pocketsphinx/test/data")
"""Recorded people, from the Debian package pocketsphinx-testdata; 16 kHz S16_LE mono."""

QUESTION = (SPEECH / "goforward.raw").read_bytes()
"""Somebody says: go forward ten meters; 1.9 s of speech."""

SILENCE = bytes(32_000)
"""A second of nothing, longer than what ends a turn."""

CHUNK = 1280
"""Bytes in 40 ms."""

ANSWERS = ("Seven o'clock.", "Two eggs.", "Milk and bread.")
"""Short, so that scenes are: a turn lasts until its answer would have been played."""

FAST: dict[str, Any] = {"answers": ANSWERS, "pace": 50, "thinking": 0.02}

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=test-key"

MODEL = "gemini-3.8-live"


def spoken(text: str) -> bytes:
    """Return what an answer sounds like, from a voice of the scene's own."""
    return Voice().say(text).pcm


@contextlib.asynccontextmanager
async def stand_in(directory: Path, *, keys: frozenset[str] | None = None, **script: Any) -> AsyncIterator[LiveApi]:
    """Run a stand-in that is told ``script`` on top of being fast."""
    told = Script.model_validate(FAST | script)
    async with LiveApi(LiveApiOptions(directory=directory, script=told, keys=keys)) as live:
        yield live


class Caller:
    """A client that speaks the protocol by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def call(
        cls, live: LiveApi, path: str = PATH, *, secure: bool = False, **options: Any
    ) -> AsyncIterator[Self]:
        """Open a connection, with TLS or without."""
        if secure:
            options["ssl"] = ssl.create_default_context(cafile=str(live.ca_file))
        url = live.url if secure else live.plain_url
        async with connect(url.replace("http", "ws", 1) + path, **options) as socket:
            yield cls(socket)

    async def set_up(self, model: str = MODEL, **setup: Any) -> None:
        """Send a setup and wait until it is accepted."""
        await self.send({"setup": {"model": f"models/{model}"} | setup})
        await self.until("setupComplete")

    async def send(self, message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def say(self, pcm: bytes) -> None:
        """Send sound in pieces of 40 ms, as fast as it goes."""
        for start in range(0, len(pcm), CHUNK):
            data = base64.urlsafe_b64encode(pcm[start : start + CHUNK]).decode()
            await self.send({"realtime_input": {"audio": {"data": data, "mime_type": "audio/pcm;rate=16000"}}})

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(10):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        self.messages.append(message)
        return message

    async def until(self, key: str, *, count: int = 1) -> dict[str, Any]:
        """Read until a message has ``key``, at its top or in its serverContent; return that message."""
        while True:
            message = await self.receive()
            if key in message or key in message.get("serverContent", {}):
                count -= 1
                if not count:
                    return message

    async def closed(self) -> tuple[int, str]:
        """Read to the end; return how the server closed the connection."""
        async with asyncio.timeout(10):
            await self.socket.wait_closed()
        return self.socket.close_code or 0, self.socket.close_reason or ""

    @property
    def kinds(self) -> list[str]:
        """Return what came, one word each: the order of messages, with runs of sound as one."""
        kinds: list[str] = []
        for message in self.messages:
            for kind in _kinds(message):
                if kinds[-1:] != [kind]:
                    kinds.append(kind)
        return kinds


def sound_of(messages: list[dict[str, Any]]) -> bytes:
    """Return all sound in these messages."""
    parts = [
        part
        for message in messages
        for part in message.get("serverContent", {}).get("modelTurn", {}).get("parts", [])
        if "inlineData" in part
    ]
    return b"".join(base64.b64decode(part["inlineData"]["data"], validate=True) for part in parts)


def _kinds(message: dict[str, Any]) -> list[str]:
    content = message.get("serverContent")
    if content is None:
        return [f"voiceActivity:{message[kind]['type']}" if kind == "voiceActivity" else kind for kind in message]
    parts = content.get("modelTurn", {}).get("parts", [])
    kinds = ["thought" if "text" in part else "audio" for part in parts]
    return kinds + [key for key in content if key != "modelTurn"] + [key for key in message if key != "serverContent"]
