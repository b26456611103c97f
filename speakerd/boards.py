"""Boards: the settings that a piece of hardware brings with it, read by its name.

A board is a settings file like the owner's, and its first line is a comment that says what it is for. What the
firmware of a Raspberry Pi must know of it stands in comments, too, each a line of config.txt: ``# config.txt: …``.
"""

import difflib
import re
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from speakerd.errors import SettingsError
from speakerd.mistakes import contradictions
from speakerd.yaml_file import Document, Place, Problem, Where, merge, read

OWN = Path("/etc/speakerd/boards")
"""Where an owner's own boards are looked for; in general, beside the settings file."""

NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
"""The names that a board can have; its file has .yaml added."""

_SETTING: Where = ("panel", "board")

_FIRMWARE = re.compile(r"^# config\.txt: (\S+)$", re.MULTILINE)


def boards(own: Path = OWN) -> list[tuple[str, str]]:
    """Return the name of each board and what it is for, sorted; one in ``own`` stands for a shipped one of its name.

    Raises:
        SettingsError: the directory ``own`` is there, but cannot be read.
    """
    return [(name, _summary(file)) for name, file in sorted(_files(own).items())]


def read_board(settings: Document, own: Path) -> Document:
    """Return the board that the settings name, empty where they name none, with problems where there is no such one.

    Raises:
        SettingsError: the directory ``own`` is there, but cannot be read.
    """
    panel = settings.content.get("panel")
    name = panel.get("board") if isinstance(panel, dict) else None
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        return Document(settings.file)  # where that is a mistake, it is told like any other value's
    files = _files(own)
    if name not in files:
        near = difflib.get_close_matches(name, files, n=1)
        hint = f"did you mean {near[0]}?" if near else "choose another"
        text = f"panel.board: unknown board; {hint} (there is {', '.join(sorted(files))})"
        return Document(settings.file, problems=[Problem(settings.place(_SETTING), text)])
    board = read(files[name])
    if _SETTING in board.places:
        text = "panel.board: a board cannot name a board; remove it"
        board.problems.append(Problem(board.place(_SETTING), text))
    return board


def firmware_lines(name: str, own: Path = OWN) -> list[str]:
    """Return what the firmware must know of a board, as lines of config.txt; none for a board that is not known.

    Raises:
        SettingsError: the directory ``own`` is there, but cannot be read.
        OSError: the board's file cannot be read.
    """
    file = _files(own).get(name)
    return _FIRMWARE.findall(file.read_text(encoding="utf-8-sig", errors="replace")) if file else []


def contradictions_with(board: Document, own: Document, model: type[BaseModel]) -> list[Problem]:
    """Return what in the owner's settings and the board's does not fit together.

    It is told at the owner's line, which is theirs to change, and names the board's line where that has a part in it.
    """
    content = merge(own.file, [board, own]).content
    in_force = {where: place for where, place in board.places.items() if where not in own.places}
    mine = Document(own.file, content, own.places)
    theirs = replace(board, content=content, places=in_force)
    problems = []
    for here, there in zip(contradictions(mine, model), contradictions(theirs, model), strict=True):
        if _where(there) not in theirs.places:
            problems.append(here)
        elif _where(here) not in mine.places:
            problems.append(there)
        else:
            text = f"{here.text}; {'.'.join(_where(there))} is set by the board, {there.place}"
            problems.append(Problem(here.place, text))
    return problems


def _where(problem: Problem) -> tuple[str, ...]:
    """Return the setting that a problem's text begins with."""
    return tuple(problem.text.partition(": ")[0].split("."))


def _files(own: Path) -> dict[str, Path]:
    """Return the file of each board by its name."""
    found: dict[str, Path] = {}
    for directory in (_shipped(), own):
        try:
            files = [file for file in directory.iterdir() if file.suffix == ".yaml" and re.fullmatch(NAME, file.stem)]
        except FileNotFoundError:
            continue
        except OSError as error:
            text = f"cannot be read: {error.strerror}; it must be a directory"
            raise SettingsError([str(Problem(Place(directory), text))]) from error
        found |= {file.stem: file for file in files}
    return found


def _shipped() -> Path:
    """Return the directory of the boards that speakerd is delivered with."""
    package = Path(__file__).parent
    installed = package / "config" / "boards"
    return installed if installed.is_dir() else package.parent / "config" / "boards"


def _summary(file: Path) -> str:
    try:
        if not file.is_file():
            return "not a file"
        with file.open(encoding="utf-8-sig", errors="replace") as stream:
            first = stream.readline(200)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return first.lstrip("#").strip() if first.startswith("#") else ""
