"""A conversation with one peer on a plain card: how late, how busy and how big it is."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from bench.peers import family, figures
from bench.peers.figures import Samples, Tape
from bench.peers.peer import Peer
from bench.peers.scene import Scene, begun, script
from bench.peers.server import Server
from bench.sound import Sound
from bench.track import ANSWER_RATE, Span, Track, write_answers
from speakerd.simulate.card import Converter, SimulatedCard
from speakerd.simulate.levels import as_sound

Values = dict[str, list[float]]

AFTER_START_S = 0.3
"""A peer that is only started is looked at for so long: one that is thrown out at once was not ready."""


@dataclass(slots=True)
class Talk:
    """What came of it: samples by the name of the figure, whose end is the unit; and what was counted."""

    values: Values = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def start(peer: Peer, directory: Path) -> Talk:
    """Start a peer, and end it when it is ready."""
    with (
        Server(directory / "live", script()) as server,
        _card(directory) as card,
        begun(peer, server, card, directory / "peer", AFTER_START_S) as scene,
    ):
        return Talk({"start_to_ready_s": [scene.ready_s]})


def converse(peer: Peer, track: Track, directory: Path) -> Talk:
    """Hold a whole conversation.

    Raises:
        SpeakerdError: the peer ended; the text holds what it wrote last.
    """
    directory.mkdir(parents=True)
    wishes = script(**write_answers(track.answers, directory))
    with Server(directory / "live", wishes) as server, _card(directory) as card:
        with begun(peer, server, card, directory / "peer") as scene:
            began = time.monotonic()
            card.speak(track.pcm)
            talk = Talk({"start_to_ready_s": [scene.ready_s]})
            for name, span in {"silence": track.silence, "speech": track.speech, "reply": track.reply}.items():
                talk.values[f"cpu_{name}_percent"] = [_cpu_percent(scene, began, span)]
            scene.child.sleep_until(began + track.seconds)
            talk.values["pss_mib"] = [family.pss_mib(scene.child.pid)]
            ended = time.monotonic()
        _add_delays(talk, server, track, card, began, ended)
    return talk


def _card(directory: Path) -> SimulatedCard:
    return SimulatedCard(directory / "card", microphone=Converter(rate=figures.RATE))


def _add_delays(talk: Talk, server: Server, track: Track, card: SimulatedCard, began: float, ended: float) -> None:
    captured, played = Tape.of(Sound.of(card, "mic")), Tape.of(Sound.of(card, "speaker"))
    events = server.events
    connections = sorted({event.connection for event in events if event.kind == "audio"})
    delays, lost = [], 0
    for connection in connections:
        own = [event for event in events if event.connection == connection]
        found, missing = figures.wire_delays(own, server.heard(connection), captured)
        delays += found
        lost += missing
    sounds, unheard = figures.first_sounds(events, [_at_16_khz(answer) for answer in track.answers], played)
    silences, endless = figures.silences(events, captured, played, ended)
    up = figures.kilobytes_per_minute(events, began + track.silence.start, began + track.silence.end)
    talk.values |= {
        "uplink_silence_kb_per_min": [up],
        "microphone_to_wire_ms": [delay * 1e3 for delay in delays],
        "reply_to_sound_ms": [delay * 1e3 for delay in sounds],
        "interrupted_to_silence_ms": [silence.after_interrupted * 1e3 for silence in silences],
        "word_to_silence_ms": [silence.after_first_word * 1e3 for silence in silences],
    }
    talk.counts = {
        "conversations": 1,
        "microphone overruns": sum(event.kind == "xrun" for event in card.timeline("mic")),
        "questions": len(track.answers),
        "answers": len([event for event in events if event.kind == "answer_start"]),
        "messages not recognised": lost,
        "answers not heard": unheard,
        "answers not silent before the next": endless,
        "connections": len({event.connection for event in events if event.kind == "open"}),
    }


def _at_16_khz(answer: npt.NDArray[np.int16]) -> Samples:
    return np.asarray(soxr.resample(as_sound(answer), ANSWER_RATE, figures.RATE), np.float32)


def _cpu_percent(scene: Scene, began: float, span: Span) -> float:
    """Return how much of one core a peer and its children used in a part of the conversation."""
    scene.child.sleep_until(began + span.start)
    then, used = time.monotonic(), family.cpu_s(scene.child.pid)
    scene.child.sleep_until(began + span.end)
    return 100 * (family.cpu_s(scene.child.pid) - used) / (time.monotonic() - then)
