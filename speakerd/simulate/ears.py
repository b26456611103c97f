"""The stand-in's ears: where speech begins and ends in 16 kHz sound.

Time is counted in received sound, never by a clock: a client that stops sending stops time.
Plain energy above a noise floor that adapts; good enough for a voice near a microphone, and cheap.
"""

import math
from array import array
from dataclasses import dataclass
from operator import mul

RATE = 16_000
"""Sample rate of what a client sends, Hz."""

FRAME_MS = 20
FRAME_BYTES = RATE * FRAME_MS // 1000 * 2

QUIETEST_SPEECH = 250.0
"""Root mean square of a 16-bit frame below which nothing is speech, however quiet the room."""

LOUDEST_FLOOR = 800.0
"""A room louder than this still lets a raised voice through."""

ABOVE_FLOOR = {"HIGH": 3.0, "LOW": 5.0}
"""How far speech stands out of the noise, as a factor, by start sensitivity."""

FLOOR_RISE = 1.005
"""Per frame: about 2 dB a second, so that a fan is noise soon and a long vowel is not."""

START_MS = 100
END_MS = 800


@dataclass(frozen=True, slots=True)
class SpeechStart:
    """Somebody began to speak; ``offset`` is in seconds of received sound."""

    offset: float


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """Whoever spoke has been silent for long enough; ``seconds`` is how long the speech was."""

    offset: float
    seconds: float


class Ears:
    """Listen to one connection's sound and tell where speech starts and ends."""

    def __init__(self, *, start_ms: int = START_MS, end_ms: int = END_MS, sensitivity: str = "HIGH") -> None:
        self._start_frames = max(1, start_ms // FRAME_MS)
        self._end_frames = max(1, end_ms // FRAME_MS)
        self._factor = ABOVE_FLOOR[sensitivity]
        self._rest = b""
        self._frames = 0
        self._floor = QUIETEST_SPEECH / 2
        self._voiced = 0
        self._quiet = 0
        self._began: int | None = None

    @property
    def speaking(self) -> bool:
        """Return whether somebody is in the middle of speaking."""
        return self._began is not None

    @property
    def offset(self) -> float:
        """Return how much sound was heard, in seconds."""
        return self._frames * FRAME_MS / 1000

    def hear(self, pcm: bytes) -> list[SpeechStart | SpeechEnd]:
        """Take S16_LE mono sound of any length; return what was noticed in it."""
        sound = self._rest + pcm
        noticed: list[SpeechStart | SpeechEnd] = []
        whole = len(sound) - len(sound) % FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            self._frames += 1
            if change := self._frame(_loudness(sound[start : start + FRAME_BYTES])):
                noticed.append(change)
        self._rest = sound[whole:]
        return noticed

    def stop(self) -> SpeechEnd | None:
        """Take it that the sound has ended for now; return the end of the speech that this cuts, if any."""
        return self._end() if self.speaking else None

    def _frame(self, loudness: float) -> SpeechStart | SpeechEnd | None:
        voiced = loudness > max(QUIETEST_SPEECH, self._floor * self._factor)
        self._floor = min(loudness, self._floor * FLOOR_RISE, LOUDEST_FLOOR) if loudness else self._floor
        self._floor = max(self._floor, 1.0)
        # A click is one loud frame, a word is many: what counts goes up with speech and down without.
        self._voiced = min(self._voiced + 1, self._start_frames) if voiced else max(self._voiced - 1, 0)
        if self._began is None:
            return self._start() if self._voiced >= self._start_frames else None
        self._quiet = 0 if voiced and self._voiced > 1 else self._quiet + 1
        return self._end() if self._quiet >= self._end_frames else None

    def _start(self) -> SpeechStart:
        self._began = self._frames - self._start_frames
        self._quiet = 0
        return SpeechStart(self._began * FRAME_MS / 1000)

    def _end(self) -> SpeechEnd:
        assert self._began is not None
        seconds = (self._frames - self._quiet - self._began) * FRAME_MS / 1000
        self._began = None
        self._voiced = self._quiet = 0
        return SpeechEnd(self.offset, seconds)


def _loudness(frame: bytes) -> float:
    """Return the root mean square of a frame of S16_LE samples."""
    samples = array("h", frame)
    return math.sqrt(sum(map(mul, samples, samples)) / len(samples))
