"""The machine: a guest under QEMU, of which the serial console is seen."""

import asyncio
import contextlib
import re
import tarfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.vm.picture import draw

OVERLAY = "initramfs.gz"

TOLD = re.compile(r"\|(BEGIN|PASS|FAIL|END|DOWN|RED|HEARD|ASKED)\b ?(.*)")
"""What the scenes say on the console, between the lines of the kernel; for the last four see guest/power.py."""

SHOWN = ("BEGIN", "PASS", "FAIL", "END")

BOOTS = 3
"""How often a guest is booted that panics before its first scene: one boot in twelve was seen to, under emulation."""

KEPT_BYTES = 256 << 20
"""Room for what the guest leaves behind."""


class PanicError(Exception):
    """The guest's kernel panicked before the first scene, which says nothing about the scenes."""


@dataclass(frozen=True, slots=True)
class Guest:
    """What ``build`` made."""

    directory: Path

    @property
    def disk(self) -> Path:
        """A file system with Debian; it is copied before anything writes to it."""
        return self.directory / "disk.img"

    @property
    def kernel(self) -> Path:
        """A kernel with simulated pins and loopback sound cards."""
        return self.directory / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        """What finds the disk."""
        return self.directory / "initramfs.gz"

    @property
    def busybox(self) -> Path:
        """A program with a ``cpio`` in it, which is not everywhere."""
        return self.directory / "busybox"


Cut = Callable[["Console"], Awaitable[None]]
"""Returns at the moment at which the power fails."""


class Machine:
    """A guest with a disk of its own, from which it boots as often as one likes."""

    def __init__(self, guest: Guest, directory: Path, output: Path) -> None:
        """Prepare; ``directory`` holds the overlay and takes the disks, ``output`` what is worth keeping."""
        self._guest = guest
        self._overlay = directory / OVERLAY
        self._disks = directory / "disk.img", directory / "kept.img"
        self._output = output

    async def furnish(self) -> None:
        """Give it a fresh disk."""
        disk, kept = self._disks
        copy = await asyncio.create_subprocess_exec("cp", "--reflink=auto", "--sparse=always", self._guest.disk, disk)
        await copy.wait()
        with kept.open("wb") as file:
            file.truncate(KEPT_BYTES)

    async def boot(
        self, words: str, *, limit: float, first: bool = True, log: str = "console.txt", cut: Cut | None = None
    ) -> "Console":
        """Boot, and return what was said until the guest ended, or its power failed.

        ``words`` are for the scenes. With ``first`` the overlay is laid over the disk.

        Raises:
            PanicError: the kernel panicked before the scenes began.
        """
        initramfs = self._overlay if first else self._guest.initramfs
        process = await asyncio.create_subprocess_exec(
            *_command(self._guest, initramfs, self._disks, words),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        console = Console(self._output / log)
        try:
            async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
                power = group.create_task(_fail(process, cut, console), name="power")
                await console.read(process)
                power.cancel()
        except TimeoutError:
            print(f"the guest was still running after {limit:g} s")
        finally:
            _kill(process)
            await process.wait()
        if console.panicked and "BEGIN" not in console.told:
            raise PanicError
        return console

    def unpack(self) -> None:
        """Take what the guest left behind at its end."""
        try:
            with tarfile.open(self._disks[1]) as archive:
                archive.extractall(self._output, filter="data")
            draw(self._output)
        except tarfile.ReadError:
            print("the guest ended before it could leave anything behind")


async def _fail(process: asyncio.subprocess.Process, cut: Cut | None, console: "Console") -> None:
    if cut is not None:
        await cut(console)
        _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself, as it should
        process.kill()


def _command(guest: Guest, initramfs: Path, disks: tuple[Path, Path], more: str) -> list[str]:
    """Return how QEMU is started: with one processor, for with two the emulated kernel was seen to panic."""
    words = ["console=ttyS0", "root=/dev/vda", "rw", "quiet", "panic=-1", "mitigations=off", "systemd.show_status=no"]
    words += ["systemd.wants=scenes.service", more]
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", "1024"]
    # The guest's clocks count its instructions, a nanosecond each, and skip the time in which it sleeps: how busy the
    # host is makes no difference to it (https://www.qemu.org/docs/master/devel/tcg-icount.html).
    command += ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"]
    command += ["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio", "-monitor", "none"]
    command += ["-kernel", str(guest.kernel), "-initrd", str(initramfs), "-append", " ".join(words)]
    command += ["-object", "rng-random,filename=/dev/urandom,id=noise", "-device", "virtio-rng-pci,rng=noise"]
    for disk in disks:
        command += ["-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"]
    return command


class Console:
    """What the guest says: all of it in a file, and how the scenes go on the screen."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.monotonic()
        self._news = asyncio.Event()
        self.told: list[str] = []
        """What the scenes told, by the first word of each line."""
        self.at: list[float] = []
        """When, in seconds since the start."""
        self.panicked = False

    async def read(self, process: asyncio.subprocess.Process) -> None:
        """Read until the guest ends."""
        assert process.stdout is not None
        with self._file.open("w") as file:
            async for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip()
                file.write(f"{time.monotonic() - self._began:8.2f} {line}\n")
                file.flush()
                self.panicked |= "Kernel panic" in line
                if told := TOLD.search(line):
                    self._note(told)

    def _note(self, told: re.Match[str]) -> None:
        self.told.append(told[1])
        self.at.append(time.monotonic() - self._began)
        self._news.set()
        if told[1] in SHOWN:
            print(f"{self.at[-1]:6.1f} s  {told[0][1:]}", flush=True)

    async def until(self, *words: str, count: int = 1) -> None:
        """Wait until one of these was told so often."""
        while sum(word in words for word in self.told) < count:
            self._news.clear()
            await self._news.wait()

    def last(self, *words: str) -> str | None:
        """Return which of these was told last."""
        return next((word for word in reversed(self.told) if word in words), None)

    @property
    def went_well(self) -> bool:
        """Whether something was played, and nothing went wrong; where the power failed, so far."""
        return "PASS" in self.told and "FAIL" not in self.told

    @property
    def is_over(self) -> bool:
        """Whether all that was to be played has been."""
        return "END" in self.told
