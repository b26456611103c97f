"""The journal, as ``journalctl`` reads it."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speakerd.errors import SpeakerdError
from speakerd.explain.entry import SYSTEMD, Entry, parse
from speakerd.explain.words import moment

AROUND_S = 300.0
"""So far to each side of a moment is looked."""

_UNIT = "speakerd.service"

_OURS = ("SYSLOG_IDENTIFIER=speakerd", f"_SYSTEMD_UNIT={_UNIT}", f"UNIT={_UNIT}")
"""What speakerd tells, wherever it runs, and what systemd tells of it."""

_ENDS = tuple(f"MESSAGE_ID={number}" for number, name in SYSTEMD.items() if name in ("shutdown", "journal-stopped"))
"""What the machine tells before it goes down."""

_LASTING = ("mute", "link-up", "link-lost", "link-refused", "device-lost", "device-missing", "device-back",
            "started", "stopping", "settings-refused", "reloaded")  # fmt: skip
"""Events after which something stays so, until another one ends it."""

_TROUBLE = ("turn", "link-lost", "link-refused", "question-lost", "answer-lost", "stall", "device-lost",
            "device-missing", "settings-refused", "watchdog", "crashed", "self-check")  # fmt: skip
"""What somebody means who asks without naming a time: the last turn, or whatever went wrong since."""

_BACKGROUND = 200
"""Lines about what lasts that are read from before: more than there are between two starts on a bad day."""

_NO_RIGHTS = re.compile(r"permission|not seeing messages", re.IGNORECASE)
"""What journalctl complains of where one may not read the journal, or not all of it."""

_RIGHTS = (
    "you may not read the journal: put sudo in front, or join its readers with "
    '"sudo usermod --append --groups systemd-journal $USER" and log in again'
)


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of this machine, or the one in files or in a directory that journalctl is to read."""

    files: Sequence[Path] = ()
    directory: Path | None = None

    def time_of(self, when: str) -> float:
        """Return the moment, in seconds since 1970, that an owner names in systemd's words (systemd.time(7)).

        Raises:
            SpeakerdError: it is no time, is still to come, or systemd is not here.
        """
        when = when.strip()
        day, _, clock = when.partition(" ")
        if day in ("today", "yesterday") and clock:  # which systemd knows, but not with an hour
            date = time.strftime("%Y-%m-%d", time.localtime(self.time_of(day)))
            return self.time_of(f"{date} {clock}")
        done = _run("systemd-analyze", "timestamp", "--", when)
        found = re.search(r"UNIX seconds: @([0-9.]+)", done.stdout)
        if done.returncode or found is None:
            raise SpeakerdError(
                f'"{when}" is no time; say 19:42, "yesterday 19:42", "10min ago" or "2026-11-22 19:42"'
            )
        if (at := float(found[1])) > time.time():
            raise SpeakerdError(f'{moment(at)} is still to come; a time of yesterday is said as "yesterday 19:42"')
        return at

    def last(self) -> Entry | None:
        """Return the last turn, or what went wrong since."""
        matches = [f"SPEAKERD_EVENT={event}" for event in _TROUBLE] + ["SPEAKERD_EVENT=mute SPEAKERD_MUTED=true"]
        matches += [f"UNIT={_UNIT} MESSAGE_ID={number}" for number in SYSTEMD]
        return next(iter(self._read("--lines=1", matches=matches)), None)

    def around(self, at: float) -> list[Entry]:
        """Return what was told around a moment."""
        return self._read(f"--since=@{at - AROUND_S:.6f}", f"--until=@{at + AROUND_S:.6f}", matches=(*_OURS, *_ENDS))

    def before(self, at: float) -> list[Entry]:
        """Return what was told before that, of things that last, with the last state, and the last line of all."""
        until = f"--until=@{at - AROUND_S - 1e-6:.6f}"
        lasting = [f"SPEAKERD_EVENT={event}" for event in _LASTING]
        lasting += [f"UNIT={_UNIT} MESSAGE_ID={number}" for number in SYSTEMD]
        found = self._read(until, f"--lines={_BACKGROUND}", matches=(*lasting, *_ENDS))
        found += self._read(until, "--lines=1", matches=["SPEAKERD_EVENT=state"])
        found += self._read(until, "--lines=1", matches=_OURS)
        return sorted(
            {(entry.at, entry.event, entry.text): entry for entry in found}.values(), key=lambda one: one.at
        )

    def extent(self) -> tuple[float, float] | None:
        """Return when the journal begins and ends, whoever wrote in it; None where it is empty."""
        first, last = self._first(), self._read("--lines=1")
        return (first.at, last[-1].at) if first and last else None

    def is_forgetful(self) -> bool:
        """Say whether the journal of this machine is in memory, and lost when it restarts (journald.conf(5))."""
        is_of_this_machine = not self.files and self.directory is None
        return is_of_this_machine and any(Path("/run/log/journal").glob("*/system.journal"))

    def _read(self, *words: str, matches: Sequence[str] = ()) -> list[Entry]:
        """Return the entries for which one of the matches holds."""
        done = _run(*self._command, *words, *" + ".join(matches).split())
        found = list(parse(done.stdout.splitlines()))
        if not found and _NO_RIGHTS.search(done.stderr):
            raise SpeakerdError(_RIGHTS)
        if done.returncode and done.stderr:
            raise SpeakerdError(f"journalctl: {done.stderr.splitlines()[0]}")
        return found

    def _first(self) -> Entry | None:
        # journalctl counts lines from the end only, before systemd 254; so the others are left unread.
        with subprocess.Popen(  # noqa: S603 - no shell
            self._command, stdout=subprocess.PIPE, text=True, errors="replace", env=_environment()
        ) as process:
            assert process.stdout is not None
            entry = next(parse(process.stdout), None)
            process.kill()
            return entry

    @property
    def _command(self) -> list[str]:
        source = [f"--file={file}" for file in self.files]
        source += [f"--directory={self.directory}"] if self.directory is not None else []
        return ["journalctl", "--output=json", "--no-pager", *source]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of systemd's; return how it ended and what it printed."""
    try:
        return subprocess.run(  # noqa: S603 - no shell; a match or a time is one word and stays it
            command, check=False, capture_output=True, text=True, errors="replace", env=_environment()
        )
    except FileNotFoundError as error:
        raise SpeakerdError(f"there is no {command[0]} here: this is told from systemd's journal alone") from error


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}
