"""Writes the man pages speakerd(8) and speakerd.yaml(5): `manual.py DIRECTORY`; the package build runs it.

The commands come from the parser, the settings from their schema: what changes there changes here.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speakerd import __version__
from speakerd.cli import parser
from speakerd.settings import Settings, schema

TEMPLATES = Path(__file__).parent


def main() -> None:
    """Write both pages into the directory that is named on the command line."""
    words = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    words.add_argument("directory", type=Path, metavar="DIRECTORY")
    directory: Path = words.parse_args().directory
    for page, generated in (("speakerd.8", commands(parser())), ("speakerd.yaml.5", settings())):
        text = (TEMPLATES / f"{page}.in").read_text(encoding="utf-8")
        built = dt.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), dt.UTC)
        filled = text.replace("@DATE@", f"{built:%Y-%m-%d}").replace("@VERSION@", __version__)
        (directory / page).write_text(filled.replace("@GENERATED@\n", generated), encoding="utf-8")


def commands(command: argparse.ArgumentParser) -> str:
    """Return each command as a paragraph with its options below it."""
    return "".join(_commands(command))


def _commands(command: argparse.ArgumentParser) -> Iterator[str]:
    inner = next(action for action in command._actions if isinstance(action, argparse._SubParsersAction))
    for name, sub in inner.choices.items():
        arguments = [action for action in sub._actions if not action.option_strings]
        shown = " ".join(rf"\fI{escaped(_metavar(action))}\fR" for action in arguments)
        yield f".SS {escaped(name)} {shown}\n{line(sub.description or '')}"
        if sub.epilog:
            yield f".br\n{line(sub.epilog)}"
        for action in sub._actions:
            if action.help and action.dest not in ("help", "config"):
                yield f".TP\n{_head(action)}\n{line(_help(action))}"


def _head(action: argparse.Action) -> str:
    if not action.option_strings:
        return rf".I {escaped(_metavar(action))}"
    names = ", ".join(rf"\fB{escaped(name)}\fR" for name in action.option_strings)
    return names if action.nargs == 0 else rf"{names} \fI{escaped(_metavar(action))}\fR"


def _metavar(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _help(action: argparse.Action) -> str:
    return (action.help or "") % {"default": action.default}


def settings() -> str:
    """Return each setting as a paragraph: what it is, what it may be, its default."""
    described = schema()
    return "".join(_section(described, described, "", Settings().model_dump()))


def _section(top: dict[str, Any], section: dict[str, Any], way: str, defaults: dict[str, Any]) -> Iterator[str]:
    inner = []
    for name, setting in section["properties"].items():
        where = f"{way}{name}"
        if "$ref" in setting:
            inner.append((where, top["$defs"][setting["$ref"].rpartition("/")[2]], defaults[name]))
            continue
        default = json.dumps(defaults[name], ensure_ascii=False)
        yield f".TP\n.B {escaped(where)}\n{line(setting['description'])}"
        yield line(" ".join(filter(None, [_range(setting), f"Default: {default}"])))
    for where, other, values in inner:
        yield f".SS {escaped(where)}\n{line(other['description'])}"
        yield from _section(top, other, f"{where}.", values)


def _range(setting: dict[str, Any]) -> str:
    kinds = [setting, *setting.get("anyOf", [])]
    least = next((kind["minimum"] for kind in kinds if "minimum" in kind), None)
    most = next((kind["maximum"] for kind in kinds if "maximum" in kind), None)
    if least is not None and most is not None:
        return f"From {least:g} to {most:g}."
    return ""


def line(text: str) -> str:
    """Return a line of running text."""
    text = " ".join(text.split())
    return (rf"\&{escaped(text)}" if text.startswith((".", "'")) else escaped(text)) + "\n"


def escaped(text: str) -> str:
    """Return text whose every sign is printed as it is; a hyphen stays one that can be pasted into a shell."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("^", r"\(ha")
    return re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text).replace("~", r"\(ti").replace("…", "...")


if __name__ == "__main__":
    main()
