"""Where `speakerd setup` keeps what it was told: the key as a credential, the rest as a settings file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from speakerd.errors import SettingsError, SpeakerdError
from speakerd.live.key import CREDENTIAL
from speakerd.settings import Settings, load

UNIT = "speakerd.service"

ENCRYPT_S = 60
"""How long encrypting may take; a TPM, or the first key of a machine, takes a few seconds."""


class Store:
    """The files of a set-up, under ``etc``; ``made`` lists their hashes, so that purging the package finds them."""

    def __init__(self, settings_file: Path, etc: Path = Path("/etc")) -> None:
        """Take the owner's settings file, which is not touched."""
        self._settings_file = settings_file
        self.encrypted = etc / "credstore.encrypted" / CREDENTIAL
        self.plain = etc / "credstore" / CREDENTIAL
        self.drop_in = etc / "systemd" / "system" / f"{UNIT}.d" / "50-setup.conf"
        self.answers = settings_file.with_name(f"{settings_file.name}.d") / "50-setup.yaml"
        self.made = settings_file.with_name("setup.sha256")

    @property
    def has_key(self) -> bool:
        """Whether there is a key from before."""
        return self.encrypted.exists() or self.plain.exists()

    def keep_settings(self, sections: dict[str, Any]) -> Settings:
        """Add these settings to those of earlier set-ups; return all that are in force then.

        Raises:
            SettingsError: they, or others, have mistakes; nothing was changed.
        """
        before = self.answers.read_bytes() if self.answers.exists() else None
        kept = (yaml.safe_load(before) if before else None) or {}
        for name, section in sections.items():
            kept[name] = kept.get(name, {}) | section
        text = "# Written by speakerd setup, which writes it anew when it is run again.\n" + yaml.safe_dump(kept)
        _write(self.answers, text.encode(), 0o644)
        try:
            settings = load(self._settings_file)
        except SettingsError:
            if before is None:
                self.answers.unlink()
            else:
                _write(self.answers, before, 0o644)
            raise
        self._note(self.answers)
        return settings

    def keep_key(self, key: str) -> str | None:
        """Store the key where only the service gets it; return why it is not encrypted, if it is not.

        Raises:
            SpeakerdError: it cannot be stored.
        """
        try:
            why = self._encrypt(key)
            if why is None:
                self._remove(self.plain, self.drop_in)
            else:
                _write(self.plain, key.encode(), 0o600)
                # The unit asks for an encrypted one; what a drop-in says of the same name takes its place.
                line = f"[Service]\nLoadCredentialEncrypted=\nLoadCredential={CREDENTIAL}:{self.plain}\n"
                _write(self.drop_in, line.encode(), 0o644)
                self._remove(self.encrypted)
        except OSError as error:
            raise SpeakerdError(f"the key cannot be stored: {error.strerror}: {error.filename}") from error
        self._note(self.encrypted, self.plain, self.drop_in)
        return why

    def _encrypt(self, key: str) -> str | None:
        """Encrypt the key for this machine; return why not, where that fails."""
        self.encrypted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.encrypted.with_name(f".{CREDENTIAL}.new")
        command = ["systemd-creds", "encrypt", f"--name={CREDENTIAL}", "-", str(unfinished)]
        try:
            done = subprocess.run(command, input=key, capture_output=True, text=True, timeout=ENCRYPT_S, check=False)
        except FileNotFoundError:
            return "systemd-creds is missing"
        except subprocess.TimeoutExpired:
            return "systemd-creds does not come to an end"
        if done.returncode != 0:
            unfinished.unlink(missing_ok=True)
            return " ".join(done.stderr.split()) or f"systemd-creds ended with {done.returncode}"
        unfinished.chmod(0o600)
        unfinished.replace(self.encrypted)
        return None

    def _remove(self, *files: Path) -> None:
        """Remove what is of an earlier set-up, and not what somebody else has made."""
        ours = self._ours()
        for file in files:
            if str(file) in ours:
                file.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    file.parent.rmdir()

    def _ours(self) -> dict[str, str]:
        """Return the files that were made here, each with its hash."""
        lines = self.made.read_text().splitlines() if self.made.exists() else []
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}

    def _note(self, *files: Path) -> None:
        made = self._ours() | {str(file): "" for file in files}
        kept = {name: _digest(Path(name)) for name in made if Path(name).exists()}
        _write(self.made, "".join(f"{digest}  {name}\n" for name, digest in sorted(kept.items())).encode(), 0o600)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write(file: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all; a power cut cannot undo it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as new:
        os.fchmod(new.fileno(), mode)  # whatever the umask is
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    unfinished.replace(file)
