"""The service manager's end of ``NOTIFY_SOCKET``: when a program said that it is ready (sd_notify(3))."""

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Self


class Readiness:
    """Listens for as long as its ``with`` block runs, and takes everything else that is said, as systemd does."""

    def __init__(self, file: Path) -> None:
        """Prepare a socket at this path."""
        self.file = file
        self.at: float | None = None
        self._thread = threading.Thread(target=self._listen, name="readiness", daemon=True)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Listen."""
        with contextlib.ExitStack() as stack:
            self._socket = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            self._socket.bind(str(self.file))
            self._thread.start()
            stack.callback(self._thread.join)
            stack.callback(self._say_goodbye)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._stack.close()

    def _listen(self) -> None:
        while said := self._socket.recv(4096):
            if self.at is None and b"READY=1" in said.split(b"\n"):
                self.at = time.monotonic()

    def _say_goodbye(self) -> None:
        """Send the empty message at which the thread ends."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", str(self.file))
