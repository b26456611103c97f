"""A room with a loudspeaker and a microphone in it: a private PulseAudio server with two null sinks.

Where the simulated card is exact, the room is real: a sound server mixes, resamples and buffers between the program
and the air. It knows the ALSA devices ``mic`` and ``speaker``. Times are CLOCK_MONOTONIC, in seconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Self

from speakerd.errors import SpeakerdError

READY_S = 10.0
"""How long the server may take to answer; 0.3 s is usual."""

POLL_S = 0.02
"""How often it is asked."""

LATENCY_MS = 20
"""Buffer of what is spoken and recorded; smaller ones crackle on a busy machine."""

BYTES_PER_S = {"speaker": 24_000 * 2, "room": 16_000 * 2}
"""What a second of a recording takes: S16_LE, mono, at the rate of the Live API in that direction."""

SINKS = {
    # Without norewinds a new sink is rendered two seconds ahead, and nobody hears anything for as long.
    "speaker": "rate=48000 channels=2 format=s16le norewinds=1",
    "room": "rate=16000 channels=1 format=s16le norewinds=1",
}
"""The null sinks: what the loudspeaker plays, and the air in front of the microphone."""

PROGRAMS = ("pulseaudio", "pactl", "paplay", "parec")

HOW_TO_INSTALL = (
    "run: apt-get install -y --no-install-recommends pulseaudio pulseaudio-utils libasound2-plugins "
    "(and leave pipewire-alsa out: it removes pulseaudio)"
)

Place = Literal["speaker", "room"]


@dataclass(frozen=True)
class Recording:
    """What one place sounded like: a growing file of raw S16_LE, mono; 24 kHz of the speaker, 16 kHz of the room.

    ``began`` is when its first sample was played, to about 50 ms: a sound server passes sound on in blocks.
    """

    path: Path
    began: float
    process: subprocess.Popen[bytes]

    def sound(self) -> bytes:
        """Return what has been recorded so far."""
        return self.path.read_bytes()

    def stop(self) -> bytes:
        """End the recording and return it."""
        _end(self.process)
        return self.sound()


class Room:
    """A room with the ALSA devices ``mic`` and ``speaker``, for as long as its ``with`` block runs.

    Programs see it with ``environment`` in their environment.
    """

    def __init__(self, directory: Path) -> None:
        """Prepare a room whose recordings and log are in ``directory``, which is made if need be."""
        self._directory = directory.absolute()
        self._stack = contextlib.ExitStack()
        self._environment: dict[str, str] = {}
        self._sounds = 0
        self._run = self._directory
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Build the room.

        Raises:
            SpeakerdError: PulseAudio is missing or does not start; the text says what to do.
        """
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing:
            raise SpeakerdError(f"the simulated room needs {', '.join(missing)}; {HOW_TO_INSTALL}")
        with contextlib.ExitStack() as stack:
            self._directory.mkdir(parents=True, exist_ok=True)
            # The path of a socket is short, and neither PULSE_SERVER nor ALSA_CONFIG_PATH knows blanks in a path.
            run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="speakerd-room-")))
            self._environment = self._write_settings(run)
            self._run = run
            stack.callback(self.server_gone)
            self._stack = stack.pop_all()
        try:
            self.server_back()
        except SpeakerdError:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End every process of the room; the recordings stay."""
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a program finds the room."""
        return dict(self._environment)

    def say(self, sound: bytes | Path) -> subprocess.Popen[bytes]:
        """Say something in the room and return at once; the returned process ends when it has been said.

        ``sound`` is S16_LE, 16 kHz, mono, or the path of a sound file.
        """
        if isinstance(sound, bytes):
            path, form = self._new_path("said"), ["--raw", "--rate=16000", "--channels=1", "--format=s16le"]
            path.write_bytes(sound)
        else:
            path, form = sound, []
        return self._start("paplay", "--device=room", f"--latency-msec={LATENCY_MS}", *form, str(path))

    def record(self, place: Place) -> Recording:
        """Record a place, from now until ``stop`` or the end of the room.

        Raises:
            SpeakerdError: no sound comes.
        """
        path = self._new_path(place)
        form = [f"--rate={BYTES_PER_S[place] // 2}", "--channels=1", "--format=s16le", "--raw"]
        device = [f"--device={place}.monitor", f"--latency-msec={LATENCY_MS}"]
        # Into its standard output parec writes at once, into a file of its own every two seconds.
        with path.open("wb") as file:
            process = self._start("parec", *device, *form, stdout=file)
        deadline = time.monotonic() + READY_S
        while (size := path.stat().st_size) == 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SpeakerdError(f"the simulated {place} cannot be recorded{self._last_words()}")
            time.sleep(POLL_S)
        return Recording(path, time.monotonic() - size / BYTES_PER_S[place], process)

    def server_gone(self) -> None:
        """End the sound server, as an update of it does; its clients are cut off."""
        if self._server is not None:
            _end(self._server)
            self._server = None

    def server_back(self) -> None:
        """Start the sound server, and wait until it serves.

        Raises:
            SpeakerdError: it does not start.
        """
        self._server = self._start_server()
        self._wait_for(self._server)

    def devices_gone(self) -> None:
        """Take both devices away: reading, writing and opening fail with EIO. Recordings end or go wrong."""
        self._pactl("unload-module", "module-null-sink")

    def devices_back(self) -> None:
        """Bring both devices back: they can be opened again."""
        for name, form in SINKS.items():
            self._pactl("load-module", "module-null-sink", f"sink_name={name}", *form.split())

    def _write_settings(self, run: Path) -> dict[str, str]:
        """Write the settings of the server and of ALSA; return the environment that leads to them."""
        socket = run / "native"
        sinks = "\n".join(f"load-module module-null-sink sink_name={name} {form}" for name, form in SINKS.items())
        (run / "default.pa").write_text(f"""\
.fail
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
{sinks}
set-default-sink speaker
set-default-source room.monitor
""")
        (run / "asound.conf").write_text(f"""\
</usr/share/alsa/alsa.conf>
{_alsa_device("speaker", socket, "speaker", "loudspeaker of the simulated room")}
{_alsa_device("mic", socket, "room.monitor", "microphone of the simulated room")}
pcm.!default {{ type asym capture.pcm "mic" playback.pcm "speaker" }}
""")
        return {
            # PulseAudio's clients write into the home directory, which shall not be the real one.
            "HOME": str(run),
            "XDG_RUNTIME_DIR": str(run),
            "PULSE_RUNTIME_PATH": str(run / "pulse"),
            "PULSE_SERVER": f"unix:{socket}",
            "ALSA_CONFIG_PATH": str(run / "asound.conf"),
        }

    def _start_server(self) -> subprocess.Popen[bytes]:
        settings = [
            "-n",
            "-F",
            str(self._run / "default.pa"),
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
        ]
        quiet = ["--high-priority=no", "--realtime=no", "--log-target=stderr", "--log-level=notice"]
        environment = self._full_environment()
        # It would look for another server on the display and on the bus; told of one, it would not be one itself.
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "PULSE_SERVER"):
            environment.pop(name, None)
        with (self._directory / "pulseaudio.log").open("ab") as log:
            return subprocess.Popen(
                ["pulseaudio", *settings, *quiet], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait_for(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_S
        while self._pactl("info", check=False) != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SpeakerdError(f"the simulated room's PulseAudio does not start{self._last_words()}")
            time.sleep(POLL_S)

    def _start(self, *command: str, stdout: BinaryIO | None = None) -> subprocess.Popen[bytes]:
        """Start a client that ends with the room; without ``stdout`` all that it says goes to the log."""
        with (self._directory / "clients.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=self._full_environment(), stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log
            )
        self._stack.callback(_end, process)
        return process

    def _pactl(self, *command: str, check: bool = True) -> int:
        done = subprocess.run(
            ["pactl", *command], env=self._full_environment(), capture_output=True, timeout=READY_S, check=False
        )
        if check and done.returncode != 0:
            raise SpeakerdError(f"pactl {' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
        return done.returncode

    def _last_words(self) -> str:
        logs = (self._directory / "pulseaudio.log", self._directory / "clients.log")
        said = "".join(log.read_text(errors="replace")[-1000:] for log in logs if log.exists())
        return f":\n{said.strip()}" if said.strip() else ""

    def _full_environment(self) -> dict[str, str]:
        return {**os.environ, **self._environment}

    def _new_path(self, what: str) -> Path:
        self._sounds += 1
        return self._directory / f"{what}-{self._sounds}.raw"


def _alsa_device(name: str, socket: Path, device: str, description: str) -> str:
    hint = f'hint {{ show on description "{description}" }}'
    return f'pcm.{name} {{ type pulse server "unix:{socket}" device "{device}" {hint} }}'


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours: ask, then insist."""
    process.terminate()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
