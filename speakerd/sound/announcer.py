"""The speaker's own voice: chimes and notices, between replies and never into one."""

import datetime as dt
import functools
import time
from array import array
from collections.abc import Callable, Collection
from typing import TypeAlias

from speakerd.host.clock import local_time
from speakerd.live.events import OUTPUT_RATE
from speakerd.settings import QuietHours, Sounds
from speakerd.sound import chimes
from speakerd.sound.chimes import Chime
from speakerd.sound.notices import Notice, sound_of
from speakerd.sound.reply import Reply
from speakerd.sound.volume import gain

FRESH_S = 2.0
"""A chime answers something that was just done; later than this, nobody would know what it means."""

AGAIN_S = 600.0
"""A cause that comes and goes is spoken of once in this time."""

ECHO_S = 0.3
"""How long a sound stays in the device and the room after its last sample would have been played: 160 ms of buffer
in the default settings, and a kitchen's echo."""

Say: TypeAlias = Callable[[Notice, str], bytes | None]
"""Returns a notice in a language, S16_LE mono 24 kHz."""


class Announcer:
    """Plays the speaker's own sounds where nothing else is heard, as loud as the settings want them beside answers.

    All its methods are called in the event loop. Whoever knows the loudspeaker calls ``free`` when a sound has been
    played, when a turn ended, and when the loudspeaker works again; once too often does no harm.
    """

    def __init__(
        self,
        reply: Reply,
        sounds: Sounds,
        quiet: QuietHours,
        language: str,
        *,
        busy: Callable[[], bool],
        talking: Callable[[], bool] = lambda: False,
        say: Say = sound_of,
        seconds: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = local_time,
    ) -> None:
        """Prepare; ``busy`` tells whether the loudspeaker plays or is missing, ``talking`` whether somebody talks.

        ``language`` is a BCP-47 tag.
        """
        self._reply = reply
        self._sounds = sounds
        self._quiet = quiet
        self._language = language
        self._busy = busy
        self._talking = talking
        self._say = say
        self._seconds = seconds
        self._now = now
        self._chime: tuple[Chime, float] | None = None  # the newest that waits, and since when
        self._waiting: list[Notice] = []
        self._told: set[Notice] = set()  # of the causes that are there
        self._said_at: dict[Notice, float] = {}
        self._heard_until = self._sounds_until = float("-inf")
        self._telling: Notice | None = None  # the newest, whether or not it is over

    def chime(self, chime: Chime) -> None:
        """Play a chime; within two seconds, or not at all, and only the newest of those that wait."""
        if self._wants(chime):
            self._chime = chime, self._seconds()
            self.free()

    def broke_off(self) -> None:
        """Play the end of a reply whose rest is lost, right behind what there is of it; its turn is over by now."""
        if self._wants(chimes.lost):
            self._play(chimes.lost(), over_talk=True)

    def notice(self, notice: Notice) -> None:
        """Learn of a cause that is there, or still is: call it as often as it shows.

        It is said once, as soon as nothing else is heard, and again after ``over``, but not within ten minutes.
        """
        if not self._sounds.notices or notice in self._told or notice in self._waiting:
            return
        if self._seconds() - self._said_at.get(notice, float("-inf")) >= AGAIN_S:
            self._waiting.append(notice)
            self.free()

    def over(self, notice: Notice) -> None:
        """Learn that a cause has passed; what was not said of it yet stays unsaid."""
        self._told.discard(notice)
        if notice in self._waiting:
            self._waiting.remove(notice)

    def is_telling(self, notices: Collection[Notice]) -> bool:
        """Say whether one of these is heard at the moment."""
        return self.is_speaking and self._telling in notices

    def broken_off(self) -> None:
        """Learn that the loudspeaker was silenced."""
        self._heard_until = self._sounds_until = self._seconds()

    def free(self) -> None:
        """Play what waits, one sound at a time, if nothing else is heard."""
        while (self._chime or (self._waiting and not self._talking())) and self._is_silent():
            if self._chime:
                (chime, since), self._chime = self._chime, None
                self._telling = None
                if self._seconds() - since <= FRESH_S:
                    self._play(chime(), over_talk=chime is chimes.listening)
            else:
                self._tell(self._waiting.pop(0))

    @property
    def is_sounding(self) -> bool:
        """Whether what the loudspeaker plays is a sound of ours."""
        return self._seconds() < self._sounds_until

    @property
    def is_speaking(self) -> bool:
        """Whether a sound is heard in the room that a microphone would take for somebody who talks.

        What is played over somebody who talks does not count, or their words would be lost.
        """
        return self._seconds() < self._heard_until

    def _is_silent(self) -> bool:
        return self._reply.is_complete and self._reply.is_empty and not self._busy()

    def _wants(self, chime: Chime) -> bool:
        if chime is chimes.listening:
            return self._sounds.listening
        return self._sounds.notices if chime in (chimes.lost, chimes.unreachable) else self._sounds.chimes

    def _tell(self, notice: Notice) -> None:
        self._telling = notice
        self._told.add(notice)
        self._said_at[notice] = self._seconds()
        self._play(self._say(notice, self._language) or chimes.unreachable())

    def _play(self, pcm: bytes, *, over_talk: bool = False) -> None:
        """Queue a sound, unless this time of day is for none."""
        if self._quiet.volume or not self._quiet.are_on(self._now()):
            self._reply.add(softened(pcm, gain(self._sounds.volume)))
            self._sounds_until = self._seconds() + len(pcm) / 2 / OUTPUT_RATE + ECHO_S
            if not over_talk:
                self._heard_until = self._sounds_until


@functools.lru_cache(maxsize=8)
def softened(pcm: bytes, factor: float) -> bytes:
    """Return S16_LE sound with each sample multiplied; kept, for it takes a small board 20 ms a second of sound."""
    if factor == 1.0:
        return pcm
    return array("h", [round(sample * factor) for sample in memoryview(pcm).cast("h")]).tobytes()
