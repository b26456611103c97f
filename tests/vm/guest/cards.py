"""The sound cards of the guest, which can be unplugged, and held by another program."""

import asyncio
import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DRIVER = Path("/sys/bus/platform/drivers/snd_aloop")

UNPLUGGED_S = 15.0
"""The kernel takes a card away when the last program has let go of it; a program that does not must be told of."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card of snd-aloop."""

    name: str
    number: int

    @property
    def is_there(self) -> bool:
        """Whether the kernel knows it."""
        return Path("/proc/asound", self.name).exists()

    async def unplug(self) -> float:
        """Take it away; return how many seconds it took until every program had let go of it.

        Raises:
            AssertionError: somebody does not.
        """
        began = time.monotonic()
        writer = await asyncio.create_subprocess_exec("sh", "-c", f"echo snd_aloop.{self.number} >{DRIVER}/unbind")
        try:
            async with asyncio.timeout(UNPLUGGED_S):
                await writer.wait()
        except TimeoutError:
            holders = sorted(set(_holders()))
            raise AssertionError(f"{UNPLUGGED_S:g} s after {self.name} went, it is still held by {holders}") from None
        return time.monotonic() - began

    def plug(self) -> float:
        """Bring it back, if it is away; return when."""
        if not (DRIVER / f"snd_aloop.{self.number}").exists():
            (DRIVER / "bind").write_text(f"snd_aloop.{self.number}")
        return time.monotonic()


MICROPHONE, LOUDSPEAKER = Card("Mic", 0), Card("Speaker", 1)


@contextlib.contextmanager
def held(command: list[str], status: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Let a program have a device for as long as the block runs; ``status`` is the kernel's word on that device."""
    program = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 20
        while not re.search(rf"owner_pid\s*:\s*{program.pid}\b", status.read_text()):
            assert time.monotonic() < deadline, f"{command[0]} does not take the device: {status.read_text()}"
            time.sleep(0.05)
        yield program
        assert program.poll() is None, f"{command[0]} ended by itself"
    finally:
        program.kill()
        program.wait()


def _holders() -> Iterator[str]:
    """Return which programs have a sound device open."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            name = (process / "comm").read_text().strip()
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(target := link.readlink()).startswith("/dev/snd/"):
                        yield f"{name} {target}"
