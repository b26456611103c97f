"""The secret that opens the Live API: is there one, where from, and does it look like one?"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

from speakerd.doctor.finding import Finding, bad, note, ok
from speakerd.doctor.service import UNIT, Service, output_of
from speakerd.errors import SettingsError
from speakerd.live.key import CREDENTIAL, VARIABLE, read_secret
from speakerd.settings import Settings
from speakerd.yaml_file import LOOKS_LIKE_A_KEY

NAME = "key"

LENGTH = 39
"""Characters of Google's keys that begin with AIza; newer kinds are longer."""

CREDENTIALS = Path("/run/credentials") / UNIT
"""Where the service manager puts what the unit asks for, while it runs (systemd.exec(5))."""

DECRYPT_S = 1.0

_STORES = ("/etc/credstore", "/run/credstore", "/etc/credstore.encrypted", "/run/credstore.encrypted")

_STORE_IT = "store it: sudo speakerd setup; a key is made at https://aistudio.google.com/apikey"
_AS_ROOT = "to try it as well: sudo speakerd doctor"


async def examine(settings: Settings, service: Service) -> tuple[Finding, str | None]:
    """Return how the secret is, and the secret itself for the handshake; None where we have none."""
    if settings.live.token.command is not None:
        return ok(NAME, f"none here: tokens come from the program {settings.live.token.command[0]}"), ""
    source = await _borrow(service)
    try:
        secret = read_secret(settings)
    except SettingsError as error:
        return _missing(service, error), None
    if settings.live.token.url is not None:
        return ok(NAME, f"none here: tokens come from {urlsplit(settings.live.token.url).hostname}"), secret
    return judge(secret, source, other=service.installed and source == _OWN), secret


def judge(secret: str, source: str, *, other: bool) -> Finding:
    """Return how a key looks; ``other`` says that the service may have another one, which we cannot see."""
    looks_right = LOOKS_LIKE_A_KEY.fullmatch(secret) and (len(secret) == LENGTH or not secret.startswith("AIza"))
    if not looks_right:
        advice = "compare it with https://aistudio.google.com/apikey; the line Live says whether it is taken"
        return note(NAME, f"from {source}; it does not look like one of Google's, whole and unchanged", advice)
    if other:
        return note(NAME, f"from {source}, which the service does not see", _AS_ROOT)
    return ok(NAME, f"from {source}, and looks like one of Google's")


_OWN = f"the variable {VARIABLE}"


async def _borrow(service: Service) -> str:
    """Have this process see the service's secrets, as far as we may; return where the key comes from, in words."""
    if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
        return f"the credential {CREDENTIAL}" if (Path(directory) / CREDENTIAL).exists() else _OWN
    if _may_read(CREDENTIALS / CREDENTIAL):
        os.environ["CREDENTIALS_DIRECTORY"] = str(CREDENTIALS)
        return f"the credential {CREDENTIAL} of the service"
    if VARIABLE in os.environ:
        return _OWN
    for path in _stored(service):
        if key := await _content(path):
            os.environ[VARIABLE] = key  # of this process only
            return f"{path}, where the service takes it from"
    return _OWN


def _stored(service: Service) -> list[Path]:
    """Return the files from which the unit takes the key and which we may read."""
    found = []
    for setting in ("LoadCredential", "LoadCredentialEncrypted"):
        for words in service.unit.get(setting, "").split():
            name, _, path = words.partition(":")
            if name == CREDENTIAL:
                found += [Path(directory, path or name) for directory in _STORES]  # a whole path stays as it is
    return [path for path in dict.fromkeys(found) if _may_read(path)]


def _may_read(path: Path) -> bool:
    return os.access(path, os.R_OK)


async def _content(path: Path) -> str:
    """Return what is in a file, decrypted where it is encrypted for this machine; nothing where that fails."""
    plain = await output_of("systemd-creds", "decrypt", f"--name={CREDENTIAL}", str(path), "-", limit=DECRYPT_S)
    return plain.strip() or await asyncio.to_thread(_text, path)


def _text(path: Path) -> str:
    try:
        text = path.read_bytes()[:4096].decode("ascii", "replace").strip()
    except OSError:
        return ""
    return text if "\n" not in text else ""  # what is encrypted fills lines of base64


def _missing(service: Service, error: SettingsError) -> Finding:
    if service.installed and os.geteuid() != 0:
        return note(NAME, "is the service's own, and only root may read it", _AS_ROOT)
    if VARIABLE not in os.environ and (stored := _stored(service)):
        return bad(NAME, f"{stored[0]} holds no key that this machine can decrypt", _STORE_IT)
    advice = _STORE_IT if service.installed else f"{_STORE_IT}; or by hand: export {VARIABLE}=YOUR_KEY"
    return bad(NAME, str(error).partition(": get a key")[0], advice)
