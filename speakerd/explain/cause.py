"""A cause: what went wrong, when, what tells it, and what to do."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from speakerd.explain.entry import Entry
from speakerd.explain.story import Stretch
from speakerd.host.vocabulary import kinds

SHOWN = 3
"""Lines that are quoted for a cause: its beginning and its end say more than all that is between."""


@dataclass(frozen=True, slots=True)
class Cause:
    """``name`` is for programs, ``text`` and ``advice`` are for people; there may be nothing to do.

    ``span`` is when it was so, and has no end where none was told.
    """

    name: str
    text: str
    advice: str
    span: Stretch
    evidence: tuple[Entry, ...]

    @property
    def is_over(self) -> bool:
        """Whether its end was told."""
        return self.span.ended < math.inf


def cause(name: str, text: str, advice: str, evidence: Iterable[Entry], span: Stretch | None = None) -> Cause:
    """Return a cause; its time is that of its evidence where no other is known."""
    told = tuple(evidence)
    return Cause(name, text, advice, span or Stretch(name, told[0].at, told[-1].at), _some(told))


def advice_for(event: str) -> str:
    """Return what the list of events says a person should do."""
    return " ".join(kinds()[event].do.split()) if event in kinds() else ""


def _some(told: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return told if len(told) <= SHOWN else (*told[: SHOWN - 1], told[-1])
