"""A kitchen in which the microphone hears, in real time, what the loudspeaker plays, what people say, and noise.

It stands round a simulated card. What the program hands to the loudspeaker is known before it sounds; what has
sounded goes through the room's acoustics to the microphone, each sample at the moment that the clocks of both say.
So the way of the echo takes the same time to the sample, however busy the machine is. The same seed is the same air.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Self

from speakerd.errors import SpeakerdError
from speakerd.simulate.acoustics import BLOCK, Air, Room, Stream, Talk
from speakerd.simulate.card import SAMPLE_BYTES, Converter, Direction, Event, SimulatedCard
from speakerd.simulate.levels import as_sound
from speakerd.simulate.noises import RATE, Sound

TICK_S = 0.01
"""How often it is looked whether a block of air is due: half a block."""

SURE_S = 0.003
"""How long ago something must have sounded to be known: a program that stops does not say so at once, and a value
between two samples needs some of those after it."""

LEAD_S = 0.1
"""How far the air is ahead of the microphone at most; an echo that comes sooner makes it less."""


class Kitchen:
    """A room with the ALSA devices ``mic`` and ``speaker`` in it, for as long as its ``with`` block runs.

    Programs see it with ``environment`` in their environment. The microphone is for 16 kHz, the loudspeaker for any
    rate, both for one channel. ``card`` is the card: what it tells of frames and moments is true here too.
    """

    def __init__(
        self,
        directory: Path,
        room: Room,
        *,
        seed: int = 0,
        noise: Sound | None = None,
        microphone_ppm: float = 0.0,
    ) -> None:
        """Prepare a kitchen whose files are in ``directory``; they grow by 150 kB in a second.

        ``noise`` is at 16 kHz and begins again whenever it ends. The loudspeaker's clock is off by the ``drift_ppm``
        of the room.
        """
        self.card = SimulatedCard(
            directory,
            microphone=Converter(rate=RATE, ppm=microphone_ppm),
            speaker=Converter(ppm=room.drift_ppm),
            in_room=True,
        )
        self._room = room
        self._air = Air(room, seed=seed, noise=noise)
        self._microphone = _Timeline(self.card, "mic")
        self._loudspeaker = _Timeline(self.card, "speaker")
        self._streams: list[Stream] = []
        self._playing: Event | None = None  # the start of the last stream, while it runs
        self._start: Event | None = None  # of the microphone's stream, while there is one
        self._next = 0  # the frame of the microphone that is computed next
        self._changing = threading.Lock()
        self._end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="kitchen-air", daemon=True)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Open the kitchen.

        Raises:
            SpeakerdError: the card cannot be compiled; the text says what to install.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.card)
            self._out = os.open(self.card.file("mic", "air"), os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, self._out)
            self._in = os.open(self.card.file("speaker", "queue"), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, self._in)
            self._thread.start()
            stack.callback(self._thread.join)
            stack.callback(self._end.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it; the files stay.

        Raises:
            SpeakerdError: the air stood still at some time.
        """
        self._stack.close()
        if self._failure is not None:
            raise SpeakerdError("the air of the simulated kitchen stood still") from self._failure

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a program finds the devices."""
        return self.card.environment

    @property
    def delay_s(self) -> float:
        """How long sound takes from the converter of the loudspeaker to that of the microphone."""
        return self._room.delay_s

    @property
    def starved(self) -> int:
        """How many times the microphone heard nothing because this machine was too slow to compute the air."""
        return sum(event.kind == "starved" for event in self.card.timeline("mic"))

    def say(self, sound: Sound, at: float | None = None) -> float:
        """Say something as loud as it is, as soon as possible or at a moment, and return at once.

        Return the moment at which its first sample reaches the microphone. One that does not listen then misses it.
        """
        said = self._air.reflected(sound)
        with self._changing:
            if at is None:
                at = time.monotonic() + TICK_S
                if self._start is not None:
                    at = max(at, _moment(self._start, self._next))
            self._air.say(Talk(at, said))
        return at

    def _run(self) -> None:
        try:
            while not self._end.wait(TICK_S):
                with self._changing:
                    self._tick()
        except (OSError, ValueError, ArithmeticError, LookupError) as error:
            self._failure = error  # told where the kitchen is left

    def _tick(self) -> None:
        sure = time.monotonic() - SURE_S  # before looking: what is not to be seen now begins later
        for event in self._loudspeaker.news():
            self._follow_loudspeaker(event)
        self._streams = [stream for stream in self._streams if _last(stream) + self._room.delay_s + 1 > sure]
        for event in self._microphone.news():
            self._follow_microphone(event)
        if self._start is None:
            return
        until = sure + (LEAD_S if self._room.level_db is None else min(self._room.delay_s, LEAD_S))
        while _moment(self._start, self._next + BLOCK) <= until:
            block = self._air.hear(self._streams, _moment(self._start, self._next), self._start.rate)
            os.pwrite(self._out, block.tobytes(), self._next * SAMPLE_BYTES)
            self._next += BLOCK

    def _follow_loudspeaker(self, event: Event) -> None:
        if self._playing is not None:  # every event is the end of a stream; a killed program does not tell its own
            self._streams[-1] = replace(self._streams[-1], frames=event.frame - self._playing.frame)
        self._playing = event if event.kind == "start" else None
        if self._playing is not None:
            self._streams.append(Stream(event.time, event.rate, functools.partial(self._played, event.frame)))

    def _follow_microphone(self, event: Event) -> None:
        if event.kind == "start":
            self._start, self._next = event, event.frame
            self._air.forget()
        elif event.kind in {"stop", "xrun"}:
            self._start = None
        else:
            return
        # What was computed for the stream before it is not what the next one hears.
        os.ftruncate(self._out, event.frame * SAMPLE_BYTES)

    def _played(self, start: int, first: int, end: int) -> Sound:
        """Return frames of what the loudspeaker played since the frame at which its stream started."""
        pcm = os.pread(self._in, (end - first) * SAMPLE_BYTES, (start + first) * SAMPLE_BYTES)
        return as_sound(pcm)


class _Timeline:
    """The events of one direction, as they come."""

    def __init__(self, card: SimulatedCard, direction: Direction) -> None:
        self._card = card
        self._direction = direction
        self._path = str(card.file(direction, "timeline"))
        self._size = 0
        self._known = 0

    def news(self) -> list[Event]:
        """Return what has happened since the last time."""
        try:
            size = os.stat(self._path).st_size  # noqa: PTH116  # a hundred times a second
        except FileNotFoundError:  # nobody has opened it yet
            return []
        if size == self._size:
            return []
        self._size = size
        events = self._card.timeline(self._direction)[self._known :]
        self._known += len(events)
        return events


def _moment(start: Event, frame: int) -> float:
    return start.time + (frame - start.frame) / start.rate


def _last(stream: Stream) -> float:
    """Return when the last frame of a stream was played."""
    return float("inf") if stream.frames is None else stream.at + stream.frames / stream.rate
