"""The moments at which things go wrong, as the stand-in sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.script import HANDSHAKE
from tests.faults.scenario import Moment, Scenario


@dataclass(frozen=True)
class Occasion:
    """The ``count``-th event of a kind, on a connection or any, in a turn or any, and ``after`` seconds more."""

    event: str
    connection: int | None = None
    turn: int | None = None
    count: int = 1
    after: float = 0.0

    @property
    def when(self) -> dict[str, Any]:
        """Return it as the stand-in's script has it."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def times(self, events: Sequence[WireEvent]) -> list[float]:
        """Return when it came, by time.monotonic(), for the first and every further time."""
        times = [
            event.at
            for event in events
            if event.kind == self.event
            and self.connection in (None, event.connection)
            and self.turn in (None, event.detail.get("turn"))
        ]
        return times[self.count - 1 :]


_OCCASIONS = {
    Moment.BEFORE_SETUP: Occasion("speech_start", connection=1, turn=2, after=1.0),
    Moment.IDLE: Occasion("idle", connection=1, count=2, after=1.0),  # the first one was before utterance 1
    Moment.MID_UTTERANCE: Occasion("speech_start", turn=2, after=1.0),
    Moment.THINKING: Occasion("turn", turn=2, after=0.2),
    Moment.MID_REPLY: Occasion("audio_out", turn=2, count=25),
    Moment.TOOL_CALL: Occasion("tool_call", turn=2),
    Moment.ANSWER: Occasion("turn", count=2),
}

_TOOL_CALL = {"when": {"turn": 2}, "do": {"tool_call": {"name": "open_the_oven", "behavior": "BLOCKING"}}}
"""The daemon has no functions, and refuses; that takes a moment, and this is the moment."""


def moment_of(moment: Moment) -> Occasion:
    """Return when it goes wrong; for the dial of a reconnect, when the connection before it is lost."""
    return _OCCASIONS[moment]


def faults_of(scenario: Scenario) -> list[dict[str, Any]]:
    """Return what the stand-in is told to do wrong, and when."""
    faults = [_TOOL_CALL] if scenario.moment is Moment.TOOL_CALL else []
    if scenario.reconnects:
        times = {"event": "idle", "count": 2, "times": scenario.reconnects}
        return [{"when": times, "do": {"reset": True}}]
    if scenario.do is None:
        return faults
    do = scenario.do.model_dump(exclude_unset=True)
    if scenario.moment is Moment.FIRST_DIAL:
        return _at_dials(scenario, do, 1)
    if scenario.moment is Moment.BEFORE_SETUP:
        lost = {"when": moment_of(scenario.moment).when, "do": {"reset": True}}
        return [lost, *_at_dials(scenario, do, 2)]
    if scenario.repeat:
        every, seconds = scenario.repeat.every, scenario.repeat.seconds
        return [
            {"when": {"event": "turn_complete", "turn": 1, "after": at * every}, "do": do}
            for at in range(round(seconds / every))
        ]
    return [*faults, {"when": moment_of(scenario.moment).when | {"times": scenario.dials}, "do": do}]


def _at_dials(scenario: Scenario, do: dict[str, Any], first: int) -> list[dict[str, Any]]:
    event = {} if do.keys() & HANDSHAKE else {"event": "setup"}
    return [{"when": event | {"connection": first + at}, "do": do} for at in range(scenario.dials)]
