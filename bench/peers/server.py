"""The stand-in Live API in a thread of this process: what happens there can be read at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any, Self

from speakerd.errors import SpeakerdError
from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script

START_S = 30.0


class Server:
    """Serves for as long as its ``with`` block runs."""

    def __init__(self, directory: Path, script: dict[str, Any]) -> None:
        """Prepare; its files go to ``directory``."""
        # Whatever a peer sends beside sound of 16 kHz is its own affair.
        self._options = LiveApiOptions(directory, Script.model_validate({"strict": False} | script))
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._live: LiveApi

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            SpeakerdError: it cannot; the text says why.
        """
        self._thread.start()
        if not self._started.wait(START_S) or self._failure is not None:
            raise SpeakerdError(f"the stand-in does not start: {self._failure}") from self._failure
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        with contextlib.suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Return where it listens with TLS."""
        return self._live.url

    @property
    def ca_file(self) -> Path:
        """Return the certificate that its clients must trust."""
        return self._live.ca_file.absolute()

    @property
    def events(self) -> list[WireEvent]:
        """Return everything that has happened so far."""
        return list(self._live.events)

    def all(self, kind: str, since: float = 0.0, until: float = float("inf")) -> list[WireEvent]:
        """Return the events of one kind between two moments."""
        return [event for event in self.events if event.kind == kind and since <= event.at <= until]

    def first(self, kind: str, since: float = 0.0) -> WireEvent | None:
        """Return the first event of a kind from a moment on; None if there is none yet."""
        return next((event for event in self.events if event.kind == kind and event.at >= since), None)

    def heard(self, connection: int) -> bytes:
        """Return all sound of a connection so far, at 16 kHz; call it when nobody sends any more."""
        return self._live.heard(connection)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (SpeakerdError, OSError) as error:
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with LiveApi(self._options) as self._live:
            self._started.set()
            await self._stop.wait()
