"""The provisioning: takes in what is new on the card, wipes what is secret, and leaves a report for its owner."""

import argparse
import contextlib
import datetime as dt
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speakerd.errors import SettingsError, SpeakerdError
from speakerd.live.key import clean_key
from speakerd.provision import preseed
from speakerd.provision.boot import Boot
from speakerd.provision.steps import Run, System
from speakerd.set_up.store import Store
from speakerd.settings import load

SETTINGS, KEY = "speakerd.yaml", "speakerd-key.txt"

DROP_IN = "40-card.yaml"
"""Before what `speakerd setup` writes, so that what was said later, on the machine itself, wins."""

STEP_S = 60
"""How long a program of the system may take."""


@dataclass
class Taken:
    """What came of it, in words for the owner."""

    done: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the report."""
        now = f"{dt.datetime.now().astimezone():%Y-%m-%d %H:%M}"
        lines = [f"speakerd read this card on {now} (the clock may not have been set).", ""]
        if self.mistakes:
            lines += ["Please mend this, save the file, and start the speaker again:", ""]
            lines += [f"  ! {text}" for text in self.mistakes] + [""]
        lines += [f"  - {text}" for text in self.done]
        return "\n".join(lines).rstrip() + "\n"


class Provision:
    """One look at the card."""

    def __init__(self, boot: Boot, root: Path, run: Run) -> None:
        """Prepare; what is written goes below ``root``."""
        self._boot = boot
        self._run = run
        self._root = root
        self._file = root / "etc" / "speakerd" / "speakerd.yaml"
        self._taken = Taken()

    def take_in(self) -> Taken:
        """Take in what there is; what has mistakes is left as it is, and so is all that was in force before."""
        for name, take in (
            (preseed.NAME, self._take_preseed),
            (SETTINGS, self._take_settings),
            (KEY, self._take_key),
        ):
            file = self._boot.find(name)
            if file is None:
                continue
            try:
                take(file)
            except (ValueError, SettingsError) as error:
                lines = error.problems if isinstance(error, SettingsError) else str(error).splitlines()
                self._taken.mistakes += [f"{file.name}: {line}" for line in lines]
            except (OSError, SpeakerdError) as error:
                self._taken.mistakes.append(f"{file.name}: it could not be taken in: {error}")
        return self._taken

    def _take_preseed(self, file: Path) -> None:
        told = preseed.parse(self._boot.read(file))
        self._taken.done += System(self._root, self._run).take(told)
        self._taken.done += [f"[{name}] is nothing that this speaker knows" for name in told.unused]
        self._boot.wipe(file)
        self._taken.done.append(f"{file.name} was removed, for there were secrets in it")

    def _take_settings(self, file: Path) -> None:
        """Put the file in force; it stays where it is, to be changed again."""
        text = self._boot.read(file)
        drop_in = self._file.with_name(f"{self._file.name}.d") / DROP_IN
        before = drop_in.read_text(encoding="utf-8") if drop_in.exists() else None
        if text == before:
            return
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        _write(drop_in, text)
        try:
            load(self._file)
        except SettingsError as error:
            if before is None:
                drop_in.unlink()
            else:
                _write(drop_in, before)
            place = re.compile(rf"^{re.escape(str(drop_in))}:")
            raise SettingsError([place.sub("line ", problem) for problem in error.problems]) from None
        self._taken.done.append(f"the settings in {file.name} are in force")

    def _take_key(self, file: Path) -> None:
        key = clean_key(self._boot.read(file), file.name)
        why = Store(self._file, self._root / "etc").keep_key(key)
        self._boot.wipe(file)
        stored = "encrypted for this card" if why is None else f"but not encrypted: {why}"
        self._taken.done.append(f"the key is stored, {stored}, and {file.name} was removed")


def main() -> int:
    """Take in what is new; return 1 where the owner has something to mend."""
    parser = argparse.ArgumentParser(prog="python -m speakerd.provision", description=__doc__)
    parser.add_argument(
        "--boot", type=Path, default=Path("/boot/firmware"), metavar="DIR", help="the card's own part"
    )
    arguments = parser.parse_args()
    boot = Boot(arguments.boot)
    with _writable(arguments.boot):
        taken = Provision(boot, Path("/"), run).take_in()
        if taken.done or taken.mistakes:
            try:
                boot.report(str(taken))
            except OSError as error:
                print(f"no report can be left on the card: {error}", file=sys.stderr)
    for text in taken.done:
        print(text)
    for text in taken.mistakes:
        print(text, file=sys.stderr)
    return int(bool(taken.mistakes))


def run(command: Sequence[str], told: str) -> None:
    """Run a program of the system.

    Raises:
        OSError: it failed; the text has its last words, and nothing of what it was told.
    """
    try:
        done = subprocess.run(
            command, input=told, capture_output=True, text=True, timeout=STEP_S, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} does not come to an end") from error
    if done.returncode != 0:
        raise OSError(f"{command[0]} says: {' '.join(done.stderr.split())[-200:] or f'status {done.returncode}'}")


@contextlib.contextmanager
def _writable(directory: Path) -> Iterator[None]:
    """Make the card's own part writable for the block, where it is a part of its own."""
    with contextlib.suppress(OSError):
        run(["mount", "-o", "remount,rw", str(directory)], "")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            run(["mount", "-o", "remount,ro", str(directory)], "")


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
