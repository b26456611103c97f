"""A peer in the simulated kitchen, where the microphone hears the loudspeaker: how often does it interrupt itself?"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.peers.figures import RATE, Tape
from bench.peers.peer import Peer
from bench.peers.scene import Scene, begun, script
from bench.peers.server import Server
from bench.room_visit import NOISE_DB, SEED
from bench.room_words import ASKED_DB, QUESTION
from bench.sound import Sound
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

ANSWERED_S = 5.0
"""A turn that begins within this time after the last word of a question answers it: the service waits 1 s."""

SPOKEN = 1 / 3
"""Who spoke for less than this share of the time has shown nothing: whoever is silent cannot interrupt itself."""

BLOCK_S = 0.1
"""A tenth of a second in which something is to be heard is one of speech."""


@dataclass(frozen=True, slots=True)
class Stay:
    """What came of it, in ``seconds`` of real time.

    ``asked``: how often it was asked, because it was silent; ``answered``: how many of these questions had a turn of
    their own; ``own_turns``: all other turns. ``interruptions``: how often the service was made to break off an
    answer while nobody spoke. ``spoken_s``: how long its loudspeaker was to be heard. ``overruns`` are those of its
    microphone, ``starved`` is how often this machine was too slow to be a room, ``load`` how busy it was at the end.
    """

    seconds: float
    asked: int
    answered: int
    own_turns: int
    interruptions: int
    spoken_s: float
    overruns: int
    starved: int
    load: float
    status: int | None


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
    turns = [event.at for event in scene.server.all("answer_start", began, ended)]
    answered = matched(asked, turns, len(recording(QUESTION)) / RATE)
    return Stay(
        seconds=round(ended - began, 1),
        asked=len(asked),
        answered=answered,
        own_turns=len(turns) - answered,
        interruptions=len(unasked(scene.server.all("interrupted", began, ended), asked)),
        spoken_s=round(spoken_s(Tape.of(Sound.of(scene.card, "speaker")), began, ended), 1),
        overruns=sum(event.kind == "xrun" for event in scene.card.timeline("mic")),
        starved=kitchen.starved,
        load=round(os.getloadavg()[0], 2),
        status=scene.child.status,
    )


def matched(asked: Sequence[float], turns: Sequence[float], question_s: float) -> int:
    """Return how many questions, by when they begin, are answered by a turn that answers no other."""
    left, found = sorted(turns), 0
    for at in asked:
        said = at + question_s
        if (turn := next((turn for turn in left if said <= turn < said + ANSWERED_S), None)) is not None:
            left.remove(turn)
            found += 1
    return found


def spoken_s(played: Tape, first: float, last: float) -> float:
    """Return for how long something was to be heard between two moments, s, in tenths."""
    return len({int((end - first) / BLOCK_S) for end in played.audible(first, last)}) * BLOCK_S


def unasked(events: list[WireEvent], asked: list[float]) -> list[WireEvent]:
    """Return the events that do not follow from a question."""
    return [event for event in events if not any(at <= event.at < at + HEARD_S for at in asked)]
