"""A kitchen in the guest: the daemon as a service, its panel, a noisy room, and the stand-in Live API on loopback."""

import asyncio
import contextlib
import itertools
import json
import math
import re
import shutil
import struct
import sys
import time
import wave
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script
from tests.vm.guest.journal import UNIT, Journal
from tests.vm.guest.pins import Button, Trace
from tests.vm.guest.room import SPOKEN_RATE, Room

KEY = "not-a-real-key-0123456789"
PORT = 8443
"""Where the server is found, at each boot."""

RUN = Path("/run/scenes")
STATE = Path("/var/lib/speakerd")
SETTINGS = Path("/etc/speakerd/speakerd.yaml")
DROP_INS = SETTINGS.with_name("speakerd.yaml.d")
CREDENTIAL = Path("/etc/credstore.encrypted/gemini-api-key")
DROP_IN = Path(f"/run/systemd/system/{UNIT}.d/scene.conf")

STREAMS = {"microphone": "Mic/pcm1c", "loudspeaker": "Speaker/pcm0p"}
"""The speaker's ends of the two cables, below /proc/asound."""

BUTTON, LIGHT = 17, 27
BOUNCE_MS = 20
"""What the button's level must last: emulated, an edge of 5 ms may well take 10."""

SINGLE: dict[str, object] = {"mute_button": {"pin": BUTTON, "bounce_ms": BOUNCE_MS}, "led": {"pin": LIGHT}}
COLOURS: dict[str, dict[str, int]] = {"led": {"red": 5, "green": 6, "blue": 13}}

START_S = 120.0
"""How long the daemon may take from its start to its first session: the SDK alone takes half a minute to load."""


@dataclass(frozen=True, slots=True)
class Wakeups:
    """How often a second the threads of the daemon wake up by themselves."""

    loop: float
    """The event loop, which draws the light."""
    others: list[float]
    """Every other thread, the busiest first."""

    @property
    def total(self) -> float:
        """All of them."""
        return round(self.loop + sum(self.others), 1)

    def __str__(self) -> str:
        return f"{self.total} a second (loop {self.loop}, threads {self.others})"


class Kitchen:
    """Everything, and what is known of it from outside the daemon."""

    def __init__(self, live: LiveApi, room: Room) -> None:
        self.live = live
        self.room = room
        self.journal = Journal()
        self.button = Button(BUTTON)
        self._runs: tuple[Mapping[str, object], str] | None = None
        self._played: list[dict[str, object]] = []  # the scenes up to now

    @classmethod
    @contextlib.asynccontextmanager
    async def furnished(cls) -> AsyncIterator["Kitchen"]:
        """Set up everything but the daemon, which each scene starts as it needs it."""
        answer = RUN / "answer.wav"
        _write_sweep(answer)
        script = Script.model_validate({"answers": [{"wav": str(answer), "text": "a rising tone"}], "thinking": 1.5})
        options = LiveApiOptions(RUN / "live", script=script, port=PORT, keys=frozenset({KEY}))
        room = Room(RUN)
        async with LiveApi(options) as live:
            if not CREDENTIAL.exists():  # it outlives a boot
                await output_of("systemd-creds", "encrypt", "--name=gemini-api-key", "-", str(CREDENTIAL), stdin=KEY)
            room.be_noisy()
            try:
                yield cls(live, room)
            finally:
                await systemctl("stop", UNIT)
                room.be_quiet()

    # The daemon.

    async def start(self, panel: Mapping[str, object], *, user: str = "speakerd", muted: bool = False) -> None:
        """Start it as on its first day, or left muted, with this panel and as this user; return when it is ready."""
        await self.stop()
        shutil.rmtree(STATE, ignore_errors=True)
        if muted:
            STATE.mkdir()
            (STATE / "mute").write_text("muted\n")
        self._runs = panel, user
        SETTINGS.parent.mkdir(exist_ok=True)
        SETTINGS.write_text(
            yaml.safe_dump(
                {
                    "microphone": {"device": "plughw:CARD=Mic,DEV=1"},
                    # At 100 the samples stay as they were sent.
                    "speaker": {"device": "plughw:CARD=Speaker,DEV=0", "volume": 100},
                    # A gate would keep the noise, and a canceller change samples.
                    "echo": {"mode": "off"},
                    "listen": {"gate": "off"},
                    "live": {"base_url": self.live.url, "connect_timeout": 60},
                    "panel": panel,
                    "log": {"level": "debug"},
                }
            )
        )
        await self.drop_in(user=user)
        self.journal.begin_anew()
        await systemctl("start", UNIT)

    async def drop_in(self, *, user: str = "speakerd", more: str = "") -> None:
        """Change of the unit what the guest needs: the server's certificate, its pins' board, and time."""
        lines = [
            "[Service]", f"User={user}", f"Group={user}", f"Environment=SSL_CERT_FILE={self.live.ca_file}",
            # ProtectProc= brings a /proc of its own, without the board that is laid over the other one.
            "BindReadOnlyPaths=/run/cpuinfo:/proc/cpuinfo",
            # Without a real processor below it, everything takes its time.
            "TimeoutStartSec=180", more,
        ]  # fmt: skip
        text = "\n".join(lines)
        if not DROP_IN.exists() or DROP_IN.read_text() != text:
            DROP_IN.parent.mkdir(parents=True, exist_ok=True)
            DROP_IN.write_text(text)
            await systemctl("daemon-reload")

    @contextlib.contextmanager
    def drop_in_settings(self, text: str) -> Iterator[Path]:
        """Lay some settings over the others for the block; a start or a reload takes them."""
        file = DROP_INS / "90-scene.yaml"
        DROP_INS.mkdir(exist_ok=True)
        file.write_text(text)
        try:
            yield file
        finally:
            file.unlink()

    async def reload(self) -> None:
        """Let it take its settings anew; return when it has."""
        seen = len(self.journal.entries)
        await systemctl("reload", UNIT)
        await self.journal.until(START_S, after=seen, event="reloaded")

    async def at_home(self, panel: Mapping[str, object] | None = None) -> None:
        """See that it runs with this panel, listens, and has nothing to do."""
        wanted = panel or SINGLE
        if self._runs != (wanted, "speakerd") or not await self.pid():
            await self.start(wanted)
        elif self.disk() == "muted":
            self.press()
        await self.until_state("idle", START_S)
        await self.until_sound()

    async def stop(self) -> None:
        """End it."""
        await systemctl("stop", UNIT)

    async def pid(self) -> int:
        """Return its process, or 0."""
        return int(await systemctl("show", "-P", "MainPID", UNIT))

    async def until_state(self, state: str, timeout: float = 30.0) -> None:
        """Wait until this is the last state that it told of."""
        await until(lambda: self.journal.state() == state, f"the state {state}", timeout)

    def disk(self) -> str:
        """Return what it would do after a power cut."""
        return (STATE / "mute").read_text().strip()

    async def until_disk(self, word: str) -> None:
        """Wait until the disk holds this."""
        await until(lambda: self.disk() == word, f"the disk to say {word}", 10)

    # The panel and the room.

    def press(self, seconds: float = 0.3) -> float:
        """Press the button for so long, which nothing else waits for; return when it went down."""
        at = self.button.down()
        asyncio.get_running_loop().call_later(seconds, self.button.up)
        return at

    async def storm(self) -> float:
        """Let the button bounce; return for how many milliseconds it lay still at most."""
        command = [sys.executable, "-m", "tests.vm.guest.storm", str(BUTTON)]
        storm = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await storm.communicate()
        return float(output)

    def microphone(self) -> str:
        """Return what the kernel says of the capture devices: ``closed``, or who has one open."""
        states = [path.read_text() for path in Path("/proc/asound").glob("card*/pcm*c/sub*/status")]
        assert states, "the kernel does not tell of capture devices"
        return "; ".join(state for state in states if state != "closed\n") or "closed"

    def thread_of(self, part: str) -> int:
        """Return which thread has the microphone, or the loudspeaker, open."""
        status = Path("/proc/asound", STREAMS[part], "sub0", "status").read_text()
        owner = re.search(r"owner_pid\s*:\s*(\d+)", status)
        assert owner, status
        return int(owner[1])

    def last_sound(self) -> float:
        """Return when the server heard the room last."""
        return next(event.at for event in reversed(self.live.events) if event.kind == "audio")

    def octets_since(self, at: float) -> int:
        """Return how many bytes of sound reached the server after a moment."""
        newest = itertools.takewhile(lambda event: event.at > at, reversed(self.live.events))
        return sum(event.detail["bytes"] for event in newest if event.kind == "audio")

    async def until_sound(self, timeout: float = START_S) -> float:
        """Wait until the server hears the room from now on; return how long that took, in seconds."""
        began = time.monotonic()
        await until(lambda: self.octets_since(began) > 0, "sound on the wire", timeout)
        return time.monotonic() - began

    async def wakeups(self, seconds: float = 10.0) -> "Wakeups":
        """Return how often the daemon wakes up by itself while nothing happens."""
        pid = await self.pid()
        before, began = _switches(pid), time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        rates = {
            thread: round((count - before.get(thread, count)) / took, 1) for thread, count in _switches(pid).items()
        }
        return Wakeups(rates.pop(pid), sorted(rates.values(), reverse=True))

    # What stays.

    def keep(self, trace: Trace, name: str) -> None:
        """Keep what a light did."""
        rows = "".join(f"{at:.4f},{level}\n" for at, level in trace.changes)
        (RUN / f"light-{name}.csv").write_text(f"seconds,level\n{rows}")

    def tidy_up(self, name: str, began: float, *, passed: bool) -> None:
        """Leave the panel as a scene may find it, and keep what the server saw, and the speaker did, up to now."""
        self.button.up()
        if not passed:  # whatever it left behind, the next one begins anew
            self._runs = None
            self.room.be_noisy()
        counts = Counter(f"{event.connection} {event.kind}" for event in self.live.events)
        (RUN / f"server-after-{name}.json").write_text(json.dumps(counts, indent=1))
        self._played.append({"name": name, "began": began, "ended": time.monotonic(), "passed": passed})
        states = [entry for entry in self.journal.entries if entry.fields.get("event") == "state"]
        up, down = Counter[int](), Counter[int]()
        for event in self.live.events:
            if event.kind in ("audio", "audio_out"):
                (up if event.kind == "audio" else down)[int(event.at)] += event.detail["bytes"]
        story = {
            "scenes": self._played, "states": [(entry.at, entry.fields["state"]) for entry in states], "up": up,
            "down": down,
        }  # fmt: skip
        (RUN / "story.json").write_text(json.dumps(story))


async def until(value: Callable[[], object], what: str, timeout: float) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it did not become so.
    """
    deadline = time.monotonic() + timeout
    while not value():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s in vain for {what}")
        await asyncio.sleep(0.05)


async def systemctl(*words: str) -> str:
    """Run systemctl; return what it printed."""
    return await output_of("systemctl", *words)


async def output_of(*words: str, stdin: str = "", status: int | None = 0) -> str:
    """Run a program; return what it printed.

    Raises:
        AssertionError: it ended with another status; None is any.
    """
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate(stdin.encode())
    assert status in (None, process.returncode), (
        f"{' '.join(words)} ended with {process.returncode}: {output.decode()}"
    )
    return output.decode().strip()


def _switches(pid: int) -> dict[int, int]:
    """Return how often each thread gave up its processor by itself."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it ended while we looked
            counted = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (thread / "status").read_text(), re.MULTILINE)
            assert counted
            found[int(thread.name)] = int(counted[1])
    return found


def _write_sweep(path: Path) -> None:
    """Write two seconds of a rising tone, which is all that the model ever answers: no moment is like another."""
    seconds = [at / SPOKEN_RATE for at in range(2 * SPOKEN_RATE)]
    samples = [round(3000 * math.sin(2 * math.pi * (200 + 300 * at) * at)) for at in seconds]
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SPOKEN_RATE)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
