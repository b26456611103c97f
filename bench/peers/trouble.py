"""What goes wrong between a peer and the service, and whether somebody who asks is answered again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.figures import RATE
from bench.peers.peer import Peer
from bench.peers.scene import Scene, begun, script
from bench.peers.server import Server
from bench.track import compose, write_answers
from speakerd.errors import SpeakerdError
from speakerd.simulate.card import Converter, SimulatedCard
from speakerd.simulate.ledger import WireEvent

ASK_S = 4.0
"""How long an answer is waited for before it is asked again: a question takes 1.3 s, its answer 1 s more."""

TRIES = 4
"""So often it is asked before anything goes wrong."""

IDLE_S = 3.0
"""From the end of the first answer to the trouble."""

DEAD_LINE = "a line that is dead for 60 s and looks alive"

INTERNAL = {"close": {"code": 1011, "reason": "Internal error encountered."}}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One way in which a connection ends.

    ``do`` is for the stand-in, one thing after the other. ``lasts_s`` is how long nobody could answer, and time is
    counted from then on; it is asked for ``patience_s`` after that. ``since`` says so in the table.
    """

    name: str
    title: str
    do: tuple[dict[str, Any], ...]
    lasts_s: float = 0.0
    patience_s: float = 30.0
    since: str = "its end"


TROUBLES = (
    Trouble("go-away", "goAway with 5 s to go, then the close", ({"go_away": 5},), lasts_s=5),
    Trouble("1011", "close 1011", (INTERNAL,)),
    Trouble("reset", "TCP reset", ({"reset": True},)),
    Trouble("outage", "20 s in which nobody answers the door", ({"refuse": 20},), lasts_s=20),
    # The kernel still takes what is sent; new connections are served.
    Trouble("half-open", DEAD_LINE, ({"stop_reading": 60}, {"freeze": 60}), patience_s=75, since="its beginning"),
    Trouble(
        "half-open-let-go",
        f"{DEAD_LINE}, where the service takes a new one in its place",
        ({"stop_reading": 60}, {"freeze": 60}, {"let_go": True}),
        patience_s=75,
        since="its beginning",
    ),
    Trouble("stale-handle", "TCP reset, and the session is forgotten", ({"forget_handles": True}, {"reset": True})),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one ``trouble``, by its name.

    ``again_s``: from the end of the trouble to the first sound of an answer; None: there was none. ``dials`` is how
    often it connected after the trouble began; dials that were refused at the door are not seen. ``status`` is how
    its process ended, if it did. ``refusal`` is how the service closed the last of those connections, if it did.
    """

    trouble: str
    again_s: float | None
    waited_s: float
    dials: int
    status: int | None
    refusal: str = ""


def endure(peer: Peer, trouble: Trouble, directory: Path) -> Outcome:
    """Let something go wrong 3 s after an answer, and ask until there is another.

    Raises:
        SpeakerdError: the peer did not come so far; the text holds what it wrote last.
    """
    directory.mkdir(parents=True)
    track = compose(4.0, 1)
    when = [{"event": "turn_complete", "after": IDLE_S + number / 10} for number in range(len(trouble.do))]
    faults = [{"when": moment, "do": do} for moment, do in zip(when, trouble.do, strict=True)]
    wishes = script(faults=faults, **write_answers(track.answers[:1], directory))
    card = SimulatedCard(directory / "card", microphone=Converter(rate=RATE))
    with (
        Server(directory / "live", wishes) as server,
        card,
        begun(peer, server, card, directory / "peer") as scene,
    ):
        return _endured(scene, trouble, question())


def question() -> bytes:
    """Return a question, S16_LE at 16 kHz, with the silence that ends it."""
    track = compose(4.0, 1)
    samples = np.frombuffer(track.pcm, np.int16)
    return samples[-round((1.3 + 2.24) * RATE) :].tobytes()


def _endured(scene: Scene, trouble: Trouble, asked: bytes) -> Outcome:
    first = time.monotonic()
    if all(_is_answered(scene, asked, first) is None for _ in range(TRIES)):
        raise SpeakerdError(f"it did not answer before anything went wrong:\n{scene.child.said[-1000:]}")
    last = len(trouble.do)
    began = scene.child.wait_for(
        "the trouble", lambda: faults[-1].at if len(faults := scene.server.all("fault")) == last else None, 60
    )
    since = began + trouble.lasts_s
    while time.monotonic() < since and scene.child.status is None:
        time.sleep(0.1)
    again = None
    while again is None and scene.child.status is None and time.monotonic() < since + trouble.patience_s:
        again = _is_answered(scene, asked, since)
    ended = time.monotonic()
    return Outcome(
        trouble.name,
        None if again is None else round(again - since, 2),
        round(ended - since, 2),
        len(scene.server.all("open", began)),
        scene.child.status,
        refusal(scene.server.events, began),
    )


def refusal(events: Sequence[WireEvent], since: float) -> str:
    """Return with which code and words the service closed the last connection that was opened since a moment."""
    opened = {event.connection for event in events if event.kind == "open" and event.at >= since}
    closed = [event.detail for event in events if event.kind == "close" and event.connection in opened]
    if not closed or closed[-1]["by"] != "server":
        return ""
    return f"{closed[-1]['code']} {closed[-1]['reason']}".strip()


def _is_answered(scene: Scene, asked: bytes, since: float) -> float | None:
    """Ask; return when an answer is to be heard that was given since a moment, None where there is none in time.

    What is to be heard alone proves nothing: it may be what was left of an answer from before.
    """
    deadline = time.monotonic() + ASK_S
    scene.card.speak(asked)
    while time.monotonic() < deadline and scene.child.status is None:
        for answer in scene.server.all("answer_start", since):
            if (at := scene.sounds_since(answer.at)) is not None:
                return at
        time.sleep(0.05)
    return None
