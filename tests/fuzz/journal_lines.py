"""Lines of the journal, which any program may write: the explanation of them is a text that a person can read."""

import contextlib
import json
import random
from collections.abc import Iterator
from functools import cache

from speakerd.explain.causes import causes
from speakerd.explain.entry import parse
from speakerd.explain.explain import Explanation
from speakerd.explain.reading import AROUND_S
from speakerd.explain.report import as_json, as_text
from speakerd.explain.story import story
from tests.fuzz import changes
from tests.fuzz.target import CORPUS, Attempt, Target


def _take(data: bytes) -> None:
    """Explain each moment of which there is a line."""
    entries = sorted(parse(data.decode(errors="replace").splitlines()), key=lambda entry: entry.at)
    for at in sorted({entry.at for entry in entries})[:5]:
        around = [entry for entry in entries if abs(entry.at - at) <= AROUND_S]
        told = story(at, AROUND_S, [entry for entry in entries if entry.at < at - AROUND_S], around)
        explanation = Explanation(told, *causes(told))
        lines = as_text(explanation).split("\n")
        assert all(line.isprintable() for line in lines), lines
        json.loads(as_json(explanation))


@contextlib.contextmanager
def ready() -> Iterator[Attempt]:
    """Have nothing: to explain is pure."""
    yield _take


@cache
def _stock() -> tuple[list[bytes], list[changes.Json]]:
    lines = changes.stock_of(CORPUS / "journal")
    return lines, changes.json_in(lines)


def changed(data: bytes, rand: random.Random) -> bytes:
    """Return a journal with one line more, less or different."""
    lines, values = _stock()
    mine = data.split(b"\n")
    if rand.random() < 0.3:
        return b"\n".join(changes.of_lines(mine, rand, lines))
    at = rand.randrange(len(mine))
    try:
        mine[at] = json.dumps(changes.of_json(json.loads(mine[at]), rand, values)).encode()
    except (ValueError, RecursionError):
        mine[at] = changes.of_bytes(mine[at], rand)
    return b"\n".join(mine)


JOURNAL = Target("journal", ready, changed)
