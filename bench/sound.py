"""What passed one converter of a simulated card, and when."""

import bisect
from dataclasses import dataclass
from typing import Self

from speakerd.simulate.card import Direction, SimulatedCard

SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class Start:
    """The converter began to run: ``frame`` was there at ``time``, and ``rate`` frames follow each second."""

    frame: int
    time: float
    rate: float


@dataclass(frozen=True, slots=True)
class Sound:
    """S16_LE mono, as it passed the converter, and every start of it."""

    pcm: bytes
    starts: tuple[Start, ...]

    @classmethod
    def of(cls, card: SimulatedCard, direction: Direction) -> Self:
        """Read what a card has kept."""
        events = card.timeline(direction)
        starts = tuple(Start(event.frame, event.time, event.rate) for event in events if event.kind == "start")
        return cls(card.captured() if direction == "mic" else card.played(), starts)

    def find(self, pcm: bytes, frame: int = 0) -> int | None:
        """Return the frame at which this very sound begins, the first from ``frame`` on; None if it is not there."""
        at = self.pcm.find(pcm, frame * SAMPLE_BYTES)
        while at % SAMPLE_BYTES and at > 0:  # between two samples
            at = self.pcm.find(pcm, at + 1)
        return None if at < 0 else at // SAMPLE_BYTES

    def moment(self, frame: int) -> float:
        """Return when a frame was at the converter, as ``time.monotonic()``."""
        start = self.starts[bisect.bisect_right(self.starts, frame, key=lambda start: start.frame) - 1]
        return start.time + (frame - start.frame) / start.rate

    def breaks(self, first: int, last: int) -> int:
        """Return how often the converter ran dry between two frames and had to start again."""
        return sum(first < start.frame <= last for start in self.starts)
