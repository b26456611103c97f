"""A YAML file that remembers its lines.

Only what settings need is read: mappings, lists and plain values, as YAML 1.2 understands them. ``off``, ``on``,
``yes`` and ``no`` are therefore text. Anchors, tags and further documents are refused, which also bounds the time
that a hostile file can take.
"""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | None"
Where: TypeAlias = tuple[str | int, ...]
"""The way to a value, from the top: ``("live", "retry", "first")``; a number counts in a list."""

LONGEST_FILE = 65536  # bytes
DEEPEST = 16  # mappings and lists in one another; the time that PyYAML takes grows with the square of it
MOST_VALUES = 1000

TOO_DEEP = f"more than {DEEPEST} levels; settings are not that deep"

LOOKS_LIKE_A_KEY = re.compile(r"AIza[\w-]*|AQ\.[\w-]{16,}|auth_tokens/\S*")
"""Google's API keys, old and new, and the ephemeral tokens of the Live API."""

_WORDS: dict[str, Value] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_FRACTION = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,3})?")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file, counted from 1; 0 stands for the whole file."""

    file: Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass(frozen=True, order=True)
class Problem:
    """A mistake, in words for the person who can correct it; its text never shows an API key."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {LOOKS_LIKE_A_KEY.sub('***', self.text)}"


@dataclass(frozen=True)
class Document:
    """What a file holds, where each value stands in it, and what is wrong with it as YAML."""

    file: Path
    content: dict[str, Value] = field(default_factory=dict)
    places: dict[Where, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, where: Where) -> Place:
        """Return the line of a value; of what surrounds it if the file does not name it."""
        while where and where not in self.places:
            where = where[:-1]
        return self.places.get(where, Place(self.file))


def read(file: Path) -> Document:
    """Return the document in ``file``; a file that cannot be read is an empty one with problems."""
    try:
        text = _text(file)
    except OSError as error:
        return _failed(Place(file), f"cannot be read: {error.strerror}; check the name and the permissions")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return _failed(Place(file, line), "is not UTF-8; save the file with that encoding")
    except ValueError as error:
        return _failed(Place(file), str(error))
    document = Document(file)
    try:
        _Builder(text, document).build()
    except _RefusedError as error:
        return _failed(Place(file, error.line), str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        text = f"column {column}: {error.problem}; check quotes, colons and indentation (blanks, no tabs)"
        return _failed(Place(file, line), text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _failed(Place(file, line), "a control character; remove it")
    except (ValueError, OverflowError):
        # PyYAML lets these through from an escape or a version that is out of range, and they name no line.
        return _failed(Place(file), "a number after \\U or %YAML is out of range; remove it")
    return document


def merge(file: Path, documents: list[Document]) -> Document:
    """Return one document, named ``file``, in which each value is that of the last document that has it."""
    merged = Document(file)
    for document in documents:
        merged.content.update(_merge_mappings(merged.content, document.content))
        merged.places.update(document.places)
    return merged


def name(where: Where) -> str:
    """Return a path in dots, fit for one line: ``live.retry.first``; a part too odd or too long becomes ``"…"``."""
    return ".".join(str(part) if re.fullmatch(r"[\w-]{1,32}", str(part)) else '"…"' for part in where)


def plain(text: str) -> Value:
    """Return what a plain word, one without quotes, stands for: null, a truth value, a number, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        return float(text)
    return text


def _text(file: Path) -> str:
    if not stat.S_ISREG(file.stat().st_mode):
        raise ValueError("is not a file; name a YAML file")
    with file.open("rb") as stream:
        raw = stream.read(LONGEST_FILE + 1)
    if len(raw) > LONGEST_FILE:
        raise ValueError(f"is longer than {LONGEST_FILE} bytes; settings are not")
    text = raw.decode("utf-8-sig")
    if not text.strip():
        raise ValueError("is empty; write settings into it, or remove it")
    return text


def _merge_mappings(earlier: dict[str, Value], later: dict[str, Value]) -> dict[str, Value]:
    both = {key: _merge_values(earlier[key], later[key]) for key in earlier.keys() & later.keys()}
    return {**earlier, **later, **both}


def _merge_values(earlier: Value, later: Value) -> Value:
    if isinstance(earlier, dict) and isinstance(later, dict):
        return _merge_mappings(earlier, later)
    # A section without settings takes nothing back.
    return earlier if isinstance(earlier, dict) and later is None else later


def _failed(place: Place, text: str) -> Document:
    return Document(place.file, problems=[Problem(place, text)])


class _RefusedError(yaml.YAMLError):
    """YAML that settings have no use for."""

    def __init__(self, text: str, event: yaml.Event | yaml.Token) -> None:
        super().__init__(text)
        self.line = _line(event)


def _line(event: yaml.Event | yaml.Token) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


class _Loader(yaml.SafeLoader):
    """Looks no deeper than there are settings; else it would read on for a line before anybody could say so."""

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        if self.flow_level > DEEPEST:
            raise _RefusedError(TOO_DEEP, yaml.Token(self.get_mark(), self.get_mark()))
        super().fetch_flow_collection_start(kind)


class _Builder:
    """Builds a document out of PyYAML's events, which come one by one, whatever the file holds."""

    def __init__(self, text: str, document: Document) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
        self._document = document
        self._values = 0

    def build(self) -> None:
        """Fill the document with everything in the file."""
        begun = False
        for event in self._events:
            match event:
                case yaml.StreamStartEvent() | yaml.StreamEndEvent() | yaml.DocumentEndEvent():
                    pass
                case yaml.DocumentStartEvent():
                    if begun:
                        raise _RefusedError("a second document begins here; remove the line", event)
                    begun = True
                case _:
                    self._top(event)

    def _top(self, event: yaml.Event) -> None:
        match self._value(event, ()):
            case dict() as content:
                self._document.content.update(content)
            case None:
                pass  # nothing but comments, as in the file that speakerd is delivered with
            case _:
                raise _RefusedError("expected settings; write them as `name: value`", event)

    def _value(self, event: yaml.Event, where: Where) -> Value:
        self._values += 1
        if self._values > MOST_VALUES:
            raise _RefusedError(f"more than {MOST_VALUES} values; settings are not that many", event)
        if len(where) > DEEPEST:
            raise _RefusedError(TOO_DEEP, event)
        match event:
            case yaml.MappingStartEvent():
                _refuse_extras(event)
                return self._mapping(where)
            case yaml.SequenceStartEvent():
                _refuse_extras(event)
                return self._sequence(where)
        text = _scalar(event)
        return plain(text) if isinstance(event, yaml.ScalarEvent) and event.implicit[0] else text

    def _mapping(self, where: Where) -> Value:
        mapping: dict[str, Value] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, line = _scalar(event), _line(event)
            here = (*where, key)
            first = self._document.places.setdefault(here, Place(self._document.file, line))
            value = self._value(next(self._events), here)
            if key in mapping:
                text = f"{name(here)}: is set twice, first in line {first.line}; keep one of the two"
                self._document.problems.append(Problem(Place(self._document.file, line), text))
            mapping[key] = value
        return mapping

    def _sequence(self, where: Where) -> Value:
        sequence: list[Value] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*where, len(sequence))
            self._document.places.setdefault(here, Place(self._document.file, _line(event)))
            sequence.append(self._value(event, here))
        return sequence


def _scalar(event: yaml.Event) -> str:
    """Return the text of a name or of a single value."""
    _refuse_extras(event)
    if not isinstance(event, yaml.ScalarEvent):
        raise _RefusedError("expected a name before the colon; write `name: value`", event)
    if _SURROGATE.search(event.value):
        raise _RefusedError("half a character (\\ud800 to \\udfff); write the character itself", event)
    return str(event.value)


def _refuse_extras(event: yaml.Event) -> None:
    if getattr(event, "anchor", None) is not None:
        raise _RefusedError("anchors and aliases (& and *) are not used here; write the value out", event)
    if getattr(event, "tag", None) is not None:
        raise _RefusedError("tags (words that begin with !) are not used here; put text in quotes", event)
