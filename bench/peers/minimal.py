"""The example that everybody begins with: google-genai, a microphone, a loudspeaker, and four tasks.

Written anew from what Google's guide to the Live API says of it (https://ai.google.dev/gemini-api/docs/live-guide):
one task listens, one sends, one receives, one plays; an interruption empties the queue of what is to be played. The
guide takes PyAudio; this takes pyalsaaudio, which is nearer to the same ALSA. Run as a script.
"""

import asyncio
import sys
from typing import Any

import alsaaudio
from google import genai

MODEL = sys.argv[1]
SEND_RATE, RECEIVE_RATE = 16_000, 24_000
CHUNK = 1024
"""Frames that are read and sent in one go."""


def open_pcm(kind: int, device: str, rate: int) -> Any:
    """Open a device for mono S16_LE."""
    return alsaaudio.PCM(
        type=kind,
        device=device,
        rate=rate,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=CHUNK,
        periods=4,
    )


async def converse() -> None:
    """Hold one conversation for as long as the connection lives."""
    heard: asyncio.Queue[bytes] = asyncio.Queue(maxsize=5)
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen() -> None:
        microphone = await asyncio.to_thread(open_pcm, alsaaudio.PCM_CAPTURE, "mic", SEND_RATE)
        while True:
            frames, pcm = await asyncio.to_thread(microphone.read)
            if frames > 0:
                await heard.put(pcm)

    async def send() -> None:
        while True:
            await session.send_realtime_input(audio={"data": await heard.get(), "mime_type": "audio/pcm;rate=16000"})

    async def receive() -> None:
        while True:
            async for message in session.receive():
                content = message.server_content
                if content and content.model_turn:
                    for part in content.model_turn.parts or ():
                        if part.inline_data and part.inline_data.data:
                            said.put_nowait(part.inline_data.data)
                if content and content.interrupted:
                    while not said.empty():
                        said.get_nowait()

    async def play() -> None:
        speaker = await asyncio.to_thread(open_pcm, alsaaudio.PCM_PLAYBACK, "speaker", RECEIVE_RATE)
        while True:
            pcm = await said.get()
            while await asyncio.to_thread(speaker.write, pcm) < 0:  # it had run empty, and took nothing
                pass

    config: Any = {"response_modalities": ["AUDIO"]}
    async with genai.Client().aio.live.connect(model=MODEL, config=config) as session, asyncio.TaskGroup() as tasks:
        for task in (listen, send, receive, play):
            tasks.create_task(task())


if __name__ == "__main__":
    asyncio.run(converse())
