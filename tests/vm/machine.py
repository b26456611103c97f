"""The machine: a guest under QEMU, of which the serial console is seen."""

import asyncio
import contextlib
import re
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

OVERLAY = "initramfs.gz"

TOLD = re.compile(r"\|(BEGIN|PASS|FAIL|END)\b ?(.*)")
"""What the scenes say on the console, between the lines of the kernel."""

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


async def boot(guest: Guest, directory: Path, output: Path, *, only: str, limit: float) -> bool:
    """Boot with the overlay in ``directory``; return whether all scenes went well, and leave what is worth keeping.

    Raises:
        PanicError: the kernel panicked before the scenes began.
    """
    disk, kept = directory / "disk.img", directory / "kept.img"
    copy = await asyncio.create_subprocess_exec("cp", "--reflink=auto", "--sparse=always", guest.disk, disk)
    await copy.wait()
    with kept.open("wb") as file:
        file.truncate(KEPT_BYTES)
    process = await asyncio.create_subprocess_exec(
        *_command(guest, directory / OVERLAY, (disk, kept), only),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    console = Console(output / "console.txt")
    try:
        async with asyncio.timeout(limit):
            await console.read(process)
    except TimeoutError:
        print(f"the guest was still running after {limit:g} s")
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself, as it should
            process.kill()
        await process.wait()
    _unpack(kept, output)
    return console.verdict()


def _command(guest: Guest, initramfs: Path, disks: tuple[Path, Path], only: str) -> list[str]:
    """Return how QEMU is started: with one processor, for with two the emulated kernel was seen to panic."""
    words = ["console=ttyS0", "root=/dev/vda", "rw", "quiet", "panic=-1", "mitigations=off", "systemd.show_status=no"]
    words += ["systemd.wants=scenes.service", f"scenes.only={only}"]
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "1024"]
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
        self._told: list[str] = []
        self._panicked = False

    async def read(self, process: asyncio.subprocess.Process) -> None:
        """Read until the guest ends."""
        assert process.stdout is not None
        with self._file.open("w") as file:
            async for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip()
                file.write(f"{time.monotonic() - self._began:8.2f} {line}\n")
                file.flush()
                self._panicked |= "Kernel panic" in line
                if told := TOLD.search(line):
                    self._told.append(told[1])
                    print(f"{time.monotonic() - self._began:6.1f} s  {told[0][1:]}", flush=True)

    def verdict(self) -> bool:
        """Return whether every scene was played and went well.

        Raises:
            PanicError: there was none, because the kernel panicked.
        """
        if self._panicked and "BEGIN" not in self._told:
            raise PanicError
        return "PASS" in self._told and "END" in self._told and "FAIL" not in self._told


def _unpack(kept: Path, output: Path) -> None:
    try:
        with tarfile.open(kept) as archive:
            archive.extractall(output, filter="data")
    except tarfile.ReadError:
        print("the guest ended before it could leave anything behind")
