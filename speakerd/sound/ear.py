"""The ear: what the microphone's thread makes of each period of the room's sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speakerd.sound.voice import Detector

if TYPE_CHECKING:
    from speakerd.sound.echo import Echo, Mode


@dataclass(frozen=True, slots=True)
class Sound:
    """A period of the room's sound, and what is known of it; levels in dB full scale."""

    pcm: bytes
    """16 kHz mono S16_LE, without our own voice."""

    probability: float
    """How likely it is that somebody talks in it, 0 to 1."""

    sounding: bool = False
    """Whether our own voice is in the room, and something is done about it."""

    near_db: float = -100.0
    """How loud it is without our voice."""

    residual_db: float = -100.0
    """How loud it would be if nobody talked."""

    words: bytes | None = None
    """What is kept of it for the case that somebody talks over us, where that is more than ``pcm``."""


class Ear:
    """Listens to the room, and knows what the loudspeaker plays into it."""

    def __init__(self, make_detector: Callable[[], Detector], make_echo: Callable[[], Echo] | None = None) -> None:
        """Prepare; what takes long to load is loaded in the microphone's thread, before it opens the device."""
        self._make_detector = make_detector
        self._make_echo = make_echo
        self._detector: Detector | None = None
        self._echo: Echo | None = None

    def begin(self) -> Callable[[bytes, float], Sound]:
        """Forget what was heard; return what takes each period from now on, and the time of its first sample."""
        if self._detector is None:
            self._detector = self._make_detector()
            self._echo = self._make_echo() if self._make_echo else None
        self._detector.reset()
        if self._echo is not None:
            self._echo.lost()
        hear, echo = self._detector.hear, self._echo

        def listen(pcm: bytes, captured_at: float) -> Sound:
            if echo is None:
                return Sound(pcm, hear(pcm))
            cleaned = echo.clean(pcm, captured_at)
            return Sound(
                cleaned.pcm,
                hear(cleaned.pcm),
                cleaned.sounding,
                cleaned.near_db,
                cleaned.residual_db,
                cleaned.words,
            )

        return listen

    @property
    def mode(self) -> Mode:
        """What is done about our own voice; nothing as long as the microphone was never open."""
        return "off" if self._echo is None else self._echo.mode

    def close(self) -> None:
        """Let go of what was loaded: some of it complains on stderr when the process ends before it."""
        self._detector = self._echo = None

    def played(self, pcm: bytes, sounds_at: float) -> None:
        """Learn what the loudspeaker plays: see ``alsa.Witness``."""
        if self._echo is not None:
            self._echo.played(pcm, sounds_at)

    def cut(self, at: float) -> None:
        """Learn that the loudspeaker fell silent."""
        if self._echo is not None:
            self._echo.cut(at)
