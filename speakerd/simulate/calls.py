"""Function calls that wait for the client's answer."""

import random
from dataclasses import dataclass
from typing import Any

from speakerd.simulate.profiles import Profile, functions
from speakerd.simulate.script import ToolCall


@dataclass(frozen=True, slots=True)
class Call:
    """One function call."""

    id: str
    turn: int
    tool: ToolCall
    blocking: bool


class Calls:
    """Know which calls are open, and which ids were ever given."""

    def __init__(self, profile: Profile, setup: dict[str, Any]) -> None:
        self._tools_wait = profile.tools_wait
        self._declared = {f.get("name"): f.get("behavior") for f in functions(setup)}
        self._open: dict[str, Call] = {}
        self._given: set[str] = set()

    @property
    def blocking(self) -> list[str]:
        """Return the ids that the model's voice waits for."""
        return [call.id for call in self._open.values() if call.blocking]

    @property
    def any(self) -> bool:
        """Return whether any call is open."""
        return bool(self._open)

    def make(self, tools: list[ToolCall], turn: int) -> list[Call]:
        """Return new calls, open from now on."""
        calls = [
            Call(f"function-call-{random.getrandbits(63)}", turn, tool, self._is_blocking(tool)) for tool in tools
        ]
        self._open |= {call.id: call for call in calls}
        self._given |= {call.id for call in calls}
        return calls

    def knows(self, id_: str) -> bool:
        """Return whether this id was ever given."""
        return id_ in self._given

    def answered(self, id_: str, *, more: bool) -> Call | None:
        """Return the call that is answered, None where it was cancelled; with ``more`` it stays open."""
        return self._open.get(id_) if more else self._open.pop(id_, None)

    def cancel_blocking(self) -> list[str]:
        """Give up all calls that the model waits for; return their ids."""
        ids = self.blocking
        for id_ in ids:
            del self._open[id_]
        return ids

    def _is_blocking(self, tool: ToolCall) -> bool:
        behavior = tool.behavior or self._declared.get(tool.name)
        return self._tools_wait if behavior is None else behavior == "BLOCKING"
