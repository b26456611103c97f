"""The secret that opens the Live API: read from where the service manager put it, shown to nobody."""

import os
from pathlib import Path

from speakerd.errors import SettingsError
from speakerd.settings import Settings

CREDENTIAL = "gemini-api-key"
VARIABLE = "GEMINI_API_KEY"

WHERE_KEYS_ARE = "https://aistudio.google.com/apikey"

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
    raw, source = _read(CREDENTIAL, VARIABLE)
    return clean_key(raw, source, _how_to_give(CREDENTIAL, VARIABLE))


def clean_key(raw: str, source: str, advice: str = f"copy it whole from {WHERE_KEYS_ARE}") -> str:
    """Return a key without the white space and quotation marks that came with it.

    Raises:
        SettingsError: it cannot be a key; the text says what to do, and never holds it.
    """
    key = _bare(raw)
    if not key:
        raise SettingsError([f"no API key in {source}: {advice}"])
    if not _may_be_secret(key) or " " in key:
        raise SettingsError([f"what is in {source} is not an API key: {advice}"])
    return key


def _read_authorization() -> str:
    value, source = _read(AUTHORIZATION_CREDENTIAL, AUTHORIZATION_VARIABLE)
    if not _may_be_secret(value):
        text = f"what is in {source} cannot be the value of a header; write one line, such as: Bearer PASSWORD"
        raise SettingsError([text])
    return value


def _how_to_give(credential: str, variable: str) -> str:
    """Return how whoever runs us gives us a key."""
    if not _is_service():
        return f"get a key at {WHERE_KEYS_ARE}, then run: export {variable}=YOUR_KEY"
    return (
        f"get a key at {WHERE_KEYS_ARE}, then run: sudo speakerd setup; "
        f"or: sudo systemd-creds encrypt --name={credential} - /etc/credstore.encrypted/{credential}, "
        "paste the key and press Ctrl-D twice, then: sudo systemctl restart speakerd"
    )


def _is_service() -> bool:
    return bool({"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"} & os.environ.keys())


def _may_be_secret(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= LONGEST


def _read(credential: str, variable: str) -> tuple[str, str]:
    """Return a secret, without what came with it when it was pasted, and where it is from."""
    raw, source = _credential(credential), f"the credential {credential}"
    if raw is None and (variable in os.environ or not _is_service()):
        raw, source = os.environ.get(variable), variable
    return _bare(raw or ""), source


def _bare(raw: str) -> str:
    return raw.strip().strip("\"'").strip()


def _credential(name: str) -> str | None:
    """Return as much of a credential as shows whether it can be a secret; None where there is none."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    try:
        with (Path(directory) / name).open("rb") as file:
            return file.read(4 * LONGEST).decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        text = f"the credential {name} cannot be read: {error.strerror}; store it anew: sudo speakerd setup"
        raise SettingsError([text]) from error
