"""The events that the journal knows: their ids, and what each means and asks for, in words."""

import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("events.yaml")

_ID = re.compile(r"^([a-z-]+):\n  id: ([0-9a-f]{32})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Kind:
    """An event: its words are for an owner without a screen.

    ``title`` and ``meaning`` may name fields as ``{name}``; ``fields`` says of each field what it is, in which unit.
    """

    id: str
    level: tuple[str, ...]
    title: str
    meaning: str
    do: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@functools.cache
def message_ids() -> dict[str, str]:
    """Return the MESSAGE_ID of each event, 32 hexadecimal digits.

    The daemon needs no more than these before it is ready, so they are read without the rest: as YAML the file takes
    25 ms here and ten times that on a Raspberry Pi Zero 2 W, this way a fraction of one.
    """
    return dict(_ID.findall(FILE.read_text(encoding="utf-8")))


@functools.cache
def kinds() -> dict[str, Kind]:
    """Return all that is known of each event."""
    import yaml

    known: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: _kind(about) for name, about in known.items()}


def _kind(about: dict[str, Any]) -> Kind:
    words = {name: about[name].strip() for name in ("title", "meaning", "do") if name in about}
    return Kind(id=about["id"], level=tuple(about["level"]), fields=about.get("fields", {}), **words)
