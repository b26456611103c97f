"""What is known of a conversation: the daemon's journal, the wire and the sounds, on one clock.

All times are CLOCK_MONOTONIC, in seconds, for every process of this machine reads the same.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from speakerd.simulate.ledger import Answer, WireEvent
from speakerd.state import State


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the daemon's journal."""

    at: float
    event: str
    """What happened; empty where the line is for people only."""
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording: S16_LE, mono; ``began`` is when its first sample was heard."""

    pcm: bytes
    rate: int
    began: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the daemon was in one state."""

    state: State
    began: float
    ended: float


@dataclass(slots=True)
class Evidence:
    """A conversation; it grows while it is held."""

    began: float
    ended: float = math.inf
    journal: list[Entry] = field(default_factory=list)
    wire: list[WireEvent] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    questions: list[tuple[float, str]] = field(default_factory=list)
    """When somebody began to say what."""
    microphone: Sound | None = None
    loudspeaker: Sound | None = None

    @property
    def state(self) -> State:
        """What the daemon is doing."""
        return self.stretches()[-1].state

    def was(self, state: State) -> bool:
        """Return whether the daemon was ever in a state."""
        return any(stretch.state is state for stretch in self.stretches())

    def count(self, event: str) -> int:
        """Return how many journal entries tell of such an event."""
        return sum(entry.event == event for entry in self.journal)

    def stretches(self) -> list[Stretch]:
        """Return what the daemon was doing, from the beginning on; the last goes on until the end."""
        changes = [(self.began, State.STARTING)]
        changes += [(entry.at, State(entry.fields["state"])) for entry in self.journal if entry.event == "state"]
        ends = [at for at, _ in changes[1:]] + [self.ended]
        return [Stretch(state, at, end) for (at, state), end in zip(changes, ends, strict=True)]

    @property
    def interruptions(self) -> list[float]:
        """When the server said that somebody spoke over the answer, or else when the daemon learnt of it."""
        wire = [event.at for event in self.wire if event.kind == "interrupted"]
        return wire or [entry.at for entry in self.journal if entry.event == "interrupted"]
