"""The handle of the conversation: what the next connection goes on with, also after a restart."""

import contextlib
import json
import os
import time
from pathlib import Path

VALID_S = 2 * 3600.0
"""How long the service keeps a conversation after its connection has ended
(https://ai.google.dev/gemini-api/docs/live-session)."""


class Handle:
    """The newest handle that the server gave; kept in a file that only its owner can read, where there is one."""

    def __init__(self, file: Path | None, model: str) -> None:
        """Take up the handle in ``file``, if it is still valid and was given by the same model."""
        self._file = file
        self._model = model
        self._given_at = 0.0
        self._handle = self._read()

    @property
    def value(self) -> str | None:
        """The handle, or None for a new conversation."""
        return self._handle

    @property
    def age_s(self) -> float | None:
        """How long ago the server gave it, in seconds; None for a new conversation."""
        return None if self._handle is None else max(time.time() - self._given_at, 0.0)

    def keep(self, handle: str) -> None:
        """Go on with this one from now on."""
        self._handle, self._given_at = handle, time.time()
        self._write()

    def forget(self) -> None:
        """Begin a new conversation the next time."""
        self._handle = None
        self._write()

    def _read(self) -> str | None:
        if self._file is None:
            return None
        try:
            kept = json.loads(self._file.read_text())
            self._given_at = float(kept["at"])
            fresh = 0 <= time.time() - self._given_at < VALID_S and kept["model"] == self._model
            return str(kept["handle"]) if fresh and kept["handle"] else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None  # a first start, or a file cut short by a power cut: the conversation is new

    def _write(self) -> None:
        if self._file is None:
            return
        text = json.dumps({"handle": self._handle, "model": self._model, "at": self._given_at})
        unfinished = self._file.with_suffix(".new")
        # A disk that is full or read-only costs the memory of a restart, and nothing else.
        with contextlib.suppress(OSError):
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            unfinished.replace(self._file)
