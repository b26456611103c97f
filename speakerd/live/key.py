"""The secret that opens the Live API: read from where the service manager put it, shown to nobody."""

import os
from pathlib import Path

from speakerd.errors import SettingsError
from speakerd.settings import Settings

CREDENTIAL = "gemini-api-key"
VARIABLE = "GEMINI_API_KEY"

HOW_TO_GIVE_A_KEY = (
    f"get a key at https://aistudio.google.com/apikey, then run: export {VARIABLE}=YOUR_KEY "
    f"(a service: give the unit LoadCredential={CREDENTIAL}:FILE)"
)

AUTHORIZATION_CREDENTIAL = "token-authorization"
AUTHORIZATION_VARIABLE = "SPEAKERD_TOKEN_AUTHORIZATION"

LONGEST = 1024
"""Characters of a secret; every kind of API key is far shorter."""


def read_secret(settings: Settings) -> str:
    """Return the secret that these settings need.

    That is the API key; with ``live.token.url`` the value of the header ``Authorization`` for it, which may be
    empty; with ``live.token.command`` it is empty.

    Raises:
        SettingsError: it is missing where it is needed, or cannot be one. The text never holds it.
    """
    if settings.live.token.command is not None:
        return ""
    return read_key() if settings.live.token.url is None else _read_authorization()


def read_key() -> str:
    """Return the API key: from the systemd credential ``gemini-api-key``, else from ``GEMINI_API_KEY``.

    White space and quotation marks around it are dropped, since keys are pasted and files end in newlines.

    Raises:
        SettingsError: there is no key, or what there is cannot be one. The text never holds the key.
    """
    key, source = _read(CREDENTIAL, VARIABLE)
    if not key:
        raise SettingsError([f"no API key in {source}: {HOW_TO_GIVE_A_KEY}"])
    if not _may_be_secret(key) or " " in key:
        raise SettingsError([f"what is in {source} is not an API key: {HOW_TO_GIVE_A_KEY}"])
    return key


def _read_authorization() -> str:
    value, source = _read(AUTHORIZATION_CREDENTIAL, AUTHORIZATION_VARIABLE)
    if not _may_be_secret(value):
        text = f"what is in {source} cannot be the value of a header; write one line, such as: Bearer PASSWORD"
        raise SettingsError([text])
    return value


def _may_be_secret(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= LONGEST


def _read(credential: str, variable: str) -> tuple[str, str]:
    """Return a secret, without what came with it when it was pasted, and where it is from."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / credential if directory else None
    if path is None or not path.exists():
        raw, source = os.environ.get(variable, ""), variable
    else:
        try:
            raw, source = path.read_bytes()[:4096].decode("ascii", "replace"), f"the credential {credential}"
        except OSError as error:
            raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    return raw.strip().strip("\"'").strip(), source
