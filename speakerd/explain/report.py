"""The explanation, as lines for a terminal or as JSON for another program."""

import json
import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from speakerd.explain.cause import Cause
from speakerd.explain.entry import Entry
from speakerd.explain.explain import Explanation
from speakerd.explain.picture import WIDTH, waterfall
from speakerd.explain.story import Stretch
from speakerd.explain.words import clock, moment

_INDENT = "   "
_QUOTED = 200
"""Characters of a line of the journal that are shown."""


def as_text(explanation: Explanation) -> str:
    """Return the explanation in at most 80 columns."""
    return "\n".join(_lines(explanation))


def as_json(explanation: Explanation) -> str:
    """Return the explanation as one JSON object; times are in seconds since 1970, null is open."""
    story = explanation.story
    exchange = story.exchange
    content = {
        "moment": story.moment,
        "looked": {"since": story.around.began, "until": story.around.ended},
        "turn": dict(exchange.turn.fields) if exchange and exchange.turn else None,
        "parts": [_stretch(part) for part in (exchange.parts if exchange else story.states)],
        "causes": [_cause(cause) for cause in explanation.causes],
        "nearby": [_cause(cause) for cause in explanation.nearby],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _lines(explanation: Explanation) -> Iterator[str]:
    story = explanation.story
    yield _title(explanation)
    if picture := waterfall(story):
        yield ""
        yield from picture
    yield ""
    for number, cause in enumerate(explanation.causes, 1):
        yield from _paragraph(cause.text, f"{number}. ")
        yield from _quotes(cause.evidence, story.moment)
        if cause.advice:
            yield from _paragraph(cause.advice, f"{_INDENT}→ ")
    if not explanation.causes:
        yield "Nothing went wrong that the journal knows of."
    if explanation.nearby:
        yield ""
        yield "Around that time, too:"
        for cause in explanation.nearby:
            yield from _paragraph(cause.text, "-  ")
            yield from _quotes(cause.evidence[:1], story.moment)


def _title(explanation: Explanation) -> str:
    story = explanation.story
    if story.exchange is None:
        return f"Around {moment(story.moment)}"
    turn, states = story.exchange.turn, {state.name for state in story.exchange.states}
    name = "A question and its answer" if "speaking" in states else "A question without an answer"
    if turn is not None:
        name = f"Turn {turn.fields.get('turn', '?')}"
    return f"{name}, {moment(story.exchange.span.began)}"


def _quotes(evidence: Sequence[Entry], beside: float) -> Iterator[str]:
    for entry in evidence:
        text = textwrap.shorten(entry.text or entry.event, _QUOTED, placeholder="…")
        yield from _paragraph(text, f"{_INDENT}{clock(entry.at, beside)}  ")


def _paragraph(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )


def _cause(cause: Cause) -> dict[str, Any]:
    evidence = [{"time": entry.at, "event": entry.event, "text": entry.text} for entry in cause.evidence]
    return {
        "cause": cause.name,
        "text": cause.text,
        "advice": cause.advice,
        **_stretch(cause.span, with_name=False),
        "evidence": evidence,
    }


def _stretch(stretch: Stretch, *, with_name: bool = True) -> dict[str, Any]:
    named = {"name": stretch.name} if with_name else {}
    return {**named, "since": stretch.began, "until": stretch.ended if stretch.ended < math.inf else None}
