"""The settings of a speaker: speakerd.yaml and its drop-ins, as typed models.

The API key is not among them: see :mod:`speakerd.live.key`.
"""

import datetime as dt
import re
import sys
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from speakerd.boards import NAME, contradictions_with, read_board
from speakerd.errors import SettingsError
from speakerd.mistakes import ContradictionError, mistakes
from speakerd.yaml_file import Place, Problem, Where, merge, plain, read

DEFAULT_FILE = Path("/etc/speakerd/speakerd.yaml")

INSTRUCTIONS = (
    "You are the voice of a small speaker in a kitchen. "
    "People talk to you while they cook, eat and tidy up, often with wet hands and from across the room. "
    "Answer in one to three short spoken sentences, and say more only when asked to. "
    "Never use markdown, lists, emoji or web addresses: everything you say is read aloud. "
    "Say numbers and units the way people speak them. "
    "For a recipe, give one step at a time and wait. "
    "If you did not understand, ask back in a few words. "
    "If you do not know, or cannot do it, say so plainly."
)


_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_an_empty_section(cls, value: object) -> object:
        """Take a section whose settings are all commented out, which YAML reads as null, for an empty one."""
        return {} if value is None else value


class Assistant(_Section):
    """Who answers, and how."""

    model: str = Field(
        default="gemini-3.8-live",
        description="The Live model that answers.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        examples=["gemini-3.8-live"],
    )
    voice: str = Field(
        default="Kore",
        description="The voice that it speaks with, one of Google's prebuilt voices.",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
        examples=["Kore", "Puck"],
    )
    language: str = Field(
        default="en-US",
        description="The language that it speaks, as a BCP-47 tag such as de-DE.",
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$",
        examples=["en-US", "de-DE"],
    )
    instructions: str = Field(
        default=INSTRUCTIONS, description="What the model is told about its role before anybody speaks.", min_length=1
    )
    transcripts: bool = Field(
        default=False, description="Whether to ask for what was said as text, too: true or false."
    )


class Context(_Section):
    """How much of a conversation the model remembers; every turn is billed for all of it."""

    trigger_tokens: int = Field(
        default=25000, description="The length in tokens at which the oldest turns are forgotten.", ge=1, le=131072
    )
    target_tokens: int = Field(default=8000, description="The length in tokens that is kept then.", ge=1, le=131072)

    @model_validator(mode="after")
    def _forgetting_makes_room(self) -> Self:
        if self.target_tokens >= self.trigger_tokens:
            text = f"target_tokens ({self.target_tokens}) must be below trigger_tokens ({self.trigger_tokens})"
            raise ContradictionError(text, ("target_tokens",), ("trigger_tokens",))
        return self


class TurnDetection(_Section):
    """When the service takes speech for begun and for ended; null leaves it to the service."""

    start_sensitivity: Literal["high", "low"] | None = Field(
        default=None, description="How easily sound counts as the start of speech: high or low."
    )
    end_sensitivity: Literal["high", "low"] | None = Field(
        default=None, description="How easily a pause counts as the end of speech: high or low."
    )
    silence_ms: int | None = Field(
        default=None, description="The pause in milliseconds that ends a turn.", ge=0, le=10000
    )
    prefix_ms: int | None = Field(
        default=None,
        description="The speech in milliseconds that must be heard before a turn begins.",
        ge=0,
        le=10000,
    )


class Retry(_Section):
    """How long to wait before dialling again."""

    first: float = Field(
        default=1.0, description="The first wait in seconds; each further one is twice as long.", ge=0.1, le=60
    )
    longest: float = Field(default=30.0, description="The longest wait in seconds.", ge=0.1, le=3600)
    healthy_after: float = Field(
        default=60.0, description="The seconds a connection must last for the waits to begin anew.", ge=0, le=3600
    )

    @model_validator(mode="after")
    def _waits_grow(self) -> Self:
        if self.first > self.longest:
            text = f"first ({self.first:g}) must not be above longest ({self.longest:g})"
            raise ContradictionError(text, ("first",), ("longest",))
        return self


class Rotate(_Section):
    """When a connection is replaced by a fresh one, before the service cuts it."""

    after: float = Field(
        default=540.0, description="The age in seconds from which the next silence is used for it.", ge=5, le=86400
    )
    at_latest: float = Field(
        default=3420.0, description="The age in seconds at which it is done even without a silence.", ge=5, le=86400
    )

    @model_validator(mode="after")
    def _silence_has_a_chance(self) -> Self:
        if self.after >= self.at_latest:
            text = f"after ({self.after:g}) must be below at_latest ({self.at_latest:g})"
            raise ContradictionError(text, ("after",), ("at_latest",))
        return self


class Token(_Section):
    """Where ephemeral tokens come from, so that there is no API key on this device; null is the API key."""

    url: str | None = Field(
        default=None,
        description="An address that answers with a token; what it asks for is the credential token-authorization.",
        examples=["https://HOST/PATH"],
    )
    command: list[str] | None = Field(
        default=None,
        description="A program that prints a token, as a list: [ssh, HOST, speakerd, token].",
        min_length=1,
    )

    @model_validator(mode="before")
    @classmethod
    def _is_no_token(cls, value: object) -> object:
        """Refuse a token, or whatever else was put here, without repeating it."""
        if isinstance(value, str):
            raise ValueError(
                "a secret does not belong in this file; remove it, and say with url or command where tokens come from"
            )
        return value

    @property
    def given(self) -> bool:
        """Whether tokens are used instead of the API key."""
        return self.url is not None or self.command is not None

    @field_validator("url")
    @classmethod
    def _is_an_https_address(cls, url: str | None) -> str | None:
        wanted = "https://HOST/PATH; what it asks for is the credential token-authorization"
        if url is not None and (problem := _problem_of_url(url, "a token is a secret", wanted)):
            raise ValueError(problem)
        return url

    @field_validator("command", mode="before")
    @classmethod
    def _is_made_of_words(cls, command: object) -> object:
        """Say what helps where YAML reads a word as a number, or a list was forgotten."""
        if command is not None and not _is_a_list_of_words(command):
            raise ValueError("must be a list of words, a number in quotes: [ssh, HOST, speakerd, token]")
        return command

    @model_validator(mode="after")
    def _there_is_one_source(self) -> Self:
        if self.url is not None and self.command is not None:
            raise ContradictionError("url and command must not both be set", ("url",), ("command",))
        return self


class Live(_Section):
    """The connection to the Live API."""

    api_version: str = Field(
        default="v1beta",
        description="The version of the Live API; with a token it is always v1alpha.",
        pattern=r"^v[0-9]+((alpha|beta)[0-9]*)?$",
        examples=["v1beta", "v1alpha"],
    )
    base_url: str | None = Field(
        default=None, description="Another server to connect to, https://HOST:PORT; null is Google's own."
    )
    connect_timeout: float = Field(
        default=15.0, description="The seconds after which an attempt to connect is given up.", ge=1, le=300
    )
    send_ms: Literal[20, 40, 60, 80, 100] = Field(
        default=20, description="The sound in each message in milliseconds: 20, 40, 60, 80 or 100."
    )
    token: Token = Token()
    context: Context = Context()
    turn_detection: TurnDetection = TurnDetection()
    retry: Retry = Retry()
    rotate: Rotate = Rotate()

    @field_validator("base_url")
    @classmethod
    def _is_an_https_origin(cls, url: str | None) -> str | None:
        if url is not None and (problem := _problem_of_url(url, "the SDK always uses TLS", "https://HOST:PORT")):
            raise ValueError(problem)
        return url


class Microphone(_Section):
    """Where the sound comes in."""

    device: str = Field(
        default="default",
        description="The ALSA device; a card is best named as in plughw:CARD=Device.",
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        examples=["default", "plughw:CARD=Device"],
    )
    period_ms: int = Field(
        default=20, description="The sound taken from the device in one piece, in ms.", ge=10, le=100
    )
    channels: int = Field(
        default=1, description="The channels that the device has; the first one is used.", ge=1, le=8
    )


class Speaker(_Section):
    """Where the replies are heard."""

    device: str = Field(
        default="default",
        description="The ALSA device; a card is best named as in plughw:CARD=Device.",
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        examples=["default", "plughw:CARD=Device"],
    )
    volume: int = Field(
        default=80, description="How loud it is in percent; 100 is as loud as the card can.", ge=0, le=100
    )
    mixer: str = Field(
        default="auto",
        description="What sets the volume: a control of the card, by name, or software; auto looks for a control.",
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        examples=["auto", "software", "Speaker"],
    )
    prebuffer_ms: int = Field(
        default=80, description="The sound in ms that must be there before a reply is begun.", ge=60, le=120
    )
    buffer_ms: int = Field(default=160, description="The sound in ms that the device holds at most.", ge=80, le=1000)

    @model_validator(mode="after")
    def _the_prebuffer_fits(self) -> Self:
        least = self.prebuffer_ms + 20  # a period
        if self.buffer_ms < least:
            text = f"buffer_ms ({self.buffer_ms}) must be at least 20 more than prebuffer_ms ({least})"
            raise ContradictionError(text, ("buffer_ms",), ("prebuffer_ms",))
        return self


class Echo(_Section):
    """What keeps the speaker from hearing itself."""

    mode: Literal["auto", "cancel", "half-duplex", "off"] = Field(
        default="auto",
        description="What is done: cancel, half-duplex (deaf while it speaks), off, or auto, which tries.",
    )
    margin_db: float = Field(
        default=10.0,
        description="How far a voice must stand above what is left of the echo to count as one, in dB.",
        ge=0,
        le=40,
    )
    high_pass: bool = Field(default=True, description="Whether to take the rumble below 100 Hz out of what it hears.")
    noise_suppression: bool = Field(default=True, description="Whether to take steady noise out of what it hears.")
    auto_gain: bool = Field(default=False, description="Whether to make quiet voices louder.")


class Listen(_Section):
    """When sound leaves the house."""

    mode: Literal["open"] = Field(
        default="open", description="Only open for now: it listens whenever it is not muted."
    )
    gate: Literal["voice", "off"] = Field(
        default="voice",
        description="What leaves: voice is what people say, off is every sound and every silence.",
    )
    turns: Literal["server", "local"] = Field(
        default="server",
        description="Who says where a sentence ends: server, or local, which is answered sooner.",
    )
    sensitivity: float = Field(
        default=0.5, description="How easily sound counts as a voice, from 0 to 1.", ge=0.05, le=0.95
    )
    min_speech_ms: int = Field(
        default=100, description="The milliseconds of voice below which it was a cough.", ge=0, le=1000
    )
    hangover_ms: int = Field(
        default=600, description="The pause in milliseconds in which somebody may still be talking.", ge=200, le=3000
    )
    trailing_ms: int = Field(
        default=1500,
        description="The silence in milliseconds that is sent behind the last word, which tells the service of it.",
        ge=200,
        le=5000,
    )

    @model_validator(mode="after")
    def _the_parts_fit(self) -> Self:
        if self.turns == "local" and self.gate == "off":
            raise ContradictionError("turns: local needs gate: voice", ("turns",), ("gate",))
        if self.trailing_ms < self.hangover_ms:
            text = f"trailing_ms ({self.trailing_ms}) must not be below hangover_ms ({self.hangover_ms})"
            raise ContradictionError(text, ("trailing_ms",), ("hangover_ms",))
        return self


class _Input(_Section):
    pin: int | None = Field(
        default=None, description="The GPIO number that it is wired to; null is none.", ge=0, le=53
    )
    pull: Literal["up", "down", "floating"] = Field(
        default="up", description="The resistor inside the chip: up, down, or floating for none."
    )
    active: Literal["low", "high"] | None = Field(
        default=None, description="The level of the pin when it is pressed: low or high; null is against the pull."
    )
    bounce_ms: int = Field(
        default=10, description="The milliseconds for which a level must last to count.", ge=1, le=100
    )

    @property
    def active_high(self) -> bool:
        """Whether a high level means that it is pressed."""
        return self.active == "high" if self.active else self.pull == "down"

    @model_validator(mode="after")
    def _a_floating_pin_has_its_level(self) -> Self:
        if self.pull == "floating" and self.active is None:
            raise ContradictionError("active must be low or high where pull is floating", ("active",), ("pull",))
        return self


class MuteButton(_Input):
    """The button: press to mute and un-mute, hold for two seconds to begin anew, for ten to set up."""


class MuteSwitch(_Input):
    """A switch that stays where it is put, in place of a button: its position says whether the speaker is muted."""


class DotStar(_Section):
    """Addressable LEDs with a clock, such as APA102 and SK9822, in one row; all of them show the same."""

    data: int | None = Field(
        default=None, description="The GPIO number of the wire for their data; null is none.", ge=0, le=53
    )
    clock: int | None = Field(default=None, description="The GPIO number of the wire for their clock.", ge=0, le=53)
    # 32 take half an ampere at the brightness that they are given: more than a board has to spare.
    count: int = Field(default=3, description="How many there are.", ge=1, le=32)

    @model_validator(mode="after")
    def _two_wires_or_none(self) -> Self:
        if (self.data is None) != (self.clock is None):
            raise ContradictionError("data and clock must both be set, or neither", ("data",), ("clock",))
        return self


class Led(_Section):
    """The light: one LED at pin, one of three colours at red, green and blue, or a row of them at dotstar."""

    pin: int | None = Field(
        default=None, description="The GPIO number of an LED of one colour; null is none.", ge=0, le=53
    )
    red: int | None = Field(default=None, description="The GPIO number of an LED's red part.", ge=0, le=53)
    green: int | None = Field(default=None, description="The GPIO number of its green part.", ge=0, le=53)
    blue: int | None = Field(default=None, description="The GPIO number of its blue part.", ge=0, le=53)
    active: Literal["low", "high"] = Field(
        default="high", description="The level at which it shines: high, or low, as with a common anode."
    )
    brightness: int = Field(default=100, description="How bright it is at most, in percent.", ge=1, le=100)
    dotstar: DotStar = DotStar()

    @property
    def given(self) -> bool:
        """Whether there is a light."""
        return self.pin is not None or self.coloured

    @property
    def coloured(self) -> bool:
        """Whether it has three colours."""
        return self.red is not None or self.dotstar.data is not None

    @model_validator(mode="after")
    def _it_has_one_colour_or_three(self) -> Self:
        colours = {"red": self.red, "green": self.green, "blue": self.blue}
        given = [name for name, pin in colours.items() if pin is not None]
        if given and self.pin is not None:
            raise ContradictionError(f"pin and {given[0]} must not both be set", ("pin",), (given[0],))
        if given and len(given) < 3:
            missing = [name for name in colours if name not in given]
            text = f"with {given[0]}, {' and '.join(missing)} must be set as well"
            raise ContradictionError(text, (given[0],), *((name,) for name in missing))
        others = given or (["pin"] if self.pin is not None else [])
        if others and self.dotstar.data is not None:
            text = f"{others[0]} and dotstar must not both be set"
            raise ContradictionError(text, (others[0],), ("dotstar", "data"))
        return self


class Panel(_Section):
    """The button and the light."""

    board: str | None = Field(
        default=None,
        description="A board that brings its own settings; `speakerd panel --boards` lists them.",
        pattern=NAME,
        examples=["button-led"],
    )
    pin_factory: Literal["lgpio", "mock"] = Field(
        default="lgpio", description="What drives the pins: lgpio, or mock for pins that exist only in software."
    )
    mute_button: MuteButton = MuteButton()
    mute_switch: MuteSwitch = MuteSwitch()
    led: Led = Led()

    @model_validator(mode="after")
    def _one_thing_mutes(self) -> Self:
        if self.mute_button.pin is not None and self.mute_switch.pin is not None:
            text = "mute_button and mute_switch must not both have a pin"
            raise ContradictionError(text, ("mute_button", "pin"), ("mute_switch", "pin"))
        return self


class Sounds(_Section):
    """What the speaker says by itself, besides the model's answers."""

    chimes: bool = Field(default=True, description="Whether to chime when it is muted and un-muted.")
    listening: bool = Field(default=False, description="Whether to chime when it begins to listen to somebody.")
    notices: bool = Field(default=True, description="Whether to say what is wrong, once for each cause.")
    volume: int = Field(
        default=100, description="How loud they are in percent; 100 is as loud as answers.", ge=1, le=100
    )


class QuietHours(_Section):
    """When the light is dim and the voice is soft."""

    begin: str | None = Field(
        default=None,
        description="The time of day at which they begin, as in 22:00; null is never.",
        pattern=_TIME,
        examples=["22:00"],
    )
    end: str | None = Field(
        default=None, description="The time of day at which they end.", pattern=_TIME, examples=["07:00"]
    )
    brightness: int = Field(default=10, description="How bright the light is then, in percent.", ge=1, le=100)
    volume: int = Field(
        default=30, description="How loud it is then at most, in percent; 0 is not at all.", ge=0, le=100
    )

    @model_validator(mode="after")
    def _they_begin_and_end(self) -> Self:
        if (self.begin is None) != (self.end is None):
            raise ContradictionError("begin and end must both be set, or neither", ("begin",), ("end",))
        return self

    def are_on(self, now: dt.datetime) -> bool:
        """Return whether it is quiet at this local time; they may last over midnight."""
        if self.begin is None or self.end is None:
            return False
        at = f"{now:%H:%M}"
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


class Price(_Section):
    """What tokens are taken to cost, for estimates; your bill is what counts."""

    # The defaults are what others report for Gemini 3.1 and 3.8 Live, on the paid tier.
    audio_in: float = Field(
        default=3.00,
        description="US dollars per million tokens of sound sent, as on https://ai.google.dev/gemini-api/docs/pricing.",
        ge=0,
        le=1000,
    )
    audio_out: float = Field(
        default=12.00, description="The same for a million tokens of the model's voice.", ge=0, le=1000
    )
    text_in: float = Field(
        default=0.75, description="The same for a million tokens of text sent, such as instructions.", ge=0, le=1000
    )
    text_out: float = Field(
        default=4.50, description="The same for a million tokens of text that the model makes.", ge=0, le=1000
    )


class Log(_Section):
    """What the journal gets."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is worth a line: debug, info, warning or error."
    )
    format: Literal["auto", "text", "json", "journal"] = Field(
        default="auto", description="How lines are written: auto, text, json or journal; auto looks where they go."
    )


class Settings(_Section):
    """Settings of speakerd, a kitchen speaker for the Gemini Live API."""

    assistant: Assistant = Assistant()
    live: Live = Live()
    microphone: Microphone = Microphone()
    speaker: Speaker = Speaker()
    echo: Echo = Echo()
    listen: Listen = Listen()
    panel: Panel = Panel()
    sounds: Sounds = Sounds()
    quiet_hours: QuietHours = QuietHours()
    price: Price = Price()
    log: Log = Log()

    _places: dict[Where, Place] = PrivateAttr(default_factory=dict)

    def place(self, setting: str) -> str:
        """Return which file and line a setting such as ``panel.led.pin`` comes from."""
        return str(self._places.get(tuple(setting.split(".")), "default"))

    @model_validator(mode="after")
    def _the_service_notices_the_end(self) -> Self:
        silence, trailing = self.live.turn_detection.silence_ms, self.listen.trailing_ms
        if (
            silence is not None
            and silence >= trailing
            and (self.listen.gate, self.listen.turns) == ("voice", "server")
        ):
            text = f"listen.trailing_ms ({trailing}) must be above live.turn_detection.silence_ms ({silence})"
            raise ContradictionError(text, ("listen", "trailing_ms"), ("live", "turn_detection", "silence_ms"))
        return self

    @model_validator(mode="after")
    def _messages_hold_whole_periods(self) -> Self:
        send, period = self.live.send_ms, self.microphone.period_ms
        if send % period:
            text = f"live.send_ms ({send}) must be a multiple of microphone.period_ms ({period})"
            raise ContradictionError(text, ("live", "send_ms"), ("microphone", "period_ms"))
        return self


def load(file: Path, drop_ins: Path | None = None) -> Settings:
    """Return the settings of ``file`` and of the ``*.yaml`` in the directory ``drop_ins``, of which later ones win.

    Without ``drop_ins`` it is the directory beside the file with ``.d`` added to its name, if there is one. The
    default file may be missing, any other must exist.

    The board that they name comes first, and any of the files wins over it. It is looked for in the directory
    ``boards`` beside the file, and then among those that speakerd is delivered with.

    Raises:
        SettingsError: every mistake in all of the files, sorted by file and line.
    """
    files, problems = _files(file, drop_ins)
    documents = [read(path) for path in files]
    own = merge(file, documents)
    board = read_board(own, file.with_name("boards"))
    for document in (board, *documents):
        problems += document.problems
    if not problems:
        # What a file that cannot be read would have said is not known, so nothing can be said to contradict it.
        problems += contradictions_with(board, own, Settings)
    for document in (board, *documents):
        problems += mistakes(document, Settings)
    if problems:
        raise SettingsError([str(problem) for problem in sorted(problems)])
    merged = merge(file, [board, own])
    settings = Settings.model_validate(merged.content)
    settings._places.update(merged.places)
    return settings


def describe(settings: Settings) -> str:
    """Return the settings as YAML, each with a comment that says which file and line it comes from."""
    return "\n".join(_described(settings.model_dump(), (), settings._places)) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON schema of the settings, for editors and other programs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


def _files(file: Path, drop_ins: Path | None) -> tuple[list[Path], list[Problem]]:
    files = [file]
    try:
        file.stat()
    except FileNotFoundError:
        if file == DEFAULT_FILE:
            files = []
    except OSError:
        pass  # read() will say why
    directory = drop_ins or file.with_name(f"{file.name}.d")
    try:
        found = [path for path in directory.iterdir() if path.suffix == ".yaml" and not path.name.startswith(".")]
    except OSError as error:
        if isinstance(error, FileNotFoundError) and drop_ins is None:
            return files, []
        return files, [Problem(Place(directory), f"cannot be read: {error.strerror}; it must be a directory")]
    return files + sorted(found), []


def _described(section: dict[str, Any], where: Where, places: dict[Where, Place]) -> list[str]:
    lines, indent = [], "  " * len(where)
    for key, value in section.items():
        here = (*where, key)
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_described(value, here, places)]
        else:
            lines.append(f"{indent}{key}: {_scalar(value)}  # {places.get(here, 'default')}")
    return lines


def _scalar(value: object) -> str:
    """Return a single value, or a list of words, as YAML in one line."""
    # PyYAML writes YAML 1.1, in which some words that are numbers to the reader, such as 1e3, need no quotes.
    words = value if isinstance(value, list) else [value]
    quoted = any(isinstance(word, str) and not _is_plain(word) for word in words)
    text = yaml.safe_dump(
        value, width=sys.maxsize, allow_unicode=True, default_style='"' if quoted else None, default_flow_style=True
    )
    return text.removesuffix("...\n").rstrip("\n")


def _is_plain(word: str) -> bool:
    return word.splitlines() == [word] and isinstance(plain(word), str)


def _is_a_list_of_words(value: object) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(word, str) and word for word in value)


def _problem_of_url(url: str, why_tls: str, wanted: str) -> str | None:
    """Return why this URL cannot be used; the text never repeats it, for it may hold a secret."""
    try:
        parts = urlsplit(url)
        port_is_right = parts.port != 0
    except ValueError:
        return f"is not a URL; write {wanted}"
    if parts.scheme == "http":
        return f"http:// is not possible, because {why_tls}; write {wanted}"
    if parts.scheme != "https" or not parts.hostname or not port_is_right or not re.fullmatch(r"[!-~]+", url):
        return f"is not a URL; write {wanted}"
    if "?" in url or "#" in url or "@" in parts.netloc:
        return f"must not have a query, a fragment, a name or a password; write {wanted}"
    return None
