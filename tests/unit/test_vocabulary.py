"""The list of events: it says all that the journal tells, and nothing else."""

import ast
import dataclasses
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import speakerd
from speakerd.host.vocabulary import kinds, message_ids
from speakerd.turns import Turn

PACKAGE = Path(speakerd.__file__).parent
PLACE = re.compile(r"\{(\w+)\}")


def source() -> Iterator[tuple[Path, ast.AST]]:
    """Yield every piece of the daemon's source."""
    for path in PACKAGE.rglob("*.py"):
        if not path.is_relative_to(PACKAGE / "simulate"):
            for node in ast.walk(ast.parse(path.read_text())):
                yield path, node


@functools.cache
def told() -> dict[str, set[str]]:
    """Return every event in the source, and all fields that are ever told with it; `...` stands for others."""
    found: dict[str, set[str]] = defaultdict(set)
    for _, node in source():
        if isinstance(node, ast.Dict):
            for event, fields in events_in(node):
                found[event] |= fields
    return found


def events_in(node: ast.Dict) -> list[tuple[str, set[str]]]:
    """Return the events that a dictionary tells; a conditional expression names more than one."""
    keys = [key.value if isinstance(key, ast.Constant) else "..." for key in node.keys]
    if "event" not in keys:
        return []
    words = ast.walk(node.values[keys.index("event")])
    names = [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    return [(name, {str(key) for key in keys} - {"event"}) for name in names]


def test_every_event_is_in_the_list_and_every_one_of_the_list_is_told() -> None:
    """What is told can be looked up, and what can be looked up is told."""
    assert set(told()) == set(kinds())


@pytest.mark.parametrize("name", kinds())
def test_an_event_has_the_fields_of_the_list(name: str) -> None:
    """Each field that is told is explained, and the reverse."""
    fields = told()[name]
    known = set(kinds()[name].fields)
    assert fields - {"..."} <= known
    assert "..." in fields or known <= fields


@pytest.mark.parametrize("name", kinds())
def test_an_event_says_what_it_means_in_words_that_can_be_filled_in(name: str) -> None:
    """The words name no field that a line may lack, and end as sentences do."""
    kind = kinds()[name]
    sure = {field for field, what in kind.fields.items() if "at times" not in what}
    assert set(PLACE.findall(kind.title + kind.meaning)) <= sure
    assert not PLACE.findall(kind.do)
    assert kind.meaning.endswith(".")
    assert not kind.title.endswith(".")
    assert set(kind.level) <= {"debug", "info", "warning", "error"}
    assert kind.do or not {"warning", "error"} & set(kind.level)


def test_a_turn_has_the_fields_of_the_list() -> None:
    """What was counted of a turn is told as it was counted."""
    assert {field.name for field in dataclasses.fields(Turn)} == set(kinds()["turn"].fields)


def test_whatever_is_told_is_an_event() -> None:
    """From INFO on no line is without one, so that each can be asked for and looked up."""
    nameless = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, node in source()
        if isinstance(node, ast.Call)
        and re.fullmatch(r"log\.(info|warning|error|exception|critical|log)", ast.unparse(node.func))
        and not any(word.arg == "extra" and "'event':" in ast.unparse(word.value) for word in node.keywords)
    ]
    assert nameless == []


def test_ids_are_fixed_and_differ() -> None:
    """The short way to the ids finds those that are in the list, and no two events share one."""
    ids = {name: kind.id for name, kind in kinds().items()}
    assert message_ids() == ids
    assert len(set(ids.values())) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids.values())
