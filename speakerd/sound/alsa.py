"""Microphone and loudspeaker: two ALSA devices, each owned by a thread of its own.

Only the thread that owns a device opens and closes it; closing a PCM that another thread reads ends in a crash
inside alsa-lib. A device that fails is closed, tried again with a growing pause, and told of once each way.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import functools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import alsaaudio

from speakerd.errors import HardwareError
from speakerd.live.events import INPUT_RATE, OUTPUT_RATE
from speakerd.settings import Microphone as MicrophoneSettings
from speakerd.settings import Speaker as SpeakerSettings
from speakerd.sound.devices import why_not
from speakerd.sound.mixer import take_on
from speakerd.sound.proof import Substream, why_open
from speakerd.sound.reply import PERIOD_MS, Reply
from speakerd.sound.volume import Volume

log = logging.getLogger(__name__)

XRUN = -errno.EPIPE
"""What pyalsaaudio returns, rather than raises, for an overrun or underrun; the device is ready again."""

CAPTURE_BUFFER_PERIODS = 8
"""Periods in the capture ring: how long the machine may be busy elsewhere before sound is lost."""

RETRY_S = (0.5, 1.0, 1.5)
"""Pauses before a lost device is tried again; the last one repeats for ever. It is short, since a sound server that
comes back makes no news."""

CLOSE_S = 2.0
"""How long a device may take to close; a read in it lasts a period."""

STOP_S = 0.6
"""How long to wait for a thread at the end; a driver that holds it longer is left behind."""

STUCK_S = 2.0
"""A call into a driver that lasts longer than this may never end: each reads, writes or plays a few periods."""

SILENT_S = 1.0
"""A microphone that is open and gives no sound for so long is as good as away."""

THREADS = ("microphone", "loudspeaker")
"""The names of the threads."""

Heard = TypeVar("Heard")
"""What the microphone's thread makes of a period."""

Report = Callable[[str | None], None]
"""Takes what is wrong with a device, in words, or None when it works (again)."""


def open_pcm(kind: int, device: str, rate: int, channels: int, period: int, periods: int) -> alsaaudio.PCM:
    """Open an ALSA device for S16_LE at this rate; ``period`` is in frames.

    Raises:
        HardwareError: it is not there, it is busy, or it offers something else; the text says what to do.
    """
    capture = kind == alsaaudio.PCM_CAPTURE
    _hush_alsa()
    try:
        pcm = alsaaudio.PCM(
            type=kind,
            device=device,
            rate=rate,
            channels=channels,
            format=alsaaudio.PCM_FORMAT_S16_LE,
            periodsize=period,
            periods=periods,
        )
        # The constructor takes what the card offers instead of what was asked, and says nothing.
        got = pcm.info()
    except alsaaudio.ALSAAudioError as error:
        raise HardwareError(why_not(device, str(error), capture=capture)) from error
    offered = (got["rate"], got["channels"], got["format_name"])
    if offered != (rate, channels, "S16_LE"):
        _close(pcm)
        raise HardwareError(
            f"{device} offers {offered[0]} Hz, {offered[1]} channels, {offered[2]} instead of {rate} Hz, {channels}, "
            f"S16_LE; let ALSA convert: name it plughw:… instead of hw:… (speakerd devices lists the names)"
        )
    return pcm


_HUSHING = threading.Lock()


def _hush_alsa() -> object:
    """Keep alsa-lib from writing to stderr; all that it reports reaches us as errors, which have better words."""
    # Microphone and loudspeaker are opened at the same moment. Were each to make a handler, the cache could keep one
    # and alsa-lib call the other, which is no more.
    with _HUSHING:
        return _handler()


@functools.cache
def _handler() -> object:
    handler_type = ctypes.CFUNCTYPE(
        None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
    )
    handler = handler_type(lambda *_: None)
    ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(handler)
    return handler  # kept by the cache for as long as alsa-lib may call it


class _Owner:
    """The thread that owns a device: it opens it, works with it, and opens it again when it went away."""

    def __init__(self, name: str, use: Callable[[], None], report: Report) -> None:
        """Prepare; ``use`` opens the device, works until ``stopping``, closes it, or raises HardwareError."""
        self.stopping = threading.Event()
        self.failures = 0
        self.trouble: str | None = None
        """Why the device cannot be used, since that is known."""
        self._in_driver_since: float | None = None
        self._again = threading.Event()  # set to try at once
        self._use = use
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def try_again(self) -> None:
        """Wait no longer for a device that is away; called in any thread."""
        self._again.set()

    async def stop(self) -> None:
        self.stopping.set()
        self.try_again()
        # A thread that is not there in time hangs inside a driver; the process must still be able to end.
        await asyncio.to_thread(self._thread.join, STOP_S)

    def report(self, trouble: str) -> None:
        """Report trouble, from the event loop."""
        self.trouble = trouble
        self._report(trouble)

    def opened(self) -> None:
        """Report, from the thread, that the device works."""
        self.failures = 0
        self.trouble = None
        self.call(self._report, None)

    @contextlib.contextmanager
    def in_driver(self) -> Iterator[None]:
        """Say, from the thread, that the driver has it for as long as the block runs."""
        self.enters_driver()
        try:
            yield
        finally:
            self._in_driver_since = None

    def enters_driver(self) -> None:
        """Say, within such a block, that the driver came back and is called once more."""
        self._in_driver_since = time.monotonic()

    def in_driver_s(self) -> float:
        """Return for how many seconds the driver has not come back to the thread."""
        since = self._in_driver_since
        return 0.0 if since is None else time.monotonic() - since

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in the event loop, from the thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be told
            self._loop.call_soon_threadsafe(function, *arguments)

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._use()
            except HardwareError as error:
                self.trouble = str(error)
                self.call(self._report, str(error))
                self._again.wait(RETRY_S[min(self.failures, len(RETRY_S) - 1)])
                self._again.clear()
                self.failures += 1


class Microphone(Generic[Heard]):
    """The microphone: gives the room's sound, 16 kHz mono S16_LE, period by period, unless it is closed."""

    def __init__(
        self,
        settings: MicrophoneSettings,
        ear: Callable[[], Callable[[bytes, float], Heard]],
        hear: Callable[[Heard], None],
        report: Report,
        *,
        closed: bool = False,
    ) -> None:
        """Prepare; ``hear`` and ``report`` are called in the event loop that runs now.

        In the thread, ``ear`` is called before the device is opened, and each time that sound begins; what it returns
        takes each period and the time.monotonic() at which its first sample was captured, or somewhat later, and
        gives what ``hear`` gets.
        """
        self._settings = settings
        self._ear = ear
        self._hear = hear
        self._owner = _Owner(THREADS[0], self._use, report)
        self._lock = threading.Lock()
        self._wanted = threading.Event()  # cleared under _lock
        self._is_closed = threading.Event()  # cleared under _lock
        self._is_closed.set()
        if not closed:
            self._wanted.set()
        self._substream: Substream | None = None  # of the newest device that was open
        self._is_silent = False  # it was told that it gives no sound
        self.overruns = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen for as long as the block runs, except while it is closed."""
        self._owner.start()
        try:
            yield
        finally:
            self._owner.stopping.set()
            self._wanted.set()  # it waits for that while it is closed
            await self._owner.stop()

    @property
    def trouble(self) -> str | None:
        """Why the device cannot be used, if so."""
        return self._owner.trouble

    @property
    def is_closed(self) -> bool:
        """Whether the device is closed on purpose."""
        return self._is_closed.is_set() and not self._wanted.is_set()

    def open(self) -> None:
        """Listen from now on."""
        self._wanted.set()

    def try_again(self) -> None:
        """Look at once for a device that is away."""
        self._owner.try_again()

    async def close(self) -> None:
        """Close the device, and see in the kernel that it is closed.

        Raises:
            HardwareError: it is not known to be closed; the text says why.
        """
        with self._lock:
            self._wanted.clear()
        if not await asyncio.to_thread(self._is_closed.wait, CLOSE_S):
            raise HardwareError(f"the driver of {self._settings.device} does not let go of it")
        if why := self.why_open():
            raise HardwareError(why)

    async def attend(self) -> NoReturn:
        """Tell of a device that is open and gives no sound, which its thread, waiting for it, cannot."""
        was_late = False  # a process that was stopped for a while finds its own sleep
        while True:
            # Until it can be late at the earliest: a speaker at rest wakes its processor as seldom as it can.
            await asyncio.sleep(max(SILENT_S / 8, SILENT_S - self._owner.in_driver_s()))
            is_late = self._owner.in_driver_s() > SILENT_S
            if is_late and was_late and not self._is_silent:
                self._is_silent = True
                self._owner.report(f"the microphone {self._settings.device} says nothing")
            was_late = is_late

    def why_stuck(self) -> str | None:
        """Return why the microphone counts as stuck, if it does; one that is closed or away does not."""
        if self._owner.in_driver_s() <= STUCK_S:
            return None
        return f"the driver of the microphone {self._settings.device} does not answer"

    def why_open(self) -> str | None:
        """Return why a microphone that should be closed is not known to be; None where it is."""
        return why_open(self._substream)

    def _use(self) -> None:
        self._wanted.wait()
        with self._lock:
            if not self._wanted.is_set() or self._owner.stopping.is_set():
                return
            self._is_closed.clear()
        try:
            self._use_device()
        finally:
            self._is_closed.set()

    def _use_device(self) -> None:
        settings = self._settings
        period = INPUT_RATE * settings.period_ms // 1000
        self._ear()  # what it loads takes longer than an open device waits
        with self._owner.in_driver():
            pcm = open_pcm(
                alsaaudio.PCM_CAPTURE, settings.device, INPUT_RATE, settings.channels, period, CAPTURE_BUFFER_PERIODS
            )
            try:
                self._substream = _substream(pcm)
                self._listen(pcm, period)
            except alsaaudio.ALSAAudioError as error:
                raise HardwareError(f"the microphone went away: {error}") from error
            finally:
                self._owner.enters_driver()
                _close(pcm)

    def _listen(self, pcm: alsaaudio.PCM, period: int) -> None:
        step, octets = self._settings.channels, period * 2
        pace, pending, works = _Pace(), b"", False
        listen = self._ear()
        while self._wanted.is_set() and not self._owner.stopping.is_set():
            self._owner.enters_driver()
            frames, data = pcm.read()
            if frames == XRUN:
                self.overruns += 1
                log.warning("the machine was too busy to hear everything: some sound was lost",
                            extra={"event": "xrun", "device": "microphone", "count": self.overruns})  # fmt: skip
                listen = self._ear()
                continue
            if pace.is_real(frames) and (not works or self._is_silent):
                works, self._is_silent = True, False
                self._owner.opened()
            if step > 1:
                data = memoryview(data).cast("h")[::step].tobytes()
            # A card may give pieces of a length of its own; everything after this counts in our periods.
            pending += data
            now = time.monotonic()
            while len(pending) >= octets:
                # What waits in the device is not asked for: snd_pcm_avail was seen to crash behind an overrun.
                captured_at = now - len(pending) / 2 / INPUT_RATE
                self._owner.call(self._hear, listen(pending[:octets], captured_at))
                pending = pending[octets:]


class _Pace:
    """Notices a device that has died and returns sound without waiting for it, as PulseAudio's plug-in can."""

    _WINDOW = INPUT_RATE // 2

    def __init__(self) -> None:
        self._frames = 0
        self._empty = 0
        self._since = time.monotonic()
        self._real = False

    def is_real(self, frames: int) -> bool:
        """Count a read; return whether the device was seen to keep time.

        Raises:
            HardwareError: half a second of sound came within an eighth of a second, or a hundred reads brought none.
        """
        self._frames += frames
        self._empty = 0 if frames else self._empty + 1
        if self._frames >= self._WINDOW or self._empty >= 100:
            now = time.monotonic()
            if now - self._since < self._WINDOW / INPUT_RATE / 4 or self._empty:
                raise HardwareError("the microphone delivers sound faster than time passes: it is gone")
            self._frames, self._since, self._real = 0, now, True
        return self._real


class Witness(Protocol):
    """Who is told what the loudspeaker plays."""

    def played(self, pcm: bytes, sounds_at: float) -> None:
        """Learn in the loudspeaker's thread what the device took, mono S16_LE at 24 kHz.

        ``sounds_at`` is the time.monotonic() at which its first sample leaves the device.
        """

    def cut(self, at: float) -> None:
        """Learn in the event loop that the device fell silent, whatever it had been given."""


class Speaker:
    """The loudspeaker: plays what is in the reply queue, and can be silenced within a period."""

    def __init__(
        self,
        settings: SpeakerSettings,
        reply: Reply,
        playing: Callable[[bool], None],
        report: Report,
        volume: Volume,
        witness: Witness | None = None,
    ) -> None:
        """Prepare; ``playing`` learns when sound starts to leave the loudspeaker and when the last sample has."""
        self._settings = settings
        self._reply = reply
        self._playing = playing
        self._volume = volume
        self._witness = witness
        self._period_s = PERIOD_MS / 1000
        self._owner = _Owner(THREADS[1], self._use, report)
        self._lock = threading.Lock()
        self._sounding: alsaaudio.PCM | None = None  # the open device while it plays; under _lock
        self._buffer_frames = 0
        self._sounds_until = 0.0  # when the device has played what it took
        self._mixer = ""  # what was told of the card's mixer
        self.underruns = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Play for as long as the block runs; its end cuts off what still sounds."""
        self._owner.start()
        try:
            yield
        finally:
            self._owner.stopping.set()
            self.drop()
            self._reply.close()
            await self._owner.stop()

    @property
    def trouble(self) -> str | None:
        """Why the device cannot be used, if so."""
        return self._owner.trouble

    def try_again(self) -> None:
        """Look at once whether a device that is away has come, or one that rests has gone."""
        self._owner.try_again()
        self._reply.wake()

    def drop(self) -> int:
        """Fall silent at once and forget the reply; return how many queued milliseconds were dropped.

        Stopping the device from here, while its thread may wait inside a write, is the one thing that alsa-lib
        allows another thread to do: the write returns within a millisecond.
        """
        dropped = self._reply.cut()
        with self._lock:
            if self._sounding is not None:
                _silence(self._sounding)
                if self._witness is not None:
                    self._witness.cut(time.monotonic())
        return dropped

    def duck(self, *, ducked: bool) -> None:
        """Lower the voice for a moment, or raise it again."""
        self._volume.is_ducked = ducked

    def why_stuck(self) -> str | None:
        """Return why the loudspeaker counts as stuck, if it does; one that has nothing to play does not."""
        if self._owner.in_driver_s() <= STUCK_S:
            return None
        return f"the driver of the loudspeaker {self._settings.device} does not answer"

    def _use(self) -> None:
        settings = self._settings
        with self._owner.in_driver():
            pcm = open_pcm(
                alsaaudio.PCM_PLAYBACK,
                settings.device,
                OUTPUT_RATE,
                1,
                OUTPUT_RATE * PERIOD_MS // 1000,
                settings.buffer_ms // PERIOD_MS,
            )
            self._volume.card_db = self._take_on()
        try:
            self._buffer_frames = pcm.info()["buffer_size"]
            if self._owner.failures:
                self._reply.cut()  # what was said to a loudspeaker that was not there is not said later
            self._owner.opened()
            # A device at rest does not tell that it has gone: at news of a card it is opened anew.
            while block := self._reply.begin():
                self._play(pcm, block)
        except alsaaudio.ALSAAudioError as error:
            raise HardwareError(f"the loudspeaker went away: {error}") from error
        finally:
            with self._owner.in_driver():
                _silence(pcm)  # close() would first play what is left
                _close(pcm)

    def _take_on(self) -> float:
        """Let the card do what it can of the volume; return that in dB, and tell what is not as it was."""
        settings, taken, words = self._settings, None, ""
        try:
            taken = take_on(settings.device, settings.mixer, settings.volume)
        except LookupError as error:
            words = f"{error}; the volume is set in software"
        if taken is not None:
            words = f"the volume is set by the card's control {taken.name}, {taken.card_db:.1f} dB"
        if words and words != self._mixer:
            log.log(
                logging.INFO if taken else logging.WARNING,
                words,
                extra={"event": "volume", "device": settings.device},
            )
        self._mixer = words
        return taken.card_db if taken else 0.0

    def _play(self, pcm: alsaaudio.PCM, block: bytes | None) -> None:
        """Play from this block on, until the queue and then the device are empty, or until a cut."""
        with self._lock:
            self._sounding = pcm
        self._sounds_until = 0.0
        self._owner.call(self._playing, True)
        try:
            while block is not None:
                self._write(pcm, block)
                if self._reply.is_stale():
                    _silence(pcm)  # the block may have reached the device just after the cut
                    return
                block = self._reply.more() or self._play_out(pcm)
        finally:
            with self._lock:
                self._sounding = None
            self._owner.call(self._playing, False)

    def _write(self, pcm: alsaaudio.PCM, block: bytes) -> None:
        block = self._volume.shape(block)
        while block and not self._reply.is_stale():
            try:
                with self._owner.in_driver():
                    frames = pcm.write(block)
            except alsaaudio.ALSAAudioError:
                if self._reply.is_stale():
                    return  # a cut pulled the device away under the write
                raise
            if frames == XRUN:
                self.underruns += 1  # nothing of the block was taken
                log.warning("the machine was too busy to play without a gap",
                            extra={"event": "xrun", "device": "loudspeaker", "count": self.underruns})  # fmt: skip
                self._sounds_until = 0.0
            elif frames > 0:
                self._account_for(block[: frames * 2])
                block = block[frames * 2 :]

    def _account_for(self, block: bytes) -> None:
        """Tell the witness what the device took: it sounds behind what it had before, or at once if that is over."""
        now = time.monotonic()
        begins = min(max(self._sounds_until, now), now + self._buffer_frames / OUTPUT_RATE)
        self._sounds_until = begins + len(block) / 2 / OUTPUT_RATE
        if self._witness is not None:
            self._witness.played(block, begins)

    def _play_out(self, pcm: alsaaudio.PCM) -> bytes | None:
        """Wait until the device has played all it has; return sound that came meanwhile, which goes on seamlessly."""
        while (left := self._sounds_until - time.monotonic()) > self._period_s:
            block = self._reply.more(wait=left - self._period_s)
            if block is not None or self._reply.is_stale() or self._owner.stopping.is_set():
                return block
        # It may have run empty already, or a cut came first.
        with contextlib.suppress(alsaaudio.ALSAAudioError), self._owner.in_driver():
            pcm.drain()
        return None


def _substream(pcm: alsaaudio.PCM) -> Substream:
    known = pcm.info()
    return Substream(known["card_no"], known["device_no"], known["subdevice_no"])


def _close(pcm: alsaaudio.PCM) -> None:
    with contextlib.suppress(alsaaudio.ALSAAudioError):  # a device that is gone may complain of its own end
        pcm.close()


def _silence(pcm: alsaaudio.PCM) -> None:
    with contextlib.suppress(alsaaudio.ALSAAudioError):  # gone or not running: silent either way
        pcm.drop()
