"""What goes wrong in a soak, again and again: data. Each is meant to be survived within seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from speakerd.simulate.script import Do, Fault, When
from tests.faults.scenario import Moment

ANY = (Moment.IDLE, Moment.MID_UTTERANCE, Moment.THINKING, Moment.MID_REPLY)

WORLD = frozenset({"black_hole", "unplugged", "no_card", "stopped", "slow"})
"""What goes wrong around the daemon; everything else is the stand-in's (``speakerd.simulate.script.Do``)."""


@dataclass(frozen=True)
class Misdeed:
    """Something that goes wrong, for so long or at once, at one of these moments."""

    name: str
    verb: str
    value: Any = True
    seconds: tuple[float, float] | None = None
    """The shortest and the longest time that it takes, where it takes any."""
    moments: Sequence[Moment] = ANY
    dead: bool = False
    """Whether nothing gets through as long as it lasts, so that a recovery is measured from its end."""


def _close(code: int, reason: str = "", *, moments: Sequence[Moment] = ANY) -> Misdeed:
    name = f"close {code} {reason[:20]}".rstrip()
    return Misdeed(name, "close", {"code": code, "reason": reason}, moments=moments)


STALE = "stale handle"
"""A reset, after which the handle is not known any more."""

MISDEEDS = (
    _close(1000),
    _close(1001),
    _close(1007, "Request contains an invalid argument."),
    _close(1008, "BidiGenerateContent session not found"),
    _close(1008, "The operation was aborted."),
    _close(1011),
    _close(1011, "Internal error encountered."),
    _close(1011, "The service is currently unavailable."),
    _close(1012),
    _close(4321, "something new"),
    Misdeed("reset", "reset"),
    Misdeed("drop", "drop"),
    Misdeed(STALE, "reset"),
    Misdeed("outage, short", "refuse", seconds=(1, 5), dead=True),
    Misdeed("outage, long", "refuse", seconds=(5, 20), dead=True),
    Misdeed("black hole", "black_hole", seconds=(0.3, 20), dead=True),
    Misdeed("network cable unplugged", "unplugged", seconds=(1, 20), dead=True),
    # What is said to a card that is not there is lost, and an answer that comes meanwhile is not said later.
    Misdeed("sound card unplugged", "no_card", seconds=(0.3, 10), moments=(Moment.IDLE, Moment.MID_REPLY), dead=True),
    Misdeed("slow line", "slow", seconds=(5, 15)),
    Misdeed("server reads nothing", "stop_reading", seconds=(0.3, 10)),
    Misdeed("server frozen", "freeze", seconds=(0.3, 10)),
    Misdeed("daemon stopped", "stopped", seconds=(0.5, 10), moments=(Moment.IDLE,)),
    Misdeed("goAway", "go_away", seconds=(4, 12)),
    Misdeed("no pongs", "no_pong"),
    Misdeed("late pongs", "late_pong", seconds=(10, 28)),
    Misdeed("interrupted by nobody", "phantom_interrupted", moments=(Moment.THINKING, Moment.MID_REPLY)),
    Misdeed("nonsense", "send", ["not json", "[1,2,3]", "{}", '{"error":{"code":500}}']),
    Misdeed("flood", "flood", 2000),
    Misdeed("no answer", "no_answer", moments=(Moment.ANSWER,)),
    Misdeed("a turn without sound", "empty_turn", moments=(Moment.ANSWER,)),
    Misdeed("a transcript without sound", "transcript_only", moments=(Moment.ANSWER,)),
)


def faults_of(misdeed: Misdeed, seconds: float | None) -> list[Fault]:
    """Return what the stand-in must be told for this to go wrong at the next sound that it hears, or next turn."""
    do = Do.model_validate({misdeed.verb: misdeed.value if seconds is None else seconds})
    at_the_turn = Moment.ANSWER in misdeed.moments
    faults = [Fault(when=When(event="turn" if at_the_turn else "audio"), do=do)]
    if misdeed.name == STALE:
        refused = Do.model_validate({"close": {"code": 1008, "reason": "BidiGenerateContent session not found"}})
        faults.append(Fault(when=When(event="setup"), do=refused))
    return faults


def slowness(chance: Random) -> dict[str, float]:
    """Return an impairment that a voice still gets through: it needs 400 kbit/s, and TCP does not like losses."""
    return {
        "rate_kbit": chance.uniform(1000, 3000),
        "delay_ms": chance.uniform(20, 100),
        "loss": chance.uniform(0, 0.01),
    }
