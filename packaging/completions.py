"""Prints how a shell completes our command: `completions.py bash|zsh`. Needs shtab; the package build runs it."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import shtab

from speakerd.cli import parser


def main() -> None:
    """Print the completion for the shell that is named on the command line."""
    command = parser()
    for action in actions(command):
        if action.type is Path:
            kind = shtab.DIRECTORY if "DIR" in str(action.metavar) else shtab.FILE
            action.complete = kind  # type: ignore[attr-defined] # this is how shtab is told
    sys.stdout.write(shtab.complete(command, sys.argv[1]))


def actions(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return every option and argument, those of the commands included."""
    for action in command._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from actions(inner)


if __name__ == "__main__":
    main()
