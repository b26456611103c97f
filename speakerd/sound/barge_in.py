"""Does somebody talk over the loudspeaker? Pure.

A sound in the room that is louder than what is left of the echo lowers the loudspeaker's voice at once: that costs
little, and makes whoever talks easier to recognise. When it is a voice, the loudspeaker stops; when it was nothing,
it goes on as before.
"""

import enum

LIKELY = 0.5
"""A voice is likely from this probability on."""

SURE = 0.9
"""It surely is one from this on."""

SURE_MS = 140
"""So long in all it must surely be a voice: coughs end in a vowel, but mostly in a shorter one. Of 40 coughs in two
simulated kitchens 13 and 8 stopped it with 60 ms, and 3 with 140. Meanwhile no word is lost, for all is kept."""

ALONE_MS = 200
"""So much voice is believed without any rise in level: no residual echo of four rooms was taken for it that long."""

QUIET_MS = 300
"""Nobody pauses for so long in the first word of an interruption; then it was a cough, or a clink."""

PATIENCE_MS = 1_500
"""What has not become a voice by then is a tap, or a mixer."""


class Action(enum.Enum):
    """What the loudspeaker is to do."""

    NONE = "go on as you are"
    DUCK = "lower your voice"
    STOP = "fall silent"
    RESUME = "raise it again"


class BargeIn:
    """Judges what is heard while the loudspeaker speaks."""

    def __init__(self, margin_db: float, *, duck_ms: int = 60, stop_ms: int = 100, period_ms: int = 20) -> None:
        """Prepare; a sound counts when it stands ``margin_db`` above the residual echo."""
        self._margin_db = margin_db
        self._duck_ms = duck_ms
        self._stop_ms = stop_ms
        self._period_ms = period_ms
        self.reset()

    @property
    def since_ms(self) -> int:
        """How long ago it began, whatever it is that is heard now: the period heard last is within; 0 if nothing."""
        return self._since_ms

    def reset(self) -> None:
        """Forget what was heard."""
        self._is_ducked = self._is_stopped = False
        self._is_armed = True  # another sound than the one that came to nothing may duck
        self._quiet_ms = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._loud_ms = self._voice_ms = self._sure_ms = self._ducked_ms = self._since_ms = 0

    def hear(self, *, sounding: bool, near_db: float, residual_db: float, probability: float) -> Action:
        """Take what is known of a period: how loud the room is without the echo, and what is left of the echo.

        ``sounding`` says whether the loudspeaker is heard; the levels are in dB relative to full scale.
        """
        if not sounding:
            was_ducked = self._is_ducked
            self.reset()
            return Action.RESUME if was_ducked else Action.NONE
        if self._is_stopped:
            return Action.NONE
        self._count(loud=near_db > residual_db + self._margin_db, probability=probability)
        if self._sure_ms >= SURE_MS and self._voice_ms >= (self._stop_ms if self._is_ducked else ALONE_MS):
            self._is_stopped, self._is_ducked = True, False
            return Action.STOP
        if self._is_ducked:
            return self._resume_if_nothing()
        if self._is_armed and self._loud_ms >= self._duck_ms:
            self._is_ducked = True
            return Action.DUCK
        return Action.NONE

    def _count(self, *, loud: bool, probability: float) -> None:
        """Count what speaks for somebody, and what against; a gap within a syllable takes back a little only."""
        step, voice = self._period_ms, probability >= LIKELY
        # No more than is needed: what lasted for minutes must not count for as long after it ended.
        self._loud_ms = max(min(self._loud_ms + (step if loud else -step), self._duck_ms), 0)
        self._voice_ms = max(self._voice_ms + (step if voice else -step), 0)
        self._sure_ms = self._sure_ms + step * (probability >= SURE) if self._voice_ms else 0
        self._quiet_ms = 0 if loud or voice else self._quiet_ms + step
        self._ducked_ms += step * self._is_ducked
        self._is_armed = self._is_armed or self._quiet_ms >= QUIET_MS
        heard = self._loud_ms or self._voice_ms or self._is_ducked
        self._since_ms = self._since_ms + step if heard else 0

    def _resume_if_nothing(self) -> Action:
        if self._quiet_ms < QUIET_MS and self._ducked_ms < PATIENCE_MS:
            return Action.NONE
        self._is_armed = self._quiet_ms >= QUIET_MS
        self._is_ducked = False
        self._begin_anew()
        return Action.RESUME
