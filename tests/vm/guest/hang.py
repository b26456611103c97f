"""A thread that hangs: held by the kernel as a driver would hold it, while all others go on."""

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
"""From linux/ptrace.h."""

WALL = 0x40000000
"""Wait for threads of every kind (waitpid(2))."""


IN_DRIVER = {"7", "16", "271"}
"""poll, ioctl and ppoll on x86-64 (asm/unistd_64.h): alsa-lib waits for a card in these."""


def in_driver(thread: int) -> bool:
    """Say whether a thread waits for a driver just now (proc_pid_syscall(5))."""
    return Path(f"/proc/{thread}/syscall").read_text().split()[0] in IN_DRIVER


@contextlib.contextmanager
def hung(thread: int) -> Iterator[Callable[[], None]]:
    """Hold a thread for as long as the block runs; the end of its process sets it free.

    Yields what is to be called meanwhile: a held thread that has died keeps its process until somebody looks.

    Raises:
        OSError: it cannot be held.
    """
    _ptrace(PTRACE_SEIZE, thread)
    _ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)

    def look() -> None:
        with contextlib.suppress(ChildProcessError):  # it is gone
            os.waitpid(thread, WALL | os.WNOHANG)

    try:
        yield look
    finally:
        with contextlib.suppress(OSError):  # it is gone, as it should be
            _ptrace(PTRACE_DETACH, thread)


def _ptrace(request: int, thread: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, thread, None, None) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
