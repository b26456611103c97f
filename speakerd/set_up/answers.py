"""What `speakerd setup` is told, by options or by a person."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speakerd.errors import SpeakerdError
from speakerd.live.key import LONGEST, clean_key

NO_BOARD = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """None is no answer: what is in force stays. Devices are ALSA's names, pins are GPIO numbers."""

    key: str | None = None
    microphone: str | None = None
    loudspeaker: str | None = None
    board: str | None = None
    button: int | None = None
    light: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What of the answers are settings, as sections of speakerd.yaml."""
        panel = {
            "board": None if self.board == NO_BOARD else self.board,
            "mute_button": {"pin": self.button},
            "led": {"pin": self.light},
        }
        given = {
            "board": self.board is not None,
            "mute_button": self.button is not None,
            "led": self.light is not None,
        }
        sections: dict[str, Any] = {
            "microphone": {"device": self.microphone} if self.microphone is not None else {},
            "speaker": {"device": self.loudspeaker} if self.loudspeaker is not None else {},
            "panel": {name: value for name, value in panel.items() if given[name]},
        }
        return {name: section for name, section in sections.items() if section}


def given_key(path: str | None) -> str | None:
    """Return the API key in a file, ``-`` for standard input; None for None.

    Raises:
        SpeakerdError: the file cannot be read, or holds no key. The text never holds what is in it.
    """
    if path is None:
        return None
    try:
        if path == "-":
            raw = sys.stdin.buffer.read(4 * LONGEST)
        else:
            with Path(path).open("rb") as file:
                raw = file.read(4 * LONGEST)
    except OSError as error:
        raise SpeakerdError(f"the key cannot be read from {path}: {error.strerror}") from error
    return clean_key(raw.decode("ascii", "replace"), "standard input" if path == "-" else path)
