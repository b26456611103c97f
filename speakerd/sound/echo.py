"""Keeps our own voice out of what the microphone heard, by the means that works in this room.

``cancel`` takes the echo out. Where that does not work, ``half-duplex`` hears nothing but what is far louder than the
echo for as long as we speak. ``off`` leaves the sound as it is, for a microphone that cancels by itself. ``auto``
begins with ``cancel`` and looks at what comes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from speakerd.sound.reference import RATE, Reference

if TYPE_CHECKING:
    from speakerd.sound.calibration import Calibration
    from speakerd.sound.canceller import Canceller

Mode: TypeAlias = Literal["cancel", "half-duplex", "off"]

SOUNDING_DB = -60.0
"""What is played softer than this (dB full scale) makes no echo worth the name."""

REVERBERATION_S = 0.3
"""A kitchen goes on sounding for so long, and a device holds back for some of that."""

LATE = 10
"""Periods (200 ms) in which the echo of one may arrive: sound has a way to go, in devices too."""

LEARNT_S = 10.0
"""So much of our voice is listened to before it is known what the room makes of it."""

SILENT_S, SILENT_RISES = 1.5, 0.1
"""Where so much of our voice makes the room louder for less than this share of it, there is no echo. Nobody has to
wait until more is known: a canceller that looks for one takes others' voices for it, for five seconds and more."""

FAINT_DB = 3.0
"""What stands no further above the room's noise is no echo."""

SPARED_DB = 12.0
"""A canceller takes 30 dB and more off the first syllable of who talks over us; no more than this is meant."""

LOUDEST = 0.95
"""So much of the echo is softer than what is taken for its loudest; what is louder is not the echo alone."""

LEAST_ERLE_DB = 12.0
"""A canceller that takes out less (echo return loss enhancement) leaves enough to be taken for somebody."""

_STEP_DB = 0.1  # a median follows so much in a period


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A period without our own voice, and what is known of it; levels in dB full scale."""

    pcm: bytes
    sounding: bool
    """Whether our voice is in the room."""
    near_db: float
    """How loud it is without the echo."""
    residual_db: float
    """How loud it would be if nobody talked."""
    words: bytes | None = None
    """What to keep of it for whoever is to understand it, where that is more than ``pcm``."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of the room, in dB."""

    return_db: float
    """The echo, relative to what was played."""
    erle_db: float
    """How much of it is taken out (echo return loss enhancement)."""


class Quantile:
    """Follows what so many of the values it is told stay below, slowly, whatever a few of them are."""

    def __init__(self, otherwise: float, share: float = 0.5) -> None:
        """Prepare; ``otherwise`` is taken for it before anything was told, and a half makes it the median."""
        self.value = otherwise
        self._up, self._down = 2 * share * _STEP_DB, 2 * (1 - share) * _STEP_DB
        self._is_known = False

    def take(self, value: float) -> None:
        """Take a value."""
        if not self._is_known:
            self.value, self._is_known = value, True
        self.value += self._up if value > self.value else -self._down


class Echo:
    """What the loudspeaker's thread tells, the microphone's thread uses."""

    def __init__(
        self,
        mode: Mode | Literal["auto"],
        margin_db: float,
        make_canceller: Callable[[], Canceller],
        decided: Callable[[Mode, Measured], None],
        *,
        known: Calibration | None = None,
    ) -> None:
        """Prepare; ``decided`` is called in the microphone's thread when ``auto`` has chosen, and chooses anew.

        ``known`` is what was measured before: ``auto`` begins with that, and the delay counts in any case.
        """
        self._is_auto = mode == "auto"
        self._is_decided = False
        first: Mode = "cancel" if known is None else known.mode
        self._mode: Mode = first if mode == "auto" else mode
        self._late_s = known.delay_ms / 1000 if known else 0.0
        self._margin_db = margin_db
        self._decided = decided
        self._canceller = None if mode == "off" else make_canceller()
        self._reference = Reference()
        self._quiet_s = REVERBERATION_S
        self._far_db = deque([-100.0], maxlen=LATE)
        self._learnt_s = 0.0
        self._early_s = self._rises_s = 0.0  # of our voice, since it was last looked whether it is heard at all
        self._noise = Quantile(-60.0)
        self._return = Quantile(-10.0)  # the echo, relative to what was played
        self._loudest = Quantile(0.0, LOUDEST)  # of the same
        self._left = Quantile(-40.0)  # what is left of it
        self._faint = Quantile(20.0)  # the echo above the noise

    @property
    def mode(self) -> Mode:
        """What is done now."""
        return self._mode

    def played(self, pcm: bytes, sounds_at: float) -> None:
        """Take what the loudspeaker got, 24 kHz mono S16_LE, and the time at which its first sample sounds."""
        self._reference.played(pcm, sounds_at)

    def cut(self, at: float) -> None:
        """Learn that it fell silent."""
        self._reference.cut(at)

    def lost(self) -> None:
        """Learn that the microphone lost sound, or begins."""
        self._reference.lost()

    def clean(self, pcm: bytes, captured_at: float) -> Cleaned:
        """Take a period of the microphone, 16 kHz mono S16_LE, and the time of its first sample."""
        far = self._reference.heard_at(captured_at - self._late_s, len(pcm) // 2)
        self._far_db.append(level_db(far))
        far_db, seconds = max(self._far_db), len(pcm) / 2 / RATE
        self._quiet_s = 0.0 if far_db > SOUNDING_DB else self._quiet_s + seconds
        sounding = self._quiet_s < REVERBERATION_S
        cleaned = self._canceller.process(pcm, far) if self._canceller is not None else pcm
        heard_db, left_db = level_db(pcm), level_db(cleaned)
        self._learn(heard_db, left_db, far_db, seconds, sounding=sounding)
        if self._mode == "half-duplex" and sounding:
            residual_db = max(far_db + self._return.value, self._noise.value)
            is_somebody = heard_db > residual_db + self._margin_db
            return Cleaned(cleaned if is_somebody else bytes(len(pcm)), sounding, heard_db, residual_db)
        if self._mode == "off":
            return Cleaned(pcm, sounding, heard_db, max(self._noise.value, far_db + self._return.value))
        is_above = heard_db > far_db + self._loudest.value
        words = _mixed(cleaned, pcm) if sounding and is_above and left_db < heard_db - SPARED_DB else None
        return Cleaned(cleaned, sounding, left_db, max(self._noise.value, far_db + self._left.value), words)

    def _learn(self, heard_db: float, left_db: float, far_db: float, seconds: float, *, sounding: bool) -> None:
        if not sounding:
            self._noise.take(heard_db)
        elif far_db > SOUNDING_DB + 20:
            self._return.take(heard_db - far_db)
            self._loudest.take(heard_db - far_db)
            self._left.take(left_db - far_db)
            self._faint.take(heard_db - self._noise.value)
            self._learnt_s += seconds
            silent = not self._is_decided and self._is_silent(heard_db, seconds)
            if self._is_auto and (silent or self._learnt_s >= LEARNT_S):
                self._learnt_s = 0.0
                self._decide(silent=silent)

    def _is_silent(self, heard_db: float, seconds: float) -> bool:
        """Say after each ``SILENT_S`` of our voice whether it left the room as quiet as before."""
        self._early_s += seconds
        self._rises_s += seconds * (heard_db > self._noise.value + 2 * FAINT_DB)
        if self._early_s < SILENT_S:
            return False
        silent = self._rises_s < SILENT_S * SILENT_RISES
        self._early_s = self._rises_s = 0.0
        return silent

    def _decide(self, *, silent: bool) -> None:
        measured = Measured(self._return.value, self._return.value - self._left.value)
        mode: Mode = "cancel"
        if silent or self._faint.value < FAINT_DB:
            mode = "off"
        elif measured.erle_db < LEAST_ERLE_DB:
            mode = "half-duplex"
        if mode != self._mode or not self._is_decided:
            self._mode, self._is_decided = mode, True
            self._decided(mode, measured)


def _mixed(cleaned: bytes, heard: bytes) -> bytes:
    """Return a cleaned period with what was heard beneath it, softened."""
    both = np.frombuffer(cleaned, np.int16) + np.frombuffer(heard, np.int16) * 10 ** (-SPARED_DB / 20)
    return both.clip(-32768, 32767).astype(np.int16).tobytes()


def level_db(pcm: bytes) -> float:
    """Return the level of S16_LE sound, root mean square in dB relative to full scale; -100 for silence."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float32)
    return float(10 * np.log10(np.dot(samples, samples) / max(len(samples), 1) / 2**30 + 1e-10))
