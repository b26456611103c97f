"""A scenario of the fault suite: what goes wrong, at which moment, and what must be so afterwards."""

import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from speakerd.simulate.script import Do

LIST = Path(__file__).with_name("scenarios.yaml")


class Moment(enum.StrEnum):
    """When it goes wrong."""

    FIRST_DIAL = "first-dial"
    BEFORE_SETUP = "before-setup"  # of the reconnect after a reset in the middle of utterance 2
    IDLE = "idle"  # utterance 1 is answered; utterance 2 is begun as soon as it goes wrong
    MID_UTTERANCE = "mid-utterance"
    THINKING = "thinking"
    MID_REPLY = "mid-reply"
    TOOL_CALL = "tool-call"
    ANSWER = "answer"  # utterance 2 and its next tellings get odd answers


class Kind(enum.StrEnum):
    """What is measured, and so the limit in seconds where a scenario has none of its own."""

    DROP = "close or reset"
    REFUSAL = "refused dial"
    OUTAGE = "after an outage"
    DEAD = "dead connection"
    PLANNED = "planned replacement"
    PERSON = "a person must act"
    QUOTA = "quota"
    STALL = "stall"
    STEADY = "nothing lost"

    @property
    def limit(self) -> float | None:
        """Return within how many seconds the connection must be back; None: it must not be lost."""
        return _LIMITS[self]


_LIMITS = {
    Kind.DROP: 1.5,
    Kind.REFUSAL: 2.0,  # the wait after the second failure in a row is 1.0 to 1.25 s
    Kind.OUTAGE: 5.0,
    Kind.DEAD: 5.0,
    Kind.PLANNED: 60.0,  # its rows say when it is due
    Kind.PERSON: 35.0,
    Kind.QUOTA: 65.0,
    Kind.STALL: 25.0,  # to the answer
    Kind.STEADY: None,
}

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Repeat(_Part):
    """How often a fault of the stand-in comes back."""

    every: Annotated[float, Field(ge=0.05)]
    seconds: Seconds


class Slow(_Part):
    """A bad line, both ways."""

    rate_kbit: float
    delay_ms: float
    loss: Annotated[float, Field(ge=0, lt=1)]


class World(_Part):
    """What goes wrong around the daemon: exactly one of these."""

    outage: Seconds | None = None
    """The server's machine refuses every connection."""
    unplugged: Seconds | None = None
    """The daemon's own link is down, and the kernel tells of it."""
    black_hole: Seconds | None = None
    """Packets vanish, and nobody is told."""
    slow: Slow | None = None
    """For ``seconds``."""
    impostor: Literal["hangs-up", "wrong-name", "no-tls"] | None = None
    """Somebody else answers at the server's address for ``seconds``."""
    stopped: Seconds | None = None
    """The process is stopped and goes on, as in a suspended machine."""
    clock: float | None = None
    """The wall clock is stepped by so many seconds."""
    night: Seconds | None = None
    """The server is away for so many seconds of the daemon's time, which runs ``NIGHT_SPEED`` times faster."""
    seconds: Seconds = 10.0

    @property
    def needs_network(self) -> bool:
        """Return whether the daemon must be behind a network of its own."""
        return self.unplugged is not None or self.black_hole is not None or self.slow is not None


class Scenario(_Part):
    """One row of the table."""

    name: str
    kind: Kind
    moment: Moment
    do: Do | None = None
    """A fault of the stand-in; without it and ``world`` nothing goes wrong but what the settings provoke."""
    dials: Annotated[int, Field(ge=1)] = 1
    """So many dials in a row, or turns for the moment ``answer``, meet the fault."""
    repeat: Repeat | None = None
    world: World | None = None
    reconnects: int | None = None
    """The connection is reset so often, and each time as soon as it is there; nothing is said meanwhile."""
    settings: dict[str, dict[str, Any]] = {}
    script: dict[str, Any] = {}
    second: Literal["at-once", "afterwards"] = "at-once"
    """When utterance 2 is said at the moment ``idle``: as it goes wrong, or when all is well again."""
    hold: Seconds = 0.0
    """How long all is watched before utterance 3."""
    within: Seconds | None = None
    fresh: bool = False
    """Whether the conversation may have begun anew."""
    most_dials: int | None = None
    """How often it may dial after it went wrong."""
    whole: bool = False
    """Whether also the answer to utterance 2 must be heard to its end."""
    backoff: Seconds = 0.0
    """The longest pause between two dials must be at least this."""
    lost: dict[int, str] = {}
    """Utterances that need not be answered, and the reason."""
    quick: bool = False

    @property
    def limit(self) -> float | None:
        """Return within how many seconds it must have recovered; None: nothing must have been lost."""
        return self.kind.limit if self.within is None else self.within

    @property
    def patience(self) -> float:
        """Return after how many seconds a run of it hangs."""
        world = self.world or World()
        away = max(
            seconds or 0.0
            for seconds in (world.outage, world.unplugged, world.black_hole, world.stopped, world.seconds)
        )
        return 180 + (self.limit or 0) + away + self.hold + (self.reconnects or 0) * 1.5


def scenarios(file: Path = LIST) -> list[Scenario]:
    """Return every scenario of the list, with its products expanded: each row of ``each`` at each of ``moments``.

    What a row says goes before what its entry says, and what their ``at`` says of a moment goes before both.
    """
    found: list[Scenario] = []
    for entry in yaml.safe_load(file.read_text()):
        for row, said in entry.get("each", {"": {}}).items():
            found += _at_moments(entry, said, f"{entry['name']}/{row}" if row else entry["name"])
    names = [scenario.name for scenario in found]
    assert len(names) == len(set(names)), "two scenarios have the same name"
    return found


def _at_moments(entry: dict[str, Any], row: dict[str, Any], name: str) -> list[Scenario]:
    found = []
    for moment in entry["moments"]:
        said = {**entry, **row, **entry.get("at", {}).get(moment, {}), **row.get("at", {}).get(moment, {})}
        fields = {key: value for key, value in said.items() if key not in {"moments", "each", "at"}}
        found.append(Scenario.model_validate({**fields, "name": f"{name}@{moment}", "moment": moment}))
    return found
