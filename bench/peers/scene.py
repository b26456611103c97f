"""One peer on one card, connected to one stand-in, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.child import Child
from bench.peers.environments import python
from bench.peers.peer import MODEL, Peer, command
from bench.peers.server import Server
from bench.sound import SAMPLE_BYTES
from speakerd.errors import SpeakerdError
from speakerd.simulate.card import SimulatedCard

READY_S = 60.0
"""How long a peer may take until it is connected and listens."""

SETTLED_S = 2.0
"""After that it is left alone for so long: some load what they need only then."""

LOUD = 300
"""A sample beyond this, of 32768, is a sound and not the noise of a converter."""

CRACKLE = 2500
"""Fewer loud samples than this, a tenth of a second, are what was left in a buffer when a program ended."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is there.

    ``ready_s``: from the birth of the process until it is connected and its microphone runs.
    """

    peer: Peer
    child: Child
    server: Server
    card: SimulatedCard
    ready_s: float

    def sounds_since(self, moment: float) -> float | None:
        """Return when something began that is to be heard since a moment; None where it is no more than a crackle."""
        frame = self._frame_at(moment)
        file = self.card.file("speaker", "sink")
        if frame is None or not file.exists():
            return None
        with file.open("rb") as sink:
            sink.seek(frame * SAMPLE_BYTES)
            pcm = sink.read()
        samples = np.frombuffer(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES], np.int16).astype(np.int32)
        loud = np.flatnonzero(np.abs(samples) > LOUD)
        return None if len(loud) < CRACKLE else self.card.moment_played(frame + int(loud[0]))

    def _frame_at(self, moment: float) -> int | None:
        """Return the first frame that leaves the loudspeaker at a moment or later; None where none did yet.

        What a stream played before it ran empty may be on the tape only when it ends, so its length tells nothing.
        """
        starts = [event for event in self.card.timeline("speaker") if event.kind == "start"]
        later = [event.frame for event in starts if event.time > moment]
        earlier = [event for event in starts if event.time <= moment]
        if not earlier:
            return later[0] if later else None
        frame = earlier[-1].frame + math.ceil((moment - earlier[-1].time) * earlier[-1].rate)
        return min([frame, *later])


@contextlib.contextmanager
def begun(
    peer: Peer, server: Server, card: SimulatedCard, directory: Path, settled_s: float = SETTLED_S
) -> Iterator[Scene]:
    """Start a peer; give it when it is connected and listens, and has settled for so long.

    Raises:
        SpeakerdError: it ended, or did not get there in time; the text holds its last words.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with Child(
        command(peer, server.url, directory), _environment(server, card), directory / "log", python(peer)
    ) as child:
        connected = child.wait_for("the connection", lambda: server.first("setup"), READY_S).at

        def listening() -> float | None:
            return next((event.time for event in card.timeline("mic") if event.kind == "start"), None)

        listens = child.wait_for("its microphone", listening, READY_S)
        child.sleep_until(time.monotonic() + settled_s)
        if server.first("close"):
            raise SpeakerdError(f"{peer.name} was not left connected: {server.first('close')}\n{child.said[-2000:]}")
        yield Scene(peer, child, server, card, max(connected, listens) - child.started)


def script(**wishes: Any) -> dict[str, Any]:
    """Return what the stand-in is told in every scene, and these wishes."""
    return {"profile": MODEL, "thinking": 0.2, **wishes}


def _environment(server: Server, card: SimulatedCard) -> dict[str, str]:
    return {
        **card.environment,
        "SSL_CERT_FILE": str(server.ca_file),
        "GOOGLE_GEMINI_BASE_URL": server.url,
        "GEMINI_API_KEY": "bench",
        "GOOGLE_API_KEY": "bench",
        "PEER_MODEL": MODEL,
        # The stand-in is here, whatever way to the world this machine has.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
