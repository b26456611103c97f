"""Small changes to inputs, of the kinds that programs stumble over."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = Any

ODD: tuple[Json, ...] = (
    None, True, False, 0, -1, 1, 99, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, -1.5, 1e308, float("inf"),
    float("nan"), "", "0", "-1", "true", "null", "1e999", "9" * 400, "50s", "\ud800", "\0", "\x1b[2J", "\n", "٣s",
    "²", "a" * 300, "AAAA", "A", "=", [], {}, [[]], [None], {"": {}}, {"a": None},
)  # fmt: skip
"""Values at which something ends: a type, a range, an encoding."""

ODD_BYTES = (
    b"", b"\0", b"\xff", b"\xff\xff", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\x01\x00\x00\x00", b"\n", b"\r",
    b"\t", b" ", b'"', b"'", b"{", b"}", b"[", b"]", b":", b": ", b"-", b"- ", b"#", b"&a", b"*a", b"!!", b"%",
    b"|\n", b"\\", b"\\u0000", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", b"9" * 20, b"1e999", b"~", b",",
)  # fmt: skip


def of_json(value: Json, rand: random.Random, stock: Sequence[Json]) -> Json:
    """Return the value with a change somewhere in it; ``stock`` are values that may take a place."""
    if isinstance(value, dict | list) and value and rand.random() < 0.85:
        return _of_members(value, rand, stock)
    if isinstance(value, str) and rand.random() < 0.4:
        return of_bytes(value.encode("utf-8", "surrogatepass"), rand).decode("utf-8", "replace")
    return rand.choice(ODD if rand.random() < 0.6 or not stock else stock)


def _of_members(value: dict[str, Json] | list[Json], rand: random.Random, stock: Sequence[Json]) -> Json:
    # Lists and mappings alike are a row of pairs, the keys of a list being worth nothing.
    pairs = list(value.items()) if isinstance(value, dict) else [("", inner) for inner in value]
    at = rand.randrange(len(pairs))
    key, inner = pairs[at]
    match rand.randrange(10):
        case 0:
            del pairs[at]
        case 1:
            pairs.insert(at, (key + rand.choice(("", "s", "_")), rand.choice(stock) if stock else inner))
        case 2:
            other = rand.choice(stock) if stock else None
            pairs += list(other.items()) if isinstance(other, dict) else [(key, other)]
        case 3:
            pairs[at] = (str(rand.choice(ODD)), inner)
        case _:
            pairs[at] = (key, of_json(inner, rand, stock))
    return dict(pairs) if isinstance(value, dict) else [inner for _, inner in pairs]


def parts_of(value: Json) -> list[Json]:
    """Return a JSON value and all that is in it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(part for one in inner for part in parts_of(one))]


def of_bytes(data: bytes, rand: random.Random, words: Sequence[bytes] = ODD_BYTES) -> bytes:
    """Return the bytes with a piece of them left out, doubled, moved, or changed for something else."""
    at = rand.randint(0, len(data))
    end = min(len(data), at + rand.choice((0, 1, 1, 2, 4, 8, 40)))
    piece, rest = data[at:end], data[:at] + data[end:]
    match rand.randrange(6):
        case 0:
            return rest
        case 1:
            return data[:at] + piece * rand.choice((2, 3, 50)) + data[end:]
        case 2:
            there = rand.randint(0, len(rest))
            return rest[:there] + piece + rest[there:]
        case 3:
            return data[:at] + bytes(rand.randrange(256) for _ in piece) + data[end:]
    return data[:at] + rand.choice(words) + data[end:]


def of_lines(lines: list[bytes], rand: random.Random, stock: Sequence[bytes]) -> list[bytes]:
    """Return the lines with one of them left out, doubled or moved, or with one more from the stock."""
    lines = list(lines)
    at = rand.randrange(len(lines)) if lines else 0
    match rand.randrange(5):
        case 0:
            del lines[at : at + 1]
        case 1:
            lines[at:at] = lines[at : at + 1]
        case 2:
            rand.shuffle(lines)
        case _:
            lines.insert(at + rand.randrange(2), rand.choice(stock))
    return lines


def stock_of(directory: Path) -> list[bytes]:
    """Return every line of every file in a directory."""
    return [line for file in sorted(directory.iterdir()) for line in file.read_bytes().split(b"\n") if line]


def json_in(lines: Sequence[bytes]) -> list[Json]:
    """Return every JSON value that there is, or is a part of one, in lines that are JSON."""
    found: list[Json] = []
    for line in lines:
        try:
            found += parts_of(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return found
