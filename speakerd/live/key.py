"""The API key: read from where the service manager put it, shown to nobody."""

import os
from pathlib import Path

from speakerd.errors import SettingsError

CREDENTIAL = "gemini-api-key"
VARIABLE = "GEMINI_API_KEY"

HOW_TO_GIVE_A_KEY = (
    f"get a key at https://aistudio.google.com/apikey, then run: export {VARIABLE}=YOUR_KEY "
    f"(a service: give the unit LoadCredential={CREDENTIAL}:FILE)"
)


def read_key() -> str:
    """Return the API key: from the systemd credential ``gemini-api-key``, else from ``GEMINI_API_KEY``.

    White space and quotation marks around it are dropped, since keys are pasted and files end in newlines.

    Raises:
        SettingsError: there is no key, or what there is cannot be one. The text never holds the key.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / CREDENTIAL if directory else None
    if path is not None and path.exists():
        try:
            raw, source = path.read_bytes()[:4096].decode("ascii", "replace"), f"the credential {CREDENTIAL}"
        except OSError as error:
            raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    else:
        raw, source = os.environ.get(VARIABLE, ""), VARIABLE
    key = raw.strip().strip("\"'").strip()
    if not key:
        raise SettingsError([f"no API key in {source}: {HOW_TO_GIVE_A_KEY}"])
    if not key.isascii() or not key.isprintable() or " " in key or len(key) > 1024:
        raise SettingsError([f"what is in {source} is not an API key: {HOW_TO_GIVE_A_KEY}"])
    return key
