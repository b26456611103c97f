"""Resumption handles, and the conversations that they bring back."""

import time
import uuid
from dataclasses import dataclass, field

from speakerd.simulate.refusals import still_open, unknown_handle

VALID_SECONDS = 7200.0
"""How long a handle can be used, as Google documents it."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a conversation remembers."""

    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    turn: int = 0
    """How often the user has had a turn."""
    tokens: int = 0
    """The size of the context; every turn is billed for all of it again."""
    history: tuple[str, ...] = ()
    """What was said, from both sides, one line each."""


class Handles:
    """Give out handles and take them back."""

    def __init__(self, valid: float = VALID_SECONDS) -> None:
        self._valid = valid
        self._given: dict[str, tuple[float, Memory]] = {}
        self._open: set[str] = set()

    def give(self, memory: Memory) -> str:
        """Return a new handle for the conversation as it is now; what is said later is not behind it."""
        now = time.monotonic()
        self._given = {name: given for name, given in self._given.items() if given[0] > now}
        handle = str(uuid.uuid4())
        self._given[handle] = (now + self._valid, memory)
        return handle

    def redeem(self, handle: str) -> Memory:
        """Return the conversation behind a handle.

        Raise RefusedError for a handle that is unknown or too old, or whose conversation still has a connection.
        """
        until, memory = self._given.get(handle, (0.0, None))
        if memory is None or until < time.monotonic():
            raise unknown_handle()
        if memory.session in self._open:
            raise still_open()
        return memory

    def forget(self) -> None:
        """Take it that no handle was ever given."""
        self._given.clear()

    def let_go(self) -> None:
        """Take it that no conversation has a connection, whatever is still open: a new one takes its place."""
        self._open.clear()

    def opened(self, memory: Memory) -> None:
        """Take it that this conversation has a connection."""
        self._open.add(memory.session)

    def closed(self, memory: Memory) -> None:
        """Take it that the conversation's connection is over."""
        self._open.discard(memory.session)
