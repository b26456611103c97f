"""The set-up: asks, stores, starts the service, and says what to expect."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from speakerd.doctor.handshake import open_once
from speakerd.errors import Cause, LinkError, SpeakerdError
from speakerd.live.verdict import verdict
from speakerd.set_up.answers import Answers
from speakerd.set_up.questions import ask
from speakerd.set_up.store import UNIT, Store
from speakerd.settings import Settings, load

START_S = 90
"""How long the service may take to be ready; its unit gives it a minute."""

BOOTED = Path("/run/systemd/system")
"""It is there where systemd runs (sd_booted(3))."""


class SetUp:
    """One run of `speakerd setup`."""

    def __init__(self, file: Path, *, try_key: bool, start: bool, store: Store | None = None) -> None:
        """Prepare for this settings file, of which everything that is stored is a neighbour or a drop-in."""
        self._file = file
        self._try_key = try_key
        self._start = start
        self._store = store or Store(file)

    def run(self, given: Answers) -> None:
        """Do what is given; where nothing is, ask.

        Raises:
            SpeakerdError: it cannot be done; the text says what to do, and nothing was changed before.
            KeyboardInterrupt: the person who was asked left; nothing was changed.
        """
        if not os.access(self._file.parent, os.W_OK):
            raise SpeakerdError(f"no right to write to {self._file.parent}; run: sudo speakerd setup")
        settings = load(self._file)
        answers = given if given != Answers() else self._ask(settings)
        if answers is given and answers.key is not None and (why := self._refuses(settings, answers.key)):
            raise SpeakerdError(f"{why}; nothing was changed; --offline stores a key untried")
        settings = self._store.keep_settings(answers.settings)
        for setting, wanted, got in _overruled(answers, settings):
            print(f"{setting} stays {got}, and not {wanted}: {settings.place(setting)} says so")
        if answers.key is not None:
            if why := self._store.keep_key(answers.key):
                print(f"The key is stored in {self._store.plain}, readable by root only, but not encrypted: {why}.")
            else:
                print(f"The key is stored in {self._store.encrypted}, encrypted for this machine.")
        if self._start:
            self._start_service()

    def _ask(self, settings: Settings) -> Answers:
        if not sys.stdin.isatty():
            raise SpeakerdError("there is no terminal to ask on; give the answers as options: speakerd setup --help")
        own = self._file.with_name("boards")
        return ask(settings, own, lambda key: self._refuses(settings, key), has_key=self._store.has_key)

    def _refuses(self, settings: Settings, key: str) -> str | None:
        """Try a key; return why the service refuses it. One that cannot be tried is as good as any."""
        if not self._try_key:
            return None
        try:
            asyncio.run(open_once(settings, key))
        except LinkError as error:
            what = verdict(error, resumed=False, during_setup=True)
            if what.cause is Cause.KEY:
                return f"the service refuses this key ({error})"
            print(f"The key could not be tried: {error}{f'; {what.advice}' if what.advice else ''}.")
        except SpeakerdError as error:
            print(f"The key could not be tried: {error}.")
        else:
            print("The service takes the key.")
        return None

    def _start_service(self) -> None:
        if not BOOTED.exists():
            print("systemd does not run here, so the service was not started; it starts with the machine when")
            print(f"somebody has run: systemctl enable {UNIT}")
            return
        _systemctl("daemon-reload")
        _systemctl("enable", "--quiet", UNIT)
        print("Starting …", flush=True)
        _systemctl("restart", UNIT)
        print(
            "It runs, and starts with the machine. Its light breathes, or is green, while it hears you: say hello.\n"
            "If it does not answer: sudo speakerd doctor"
        )


def _overruled(answers: Answers, settings: Settings) -> list[tuple[str, object, object]]:
    """Return the settings that a file after ours gives another value: which, what was answered, what is in force."""
    panel = settings.panel
    told = [
        ("microphone.device", answers.microphone, settings.microphone.device),
        ("speaker.device", answers.loudspeaker, settings.speaker.device),
        ("panel.mute_button.pin", answers.button, panel.mute_button.pin),
        ("panel.led.pin", answers.light, panel.led.pin),
    ]
    return [(setting, wanted, got) for setting, wanted, got in told if wanted not in (None, got)]


def _systemctl(*words: str) -> None:
    """Run systemctl.

    Raises:
        SpeakerdError: it failed; the text holds what the service said last.
    """
    command = ["systemctl", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpeakerdError(f"`{' '.join(command)}` does not work: {error}") from error
    if done.returncode != 0:
        raise SpeakerdError(f"`{' '.join(command)}` failed: {_last_words() or done.stderr.strip()}")


def _last_words() -> str:
    """Return what the service said last, which says better than systemctl why it did not start."""
    command = ["journalctl", "--unit", UNIT, "--lines=20", "--output=cat", "--no-pager", "_COMM=speakerd"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said[-1].removeprefix("speakerd: ") if said else ""
