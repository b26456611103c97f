"""Tries, from inside the service's sandbox, what the service has no business with; prints what it could do.

It runs in place of the daemon, with the daemon's own unit around it, and needs nothing but Python.
"""

import ctypes
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_TRACEME, CLONE_NEWUSER, PER_LINUX32 = 0, 0x10000000, 0x0008


def _listen() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass


def _raw_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def _packet_socket() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def _writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _call(name: str, *arguments: object) -> Callable[[], None]:
    def call() -> None:
        if getattr(LIBC, name)(*arguments) == -1:
            raise OSError(ctypes.get_errno(), name)

    return call


def _open(path: str, flags: int = os.O_RDONLY) -> Callable[[], None]:
    # A sound device that is in use would let us wait for it.
    return lambda: os.close(os.open(path, flags | os.O_NONBLOCK))


FORBIDDEN: dict[str, Callable[[], object]] = {
    "write to /etc": _open("/etc/speakerd/probe", os.O_WRONLY | os.O_CREAT),
    "write to /usr": _open("/usr/probe", os.O_WRONLY | os.O_CREAT),
    "write beside its state": _open("/var/lib/probe", os.O_WRONLY | os.O_CREAT),
    "read /home": lambda: list(Path("/home").iterdir()),
    "read /root": lambda: list(Path("/root").iterdir()),
    "read the disk": _open("/dev/vda"),
    "read the memory": _open("/dev/mem"),
    "write to the kernel's log": _open("/dev/kmsg", os.O_WRONLY),
    "see other people's processes": lambda: Path("/proc/1/cmdline").stat(),
    "change a kernel setting": _open("/proc/sys/kernel/domainname", os.O_WRONLY),
    "listen on a port": _listen,
    "open a raw socket": _raw_socket,
    "open a packet socket": _packet_socket,
    "have memory that is writable and executable": _writable_code,
    "make a namespace": _call("unshare", CLONE_NEWUSER),
    "mount": _call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "trace a process": _call("ptrace", PTRACE_TRACEME, 0, None, None),
    "set the clock": _call("settimeofday", bytes(16), None),
    "become root": lambda: os.setuid(0),
    "reboot": _call("reboot", 0x89ABCDEF),
    "name the machine anew": lambda: socket.sethostname("probe"),
    "run as a 32-bit machine": _call("personality", PER_LINUX32),
    "make a file set-uid": lambda: os.fchmod(os.open("/var/lib/speakerd/probe", os.O_CREAT | os.O_WRONLY), 0o4755),
    "take real-time priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
}

NEEDED: dict[str, Callable[[], object]] = {
    "its state": _open("/var/lib/speakerd/probe", os.O_WRONLY | os.O_CREAT),
    "its key": lambda: Path(os.environ["CREDENTIALS_DIRECTORY"], "gemini-api-key").read_text(),
    "its settings": _open("/etc/speakerd/speakerd.yaml"),
    "the sound cards": _open("/dev/snd/controlC0"),
    "the pins": _open("/dev/gpiochip0", os.O_RDWR),
    "what the kernel says of sound": lambda: next(Path("/proc/asound").glob("card*/pcm*c/sub*/status")),
    "the network": lambda: socket.socket(socket.AF_INET6).close(),
}


def _does(what: Callable[[], object]) -> str:
    try:
        what()
    except (OSError, StopIteration, KeyError) as error:
        return f"no: {error}"
    return "yes"


def main() -> int:
    """Print each thing and whether it could be done; fail where that is not as it should be."""
    if "CREDENTIALS_DIRECTORY" not in os.environ:
        sys.exit("only a service may run this: without its sandbox it would do what it tries")
    devices = sorted(str(path) for path in Path("/dev").rglob("*") if path.is_block_device() or path.is_char_device())
    print("devices that can be opened:", *(path for path in devices if _does(_open(path)) == "yes"))
    wrong = 0
    for wanted, table in (("no", FORBIDDEN), ("yes", NEEDED)):
        for name, what in table.items():
            could = _does(what)
            wrong += not could.startswith(wanted)
            print(f"{'ok ' if could.startswith(wanted) else 'BAD'} {name}: {could}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
