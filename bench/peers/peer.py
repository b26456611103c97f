"""The programs that are compared: how each is started, and what one should know about it. Data, not code."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from speakerd.settings import Settings

HERE = Path(__file__).parent

MODEL = Settings().assistant.model
"""Everybody asks for the same model."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that holds a conversation.

    ``script`` and ``words`` follow ``python``; the script is beside this file, and its packages are those of
    ``requirements/NAME.txt``. Without a script it is speakerd itself, in the present environment. ``distribution`` is
    the package whose version is told.
    """

    name: str
    title: str
    distribution: str
    script: str | None
    words: tuple[str, ...] = ()
    about: str = ""
    needs_portaudio: bool = False


PEERS = (
    Peer(
        "speakerd",
        "speakerd",
        "speakerd",
        None,
        about="as delivered: echo canceller and voice gate on; only card, volume and server are set. It sends the "
        "beginning of a word late, with what came before it, once it knows that it is one: hence its p95 to the wire",
    ),
    Peer(
        "minimal",
        "minimal example",
        "google-genai",
        "minimal.py",
        (MODEL,),
        about="Google's microphone example, written anew, with pyalsaaudio in place of PyAudio",
    ),
    Peer(
        "pipecat",
        "Pipecat",
        "pipecat-ai",
        "through_pipecat.py",
        (MODEL,),
        about="GeminiLiveLLMService between its LocalAudioTransport (PyAudio)",
        needs_portaudio=True,
    ),
    Peer(
        "livekit",
        "LiveKit Agents",
        "livekit-agents",
        "through_livekit.py",
        ("console",),
        about="google.realtime.RealtimeModel in console mode (sounddevice), which brings an echo canceller",
        needs_portaudio=True,
    ),
    Peer(
        "vision",
        "Vision Agents",
        "vision-agents",
        "through_vision.py",
        (MODEL,),
        about="gemini.Realtime with the local edge (sounddevice) in place of the service that it is made for",
        needs_portaudio=True,
    ),
)


def command(peer: Peer, url: str, directory: Path) -> list[str]:
    """Write what settings a peer needs to ``directory``; return the words that follow ``python``."""
    if peer.script is not None:
        return [str(HERE / peer.script), *peer.words]
    file = directory / "speakerd.yaml"
    wanted = {
        "live": {"base_url": url},
        "microphone": {"device": "mic"},
        # As loud as the others, who have no volume.
        "speaker": {"device": "speaker", "volume": 100},
    }
    file.write_text(yaml.safe_dump(wanted))
    return ["-m", "speakerd", "run", "--config", str(file)]
