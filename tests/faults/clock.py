"""A clock of the daemon's own, which runs faster than the world's, or is set by somebody.

It is Python's own clock that is replaced, in a daemon that is otherwise the real one: ``time.time``,
``time.monotonic`` and their kin, and with them the event loop, whose waits become as much shorter. What is written in
C keeps the world's time: ALSA, the simulated card and OpenSSL, and threads that wait with a time limit.

libfaketime (0.9.10) does not do: under it CLOCK_MONOTONIC leaps to 1970's count, at which a thread's wait with a time
limit never ends, and the simulated card would run fast as well.
"""

import mmap
import os
import selectors
import struct
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

VARIABLE = "SPEAKERD_TEST_CLOCK"
"""Names the file that clock and daemon share."""

LOOK_S = 0.1
"""How long an event loop may wait, in the world's time, before it looks at the speed again."""

SITE = "from tests.faults.clock import install\n\ninstall()\n"
"""What Python runs in the daemon before anything else: a ``sitecustomize`` (docs.python.org/3/library/site.html)."""

_FACE = struct.Struct("=dddd")
_NUMBER = struct.Struct("=B")


class _Face:
    """What both sides share: two of its kind, and the number of the one that holds."""

    SIZE = 64 + 2 * _FACE.size

    def __init__(self, shared: mmap.mmap) -> None:
        self._shared = shared

    def read(self) -> tuple[float, float, float, float]:
        """Return when the speed was last changed in the world's and in this time, the speed, and the step, in s."""
        since, then, speed, step = _FACE.unpack_from(self._shared, 64 + self._shared[0] * _FACE.size)
        return since, then, speed, step

    def write(self, since: float, then: float, speed: float, step: float) -> None:
        """Replace all four at once, as far as anybody can see."""
        other = 1 - self._shared[0]
        _FACE.pack_into(self._shared, 64 + other * _FACE.size, since, then, speed, step)
        _NUMBER.pack_into(self._shared, 0, other)


class Clock:
    """Runs as the world's clock does until it is told otherwise; of processes started with ``environment``."""

    def __init__(self, directory: Path) -> None:
        """Prepare a clock whose files are in ``directory``."""
        site, file = directory / "clock", directory / "clock" / "face"
        site.mkdir(parents=True)
        (site / "sitecustomize.py").write_text(SITE)
        file.write_bytes(bytes(_Face.SIZE))
        with file.open("r+b") as opened:
            self._face = _Face(mmap.mmap(opened.fileno(), _Face.SIZE))
        now = time.monotonic()
        self._face.write(now, now, 1.0, 0.0)
        path = os.pathsep.join([str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {"PYTHONPATH": path, VARIABLE: str(file)}

    @property
    def ahead(self) -> float:
        """Seconds by which its monotonic time, as in the daemon's journal, is ahead of ``time.monotonic()`` here."""
        now = time.monotonic()
        return _shown(self._face, now) - now

    def run_at(self, speed: float) -> None:
        """Run so many times as fast as the world's clock from now on; nothing jumps."""
        now = time.monotonic()
        self._face.write(now, _shown(self._face, now), speed, self._face.read()[3])

    def step(self, seconds: float) -> None:
        """Set the time of day forward, or back; the monotonic time does not notice."""
        since, then, speed, step = self._face.read()
        self._face.write(since, then, speed, step + seconds)


def install() -> None:
    """Replace Python's clocks in this process by the one that its environment names."""
    with Path(os.environ[VARIABLE]).open("rb") as file:
        face = _Face(mmap.mmap(file.fileno(), _Face.SIZE, access=mmap.ACCESS_READ))
    real_monotonic, real_time, real_clock = time.monotonic, time.time, time.clock_gettime

    def monotonic() -> float:
        return _shown(face, real_monotonic())

    def wall() -> float:
        now = real_monotonic()
        return real_time() + _shown(face, now) - now + face.read()[3]

    def clock_gettime(which: int) -> float:
        return {time.CLOCK_MONOTONIC: monotonic, time.CLOCK_REALTIME: wall}.get(which, lambda: real_clock(which))()

    class Selector(selectors.EpollSelector):
        """Waits in the world's time for what an event loop counts in this one."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            return super().select(LOOK_S if timeout is None else min(timeout / face.read()[2], LOOK_S))

    vars(selectors).update(DefaultSelector=Selector)
    vars(time).update(
        monotonic=monotonic,
        monotonic_ns=lambda: int(monotonic() * 1e9),
        time=wall,
        time_ns=lambda: int(wall() * 1e9),
        clock_gettime=clock_gettime,
        clock_gettime_ns=lambda which: int(clock_gettime(which) * 1e9),
    )


def _shown(face: _Face, now: float) -> float:
    since, then, speed, _ = face.read()
    return then + (now - since) * speed
