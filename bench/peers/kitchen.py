"""A peer in the simulated kitchen, where the microphone hears the loudspeaker: how often does it interrupt itself?"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.peers.peer import Peer
from bench.peers.scene import Scene, begun, script
from bench.peers.server import Server
from bench.room_visit import NOISE_DB, SEED
from bench.room_words import ASKED_DB, QUESTION
from speakerd.simulate.acoustics import ROOMS
from speakerd.simulate.kitchen import Kitchen
from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.levels import at_level
from speakerd.simulate.noises import fan
from speakerd.simulate.talkers import recording

ROOM = "C"

QUIET_S = 3.0
"""Where it has said nothing for so long, it is asked again."""

HEARD_S = 4.0
"""What is interrupted within this time after a question begins, is interrupted by the question."""


@dataclass(frozen=True, slots=True)
class Stay:
    """What came of it, in ``seconds`` of real time.

    ``interruptions``: how often the service was made to break off an answer while nobody spoke. ``own_turns``: how
    often it answered what nobody had asked. ``asked``: how often it was asked, because it was silent.
    """

    seconds: float
    asked: int
    interruptions: int
    own_turns: int
    starved: int
    status: int | None
    void: str = ""


def stay(peer: Peer, minutes: float, answers: tuple[Path, ...], directory: Path) -> Stay:
    """Stay for so many minutes, ask whenever it is silent, and let it talk.

    Raises:
        SpeakerdError: the peer did not come so far; the text holds what it wrote last.
    """
    directory.mkdir(parents=True)
    noise = at_level(fan(30, np.random.default_rng(SEED)), NOISE_DB)
    kitchen = Kitchen(directory / "card", ROOMS[ROOM], seed=SEED, noise=noise)
    wishes = script(answers=[{"wav": str(file)} for file in answers])
    with (
        Server(directory / "live", wishes) as server,
        kitchen,
        begun(peer, server, kitchen.card, directory / "peer") as scene,
    ):
        return _stayed(scene, kitchen, minutes * 60)


def _stayed(scene: Scene, kitchen: Kitchen, seconds: float) -> Stay:
    asked: list[float] = []
    began = time.monotonic()
    while time.monotonic() < began + seconds and scene.child.status is None:
        asked.append(kitchen.say(at_level(recording(QUESTION), ASKED_DB)))
        time.sleep(HEARD_S)
        while scene.sounds_since(time.monotonic() - QUIET_S) is not None and time.monotonic() < began + seconds:
            time.sleep(0.5)
    ended = time.monotonic()
    interrupted, turns = scene.server.all("interrupted", began, ended), scene.server.all("answer_start", began, ended)
    by_itself = unasked(interrupted, asked)
    own_turns = max(len(turns) - len(asked), 0)
    return Stay(ended - began, len(asked), len(by_itself), own_turns, kitchen.starved, scene.child.status)


def unasked(events: list[WireEvent], asked: list[float]) -> list[WireEvent]:
    """Return the events that do not follow from a question."""
    return [event for event in events if not any(at <= event.at < at + HEARD_S for at in asked)]


def per_ten_minutes(stay: Stay) -> float:
    """Return how often it interrupts itself in ten minutes."""
    return stay.interruptions * 600 / stay.seconds
