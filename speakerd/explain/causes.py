"""Why it was silent, slow, cut off or offline: the causes, the likeliest first; pure."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from speakerd.explain.cause import Cause
from speakerd.explain.conditions import devices_away, disconnected, muted
from speakerd.explain.halts import halts
from speakerd.explain.mishaps import mishaps, unheard
from speakerd.explain.slowness import slowness
from speakerd.explain.story import NEAR_S, Story, Stretch

_RULES: tuple[Callable[[Story], Iterator[Cause]], ...] = (
    muted, halts, disconnected, devices_away, mishaps, slowness, unheard
)  # fmt: skip

_ORDER = (
    "muted",
    # Nothing works without these, each in its turn.
    "power", "reboot", "out-of-memory", "watchdog", "settings", "crashed", "shut-down", "stopped",
    "no-connection", "microphone", "loudspeaker",
    # Then what happened to a question, and to an answer.
    "question-lost", "stall-silent", "stall-empty", "stall-phantom", "refused",
    "begin-anew", "interrupted", "answer-lost",
    "slow-network", "slow-service", "slow-buffering", "gaps",
    "stuck", "settings-refused", "other", "unheard",
)  # fmt: skip
"""What hides the others comes first: who is muted hears nobody, however good the connection is."""

_SAME = {"watchdog": "stuck", "settings": "settings-refused"}
"""What ended the service is not told again by itself."""

_EDGE_S = 0.5
"""What lasts and begins so shortly before the end of a turn did it no harm any more."""

_TOLD_S = 1.5
"""What happened at the end of a turn may be told so much later."""


def causes(story: Story) -> tuple[list[Cause], list[Cause]]:
    """Return what went wrong at the moment, the likeliest first, and what else went wrong around it."""
    found = [cause for rule in _RULES for cause in rule(story) if cause.span.touches(story.around)]
    heart = story.focus if story.exchange else Stretch("", story.moment, story.moment + NEAR_S)

    def rank(cause: Cause) -> tuple[bool, int, float]:
        return not _is_there(cause, heart), _ORDER.index(cause.name), cause.span.distance(story.moment)

    ranked = sorted(found, key=rank)
    there = list(_each_once(cause for cause in ranked if _is_there(cause, story.focus)))
    names = {cause.name for cause in there}
    hidden = {_SAME[name] for name in names & _SAME.keys()} | ({"unheard"} if len(names) > 1 else set())
    there = [cause for cause in there if cause.name not in hidden]
    nearby = _each_once(cause for cause in ranked if cause.name not in names)
    return there, list(nearby)


def _is_there(cause: Cause, focus: Stretch) -> bool:
    """Say whether a cause is about the time that is asked about."""
    span, later = cause.span, _TOLD_S if cause.span.seconds == 0 else -_EDGE_S
    return span.touches(Stretch("", focus.began, max(focus.began, focus.ended + later)))


def _each_once(ranked: Iterable[Cause]) -> Iterator[Cause]:
    """Yield the first cause of each kind, and say how many more there are."""
    groups: dict[tuple[str, str], list[Cause]] = {}
    for cause in ranked:
        kind = cause.name, cause.evidence[0].event if cause.name == "other" else ""
        groups.setdefault(kind, []).append(cause)
    for first, *others in groups.values():
        more = f" That happened {len(others) + 1} times." if others else ""
        yield dataclasses.replace(first, text=first.text + more)
