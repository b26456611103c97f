"""What the running speaker says of itself when it is asked; between programs it is JSON on one line."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from speakerd.errors import SpeakerdError
from speakerd.host.usage_file import Day
from speakerd.turns import Totals, Turn


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The connection: ``seconds`` is how long there has been this one, or none; the handle is the conversation's."""

    up: bool
    seconds: float
    trouble: str | None
    handle_seconds: float | None


OwnVoice: TypeAlias = Literal["cancel", "half-duplex", "off"]
"""What is done about our own voice in what the microphone hears: see ``sound/echo.py``."""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A sound device; ``closed`` is on purpose, ``away`` is not, and ``trouble`` says why it is."""

    name: str
    use: Literal["open", "closed", "away"]
    trouble: str | None
    xruns: int


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The daemon's process; its memory is what it holds of the machine's (RSS)."""

    pid: int
    seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """All of it, at one moment. Times are lengths in seconds up to that moment, so that no clock has to be right.

    ``to_do`` is what a person must do, if anything. ``panel`` has each part that there is with what is wrong with it,
    None where nothing is. ``counted_seconds`` is how long turns, stalls, bytes and the like have been counted: since
    the start, or since the settings were read last.
    """

    state: str
    state_seconds: float
    to_do: str | None
    muted: bool
    link: LinkStatus
    microphone: DeviceStatus
    loudspeaker: DeviceStatus
    own_voice: OwnVoice
    panel: dict[str, str | None]
    last_turn: Turn | None
    totals: Totals
    counted_seconds: float
    today: Day
    versions: dict[str, str]
    process: ProcessStatus

    @classmethod
    def of(cls, text: str) -> Status:
        """Return the status that a daemon has sent.

        Raises:
            SpeakerdError: it is of another version than we are.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            parts = {
                "link": LinkStatus(**told["link"]),
                "microphone": DeviceStatus(**told["microphone"]),
                "loudspeaker": DeviceStatus(**told["loudspeaker"]),
                "last_turn": told["last_turn"] and Turn(**told["last_turn"]),
                "totals": Totals(**told["totals"] | {"stalls": Counter(told["totals"]["stalls"])}),
                "today": Day(**told["today"]),
                "process": ProcessStatus(**told["process"]),
            }
            return cls(**told | parts)
        except (ValueError, KeyError, TypeError) as error:
            raise SpeakerdError(
                "the running daemon is of another version than this command; sudo systemctl restart speakerd helps"
            ) from error

    def as_json(self) -> str:
        """Return it as JSON on one line."""
        return json.dumps(self, default=_fields, ensure_ascii=False)


def _fields(part: Any) -> dict[str, Any]:
    # dataclasses.asdict() would make a count of tuples of a Counter.
    return {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
