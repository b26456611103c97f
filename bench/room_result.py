"""What is wanted of a visit to a simulated kitchen, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from bench.room_offline import Piece
from speakerd.sound.echo import Mode


@dataclass(frozen=True, slots=True)
class Plan:
    """What a visit is for."""

    room: str
    mode: Mode
    minutes: float
    """Of replies over which nobody talks."""
    interruptions: int
    """At each level; as many coughs, and as many clinks."""
    echo_db: float
    """How loud the answers are at the microphone, dB full scale."""
    answers: tuple[Path, ...]
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Replies:
    """What came of the replies over which nobody talked."""

    spoken_s: float
    self_interruptions: int
    bytes_left: int


@dataclass(frozen=True, slots=True)
class Talk:
    """Somebody who talked over a reply, not judged yet, for that takes time; ``on_wire`` is what came meanwhile."""

    name: str
    near_db: float
    at: float
    noticed_ms: float | None
    on_wire: bytes


@dataclass(frozen=True, slots=True)
class Interruption:
    """Somebody who talked over a reply; ``at`` is when the talk began at the microphone."""

    name: str
    near_db: float
    at: float
    noticed_ms: float | None
    """From then on; None is never."""
    told: float
    """The share of the talk that reached the wire, 0 to 1."""
    clear: float
    """The share that is clear there, too."""


@dataclass(frozen=True, slots=True)
class Clatter:
    """A sound that is no talk, and whether the reply broke off."""

    name: str
    at: float
    stopped: bool


@dataclass(frozen=True, slots=True)
class Tape:
    """What passed the converters while people talked over it, to be drawn."""

    began: float
    played: list[Piece]
    captured: list[Piece]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a visit."""

    replies: Replies
    interruptions: list[Interruption]
    clatters: list[Clatter]
    tape: Tape
    starved: int
    """How often this machine was too slow to be a room; the figures are void then."""
