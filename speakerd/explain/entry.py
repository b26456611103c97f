"""A line of the journal, as ``journalctl --output=json`` prints it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from speakerd.yaml_file import LOOKS_LIKE_A_KEY

_PREFIX = "SPEAKERD_"

_OF_SYSTEMD = ("UNIT_RESULT", "EXIT_STATUS")
"""Fields of systemd's own messages about a unit (sd-messages.h; systemd.journal-fields(7))."""

SYSTEMD = {
    "98e322203f7a4ed290d09fe03c09fe15": "unit-exit",
    "d9b373ed55a64feb8242e02dbe79a49c": "unit-result",
    "be02cf6855d2428ba40df7e9d022f03d": "unit-failed",
    "fe6faa94e7774663a0da52717891d8ef": "out-of-memory",
    "d989611b15e44c9dbf31e3c81256e4ed": "out-of-memory",
    "98268866d1d54a499c4e98921d93bc40": "shutdown",
    "d93fb3c9c24d451a97cea615ce59c00b": "journal-stopped",
}
"""Names for systemd's own messages, by MESSAGE_ID (sd-messages.h)."""

_OF_THE_DAEMON = ("", "ExecStart")
"""Whose end is the service's (COMMAND=); the programs of a reload come and go beside it."""

_SPOKEN = frozenset({"transcript-heard", "transcript-said"})
"""What was said in the room is not looked at, even where the owner lets the journal have it."""

_BEYOND_REASON = 1e9
"""Whoever may write to the journal may write anything; speakerd counts no milliseconds beyond eleven days."""

_END_OF_TIME = 253_402_214_400.0
"""Seconds since 1970 up to the last day of the year 9999, the last that systemd can show (its time-util.h)."""

_Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """What was told at a moment; ``at`` is in seconds since 1970.

    ``event`` is one of ours or one of ``SYSTEMD``, and empty for a line that is for people only.
    """

    at: float
    text: str = ""
    event: str = ""
    boot: str = ""
    priority: int = 6
    fields: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str) -> float | None:
        """Return a field as a number, None where it is missing, is none, or is beyond reason."""
        try:
            value = float(self.fields[name])
        except (KeyError, ValueError):
            return None
        return value if 0 <= value < _BEYOND_REASON else None

    def says(self, **fields: str) -> bool:
        """Say whether these fields are there with these values."""
        return fields.items() <= self.fields.items()


def parse(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries, each once; what is no entry is left out."""
    seen: set[str] = set()
    for line in lines:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            continue
        entry = _entry(content) if isinstance(content, dict) else None
        if entry is None or entry.event in _SPOKEN:
            continue
        cursor = _text(content.get("__CURSOR"))
        if cursor not in seen:
            seen |= {cursor} - {""}
            yield entry


def _entry(content: _Json) -> Entry | None:
    try:
        at = int(_text(content.get("__REALTIME_TIMESTAMP"))) / 1e6
    except (ValueError, OverflowError):
        return None
    if not 0 <= at < _END_OF_TIME:
        return None
    priority = _text(content.get("PRIORITY"))
    names = [name for name in content if name.startswith(_PREFIX) or name in _OF_SYSTEMD]
    # Whoever may log may set these, and some are shown as they are: the state, or what a person should do.
    fields = {name.removeprefix(_PREFIX).lower(): _printable(_text(content[name])) for name in names}
    event = fields.pop("event", "") or SYSTEMD.get(_text(content.get("MESSAGE_ID")), "")
    if event == "unit-exit" and _text(content.get("COMMAND")) not in _OF_THE_DAEMON:
        event = ""
    return Entry(
        at=at,
        text=_printable(_text(content.get("MESSAGE")).partition("\n")[0]),
        event=event,
        boot=_text(content.get("_BOOT_ID")),
        priority=int(priority) if re.fullmatch("[0-7]", priority) else 6,
        fields=fields,
    )


def _text(value: object) -> str:
    """Return a field's first value: bytes that are no text come as numbers, what is too long as null."""
    match value:
        case str():
            return value
        case [str(first), *_]:
            return first
        case [[*octets], *_] | [*octets]:
            return bytes(octet for octet in octets if isinstance(octet, int) and 0 <= octet < 256).decode(
                errors="replace"
            )
    return ""


def _printable(text: str) -> str:
    """Return a text that cannot steer the terminal that it is shown in, and holds no key."""
    text = LOOKS_LIKE_A_KEY.sub("(a secret)", text)
    return "".join(letter if letter.isprintable() else " " for letter in text)
