"""What the speaker is doing, as one word: the state, computed from facts and stored nowhere.

Light, journal and ``STATUS=`` all ask this one function, so they cannot disagree.
"""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """What a person in the room is told, by the light and in the journal."""

    ERROR = "error"
    STARTING = "starting"
    SETUP = "setup"
    MUTED = "muted"
    OFFLINE = "offline"
    CONNECTING = "connecting"
    SPEAKING = "speaking"
    LISTENING = "listening"
    THINKING = "thinking"
    IDLE = "idle"


class Line(enum.Enum):
    """How we stand with the Live API."""

    DIALLING = "dialling"  # for the first time since the start: nothing was lost yet
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is so right now; each fact is independent of the others."""

    trouble: str | None = None  # what a person must do, in words; None while nobody must do anything
    starting: bool = False
    setting_up: bool = False  # the button asked for provisioning just now
    muted: bool = False
    line: Line = Line.UP
    playing: bool = False  # the model's voice is in the loudspeaker, until its last sample was played
    talking: bool = False  # somebody in the room is talking
    leaving: bool = False  # sound of the room is really going out on the wire
    waiting: bool = False  # somebody has spoken and the answer is not heard yet


def state_of(facts: Facts) -> State:
    """Return the state for these facts: the first row of the table that matches.

    MUTED outranks OFFLINE because the light is a promise about privacy first.
    """
    table = (
        (facts.trouble is not None, State.ERROR),
        (facts.starting, State.STARTING),
        (facts.setting_up, State.SETUP),
        (facts.muted, State.MUTED),
        (facts.line is Line.DOWN, State.OFFLINE),
        (facts.line is Line.DIALLING, State.CONNECTING),
        (facts.playing, State.SPEAKING),
        (facts.talking and facts.leaving, State.LISTENING),
        (facts.waiting, State.THINKING),
    )
    return next((state for matches, state in table if matches), State.IDLE)
