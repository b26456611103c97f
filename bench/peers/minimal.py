"""The example that everybody begins with: google-genai, PyAudio, and four tasks round two queues.

Written anew from what Google publishes of it (https://ai.google.dev/gemini-api/docs/live-guide, and the quickstart of
its cookbook): one task listens, one sends, one receives, one plays, all through the default devices. As there, all
that waits to be played is thrown away whenever a turn ends, which an interruption does, too; and what the loudspeaker
already holds plays out. Run as a script, in an environment of its own.
"""

import asyncio
import sys
from typing import Any

import pyaudio
from google import genai

MODEL = sys.argv[1]
SEND_RATE, RECEIVE_RATE = 16_000, 24_000
CHUNK = 1024
"""Frames that are read and sent in one go."""


async def converse() -> None:
    """Hold one conversation for as long as the connection lives."""
    sound = pyaudio.PyAudio()
    heard: asyncio.Queue[bytes] = asyncio.Queue(maxsize=5)
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen() -> None:
        microphone = await asyncio.to_thread(
            sound.open, SEND_RATE, 1, pyaudio.paInt16, input=True, frames_per_buffer=CHUNK
        )
        while True:
            await heard.put(await asyncio.to_thread(microphone.read, CHUNK, exception_on_overflow=False))

    async def send() -> None:
        while True:
            await session.send_realtime_input(audio={"data": await heard.get(), "mime_type": "audio/pcm;rate=16000"})

    async def receive() -> None:
        while True:
            async for message in session.receive():  # one turn
                if message.server_content and message.server_content.model_turn:
                    for part in message.server_content.model_turn.parts or ():
                        if part.inline_data and part.inline_data.data:
                            said.put_nowait(part.inline_data.data)
            while not said.empty():
                said.get_nowait()

    async def play() -> None:
        speaker = await asyncio.to_thread(sound.open, RECEIVE_RATE, 1, pyaudio.paInt16, output=True)
        while True:
            await asyncio.to_thread(speaker.write, await said.get())

    config: Any = {"response_modalities": ["AUDIO"]}
    async with genai.Client().aio.live.connect(model=MODEL, config=config) as session, asyncio.TaskGroup() as tasks:
        for task in (listen, send, receive, play):
            tasks.create_task(task())


if __name__ == "__main__":
    asyncio.run(converse())
