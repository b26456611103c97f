"""The simulated pins, from outside: the kernel's gpio-sim shows and moves each through two files."""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

PINS = Path("/run/scenes/pins")
"""A link to the chip's directory (https://docs.kernel.org/admin-guide/gpio/gpio-sim.html)."""

LOOK_S = 0.004
"""How often a light is looked at: the shortest flash lasts a tenth of a second."""


class Button:
    """A button that connects a pin to ground; the pin is pulled up."""

    def __init__(self, pin: int) -> None:
        self._pull = PINS / f"sim_gpio{pin}" / "pull"
        self.up()

    def down(self) -> float:
        """Push it; return when, in seconds of ``time.monotonic()``."""
        self._pull.write_text("pull-down")
        return time.monotonic()

    def up(self) -> float:
        """Let go of it; return when."""
        self._pull.write_text("pull-up")
        return time.monotonic()

    def bounce(self, edges: int, seconds: float) -> float:
        """Let it chatter, and let go of it; return the longest time in seconds for which it lay still."""
        file = os.open(self._pull, os.O_WRONLY)  # once, for each edge is in a hurry
        began = last = time.monotonic()
        longest = 0.0
        for number in range(edges):
            time.sleep(max(0.0, began + number * seconds / edges - time.monotonic()))
            os.pwrite(file, b"pull-up" if number % 2 else b"pull-down", 0)
            moved = time.monotonic()
            longest, last = max(longest, moved - last), moved
        os.close(file)
        self.up()
        return longest


@dataclass
class Trace:
    """What a pin did: each change as a time in seconds of ``time.monotonic()`` and a level."""

    changes: list[tuple[float, int]] = field(default_factory=list)
    looks: list[tuple[float, int]] = field(default_factory=list)

    def runs(self) -> list[tuple[int, float]]:
        """Return levels and for how many seconds each lasted, without the first and the last, which were cut."""
        pairs = zip(self.changes[1:], self.changes[2:], strict=False)
        return [(level, end - begin) for (begin, level), (end, _) in pairs]

    def shares(self, window_s: float) -> list[float]:
        """Return which share of each window of time it was high."""
        windows: dict[int, list[int]] = {}
        for at, level in self.looks:
            windows.setdefault(int((at - self.looks[0][0]) / window_s), []).append(level)
        return [sum(levels) / len(levels) for levels in windows.values()]


class Watch:
    """Looks at a pin, in a thread of its own, for as long as the block runs."""

    def __init__(self, pin: int, look_s: float = LOOK_S) -> None:
        self._file = PINS / f"sim_gpio{pin}" / "value"
        self._look_s = look_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")
        self.trace = Trace()

    def __enter__(self) -> Trace:
        self._thread.start()
        return self.trace

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        trace, last = self.trace, None
        file = os.open(self._file, os.O_RDONLY)
        while not self._over.wait(self._look_s):
            at, level = time.monotonic(), int(os.pread(file, 8, 0))
            trace.looks.append((at, level))
            if level != last:
                trace.changes.append((at, level))
                last = level
        os.close(file)
