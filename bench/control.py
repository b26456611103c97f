"""The least that can hold a conversation, on the same SDK, the same ALSA, the same model and the same socket options.

It reads a period, sends it, and plays what comes; an interruption empties its queue, as in Google's own examples. It
has no light, no settings, no reconnection, no pre-buffer and no defence against anything. Run as a script, with the
JSON file that ``bench.programs`` writes.
"""

import asyncio
import json
import queue
import sys
import threading
from pathlib import Path
from typing import Any

import alsaaudio
from google import genai
from google.genai import types


def open_pcm(kind: int, device: str, rate: int) -> Any:
    """Open a device for mono S16_LE, in periods of 20 ms and a buffer of 160 ms."""
    return alsaaudio.PCM(
        type=kind,
        device=device,
        rate=rate,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=rate // 50,
        periods=8,
    )


async def converse(wishes: dict[str, Any]) -> None:
    """Hold one conversation for as long as the process lives."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    microphone = open_pcm(alsaaudio.PCM_CAPTURE, "mic", 16_000)
    speaker = open_pcm(alsaaudio.PCM_PLAYBACK, "speaker", 24_000)

    def listen() -> None:
        while True:
            frames, pcm = microphone.read()
            if frames > 0:
                loop.call_soon_threadsafe(heard.put_nowait, pcm)

    def talk() -> None:
        while True:
            pcm = said.get()
            while speaker.write(pcm) < 0:  # it had run empty, and took nothing
                pass

    async def send() -> None:
        while True:
            blob = types.Blob(data=await heard.get(), mime_type="audio/pcm;rate=16000")
            await session.send_realtime_input(audio=blob)

    async def receive() -> None:
        while True:
            async for message in session.receive():
                if message.data:
                    said.put(message.data)
                if message.server_content and message.server_content.interrupted:
                    while not said.empty():
                        said.get()

    client = genai.Client(http_options=types.HttpOptions.model_validate(wishes["http_options"]))
    async with client.aio.live.connect(model=wishes["model"], config=wishes["setup"]) as session:
        for work in (listen, talk):
            threading.Thread(target=work, daemon=True).start()
        await asyncio.gather(send(), receive())


if __name__ == "__main__":
    asyncio.run(converse(json.loads(Path(sys.argv[1]).read_text())))
