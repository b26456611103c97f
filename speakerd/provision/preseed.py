"""`rpi-preseed.toml`: what Raspberry Pi Imager writes of what was filled in before flashing.

The format is that of Imager 2 (generateRpiPreseedToml in src/customization_generator.cpp of
https://github.com/raspberrypi/rpi-imager) and of schema/rpi-preseed.schema in
https://github.com/raspberrypi/rpi-preseed, whose keys are all taken or left alone: sections and keys that speakerd
has no use for are told, so that nobody waits for what does not come. A name that nobody knows is a mistake: with a
slip in `password` a network would be an open one.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from speakerd.provision.boot import ALIKE
from speakerd.yaml_file import name

NAME = "rpi-preseed.toml"

Where: TypeAlias = tuple[str, ...]
"""A section, or a section and a key in it."""

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

UNUSED = {
    "": [
        *("config_version", "debug", "connect", "ethernet", "packages", "ca_certificates", "time", "mounts"),
        *("interfaces", "boot", "runcmd"),
    ],
    "ssh": ["ssh_import_id"],
    "locale": ["locales", "lang", "lc_time", "lc_measurement", "keymap_model", "keymap_variant", "keymap_options"],
}
"""Sections of Imager's schema, and keys in those that we take, with which nothing is done."""

ALSO_CALLED = {"wifi": "wlan", "wi_fi": "wlan", "wireless": "wlan", "psk": "password", "passphrase": "password"}
"""What people call it who mean the same."""

Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$")]
"""What is written into files of the system, whose lines would end, or mean something else, at a control character."""


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
    password: Line | None = None
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

    enabled: bool | None = None
    password_authentication: bool = False
    authorized_keys: list[Line] = []


class Wlan(_Section):
    """The wireless network."""

    ssid: Line | None = None
    ssid_hex: str | None = Field(default=None, pattern=r"^([0-9a-fA-F]{2}){1,32}$")
    password: Line | None = None
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
        if self.ssh.enabled and self.ssh.password_authentication and not (self.user and self.user.password):
            raise ValueError("ssh: password_authentication needs a password at user.password")
        if self.ssh.enabled and not self.ssh.authorized_keys and not self.ssh.password_authentication:
            raise ValueError(
                "ssh: nobody could log in without authorized_keys or password_authentication; "
                "ssh_import_id is not supported"
            )
        return self


SECTIONS: dict[str, type[_Section]] = {
    "system": System,
    "user": User,
    "ssh": Ssh,
    "wlan": Wlan,
    "locale": Locale,
    "speakerd": Card,
}


def parse(text: str) -> Preseed:
    """Return what a file says.

    Raises:
        ValueError: it has mistakes; the text has a line for each, and nothing that is secret.
    """
    try:
        told: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{error}{_advice(text, str(error))}") from None
    except RecursionError:
        raise ValueError("has too many brackets in one another") from None
    found = list(_slips(text, told))
    try:
        preseed = Preseed.model_validate(told)
    except ValidationError as error:
        found += [_words(text, one) for one in error.errors(include_input=False, include_url=False)]
    if found:
        raise ValueError("\n".join(found))
    return preseed


def _advice(text: str, said: str) -> str:
    """Return what to do about a line that is no TOML; nothing where there is no telling."""
    found = re.search(r"at line (\d+)", said)
    line = text.split("\n")[int(found[1]) - 1] if found else ""
    if re.search("[“”„]", line):
        return '; write " instead of “ and ”'
    if "\\" in line:
        return "; a text with a \\ in it goes between ' and '"
    return "; a text goes between quotation marks" if "Invalid value" in said else ""


def _slips(text: str, told: dict[str, Any]) -> Iterator[str]:
    """Yield, in words, each name that is nobody's.

    Whoever writes the file by hand means what is there. Imager, which leaves its ``config_version``, may be newer
    than this speaker: in its file only what is almost one of the names is a slip, of somebody who changed it.
    """
    is_by_hand = "config_version" not in told
    names: list[tuple[Where, list[str]]] = [((section,), [*SECTIONS, *UNUSED[""]]) for section in told]
    for section, model in SECTIONS.items():
        keys = told.get(section)
        siblings = [*model.model_fields, *UNUSED.get(section, [])]
        names += [((section, key), siblings) for key in keys] if isinstance(keys, dict) else []
    for where, siblings in names:
        if where[-1] in siblings:
            continue
        wanted = where[-1].lower().replace("-", "_")
        wanted = ALSO_CALLED.get(wanted, wanted)
        near = difflib.get_close_matches(wanted, siblings, 1, ALIKE)
        homes = [f"[{section}]" for section, model in SECTIONS.items() if wanted in model.model_fields]
        if near:
            why = f"is unknown; did you mean {_called((*where[:-1], near[0]), told)}?"
        elif not is_by_hand:
            continue
        elif homes:
            why = f"is unknown here; it belongs below {' or '.join(homes)}"
        else:
            there = siblings if len(where) > 1 else [f"[{section}]" for section in SECTIONS]
            why = f"is unknown; there is {', '.join(there)}"
        yield f"{_at(text, where)}{_called(where, told)} {why}"


def _called(where: Where, told: dict[str, Any]) -> str:
    return f"[{name(where)}]" if isinstance(told.get(where[0], {}), dict) and len(where) == 1 else name(where)


EXPECTED = {
    "system.hostname": 'letters, digits and hyphens, 63 at most, such as "kitchen"',
    "user.name": 'small letters, digits, - and _, beginning with a letter, such as "anna"',
    "user.password": "a text in one line",
    "user.groups": 'a list of groups, such as ["sudo"]',
    "ssh.authorized_keys": 'a list of public keys, each in one line: ["ssh-ed25519 AAAA... anna@laptop"]',
    "wlan.ssid": "the name of your Wi-Fi, in one line",
    "wlan.password": "a text in one line",
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
    return f"{_at(text, where or (said.partition(':')[0],))}{f'{name}: ' if name else ''}{said}"


def _at(text: str, where: Where) -> str:
    """Return in which line a value, or else its section, stands; nothing where that is not to be seen."""
    section: Where = ()
    found = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
            section = (header[1],)
            found = f"line {number}: " if section == where[:1] else found
        elif (key := re.match(r"\s*([\w-]+)\s*=", line)) and (*section, key[1]) == where:
            return f"line {number}: "
    return found
