"""A finding of the doctor: how one thing is, in plain words, and what to do about it."""

import enum
from dataclasses import dataclass

from speakerd.errors import SpeakerdError


class Mark(enum.Enum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # worth knowing; the speaker works, or this could not be looked at
    BAD = "bad"  # the speaker does not work as it should until somebody acts


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about the part ``name``; ``advice`` is what to do, and may be empty where nothing is bad."""

    name: str
    mark: Mark
    text: str
    advice: str = ""


def ok(name: str, text: str) -> Finding:
    """Return that a part is well."""
    return Finding(name, Mark.OK, text)


def note(name: str, text: str, advice: str = "") -> Finding:
    """Return what is worth knowing about a part."""
    return Finding(name, Mark.NOTE, text, advice)


def bad(name: str, text: str, advice: str) -> Finding:
    """Return what is wrong with a part."""
    return Finding(name, Mark.BAD, text, advice)


def bad_by(name: str, error: SpeakerdError, advice: str) -> Finding:
    """Return what an error says is wrong; ``advice`` is for one whose text gives none after a semicolon."""
    cause, _, what_to_do = str(error).partition("; ")
    return bad(name, cause, what_to_do or advice)
