"""The stand-in Live API in a process of its own, so that its CPU time is not counted, and what it wrote down."""

from __future__ import annotations

import contextlib
import json
import re
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from bench.child import Child


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at the stand-in; ``at`` is a moment of ``time.monotonic()``."""

    at: float
    connection: int
    kind: str
    detail: dict[str, Any]


class StandIn:
    """Runs ``speakerd simulate`` for as long as its ``with`` block."""

    def __init__(self, directory: Path, script: dict[str, Any]) -> None:
        """Prepare; all files go to ``directory``, which exists."""
        self._directory = directory
        script_file = directory / "script.yaml"
        script_file.write_text(yaml.safe_dump(script))
        words = ["-m", "speakerd", "simulate", "--port", "0", "--plain-port", "0"]
        words += ["--directory", str(directory), "--script", str(script_file)]
        self.process = Child(words, {}, directory / "simulate.log")
        self._stack = contextlib.ExitStack()
        self._read = 0
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        with contextlib.ExitStack() as stack:
            process = stack.enter_context(self.process)
            where = process.wait_for("the stand-in", lambda: re.search(r"https://\S+", process.said))
            self.url = where[0]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._stack.close()

    @property
    def ca_file(self) -> Path:
        """Return the certificate that its clients must trust."""
        return self._directory / "ca.pem"

    def events(self, connection: int) -> list[Event]:
        """Return what it has written down of a connection so far: it writes once a second, and at the end of each."""
        self._catch_up()
        return [event for event in self._events if event.connection == connection]

    def first(self, kind: str, *, since: float = 0.0, connection: int | None = None) -> Event | None:
        """Return the first event of a kind from a moment on, on one connection or any; None if there is none yet."""
        self._catch_up()
        return next(
            (
                event
                for event in self._events
                if event.kind == kind and event.at >= since and connection in (None, event.connection)
            ),
            None,
        )

    def heard(self, connection: int) -> bytes:
        """Return all sound of a connection that is over."""
        with wave.open(str(self._directory / f"heard-{connection}.wav")) as file:
            pcm: bytes = file.readframes(file.getnframes())
        return pcm

    def _catch_up(self) -> None:
        file = self._directory / "events.jsonl"
        with file.open("rb") as lines:
            lines.seek(self._read)
            new = lines.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in map(json.loads, whole.splitlines()):
            self._events.append(Event(line["at"], line["connection"], line["kind"], line["detail"]))
