"""What is wrong with the values in a YAML document, in words for the person who wrote it.

Any pydantic model can be the measure. What was expected is told from the model's own JSON schema, so a message
cannot disagree with the model.
"""

import difflib
import functools
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from speakerd.yaml_file import LOOKS_LIKE_A_KEY, Document, Problem, Value, Where, name, plain

Schema: TypeAlias = dict[str, Any]

_SECRET_NAME = re.compile(r"(^|.*[_-])(api_?)?(key|token|secret|password|credential)s?", re.IGNORECASE)
_ELSEWHERE = (
    "an API key does not belong in this file; remove it, and give it as the credential gemini-api-key "
    "or in the variable GEMINI_API_KEY"
)
_LONGEST_SHOWN = 24  # characters of a wrong value; every kind of API key is longer


class ContradictionError(ValueError):
    """Raised in a validator: values that are right one by one do not fit together.

    ``between`` names them as seen from the model whose validator it is, the one to correct first.
    """

    def __init__(self, text: str, *between: Where) -> None:
        super().__init__(text)
        self.between = between


def mistakes(document: Document, model: type[BaseModel]) -> list[Problem]:
    """Return what is wrong with each value of the document on its own."""
    errors = _errors(document, model)
    unknown = {error["loc"] for error in errors if error["type"] == "extra_forbidden"}
    secrets = list(_secrets(document.content, (), unknown))
    problems = [Problem(document.place(where), f"{name(where)}: {_ELSEWHERE}") for where in secrets]
    for error in errors:
        where = error["loc"]
        if where in secrets or isinstance(error.get("ctx", {}).get("error"), ContradictionError):
            continue
        problems.append(Problem(document.place(where), f"{name(where)}: {_words(error, _schema_of(model))}"))
    return problems


def contradictions(document: Document, model: type[BaseModel]) -> list[Problem]:
    """Return which values of the document do not fit together; values wrong on their own are passed over."""
    problems = []
    for error in _errors(document, model):
        reason = error.get("ctx", {}).get("error")
        if isinstance(reason, ContradictionError):
            between = [(*error["loc"], *where) for where in reason.between]
            where = next((where for where in between if where in document.places), between[0])
            problems.append(Problem(document.place(where), f"{name(where)}: {reason}"))
    return problems


@functools.cache
def _schema_of(model: type[BaseModel]) -> Schema:
    """Return the schema, which takes as long to make as all the rest, and is only needed for what is wrong."""
    return model.model_json_schema()


def _errors(document: Document, model: type[BaseModel]) -> list[Any]:
    try:
        model.model_validate(document.content)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _secrets(value: Value, where: Where, unknown: set[Where]) -> Iterator[Where]:
    """Find what looks like a secret: by its value, or by its name where nothing of that name belongs."""
    match value:
        case dict():
            for key, inner in value.items():
                here = (*where, key)
                stray = any(here[:length] in unknown for length in range(1, len(here) + 1))
                named = isinstance(inner, str) and stray and _SECRET_NAME.fullmatch(key)
                if named or LOOKS_LIKE_A_KEY.search(key):
                    yield here
                else:
                    yield from _secrets(inner, here, unknown)
        case list():
            for index, inner in enumerate(value):
                yield from _secrets(inner, (*where, index), unknown)
        case str() if LOOKS_LIKE_A_KEY.search(value):
            yield where


def _words(error: Any, schema: Schema) -> str:
    where: Where = error["loc"]
    match error["type"]:
        case "extra_forbidden":
            return _unknown(str(where[-1]), where[:-1], schema)
        case "missing":
            return "is missing; add it"
        case "value_error":
            return str(error["ctx"]["error"])
    found = _find(schema, where)
    if found is None:
        return str(error["msg"])
    return f"expected {_expected(found, schema)}, not {_shown(error['input'], found)}"


def _unknown(key: str, section: Where, schema: Schema) -> str:
    here = _names(_find(schema, section) or {})
    wanted = key.lower().replace("-", "_")
    homes: dict[str, list[str]] = {}
    for where in _all(schema, ()):
        homes.setdefault(str(where[-1]), []).append(name(where[:-1]) or "the top level")
    if wanted not in homes and (near := difflib.get_close_matches(wanted, here, n=1)):
        return f"unknown setting; did you mean {near[0]}?"
    if near := difflib.get_close_matches(wanted, homes, n=1, cutoff=0.75):
        return f"unknown setting here; did you mean {near[0]} in {_or(homes[near[0]])}?"
    return f"unknown setting; remove it (there is {', '.join(here)})" if here else "unknown setting; remove it"


def _expected(node: Schema, root: Schema) -> str:
    match _resolved(node, root):
        case {"anyOf": list(choices), **whole}:
            # Examples stand beside the choices, and are of the one that is text.
            seen = {"examples": whole["examples"]} if "examples" in whole else {}
            parts = [choice.get("enum", [_expected(choice | seen, root)]) for choice in choices]
            return _or([str(word) for words in parts for word in words])
        case {"enum": list(words)}:
            return _or([str(word) for word in words])
        case {"const": value}:
            return f"{value} (the only choice)"
        case {"type": "null"}:
            return "null"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "integer"} as number:
            return f"a whole number{_range(number)}"
        case {"type": "number"} as number:
            return f"a number{_range(number)}"
        case {"type": "string", "examples": list(examples)}:
            return f"text such as {_or(examples)}"
        case {"type": "string"}:
            return "text"
        case {"type": "array"}:
            return "a list"
        case {"type": "object"} as section:
            return f"a section with settings ({', '.join(_names(section))})"
    return "something else"


def _range(number: Schema) -> str:
    low, high = number.get("minimum"), number.get("maximum")
    if low is None:
        return "" if high is None else f" up to {high:g}"
    return f" of {low:g} or more" if high is None else f" from {low:g} to {high:g}"


def _shown(value: object, node: Schema) -> str:
    """Return a wrong value in words, without its text where that is long, odd, or could be a secret."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int() | float():
            return f"the number {value}" + ("; put it in quotes" if node.get("type") == "string" else "")
        case str() if not isinstance(plain(value), str):
            return f"the text {value!r}; remove the quotes"
        case str() if len(value) <= _LONGEST_SHOWN:
            return f"the text {value!r}"
        case str():
            return "this text"
        case list():
            return "a list"
    return "a section"


def _or(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _resolved(node: Schema, root: Schema) -> Schema:
    reference = node.get("$ref")
    return root["$defs"][reference.rpartition("/")[2]] if reference else node


def _find(root: Schema, where: Where) -> Schema | None:
    """Return the schema of the value at ``where``, None if there is no such setting."""
    node: Schema | None = root
    for part in where:
        node = (node or {}).get("items") if isinstance(part, int) else (node or {}).get("properties", {}).get(part)
        if node is None:
            return None
        node = _resolved(node, root)
    return node


def _names(section: Schema) -> list[str]:
    return list(section.get("properties", {}))


def _all(root: Schema, section: Where) -> Iterator[Where]:
    """Walk through every setting and section; sections must not contain themselves."""
    for key in _names(_find(root, section) or {}):
        yield (*section, key)
        yield from _all(root, (*section, key))
