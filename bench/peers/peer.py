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
    the package whose version is told; an example has none of its own, and is told to be ``on`` that package.
    """

    name: str
    title: str
    distribution: str
    script: str | None
    words: tuple[str, ...] = ()
    about: str = ""
    on: bool = False

    def heading(self, version: str) -> str:
        """Return how it is called where the version of its package is told as well."""
        return f"{self.title} on {self.distribution} {version}" if self.on else f"{self.title} {version}"


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
        about="what Google publishes as the Live API's example in Python, written anew from its description: "
        "google-genai, PyAudio, four tasks, and a queue of sound that is emptied when a turn ends; it has no version",
        on=True,
    ),
    Peer(
        "pipecat",
        "Pipecat",
        "pipecat-ai",
        "through_pipecat.py",
        (MODEL,),
        about="GeminiLiveLLMService between its LocalAudioTransport (PyAudio), which has no echo canceller; "
        "mostly it is used behind browsers, which have one",
    ),
    Peer(
        "livekit",
        "LiveKit Agents",
        "livekit-agents",
        "through_livekit.py",
        ("console",),
        about="google.realtime.RealtimeModel in console mode (sounddevice), which brings an echo canceller",
    ),
    Peer(
        "vision",
        "Vision Agents",
        "vision-agents",
        "through_vision.py",
        (MODEL,),
        about="gemini.Realtime with the local edge (sounddevice), which has no echo canceller, in place of the "
        "service that it is made for; its devices are told their rates, 16 and 24 kHz",
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
