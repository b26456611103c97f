"""The journal of the daemon, as it goes on."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from systemd import journal

UNIT = "speakerd.service"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal; ``fields`` are those that the daemon gave it, by small names."""

    at: float
    """Seconds of ``time.monotonic()``."""
    pid: int
    message: str
    fields: dict[str, str]


class Journal:
    """All that the daemon has said since the boot."""

    def __init__(self) -> None:
        self._reader = journal.Reader()
        self._reader.this_boot()
        self._reader.add_match(_SYSTEMD_UNIT=UNIT)
        self._entries: list[Entry] = []
        self._began = 0

    def begin_anew(self) -> None:
        """Take no state for the daemon's that it told of before now."""
        self._began = len(self.entries)

    @property
    def entries(self) -> list[Entry]:
        """Every entry so far, in order."""
        self._reader.process()  # learns of what was added
        self._entries += [_entry(raw) for raw in self._reader]
        return self._entries

    def state(self) -> str | None:
        """Return the last state that the daemon told of, since its last start by hand."""
        states = [entry.fields["state"] for entry in self.entries[self._began :] if "state" in entry.fields]
        return states[-1] if states else None

    async def until(self, timeout: float = 60.0, *, after: int = 0, text: str = "", **fields: str) -> Entry:
        """Wait for an entry with this text and these fields after the first so many; return it.

        Raises:
            TimeoutError: it did not come; its text holds the last ones that did.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for entry in self.entries[after:]:
                if fields.items() <= entry.fields.items() and text in entry.message:
                    return entry
            await asyncio.sleep(0.05)
        last = "; ".join(entry.message for entry in self._entries[-8:])
        raise TimeoutError(f"no {fields or text} within {timeout:g} s; the last: {last}")


def _entry(raw: dict[str, Any]) -> Entry:
    own = {name: value for name, value in raw.items() if name.startswith("SPEAKERD_")}
    return Entry(
        at=raw["__MONOTONIC_TIMESTAMP"].timestamp.total_seconds(),
        pid=int(raw.get("_PID", 0)),
        message=str(raw.get("MESSAGE", "")),
        fields={name.removeprefix("SPEAKERD_").lower(): str(value) for name, value in own.items()},
    )
