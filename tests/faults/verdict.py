"""The row of the table that a scenario has earned: what became of the words, and what a speaker must never do."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from speakerd.simulate.ledger import WireEvent
from tests.faults.scenario import Scenario
from tests.faults.words import Utterance, account
from tests.integration.household import Household

BURST_S, BURST = 10.0, 11
"""At most one dial a second: so many in so many seconds, one of them at each end."""

UP = frozenset({"link-up", "link-rotated"})
"""The journal's events for a connection that is there."""

DOWN = frozenset({"link-lost", "link-refused"})
"""And for one that is not."""


@dataclass
class Result:
    """A row of the table."""

    name: str
    kind: str
    problems: list[str] = field(default_factory=list)
    recovered: float | None = None
    """Seconds from the fault, or its end, to a connection; for a stall to the answer."""
    lost: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    excused: dict[int, str] = field(default_factory=dict)
    dials: int = 0
    backoff: float = 0.0
    """The longest time from one failure to the next dial's success or failure, in seconds."""
    rotations: list[float] = field(default_factory=list)
    """Seconds without a connection at each planned replacement."""
    xruns: int = 0
    """How often the machine was too busy to hear everything: then words are lost before the daemon has them."""
    rss_kib: tuple[int, int] = (0, 0)
    course_kib: list[int] = field(default_factory=list)
    """The memory after each hundred reconnects."""
    seconds: float = 0.0
    directory: str = ""


def judge(home: Household, scenario: Scenario, said: Sequence[Utterance], result: Result) -> None:
    """Fill in the row, and say what is wrong with it."""
    events, journal = home.live.events, home.daemon.journal
    words = account(said, events, home.card.played())
    result.lost, result.repeated = words.lost, words.repeated
    ends = [entry for entry in journal if entry.get("event") in UP | DOWN]
    result.dials = sum(entry["event"] != "link-lost" for entry in ends)
    pauses = [then["monotonic"] - now["monotonic"] for now, then in itertools.pairwise(ends) if now["event"] in DOWN]
    result.backoff = max(pauses, default=0.0)
    result.rotations = [entry["seconds"] for entry in ends if entry["event"] == "link-rotated"]
    result.xruns = sum(entry.get("event") == "xrun" for entry in journal)
    excused = {word for utterance in said if utterance.number in scenario.lost for word in utterance.words}
    result.problems += _losses(result, excused)
    result.problems += _misbehaviour(scenario, result, events, journal)
    if strange := [line for line in home.daemon.lines if not line.startswith("{")]:
        result.problems.append(f"{len(strange)} lines on stderr that are not the journal's: {strange[0]}")


def _losses(result: Result, excused: set[str]) -> list[str]:
    lost = [word for word in result.lost if word not in excused]
    return [
        *([f"words lost: {' '.join(lost)}"] if lost else []),
        *([f"words repeated: {' '.join(result.repeated)}"] if result.repeated else []),
    ]


def _misbehaviour(
    scenario: Scenario, result: Result, events: list[WireEvent], journal: list[dict[str, Any]]
) -> list[str]:
    """Return what a speaker must never do, or not in this scenario."""
    found = []
    sessions = {event.detail["session"] for event in events if event.kind == "turn"}
    if len(sessions) > 1 and not scenario.fresh:
        found.append("the conversation began anew")
    opens = [event.at for event in events if event.kind in {"open", "refused"}]
    if any(late - early < BURST_S for early, late in zip(opens, opens[BURST:], strict=False)):
        found.append("it dials more than once a second")
    if scenario.limit is None and any(entry.get("event") == "link-lost" for entry in journal):
        found.append("the connection was given up")
    if scenario.most_dials is not None and result.dials - 1 > scenario.most_dials:
        found.append(f"it dialled {result.dials - 1} times, more than {scenario.most_dials}")
    if result.backoff < scenario.backoff:
        found.append(f"the longest pause between dials was {result.backoff:.1f} s, less than {scenario.backoff:g}")
    if any("Traceback" in entry["message"] for entry in journal):
        found.append("a traceback in the journal")
    return found + _handles_used_again(events)


def _handles_used_again(events: list[WireEvent]) -> list[str]:
    """Return a complaint where a handle that the service does not know was shown twice."""
    shown = {event.connection: event.detail["handle"] for event in events if event.kind == "setup"}
    resumed = {event.connection for event in events if event.kind == "resumed"}
    refused: set[str] = set()
    for connection, handle in shown.items():
        if handle in refused:
            return [f"a refused handle was shown again, on connection {connection}"]
        if handle and connection not in resumed and _is_unknown(events, connection):
            refused.add(handle)
    return []


def _is_unknown(events: list[WireEvent], connection: int) -> bool:
    """Return whether the service said that it does not know the handle of this connection."""
    return any(
        event.kind == "close" and event.connection == connection and "session not found" in event.detail["reason"]
        for event in events
    )
