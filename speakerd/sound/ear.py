"""The ear: what the microphone's thread makes of each period of the room's sound."""

from collections.abc import Callable
from dataclasses import dataclass

from speakerd.sound.voice import Detector


@dataclass(frozen=True, slots=True)
class Sound:
    """A period of the room's sound, and what is known of it."""

    pcm: bytes
    """16 kHz mono S16_LE, without our own voice."""

    probability: float
    """How likely it is that somebody talks in it, 0 to 1."""


class Ear:
    """Listens to the room."""

    def __init__(self, make_detector: Callable[[], Detector]) -> None:
        """Prepare; what takes long to load is loaded when the microphone is opened."""
        self._make_detector = make_detector
        self._detector: Detector | None = None

    def begin(self) -> Callable[[bytes, float], Sound]:
        """Forget what was heard; return what takes each period from now on, and the time of its first sample."""
        if self._detector is None:
            self._detector = self._make_detector()
        self._detector.reset()
        hear = self._detector.hear

        def listen(pcm: bytes, captured_at: float) -> Sound:
            return Sound(pcm, hear(pcm))

        return listen
