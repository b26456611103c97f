"""The two programs that are measured against each other: how each is told where everything is."""

import enum
import json
from pathlib import Path

import yaml

from speakerd.live.setup import setup_of
from speakerd.settings import Settings


class Program(enum.StrEnum):
    """What is measured."""

    SPEAKERD = "speakerd"
    CONTROL = "control"


CONTROL = Path(__file__).with_name("control.py")

# The daemon's own: without compression, as base64 of sound hardly shrinks and the time would be the control's loss.
SOCKET = {"ping_interval": 20, "ping_timeout": 60, "compression": None, "max_size": 8 << 20}


def command(program: Program, url: str, directory: Path) -> list[str]:
    """Write a program's settings to ``directory``; return the words that follow ``python`` to start it."""
    if program is Program.SPEAKERD:
        file = directory / "speakerd.yaml"
        wanted = {
            "live": {"base_url": url},
            "microphone": {"device": "mic"},
            "speaker": {"device": "speaker", "volume": 100},
            # The control has no ear either; what that costs is measured by itself.
            "echo": {"mode": "off"},
            "listen": {"gate": "off"},
        }
        file.write_text(yaml.safe_dump(wanted))
        return ["-m", "speakerd", "run", "--config", str(file)]
    settings = Settings()
    file = directory / "control.json"
    http_options = {"base_url": url, "api_version": settings.live.api_version, "async_client_args": SOCKET}
    wishes = {"http_options": http_options, "model": settings.assistant.model, "setup": setup_of(settings, None)}
    file.write_text(json.dumps(wishes))
    return [str(CONTROL), str(file)]
