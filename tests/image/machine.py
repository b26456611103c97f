"""The machine that a card is put into: QEMU, its serial console, and a shell that is no part of the card."""

import asyncio
import base64
import contextlib
import re
import socket
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.image.card import Card

PATIENCE_S = 600.0
"""How long a boot may take, or a command, on a busy machine without KVM; nothing is judged by it."""

UP = b"the shell is up"

PATIENT = """[Service]
TimeoutStartSec=600
WatchdogSec=300
"""
"""Emulated by a busy machine, the speaker takes minutes to start, and would be started anew for ever."""

NET = "user,id=net,hostfwd=tcp:127.0.0.1:PORT-:22"
"""The machine finds this one, and whoever connects to PORT here connects to its port for SSH."""


@dataclass(frozen=True, slots=True)
class Board:
    """A machine that QEMU emulates."""

    name: str
    hardware: tuple[str, ...]
    """How QEMU is told; CARD stands for the card's file, DISK for it as a block device, SHELL for the socket."""
    console: str
    shell: str
    """The device in the guest on which our shell listens."""
    dtb: str | None = None
    prepare: str = ""
    """What makes that device fit for a shell."""
    words: tuple[str, ...] = ()
    """What its kernel is told besides."""
    time: tuple[str, ...] = ("-accel", "tcg,thread=multi")
    """How QEMU is told how its time goes: with that of this machine."""


VIRT = Board(
    name="virt",
    # As much memory and as many processors as a Zero 2 W lets others have; without its speed.
    hardware=(
        "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512",
        "-blockdev", "DISK", "-device", "virtio-blk-pci,drive=card", "-device", "i6300esb",
        "-netdev", NET, "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
        "-serial", "file:CONSOLE",
        "-device", "virtio-serial-pci", "-chardev", "socket,id=shell,path=SHELL,server=on,wait=on",
        "-device", "virtserialport,chardev=shell,name=shell",
    ),
    console="ttyAMA0",
    shell="/dev/virtio-ports/shell",
    # On a busy machine 15 s may pass until systemd feeds it first: the one scene that wants it loads its driver.
    words=("modprobe.blacklist=i6300esb",),
)  # fmt: skip

PI3 = Board(
    name="raspi3b",
    hardware=(
        "-M", "raspi3b", "-drive", "if=sd,file=CARD,format=raw",
        "-usb", "-device", "usb-net,netdev=net", "-netdev", NET,
        "-chardev", "socket,id=shell,path=SHELL,server=on,wait=on",
        "-serial", "file:CONSOLE", "-serial", "chardev:shell",
    ),
    console="ttyAMA0,115200",
    shell="/dev/ttyS1",
    dtb="a/bcm2837-rpi-3-b.dtb",
    prepare="stty -F /dev/ttyS1 raw -echo 115200; ",
    # QEMU takes the arming of this watchdog for a reset (hw/misc/bcm2835_powermgt.c). Four processors that share one
    # of the host's need longer than systemd's 90 s to find the partitions of a card.
    words=("systemd.watchdog_sec=0", "systemd.default_device_timeout_sec=600"),
)  # fmt: skip


class Machine:
    """A machine that runs; the card is not changed but by it."""

    def __init__(self, process: asyncio.subprocess.Process, console: Path, ssh_port: int) -> None:
        self.console = console
        self.ssh_port = ssh_port
        """Where on this machine its port for SSH is."""
        self.began = time.monotonic()
        self._process = process
        self._is_up = False
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @classmethod
    @contextlib.asynccontextmanager
    async def on(
        cls, board: Board, card: Card, console: Path, *, kernel: Card | None = None, log: Path | None = None
    ) -> AsyncIterator["Machine"]:
        """Switch a machine on with this card in it; leaving cuts its power, where it still runs.

        Where the card has no kernel that could be read, ``kernel`` is one that has the same; to ``log`` goes all that
        it writes to the card (see `writes`).
        """
        with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as free:
            directory, port = Path(name), free.getsockname()[1]
            places = {"CARD": str(card.file), "DISK": _disk(card, log), "SHELL": str(directory / "shell")}
            places |= {"CONSOLE": str(console), "PORT": str(port)}
            command = _command(board, kernel or card, directory)
            command += [re.sub("|".join(places), lambda found: places[found[0]], word) for word in board.hardware]
            free.close()
            process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
            machine = cls(process, console, port)
            try:
                machine._reader, machine._writer = await _connected(directory / "shell", process)
                yield machine
                machine._writer.close()
            finally:
                await machine.cut()

    async def run(self, command: str, *, timeout: float = PATIENCE_S) -> str:
        """Run a command as root on the machine, as soon as it can; return what it prints.

        Raises:
            AssertionError: it failed.
            TimeoutError: it did not come to an end.
            ConnectionError: the machine has ended.
        """
        status, output = await self.tried(command, timeout=timeout)
        assert status == 0, f"{command!r} ended with {status}: {output}"
        return output

    async def tried(self, command: str, *, timeout: float = PATIENCE_S) -> tuple[int, str]:
        """Run a command, which may fail; return its exit status and what it prints."""
        await self._until_up()
        mark = uuid.uuid4().hex
        self._writer.write(f"( {command}\n) </dev/null 2>&1; printf '\\n%s|%s|\\n' {mark} $?\n".encode())
        output = b""
        async with asyncio.timeout(timeout):
            while not (ended := re.search(rb"\n%s\|(\d+)\|\r?\n" % mark.encode(), output)):
                octets = await self._reader.read(65536)
                if not octets:
                    raise ConnectionError("the machine has ended")
                output += octets
        return int(ended[1]), output[: ended.start()].decode(errors="replace").replace("\r\n", "\n").strip()

    async def _until_up(self) -> None:
        """Wait for the shell: what is told to a serial line that nobody has opened yet is lost."""
        if not self._is_up:
            async with asyncio.timeout(PATIENCE_S):
                await self._reader.readuntil(UP)
            self._is_up = True

    async def lines(self, command: str) -> AsyncIterator[str]:
        """Run a command that does not come to an end; yield its lines as they come."""
        self._writer.write(f"( {command}\n) </dev/null 2>&1\n".encode())
        async for line in self._reader:
            yield line.decode(errors="replace").strip()

    async def power_off(self) -> None:
        """Shut it down, and wait for it."""
        self._writer.write(b"systemctl poweroff\n")
        await self.ended()

    async def ended(self) -> None:
        """Wait until it has switched itself off, or would start anew: QEMU ends then, too."""
        async with asyncio.timeout(PATIENCE_S):
            await self._process.wait()

    async def cut(self) -> None:
        """Cut its power: whatever it had not yet given to the card is lost."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            self._process.kill()
        await self._process.wait()


def _disk(card: Card, log: Path | None) -> str:
    """Return how QEMU is told to read and write the card, and to write down what it writes."""
    if log is None:
        return f"driver=file,filename={card.file},node-name=card"
    log.write_bytes(b"")
    logged = f"driver=blklogwrites,node-name=card,log.driver=file,log.filename={log}"
    return f"{logged},file.driver=file,file.filename={card.file}"


def _command(board: Board, card: Card, directory: Path) -> list[str]:
    """Return how QEMU is started with the card's own kernel, initramfs and command line."""
    kernel, initramfs = directory / "kernel", directory / "initramfs"
    kernel.write_bytes(card.read("a/kernel8.img"))
    initramfs.write_bytes(card.read("a/initramfs8"))
    words = [card.read("a/cmdline.txt").decode().strip().replace("console=tty1", f"console={board.console}")]
    words += ["systemd.show_status=yes", "systemd.wants=shell.service", *_credentials(board), *board.words]
    command = ["qemu-system-aarch64", *board.time, "-nodefaults", "-nographic", "-no-reboot"]
    command += ["-monitor", "none", "-kernel", str(kernel), "-initrd", str(initramfs), "-append", " ".join(words)]
    if board.dtb:
        (directory / "dtb").write_bytes(card.read(board.dtb))
        command += ["-dtb", str(directory / "dtb")]
    return command


def _credentials(board: Board) -> list[str]:
    """Return the words that give the booted system a unit more, and the speaker time: systemd knows them since 256.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.system-credentials.html
    """
    # The line stays open between the word and the shell, or what is said in between would be lost. Errors go to the
    # journal: with all three on a terminal the shell would be interactive, edit and echo.
    start = f"{board.prepare}exec <>{board.shell} >&0; echo {UP.decode()}; exec bash --norc"
    shell = f"""[Unit]
DefaultDependencies=no
[Service]
ExecStart=bash -c 'until [ -e {board.shell} ]; do sleep 0.2; done; {start}'
"""
    given = {"systemd.extra-unit.shell.service": shell, "systemd.unit-dropin.speakerd.service": PATIENT}
    return [
        f"systemd.set_credential_binary={name}:{base64.b64encode(text.encode()).decode()}"
        for name, text in given.items()
    ]


async def _connected(
    socket: Path, process: asyncio.subprocess.Process
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the machine's shell; QEMU waits for this before it starts the machine."""
    async with asyncio.timeout(30):
        while process.returncode is None:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # QEMU is about to make it
                return await asyncio.open_unix_connection(socket)
            await asyncio.sleep(0.05)
    raise ConnectionError(f"QEMU ended with {process.returncode}")
