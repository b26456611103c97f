"""Ask one question through LiteLLM, which speaks OpenAI's protocol to its client and its own Gemini code to us.

Usage: through_litellm.py URL QUESTION.raw ANSWER.raw (24 kHz S16_LE mono, both)
"""

import asyncio
import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import websockets.exceptions  # noqa: F401  # LiteLLM takes it for granted that its proxy has loaded them
from litellm.realtime_api.main import _arealtime  # type: ignore[import-not-found]  # is in its own environment

CHUNK = 1920
"""Bytes in 40 ms."""


class Client:
    """LiteLLM's client: what it reads from here is the question, what it writes here the answer."""

    headers: Mapping[str, str] = MappingProxyType({})
    query_params: Mapping[str, str] = MappingProxyType({})

    def __init__(self, question: bytes) -> None:
        starts = range(0, len(question), CHUNK)
        self._question = [question[start : start + CHUNK] for start in starts]
        self._done = asyncio.Event()
        self.sound = b""
        self.kinds: list[str] = []

    async def receive_text(self) -> str:
        """Return the next event of the client; after the answer the client is gone."""
        if self._question:
            audio = base64.b64encode(self._question.pop(0)).decode()
            return json.dumps({"type": "input_audio_buffer.append", "audio": audio})
        await self._done.wait()
        raise ConnectionError("the client has what it wanted")

    async def send_text(self, text: str) -> None:
        """Take an event for the client."""
        event = json.loads(text)
        self.kinds.append(event["type"])
        if event["type"] in {"response.audio.delta", "response.output_audio.delta"}:
            self.sound += base64.b64decode(event["delta"])
        if event["type"] in {"response.done", "error"}:
            self._done.set()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Take it that LiteLLM has hung up."""
        self._done.set()


async def main(url: str, question: Path, answer: Path) -> None:
    """Ask, and write the answer."""
    client = Client(question.read_bytes())
    async with asyncio.timeout(60):
        await _arealtime("gemini/gemini-3.8-live", client, api_base=url, api_key="test-key")
    if not client.sound:
        sys.exit(f"no sound came; events: {client.kinds}")
    answer.write_bytes(client.sound)


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
