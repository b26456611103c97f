"""What leaves the house: talk, a little of what came before it, and the silence that ends it; nothing else. Pure.

Talk is what is likely a voice for a while, and surely one for a part of it. Both are needed: some coughs are likely a
voice for longer than a short word is, but not surely; and how a word begins and ends is not surely a voice. The
figures are from ``python -m bench.gate``.
"""

from collections import deque
from dataclasses import dataclass

LONGEST_BACK_MS = 2_000
"""So much is kept of what was heard, for somebody who is noticed late: one who talks over the loudspeaker."""

SURE_MS = 60
"""So long in all it must surely be a voice; some coughs surely are one, but more shortly."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """When talk begins and ends."""

    sensitivity: float = 0.5
    """0 to 1: how easily sound counts as a voice."""

    min_speech_ms: int = 100
    """So long a voice must be likely before anything leaves; less is a cough."""

    preroll_ms: int = 400
    """So much goes along from before a voice was likely: the first sound of a word is soft."""

    hangover_ms: int = 600
    """Pauses between words are shorter; after so much silence nobody talks any more."""

    trailing_ms: int = 1500
    """So much silence goes out behind the last word: the server ends the turn by it."""

    is_always_open: bool = False
    """All sound leaves, talk or not; what is talk is judged nevertheless."""

    is_local: bool = False
    """The turn ends where nobody talks any more, and the server is told so; no silence needs to go out."""

    @property
    def likely(self) -> float:
        """From this probability on, 0 to 1, a voice is likely."""
        return 0.6 - self.sensitivity / 2

    @property
    def sure(self) -> float:
        """From this probability on, 0 to 1, it surely is one."""
        return 1 - self.sensitivity / 5


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with a period."""

    send: tuple[bytes, ...] = ()
    """The periods that leave now, oldest first."""

    began: bool = False
    """The first of them begins a turn."""

    ended: bool = False
    """The last of them ends it; nothing follows for now."""


NOTHING = Step()


class VoiceGate:
    """Opens when somebody talks, and closes behind them."""

    def __init__(self, settings: GateSettings, period_ms: int) -> None:
        """Prepare for periods of this length; the gate is closed."""
        self._settings = settings
        self._period_ms = period_ms
        self._likely, self._sure = settings.likely, settings.sure
        self._closes_after_ms = settings.hangover_ms if settings.is_local else settings.trailing_ms
        self._kept: deque[bytes] = deque(maxlen=LONGEST_BACK_MS // period_ms)
        self.reset()

    @property
    def is_open(self) -> bool:
        """Whether sound leaves."""
        return self._is_open or self._settings.is_always_open

    @property
    def is_always_open(self) -> bool:
        """Whether all sound leaves."""
        return self._settings.is_always_open

    @property
    def quiet_ms(self) -> int:
        """For how long nobody has been heard; pauses between words count."""
        return self._quiet_ms

    @property
    def is_talking(self) -> bool:
        """Whether somebody talks, pauses between words included."""
        return self._is_open and self._quiet_ms < self._settings.hangover_ms

    def reset(self) -> None:
        """Close at once, and keep nothing of what was heard."""
        self._is_open = False
        self._quiet_ms = self._settings.hangover_ms
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._kept.clear()
        self._likely_ms = self._since_ms = self._sure_ms = 0

    def hear(self, pcm: bytes, probability: float) -> Step:
        """Take a period, and how likely it is that somebody talks in it, 0 to 1."""
        self._quiet_ms = 0 if probability >= self._likely else self._quiet_ms + self._period_ms
        step = self._go_on(pcm) if self._is_open else self._wait(pcm, probability)
        return Step((pcm,)) if self._settings.is_always_open else step

    def open(self, since_ms: int) -> Step:
        """Open behind the period that was heard last: somebody has talked for so long, as others are sure.

        Nothing happens where the gate is open.
        """
        if self._is_open:
            return NOTHING
        self._quiet_ms = 0
        step = self._open(since_ms)
        return NOTHING if self._settings.is_always_open else step

    def _wait(self, pcm: bytes, probability: float) -> Step:
        self._kept.append(pcm)
        enough_ms = max(self._settings.min_speech_ms, self._period_ms)
        change_ms = self._period_ms if probability >= self._likely else -self._period_ms
        self._likely_ms = max(min(self._likely_ms + change_ms, enough_ms), 0)
        if self._likely_ms == 0:
            self._since_ms = self._sure_ms = 0
            return NOTHING
        self._since_ms += self._period_ms
        self._sure_ms += self._period_ms * (probability >= self._sure)
        return self._open(self._since_ms) if self._sure_ms >= SURE_MS and self._likely_ms == enough_ms else NOTHING

    def _open(self, since_ms: int) -> Step:
        back = min((since_ms + self._settings.preroll_ms) // self._period_ms, len(self._kept))
        send = tuple(self._kept)[len(self._kept) - back :]
        self._is_open = True
        self._begin_anew()  # what has left is not kept: it must not leave twice
        return Step(send, began=True)

    def _go_on(self, pcm: bytes) -> Step:
        self._is_open = self._quiet_ms < self._closes_after_ms
        return Step((pcm,), ended=not self._is_open)
