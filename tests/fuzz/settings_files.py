"""Settings files, a drop-in and a board: they are settings, or a list of mistakes that a person can read."""

import contextlib
import random
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from speakerd.errors import SettingsError
from speakerd.settings import Settings, describe, load
from speakerd.yaml_file import LOOKS_LIKE_A_KEY
from tests.fuzz import changes
from tests.fuzz.target import CORPUS, Attempt, Target

NEXT_FILE = b"\n%%\n"
"""Stands between the settings, a drop-in and the board ``mine``."""


def _take(directory: Path, data: bytes) -> None:
    """Load the files of an input, and see that the answer is fit for a person."""
    file = directory / "speakerd.yaml"
    files = (file, directory / "speakerd.yaml.d" / "10-more.yaml", directory / "boards" / "mine.yaml")
    for path in files:
        path.unlink(missing_ok=True)
    for path, content in zip(files, data.split(NEXT_FILE), strict=False):
        path.write_bytes(content)
    try:
        settings = load(file)
    except SettingsError as error:
        _are_fit_for_a_person(error.problems)
    else:
        _is_told_as_it_is(settings, directory / "told.yaml")


def _are_fit_for_a_person(problems: list[str]) -> None:
    assert problems
    for problem in problems:
        assert problem.isprintable(), problem
        assert not LOOKS_LIKE_A_KEY.search(problem), problem


def _is_told_as_it_is(settings: Settings, file: Path) -> None:
    """See that what is shown of the settings is a file that gives the same settings."""
    file.write_text(describe(settings), "utf-8", newline="")
    (file.parent / "told.yaml.d").mkdir(exist_ok=True)
    assert load(file).model_dump() == settings.model_dump()


@contextlib.contextmanager
def ready() -> Iterator[Attempt]:
    """Have a directory for the files."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "speakerd.yaml.d").mkdir()
        (directory / "boards").mkdir()
        yield lambda data: _take(directory, data)


@cache
def _stock() -> tuple[list[bytes], tuple[bytes, ...]]:
    lines = changes.stock_of(CORPUS / "settings")
    words = {word for line in lines for word in line.replace(b":", b" ").split()}
    return lines, (*changes.ODD_BYTES, *sorted(words))


def changed(data: bytes, rand: random.Random) -> bytes:
    """Return files with a line, a word or a few bytes of them changed."""
    lines, words = _stock()
    if rand.random() < 0.4:
        return b"\n".join(changes.of_lines(data.split(b"\n"), rand, lines))
    return changes.of_bytes(data, rand, words)


SETTINGS = Target(
    "settings",
    ready,
    changed,
)
