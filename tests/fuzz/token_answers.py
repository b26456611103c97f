"""What is answered to who asks for a token: a token, or an error that repeats nothing of the answer."""

import contextlib
import json
import random
from collections.abc import Iterator
from functools import cache

from speakerd.live.token import token_in
from tests.fuzz import changes
from tests.fuzz.target import CORPUS, LONGEST, Attempt, Target

TOLD = {"no token", "no JSON", "no time"}
"""Whatever else an error said might hold a part of a secret."""


def _take(data: bytes) -> None:
    """Look for a token in an answer, and see that it can be used."""
    answer = data.decode(errors="replace")
    try:
        token = token_in(answer)
    except ValueError as error:
        words = str(error)
        assert words in TOLD, words
        return
    assert token.name.isprintable()
    assert token.name.isascii()
    assert token.serves() in (True, False)


@contextlib.contextmanager
def ready() -> Iterator[Attempt]:
    """Have nothing: to look for it is pure."""
    yield _take


@cache
def _stock() -> list[changes.Json]:
    return changes.json_in(changes.stock_of(CORPUS / "token"))


def changed(data: bytes, rand: random.Random) -> bytes:
    """Return an answer with another member or value, or with other bytes."""
    try:
        if rand.random() < 0.7:
            return json.dumps(changes.of_json(json.loads(data), rand, _stock())).encode()[:LONGEST]
    except (ValueError, RecursionError):
        pass
    return changes.of_bytes(data, rand)[:LONGEST]


TOKEN = Target("token", ready, changed)
