"""A journal for scenes: the real journald in a room of its own, beside whatever runs on this machine.

The room is a mount namespace with a /run and a message catalog of its own.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

JOURNALD = Path("/lib/systemd/systemd-journald")

_ROOM = """
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/systemd/catalog
mount -t tmpfs tmpfs /usr/lib/systemd/catalog
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
cat >/run/systemd/journald.conf.d/scene.conf <<EOF
[Journal]
Storage=volatile
ReadKMsg=no
Audit=no
EOF
echo ready
exec cat
"""


class Journal:
    """A journald that can be started, stopped and read."""

    socket = Path("/run/systemd/journal/socket")

    def __init__(self, room: int) -> None:
        self._room = room
        self._journald: subprocess.Popen[bytes] | None = None

    @property
    def prefix(self) -> list[str]:
        """What goes in front of a command line that shall see this journal."""
        own = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self._room}", "--mount", *own, f"--wd={Path.cwd()}"]

    def start(self) -> None:
        """Let journald listen."""
        quiet = subprocess.DEVNULL
        self._journald = subprocess.Popen([*self.prefix, JOURNALD], stdin=quiet, stdout=quiet, stderr=quiet)
        deadline = time.monotonic() + 10
        while not (self._socket_of_the_room.exists() and self._is_listened_to()):
            assert time.monotonic() < deadline, "journald does not come up"
            time.sleep(0.02)

    def _is_listened_to(self) -> bool:
        ask = f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect('{self.socket}')"
        return subprocess.run([*self.prefix, sys.executable, "-c", ask], stderr=subprocess.DEVNULL).returncode == 0

    @property
    def _socket_of_the_room(self) -> Path:
        return Path(f"/proc/{self._room}/root{self.socket}")

    def die(self) -> None:
        """Let journald end as in a crash; nobody takes its socket away."""
        assert self._journald is not None
        self._journald.kill()
        self._journald.wait()

    def vanish(self) -> None:
        """Let journald end, and its socket with it."""
        self.die()
        self._socket_of_the_room.unlink()

    def close(self) -> None:
        if self._journald is not None and self._journald.poll() is None:
            self.die()

    def run(self, *words: object) -> str:
        """Run a program in the room; return what it prints, which must not be a complaint."""
        command = [*self.prefix, *map(str, words)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stderr == ""
        return done.stdout

    def show(self, *words: str) -> str:
        """Return what ``journalctl`` prints of everything that was sent."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "--all", *words)

    def entries(self, *matches: str) -> list[dict[str, Any]]:
        """Return the entries of speakerd that match, such as ``SPEAKERD_EVENT=link-lost``."""
        lines = self.show("--output=json", "SYSLOG_IDENTIFIER=speakerd", *matches).splitlines()
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def journal() -> Iterator[Journal]:
    """Make room for a journal; nothing listens in it before ``start``."""
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", "--mount", "--propagation=private", *own, "sh", "-c", _ROOM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as room:
        assert room.stdin is not None
        assert room.stdout is not None
        assert room.stdout.readline() == b"ready\n"
        made = Journal(room.pid)
        try:
            yield made
        finally:
            made.close()
            room.stdin.close()
            room.wait(timeout=10)
