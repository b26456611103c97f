"""`rpi-preseed.toml`: what Raspberry Pi Imager writes of what was filled in before flashing.

The format is that of Imager 2 (generateRpiPreseedToml in src/customization_generator.cpp of
https://github.com/raspberrypi/rpi-imager) and of schema/rpi-preseed.schema in
https://github.com/raspberrypi/rpi-preseed, whose keys are all taken or left alone: sections and keys that speakerd
has no use for are told, so that nobody waits for what does not come.
"""

import re
import tomllib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from speakerd.yaml_file import name

NAME = "rpi-preseed.toml"

Hostname = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")]
"""One label of RFC 1123."""

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
"""What Debian's useradd takes."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$")]


INSTEAD = {
    "locale.lang": "what it speaks is assistant.language in speakerd.yaml",
    "ssh.ssh_import_id": "there is no network yet to fetch them; write the keys themselves at authorized_keys",
}
"""What to do in the place of what is not supported."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    @property
    def unknown(self) -> dict[str, Any]:
        """What stands there and is none of ours."""
        return self.__pydantic_extra__ or {}


class System(_Section):
    """What the machine is called."""

    hostname: Hostname | None = None


class User(_Section):
    """Somebody who may log in."""

    name: UserName
    password: str | None = Field(default=None, pattern=r"^[^\n\r\x00]+$")
    password_encrypted: bool = False
    groups: list[Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$")]] = []
    passwordless_sudo: bool = False

    @model_validator(mode="after")
    def _is_encrypted(self) -> "User":
        # What else stood there would be written into /etc/shadow as it is (crypt(5)).
        if self.password and self.password_encrypted and not re.fullmatch(r"\$[\w./$,=+-]+", self.password):
            raise ValueError("password is not encrypted, though password_encrypted is true")
        return self


class Ssh(_Section):
    """Whether and how one may log in from afar."""

    enabled: bool = False
    password_authentication: bool = False
    authorized_keys: list[Annotated[str, StringConstraints(pattern=r"^[^\n]+$")]] = []


class Wlan(_Section):
    """The wireless network."""

    ssid: str | None = Field(default=None, min_length=1)
    ssid_hex: str | None = Field(default=None, pattern=r"^([0-9a-fA-F]{2}){1,32}$")
    password: str | None = None
    password_encrypted: bool = False
    hidden: bool = False
    country: Country | None = None
    key_mgmt: Literal["none", "owe", "wpa-psk", "sae"] | None = None

    @model_validator(mode="after")
    def _is_a_network(self) -> "Wlan":
        if len(self.octets) > 32:
            raise ValueError("ssid has more than 32 bytes")
        if self.password is not None and self.key_mgmt in ("none", "owe"):
            raise ValueError(f"there is a password, but key_mgmt is {self.key_mgmt}, a network without one")
        if self.password is None and self.key_mgmt in ("wpa-psk", "sae"):
            raise ValueError(f"there is no password, but key_mgmt is {self.key_mgmt}, which needs one")
        if self.password is not None and not self._is_password():
            raise ValueError("password must have 8 to 63 characters, or be the 64 hexadecimal digits of its key")
        return self

    @property
    def octets(self) -> bytes:
        """The name of the network as it is in the air; empty where none is named."""
        return bytes.fromhex(self.ssid_hex) if self.ssid_hex else (self.ssid or "").encode()

    def _is_password(self) -> bool:
        password = self.password or ""
        is_key = re.fullmatch(r"[0-9a-fA-F]{64}", password) is not None
        return is_key if self.password_encrypted else is_key or 8 <= len(password.encode()) <= 63


class Locale(_Section):
    """Where the machine is."""

    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$")] | None = None
    keymap: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,}([,_-][a-z0-9]+)*$")] | None = None


class Card(_Section):
    """What is our own: no section of Imager's."""

    journal: Literal["volatile", "persistent"] | None = None


class Preseed(_Section):
    """The whole file."""

    system: System = System()
    user: User | None = None
    ssh: Ssh = Ssh()
    wlan: Wlan | None = None
    locale: Locale = Locale()
    speakerd: Card = Card()

    @property
    def unused(self) -> list[str]:
        """What speakerd does nothing with, in words: sections, and keys of those that it knows."""
        found = [f"[{name((section,))}]" for section in self.unknown if section != "config_version"]
        for section in type(self).model_fields:
            known: _Section | None = getattr(self, section)
            found += [name((section, key)) for key in known.unknown] if known else []
        return [
            f"{one} is not supported: {INSTEAD[one]}"
            if one in INSTEAD
            else f"{one} is nothing that this speaker knows"
            for one in found
        ]

    @model_validator(mode="after")
    def _somebody_can_log_in(self) -> "Preseed":
        if self.ssh.enabled and self.user is None:
            raise ValueError("ssh: there must be a [user] who logs in")
        if self.ssh.enabled and not self.ssh.authorized_keys and not self.ssh.password_authentication:
            raise ValueError(
                "ssh: nobody could log in without authorized_keys or password_authentication; "
                "ssh_import_id is not supported"
            )
        return self


def parse(text: str) -> Preseed:
    """Return what a file says.

    Raises:
        ValueError: it has mistakes; the text has a line for each, and nothing that is secret.
    """
    try:
        told: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{error}; a text goes between quotation marks") from None
    try:
        return Preseed.model_validate(told)
    except ValidationError as error:
        found = [_words(text, one) for one in error.errors(include_input=False, include_url=False)]
        raise ValueError("\n".join(found)) from None


EXPECTED = {
    "system.hostname": 'letters, digits and hyphens, 63 at most, such as "kitchen"',
    "user.name": 'small letters, digits, - and _, beginning with a letter, such as "anna"',
    "user.password": "a text in one line",
    "user.groups": 'a list of groups, such as ["sudo"]',
    "ssh.authorized_keys": 'a list of public keys, each in one line: ["ssh-ed25519 AAAA... anna@laptop"]',
    "wlan.ssid": "the name of your Wi-Fi, which is not empty",
    "wlan.ssid_hex": "its name as hexadecimal digits",
    "wlan.country": 'two letters, such as "DE"',
    "locale.timezone": 'a place, such as "Europe/Berlin"',
    "locale.keymap": 'a layout, such as "de"',
}
"""What a value must be, for somebody who never saw a pattern."""


def _words(text: str, error: Any) -> str:
    where = tuple(str(part) for part in error["loc"][:2])
    said = error["msg"].removeprefix("Value error, ")
    name = ".".join(where)
    if error["type"] in ("string_pattern_mismatch", "string_too_short", "string_type", "list_type"):
        said = f"expected {EXPECTED[name]}" if name in EXPECTED else said
    # What contradicts across sections begins with the name of one.
    line = _line(text, where or (said.partition(":")[0],))
    return f"{f'line {line}: ' if line else ''}{f'{name}: ' if name else ''}{said}"


def _line(text: str, where: tuple[str, ...]) -> int | None:
    """Return the line in which a value, or else its section, stands."""
    section, found = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
            section = header[1]
            found = number if section == where[0] else found
        elif section == where[0] and len(where) > 1 and re.match(rf"\s*{re.escape(where[1])}\s*=", line):
            return number
    return found
