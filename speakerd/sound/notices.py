"""Spoken notices: what is wrong, in the words of whoever stands in the kitchen.

``scripts/notices.py`` lets a synthesiser speak the texts of ``notices.yaml`` when speakerd is built.
"""

import enum
import logging
import lzma
import wave
from pathlib import Path

from speakerd.errors import Cause

log = logging.getLogger(__name__)

SPOKEN = Path(__file__).with_name("spoken")
"""Where they are: ``LANGUAGE/CAUSE.wav.xz``. That takes twice the room of a lossy codec, but Python reads it by
itself, where soundfile brings along numpy: 13 MB of memory that nothing else in the daemon needs."""


class Notice(enum.Enum):
    """Something that a person can do something about, or should know."""

    OFFLINE = Cause.OFFLINE.value
    SERVICE = Cause.SERVICE.value
    KEY = Cause.KEY.value
    NO_KEY = Cause.NO_KEY.value
    LOGIN = Cause.LOGIN.value
    QUOTA = Cause.QUOTA.value
    SETTINGS = Cause.SETTINGS.value
    CLOCK = Cause.CLOCK.value
    MICROPHONE = "microphone"  # there is none
    MUTE = "mute"  # the microphone may be open, or a restart would open it
    PROVISIONING = "provisioning"  # ready to be set up
    CARD = "card"  # what its owner wrote on the card has mistakes


LINK = frozenset(Notice(cause.value) for cause in Cause)
"""What is over as soon as there is a connection."""


def notice_of(cause: Cause) -> Notice:
    """Return what to say of a connection that could not be made, or was lost."""
    return Notice(cause.value)


def sound_of(notice: Notice, language: str, spoken: Path = SPOKEN) -> bytes | None:
    """Return a notice as S16_LE mono 24 kHz in a BCP-47 language, else in English; None where there is neither."""
    for spoken_language in (language.split("-")[0].lower(), "en"):
        pcm = _read(spoken / spoken_language / f"{notice.value}.wav.xz")
        if pcm is not None:
            return pcm
    return None


def _read(path: Path) -> bytes | None:
    try:
        with lzma.open(path) as unpacked, wave.open(unpacked, "rb") as file:
            return file.readframes(file.getnframes())
    except FileNotFoundError:
        return None
    except (OSError, EOFError, lzma.LZMAError, wave.Error) as error:
        log.warning("the notice %s cannot be read and is not said: %s", path, error, extra={"event": "notice-unread"})
        return None
