"""One session of one program: it is started, talked to, watched and ended; recordings and counters are left."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child, Memory
from bench.programs import Program, command
from bench.readiness import Readiness
from bench.sound import Sound
from bench.stand_in import Event, StandIn
from bench.track import Span, Track
from speakerd.errors import SpeakerdError
from speakerd.simulate.card import SimulatedCard


@dataclass(frozen=True, slots=True)
class Start:
    """How long a start took, in seconds from the birth of the process; only speakerd says that it is ready."""

    ready: float | None
    connected: float
    first_message: float


@dataclass(frozen=True, slots=True)
class Session:
    """A whole session: ``events`` and ``heard`` are the stand-in's, ``cpu`` holds shares of one core."""

    start: Start
    events: list[Event]
    heard: bytes
    captured: Sound
    played: Sound
    cpu: dict[str, float]
    memory: Memory


@dataclass(frozen=True, slots=True)
class _Running:
    card: SimulatedCard
    child: Child
    connection: int
    start: Start


def start(program: Program, stand_in: StandIn, directory: Path) -> Start:
    """Start a program, wait until it sends sound, and end it."""
    with _running(program, stand_in, directory) as running:
        return running.start


def converse(program: Program, stand_in: StandIn, track: Track, directory: Path) -> Session:
    """Hold a whole session with a program.

    Raises:
        SpeakerdError: the program ended, or its connection did; the text says what it wrote last.
    """
    with _running(program, stand_in, directory) as running:
        card, child = running.card, running.child
        card.speak(track.pcm)
        began = time.monotonic()
        spans = {"silence": track.silence, "speech": track.speech, "reply": track.reply}
        cpu = {name: _cpu_share(child, began, span) for name, span in spans.items()}
        child.sleep_until(began + track.seconds)
        if stand_in.first("close", connection=running.connection):
            raise SpeakerdError(f"{program} lost its connection; what it wrote:\n{child.said}")
        memory = child.memory()
    captured, played = Sound.of(card, "mic"), Sound.of(card, "speaker")
    stand_in.process.wait_for("the end", lambda: stand_in.first("close", connection=running.connection))
    events, heard = stand_in.events(running.connection), stand_in.heard(running.connection)
    return Session(running.start, events, heard, captured, played, cpu, memory)


@contextlib.contextmanager
def _running(program: Program, stand_in: StandIn, directory: Path) -> Iterator[_Running]:
    """Run a program on a new card; give it when it is connected and sends sound."""
    directory.mkdir()
    with SimulatedCard(directory / "card") as card, Readiness(directory / "notify") as readiness:
        environment = {
            **card.environment,
            "SSL_CERT_FILE": str(stand_in.ca_file),
            "GEMINI_API_KEY": "bench",
            "NOTIFY_SOCKET": str(readiness.file),
            # The stand-in is here, whatever way to the world this machine has.
            "NO_PROXY": "127.0.0.1",
        }
        words = command(program, stand_in.url, directory)
        with Child(words, environment, directory / "log") as child:
            setup = child.wait_for("the connection", lambda: stand_in.first("setup", since=child.started))
            connection = setup.connection
            sound = child.wait_for("sound", lambda: stand_in.first("audio", connection=connection))
            ready = readiness.at - child.started if readiness.at is not None else None
            start = Start(ready, setup.at - child.started, sound.at - child.started)
            yield _Running(card, child, connection, start)


def _cpu_share(child: Child, began: float, span: Span) -> float:
    """Return how much of one core a process used in a part of the session."""
    child.sleep_until(began + span.start)
    then, used = time.monotonic(), child.cpu_s()
    child.sleep_until(began + span.end)
    return (child.cpu_s() - used) / (time.monotonic() - then)
