"""A program under measurement: a process of its own, with what the kernel counts of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from speakerd.errors import SpeakerdError

STOP_S = 3.0
"""How long a process may take to end before it is killed."""

LOOK_S = 0.02
"""How often something outside of this process is looked at while it is waited for."""

LAST_LINES = 20

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process holds, in KiB: at most so far (VmHWM), and now with shared pages counted by share (Pss)."""

    peak_rss: int
    pss: int


class Child:
    """A Python program that runs for as long as its ``with`` block; its output goes to a file."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], log: Path, python: str = sys.executable
    ) -> None:
        """Prepare; ``words`` follow ``python``, ``environment`` is added to ours."""
        self._command = [python, *words]
        self._environment = os.environ | environment
        self._log = log

    def __enter__(self) -> Self:
        """Start it."""
        with self._log.open("wb") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Return the number of its process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Return the exit status; None while it runs."""
        return self._process.poll()

    @property
    def said(self) -> str:
        """Return all that it wrote so far."""
        return self._log.read_text(errors="replace")

    def cpu_s(self) -> float:
        """Return how many seconds of CPU all of its threads have used, in user and in kernel mode."""
        stat = self._proc("stat")
        fields = stat[stat.rindex(")") + 2 :].split()  # from the third field of proc(5) on: a name may hold blanks
        return (int(fields[11]) + int(fields[12])) * _TICK_S

    def memory(self) -> Memory:
        """Return what it holds."""
        return Memory(kib("VmHWM", self._proc("status")), kib("Pss", self._proc("smaps_rollup")))

    def sleep_until(self, moment: float) -> None:
        """Wait for a moment of ``time.monotonic()``.

        Raises:
            SpeakerdError: it ended before; the text ends with its last lines.
        """
        while (left := moment - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.5))

    def wait_for(self, what: str, look: Callable[[], T | None], seconds: float = 20.0) -> T:
        """Return what ``look`` finds, as soon as it is not None.

        Raises:
            SpeakerdError: it did not come within this time, or the process ended; the text says which.
        """
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            self.check()
            if time.monotonic() > deadline:
                raise SpeakerdError(f"{what} did not come within {seconds:g} s{self._last_lines()}")
            time.sleep(LOOK_S)
        return found

    def check(self) -> None:
        """Raise SpeakerdError if it has ended."""
        if self.status is not None:
            raise SpeakerdError(f"{' '.join(self._command)} ended with status {self.status}{self._last_lines()}")

    def _last_lines(self) -> str:
        return "; its last lines:\n" + "\n".join(self.said.splitlines()[-LAST_LINES:])

    def _proc(self, name: str) -> str:
        self.check()
        return Path(f"/proc/{self._process.pid}/{name}").read_text()


def kib(name: str, text: str) -> int:
    """Return a number of KiB from a file such as /proc/PID/status (proc(5))."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise SpeakerdError(f"the kernel does not tell {name} of a process")
    return int(found[1])
