"""The running speaker, as its service manager and it itself tell of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speakerd.doctor.finding import Finding, bad, note, ok
from speakerd.host.program import printed_by

UNIT = "speakerd.service"

LIMIT_S = 3.0
"""How long the service manager, or the daemon, may take to answer."""

TRY_ALONE = "to try it: sudo systemctl stop speakerd; speakerd doctor; sudo systemctl start speakerd"

LONGEST = 1 << 20
"""Bytes of an answer."""

_PROPERTIES = (
    "LoadState", "ActiveState", "UnitFileState", "Result", "ExecMainStatus", "NRestarts", "FragmentPath",
    "DropInPaths", "LoadCredential", "LoadCredentialEncrypted",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Service:
    """What is known of it.

    ``unit`` holds systemd's properties and is empty where systemd does not answer. ``says`` is the daemon's own
    status; None where none answers, and then ``refused`` tells that one may be there that we may not ask.
    """

    unit: dict[str, str] = field(default_factory=dict)
    says: dict[str, Any] | None = None
    refused: bool = False

    @property
    def installed(self) -> bool:
        """Whether systemd has a unit for it."""
        return self.unit.get("LoadState") == "loaded"

    @property
    def runs(self) -> bool:
        """Whether it runs, and so holds the devices."""
        answers = self.says is not None or self.refused
        return answers or self.unit.get("ActiveState") in ("active", "activating", "reloading")

    def part(self, name: str) -> Finding:
        """Return how a part is that the running daemon holds and we must leave to it."""
        if self.refused:
            return note(name, "the running service has it, and we may not ask how it is", "run it with sudo")
        if self.says is None:
            return note(name, "the running service has it, so it was not tried", TRY_ALONE)
        told = self.says.get(name, {})
        # Of a device it tells much, of the panel only what is wrong with each part.
        troubles = [told["trouble"]] if "use" in told else list(told.values())
        if any(troubles):
            cause, _, advice = next(filter(None, troubles)).partition("; ")
            return bad(name, f"the running service says: {cause}", advice or "see: journalctl -u speakerd -n 50")
        use = "closed on purpose" if told.get("use") == "closed" else "in use"
        return ok(name, f"{use} by the running service; how it is: speakerd status")


async def look(runtime: Path) -> Service:
    """Ask systemd and, through the socket in ``runtime``, the daemon."""
    async with asyncio.TaskGroup() as group:
        unit = group.create_task(_properties())
        says = group.create_task(_ask(runtime / "control"))
    return Service(unit.result(), *says.result())


async def output_of(*words: str, limit: float = LIMIT_S) -> str:
    """Return what a program of the system prints; nothing where it is missing, fails, or takes too long."""
    try:
        printed = await printed_by(words, limit)
    except (OSError, TimeoutError):
        return ""
    return printed.output.decode(errors="replace") if printed.status == 0 else ""


async def _properties() -> dict[str, str]:
    text = await output_of("systemctl", "show", UNIT, f"--property={','.join(_PROPERTIES)}")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


async def _ask(path: Path) -> tuple[dict[str, Any] | None, bool]:
    """Return the daemon's status, and whether we may not ask for it."""
    try:
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST)
            try:
                writer.write(b"status\n")
                answer = await reader.readline()
            finally:
                writer.close()
    except PermissionError:
        return None, True
    except (OSError, TimeoutError, ValueError):  # nobody is there, or it answers without an end
        return None, False
    try:
        says = json.loads(answer)
    except ValueError:  # a daemon of before the status
        return {}, False
    return says if isinstance(says, dict) else {}, False
