"""A program under measurement."""

import os
import socket
import time
from pathlib import Path

import pytest

from bench.child import Child, kib
from bench.readiness import Readiness
from speakerd.errors import SpeakerdError

WORK = (
    "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint('done', flush=True)\n"
)

DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("done", os.getpid(), flush=True)
time.sleep(60)
"""


def done(child: Child) -> bool | None:
    return True if "done" in child.said else None


def test_cpu_time_is_that_of_the_program(tmp_path: Path) -> None:
    """A program that works for 0.3 s and then sleeps has used 0.3 s and what its start took."""
    with Child(["-c", WORK + "time.sleep(60)"], {}, tmp_path / "log") as child:
        child.wait_for("the work", lambda: done(child))
        used = child.cpu_s()
        child.sleep_until(time.monotonic() + 0.2)
        assert used > 0.25
        assert child.cpu_s() - used < 0.1


def test_memory_is_what_the_kernel_counts(tmp_path: Path) -> None:
    """A program that holds 64 MiB is seen to hold them, and they are its own."""
    hold = "held = bytearray(b'x') * (64 << 20); print('done', flush=True); import time; time.sleep(60)"
    with Child(["-c", hold], {}, tmp_path / "log") as child:
        child.wait_for("the work", lambda: done(child))
        memory = child.memory()
        assert memory.peak_rss > memory.pss > 64 << 10


def test_a_program_that_dies_shows_its_last_lines(tmp_path: Path) -> None:
    """Whoever measures learns why there is nothing to measure."""
    why = pytest.raises(SpeakerdError, match=r"ended with status 1; its last lines:\nno microphone")
    with why, Child(["-c", "raise SystemExit('no microphone')"], {}, tmp_path / "log") as child:
        child.sleep_until(time.monotonic() + 10)


def test_what_does_not_come_is_not_waited_for_longer_than_allowed(tmp_path: Path) -> None:
    """A program that hangs ends the measurement."""
    why = pytest.raises(SpeakerdError, match=r"the work did not come within 0.1 s")
    with why, Child(["-c", "import time; time.sleep(60)"], {}, tmp_path / "log") as child:
        child.wait_for("the work", lambda: done(child), 0.1)


def test_a_program_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    """Nothing is left behind, whatever a program does with SIGTERM."""
    with Child(["-c", DEAF], {}, tmp_path / "log") as child:
        child.wait_for("the work", lambda: done(child))
        number = int(child.said.split()[1])
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_numbers_are_read_from_the_kernel_s_files() -> None:
    """Only the line with this very name counts."""
    assert kib("Pss", "Rss: 900 kB\nPss_Dirty: 7 kB\nSwapPss: 8 kB\nPss:       52 kB\n") == 52
    with pytest.raises(SpeakerdError, match="VmHWM"):
        kib("VmHWM", "Name: x\n")


def test_ready_is_the_moment_at_which_it_was_said(tmp_path: Path) -> None:
    """What a program says before and after is taken, and is something else."""
    with Readiness(tmp_path / "notify") as readiness, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
        program.connect(str(readiness.file))
        program.send(b"STATUS=Starting")
        before = time.monotonic()
        program.send(b"READY=1\nSTATUS=Idle")
        while readiness.at is None:
            assert time.monotonic() < before + 10
            time.sleep(0.001)
        ready = readiness.at
        program.send(b"READY=1")
    assert before <= ready <= time.monotonic()
    assert readiness.at == ready
