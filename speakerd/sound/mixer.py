"""The card's own volume control: how much of our volume it takes on.

A control does its work behind the converter: the card's noise goes down with the sound, and nobody's alsamixer has a
say in how loud the speaker is. It is set when the loudspeaker is opened, and not moved while it plays, for then the
echo would change. What its steps do not meet, and what changes from moment to moment, is done to the samples.
"""

import math
import re
from dataclasses import dataclass

import alsaaudio

from speakerd.sound.volume import gain

AUTO, SOFTWARE = "auto", "software"

USUAL = ("Master", "Speaker", "PCM", "Digital", "Headphone")
"""What cards call the control of all that they play, as alsa-lib sorts them; auto takes the first that there is."""

FAINTEST_DB = -90.0
"""A control that tells of less is off there; some tell -99999.99 dB for that."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a card's control was set to."""

    name: str
    card_db: float
    """So much softer it makes the sound than it could; 0 or less."""


def take_on(device: str, mixer: str, percent: int) -> Taken | None:
    """Set the control of a loudspeaker's card to a volume in percent, and switch it on; return what came of it.

    100 percent is 0 dB by the control's own scale, or its loudest where that is less: what is above amplifies.
    ``mixer`` is the control's name, auto, or software, for which nothing is done. None is returned where nothing can
    be done: auto leaves a device alone that names no card, since it may be a desktop's own volume.

    Raises:
        LookupError: the card has no such control, or one without a volume in dB; the text names those that it has.
    """
    if mixer == SOFTWARE:
        return None
    card = _card_of(device)
    if card is None and mixer == AUTO:
        return None
    card = card or device
    names = _controls(card)
    wanted = [name for name in USUAL if name in names] if mixer == AUTO else [mixer]
    for name in wanted:
        if name in names and (taken := _set(card, name, percent)):
            return taken
    if mixer == AUTO:
        return None
    others = f"it has {', '.join(names)}" if names else "it has none"
    raise LookupError(f"the card of {device} has no volume control {mixer} in dB ({others})")


def _card_of(device: str) -> str | None:
    """Return the name of the card's mixer; None where the device's name does not tell its card."""
    match = re.search(r"CARD=([^,]+)|hw:([^,=]+)(?:,|$)", device)
    return f"hw:{match[1] or match[2]}" if match else None


def _controls(card: str) -> list[str]:
    try:
        return list(dict.fromkeys(alsaaudio.mixers(device=card)))
    except alsaaudio.ALSAAudioError:
        return []  # a device without a card has none


def _set(card: str, name: str, percent: int) -> Taken | None:
    try:
        control = alsaaudio.Mixer(name, device=card)
    except alsaaudio.ALSAAudioError:
        return None
    try:
        if "Playback Volume" not in control.volumecap():
            return None
        faintest, loudest = (db / 100 for db in control.getrange(alsaaudio.PCM_PLAYBACK, alsaaudio.VOLUME_UNITS_DB))
        if not loudest > faintest:
            return None  # it has no scale
        top = min(loudest, 0.0)
        below = 20 * math.log10(gain(percent)) if percent else -math.inf
        to = max(top + below, faintest, FAINTEST_DB)
        # Upwards: what it makes too loud, the samples are made softer by.
        control.setvolume(math.ceil(to * 100), alsaaudio.MIXER_CHANNEL_ALL, alsaaudio.PCM_PLAYBACK,
                          alsaaudio.VOLUME_UNITS_DB)  # fmt: skip
        if "Playback Mute" in control.switchcap():
            control.setmute(0)
        now = max(control.getvolume(alsaaudio.PCM_PLAYBACK, alsaaudio.VOLUME_UNITS_DB)) / 100
        return Taken(name, min(now - top, 0.0))
    except alsaaudio.ALSAAudioError:
        return None  # it went away; the loudspeaker will notice
    finally:
        control.close()
