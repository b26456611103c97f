"""A simulated sound card: a microphone that hears what it is told, and a loudspeaker that keeps what it played.

The card is a plug-in of the real ALSA library, ``pcm_simcard.c``, compiled at the first use. It keeps time, overruns,
underruns and goes away as hardware does, so the program under test opens ``mic`` and ``speaker`` and knows no better.
Every time here is CLOCK_MONOTONIC, in seconds: compare it with ``time.monotonic()``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import soxr

from speakerd.errors import SpeakerdError

SPEECH_RATE = 16_000
"""Sample rate, Hz, of what is spoken to the microphone; one channel."""

SAMPLE_BYTES = 2
"""Bytes in a sample: S16_LE, the only format of the card."""

FEED_BYTES = 4096
"""How much is put into the microphone's FIFO in one go."""

COMPILER = ("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-DPIC")

HOW_TO_INSTALL = "run: apt-get install -y --no-install-recommends gcc libc6-dev libasound2-dev"

Direction = Literal["mic", "speaker"]
Kept = Literal["sink", "timeline", "air", "queue"]


@dataclass(frozen=True)
class Converter:
    """What one direction of the card offers.

    ``rate`` is the only sample rate, Hz; None offers 8 to 192 kHz. ``ppm`` is the error of the clock, in parts per
    million; a positive one is fast.
    """

    rate: int | None = None
    channels: int = 1
    ppm: float = 0.0


@dataclass(frozen=True)
class Event:
    """Something that happened to a stream: what, when, and at which frame.

    ``frame`` counts from the beginning of what ``played()`` or ``captured()`` returns. ``rate`` is the true one, in
    frames per second of CLOCK_MONOTONIC, clock error included. The kinds:

    - ``start``: the converter runs; ``frame`` is the first.
    - ``stop``: it was stopped, or has played everything; ``frame`` would have been the next.
    - ``xrun``: it ran out of data, or of room, and stopped by itself; ``frame`` would have been the next.
    - ``starved``: nobody speaks; silence is captured from ``frame`` on.
    - ``heard``: somebody speaks again; ``frame`` is the first of it.
    """

    kind: str
    time: float
    frame: int
    rate: float


class SimulatedCard:
    """A sound card with the ALSA devices ``mic`` and ``speaker``, for as long as its ``with`` block runs.

    Programs see it with ``environment`` in their environment. ``plug:mic`` and ``plug:speaker`` convert rates and
    channels, as ``plughw`` does; ``default`` is the two of them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        microphone: Converter | None = None,
        speaker: Converter | None = None,
        in_room: bool = False,
        mixer: bool = False,
    ) -> None:
        """Prepare a card whose files are in ``directory``, which is made if need be.

        ``in_room`` leaves the microphone to a room, which writes its file ``air`` and reads the loudspeaker's
        ``queue``: see ``file``. Nobody can ``speak`` to it then. With a ``mixer`` there is a control
        "Speaker" of the volume, and the loudspeaker is also called ``card:CARD=sim`` then.
        """
        self._directory = directory.absolute()
        self._in_room = in_room
        self._has_mixer = mixer
        self._converters = {"mic": microphone or Converter(), "speaker": speaker or Converter()}
        self._environment: dict[str, str] = {}
        self._mouth: _Mouth | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Put the card in.

        Raises:
            SpeakerdError: it cannot be compiled; the text says what to install.
        """
        with contextlib.ExitStack() as stack:
            plugin = _compiled("pcm_simcard.c")
            self._directory.mkdir(parents=True, exist_ok=True)
            source = self._path("mic", "source")
            if self._in_room:
                self._path("mic", "air").touch()
            elif not source.exists():
                os.mkfifo(source)
            # ALSA_CONFIG_PATH is split at blanks and colons, so the file it names has a place of its own.
            etc = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="speakerd-card-")))
            conf = etc / "asound.conf"
            conf.write_text(self._asound_conf(plugin) + (self._mixer_conf() if self._has_mixer else ""))
            self._environment = {"ALSA_CONFIG_PATH": str(conf)}
            if not self._in_room:
                self._mouth = stack.enter_context(_Mouth(source))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the card out; the files in its directory stay."""
        self._stack.close()
        self._mouth = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a program finds the card; alsa-lib reads them at each open."""
        return dict(self._environment)

    def speak(self, pcm: bytes) -> None:
        """Say something to the microphone, after what is still being said, and return at once.

        ``pcm`` is S16_LE, 16 kHz, mono; it is converted to what the microphone's converter offers. It waits for a
        microphone that is not open yet, and goes on when one that was closed is opened again.
        """
        self._spoken().add(_converted(pcm, self._converters["mic"]))

    def hush(self) -> None:
        """Stop speaking: forget everything that the microphone has not heard yet."""
        self._spoken().clear()

    @property
    def unheard_s(self) -> float:
        """Seconds of speech that the microphone has not heard yet."""
        converter = self._converters["mic"]
        return self._spoken().waiting() / (SAMPLE_BYTES * converter.channels * (converter.rate or SPEECH_RATE))

    def played(self) -> bytes:
        """Return everything that has left the loudspeaker since the card was made; what was dropped is not in it."""
        return self._sound("speaker")

    def captured(self) -> bytes:
        """Return everything that has passed the microphone's converter, also what no program has read in time."""
        return self._sound("mic")

    def unplug(self) -> None:
        """Pull the card out: every call fails with ENODEV, within 20 ms also the one that a program waits in."""
        (self._directory / "unplugged").touch()

    def replug(self) -> None:
        """Put the card back in: devices can be opened again, and those that noticed stay dead."""
        (self._directory / "unplugged").unlink(missing_ok=True)

    @property
    def mixer(self) -> tuple[int, bool]:
        """How the control of the loudspeaker stands: -50 to 6 dB, and whether it is on; -30 dB and off at first."""
        volume, is_on = self._path("speaker", "mixer").read_text().split()
        return int(volume) - 50, is_on == "1"

    def hang(self, direction: Direction) -> None:
        """Let the driver of one direction hang: the next read or write of it does not return."""
        self._path(direction, "hang").touch()

    def unhang(self, direction: Direction) -> None:
        """Let the driver of one direction come back, and go on."""
        self._path(direction, "hang").unlink(missing_ok=True)

    def timeline(self, direction: Direction) -> list[Event]:
        """Return what happened to the streams of one direction, in order."""
        try:
            lines = self._path(direction, "timeline").read_text().splitlines()
        except FileNotFoundError:  # nobody has opened it yet
            return []
        return [
            Event(kind, int(time_ns) / 1e9, int(frame), float(rate))
            for kind, time_ns, frame, rate in map(str.split, lines)
        ]

    def file(self, direction: Direction, what: Kept) -> Path:
        """Return where a growing file is, for a room that follows it; it may not be there yet.

        Frame k of the microphone's ``air`` is captured as frame k of its ``sink``; it may come half a buffer late.
        Frame k of the loudspeaker's ``queue`` is played as frame k of its ``sink``, unless the stream stops before.
        """
        return self._path(direction, what)

    def moment_played(self, frame: int) -> float:
        """Return when a frame of ``played()`` left the loudspeaker.

        Raises:
            LookupError: it has not been played.
        """
        return self._moment("speaker", frame)

    def moment_captured(self, frame: int) -> float:
        """Return when a frame of ``captured()`` was at the microphone.

        Raises:
            LookupError: it has not been captured.
        """
        return self._moment("mic", frame)

    def _moment(self, direction: Direction, frame: int) -> float:
        path = self._path(direction, "sink")
        frames = path.stat().st_size // (SAMPLE_BYTES * self._converters[direction].channels) if path.exists() else 0
        if not 0 <= frame < frames:
            raise LookupError(f"frame {frame} of {direction}: there are {frames} so far")
        start = [event for event in self.timeline(direction) if event.kind == "start" and event.frame <= frame][-1]
        return start.time + (frame - start.frame) / start.rate

    def _sound(self, direction: Direction) -> bytes:
        path = self._path(direction, "sink")
        return path.read_bytes() if path.exists() else b""

    def _spoken(self) -> _Mouth:
        if self._mouth is None:
            raise SpeakerdError(
                "the simulated card is in a room: speak there"
                if self._in_room
                else "the simulated card is not in: use it in a with block"
            )
        return self._mouth

    def _path(self, direction: str, what: str) -> Path:
        return self._directory / f"{direction}.{what}"

    def _asound_conf(self, plugin: Path) -> str:
        devices = "\n".join(self._device(name, converter) for name, converter in self._converters.items())
        return f"""\
</usr/share/alsa/alsa.conf>
pcm_type.simcard {{ lib {_quoted(plugin)} }}
{devices}
pcm.!default {{ type asym capture.pcm "plug:mic" playback.pcm "plug:speaker" }}
"""

    def _mixer_conf(self) -> str:
        state = self._path("speaker", "mixer")
        if not state.exists():
            state.write_text("20 0\n")
        return f"""\
ctl_type.simcard {{ lib {_quoted(_compiled("ctl_simcard.c"))} }}
ctl.speaker {{ type simcard state {_quoted(state)} }}
ctl.!hw {{ @args [ CARD ] @args.CARD {{ type string }} type simcard state {_quoted(state)} }}
pcm.card {{ @args [ CARD ] @args.CARD {{ type string default "sim" }} type plug slave.pcm "speaker" }}
"""

    def _device(self, name: str, converter: Converter) -> str:
        files = {what: self._path(name, what) for what in ("sink", "timeline", "lock", "hang")}
        files["unplug"] = self._directory / "unplugged"
        if self._in_room:
            files |= {"air": self._path(name, "air")} if name == "mic" else {"queue": self._path(name, "queue")}
        elif name == "mic":
            files["source"] = self._path(name, "source")
        fields = [f"{what} {_quoted(path)}" for what, path in files.items()]
        fields += [f"channels {converter.channels}", f"ppm {converter.ppm:.6f}"]
        if converter.rate is not None:
            fields.append(f"rate {converter.rate}")
        hint = f'hint {{ show on description "simulated {name}" }}'
        return f"pcm.{name} {{ type simcard {' '.join(fields)} {hint} }}"


class _Mouth:
    """Puts speech into a FIFO as fast as it is read, in a thread of its own."""

    def __init__(self, fifo: Path) -> None:
        self._fifo = fifo
        self._changed = threading.Condition()
        self._waiting = bytearray()  # under _changed
        self._thread = threading.Thread(target=self._run, name="simulated-mouth", daemon=True)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            # Open both ways: neither end then waits for the other, and what is in it outlives a closed microphone.
            self._fd = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, self._fd)
            self._end, self._bell = os.pipe2(os.O_CLOEXEC)
            stack.callback(os.close, self._end)
            self._thread.start()
            stack.callback(self._thread.join)
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, sound: bytes) -> None:
        with self._changed:
            self._waiting += sound
            self._feed()  # at once, so that a microphone that is opened next hears it from its first sample
            self._changed.notify()

    def clear(self) -> None:
        with self._changed:
            self._waiting.clear()
            with contextlib.suppress(BlockingIOError):  # empty, which is what is wanted
                while True:
                    os.read(self._fd, FEED_BYTES)

    def waiting(self) -> int:
        """Return how many bytes nobody has read yet."""
        with self._changed:
            (in_fifo,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)))
            return len(self._waiting) + int(in_fifo)

    def _stop(self) -> None:
        os.close(self._bell)
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.register(self._end, 0)  # tells of the hang-up when the bell is closed
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended())
            ready = dict(poll.poll())
            if self._end in ready:
                return
            with self._changed:
                self._feed()

    def _feed(self) -> None:
        """Put in what there is room for; call it under _changed."""
        with contextlib.suppress(BlockingIOError):  # full: the thread waits for more room
            while self._waiting:
                del self._waiting[: os.write(self._fd, self._waiting[:FEED_BYTES])]

    def _ended(self) -> bool:
        return bool(select.select([self._end], [], [], 0)[0])


def _converted(pcm: bytes, converter: Converter) -> bytes:
    """Turn 16 kHz mono into what a converter offers."""
    samples = np.frombuffer(pcm, np.int16)
    if converter.rate not in (None, SPEECH_RATE):
        samples = soxr.resample(samples, SPEECH_RATE, converter.rate)
    return np.repeat(samples, converter.channels).tobytes()


def _quoted(path: Path) -> str:
    """Write a path as a string of ALSA's configuration."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _compiled(name: str) -> Path:
    """Return a plug-in, compiled when these bytes of source have not been compiled on this machine before."""
    source = Path(__file__).with_name(name).read_bytes()
    key = hashlib.sha256(source + " ".join((*COMPILER, platform.machine())).encode()).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"speakerd-simcard-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise SpeakerdError(f"{directory} belongs to somebody else, and what is in it would be run: remove it")
    plugin = directory / f"{key}.so"
    if not plugin.exists():
        with _new_file(plugin) as unfinished:
            _compile(source, unfinished)
    return plugin


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes ``path`` at the end, whole or not at all."""
    unfinished = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _compile(source: bytes, plugin: Path) -> None:
    if shutil.which(COMPILER[0]) is None:
        raise SpeakerdError(f"the simulated sound card needs a C compiler; {HOW_TO_INSTALL}")
    command = [*COMPILER, "-o", str(plugin), "-x", "c", "-", "-lasound"]
    done = subprocess.run(command, input=source, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        missing = "alsa/asoundlib.h: No such file" in said or "-lasound" in said
        raise SpeakerdError(
            f"the simulated sound card needs ALSA's header files; {HOW_TO_INSTALL}"
            if missing
            else f"the simulated sound card cannot be compiled:\n{said}"
        )
