"""The ear by itself: the daemon's, without devices and without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speakerd.settings import Settings
from speakerd.sound.ear import Ear
from speakerd.sound.voice import make_detector

if TYPE_CHECKING:
    from speakerd.sound.echo import Echo, Mode


def make_ear(mode: Mode) -> Ear:
    """Return an ear with the settings that the daemon is delivered with; what takes long is not loaded yet."""

    def make_echo() -> Echo:
        from speakerd.sound.canceller import make_canceller
        from speakerd.sound.echo import Echo

        return Echo(mode, Settings().echo.margin_db, make_canceller, lambda mode, measured: None)

    return Ear(make_detector, None if mode == "off" else make_echo)
