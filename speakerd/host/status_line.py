"""The line of status that ``systemctl status`` shows: the state, and what is wrong, in words."""

import asyncio
from collections.abc import Callable
from typing import NoReturn, Protocol

from speakerd.host import service
from speakerd.host.log import without_secrets
from speakerd.state import State

REFRESH_S = 5.0
"""How old the line may be: it says how long something has lasted."""


class Light(Protocol):
    """What else shows the state."""

    def show(self, state: State) -> None:
        """Show it until the next one."""


class StatusLine:
    """A light, and the line of status beside it, which the service manager is told when it changes."""

    def __init__(self, light: Light, words: Callable[[], str]) -> None:
        """Take the light and what says the line; nothing is told before the first state."""
        self._light = light
        self._words = words
        self._told = ""

    def show(self, state: State) -> None:
        """Show a state in both."""
        self._light.show(state)
        self._tell()

    async def keep_up(self) -> NoReturn:
        """Tell for ever what changes in the line while the state is the same."""
        while True:
            await asyncio.sleep(REFRESH_S)
            self._tell()

    def _tell(self) -> None:
        words = without_secrets(self._words())
        if words != self._told:
            self._told = words
            service.tell(f"STATUS={words}")


def status_line(state: State, trouble: str | None, outage: str | None, offline_s: float) -> str:
    """Return the line.

    ``trouble`` is what a person must do, ``outage`` why there is no connection; there has been none for ``offline_s``
    seconds.
    """
    words = state.value.capitalize()
    if state is State.ERROR and trouble:
        words = f"{words}: {trouble}"
    elif state is State.OFFLINE:
        words = f"{words} for {_lasting(offline_s)}" + (f": {outage}" if outage else "")
    elif state is State.MUTED and outage:
        words = f"{words}, and offline for {_lasting(offline_s)}: {outage}"
    return " ".join(words.split())  # on one line, whatever a server has said


def _lasting(seconds: float) -> str:
    """Return how long something has lasted, as coarsely as a person wants to know it."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{int(seconds)} s"
