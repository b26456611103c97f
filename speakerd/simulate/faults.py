"""Which faults of the script are due."""

from collections.abc import Iterable
from dataclasses import dataclass

from speakerd.simulate.script import Fault


@dataclass(slots=True)
class _Waiting:
    fault: Fault
    seen: int = 0
    fired: int = 0

    @property
    def spent(self) -> bool:
        times = self.fault.when.times
        return times != "always" and self.fired >= times


class Faults:
    """Count events and say which faults they set off."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._waiting: dict[str, list[_Waiting]] = {}
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Take one more fault; its events are counted from now on."""
        self._waiting.setdefault(fault.event, []).append(_Waiting(fault))

    def due(self, event: str, connection: int, turn: int | None) -> list[Fault]:
        """Return what happens now that ``event`` happened, in the order of the script."""
        fired: list[Fault] = []
        for waiting in self._waiting.get(event, ()):
            when = waiting.fault.when
            if waiting.spent or when.connection not in (None, connection) or when.turn not in (None, turn):
                continue
            waiting.seen += 1
            if waiting.seen >= when.count:
                waiting.fired += 1
                fired.append(waiting.fault)
        return fired

    def back(self, fault: Fault) -> None:
        """Take back that a fault fired: its moment had passed before it came to it."""
        for waiting in self._waiting[fault.event]:
            if waiting.fault is fault:
                waiting.fired -= 1
