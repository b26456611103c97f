"""Output for terminals that know no UTF-8: our signs become plain ones, and nothing fails."""

import codecs
import io
import sys

_PLAIN = {
    "▒": "=",
    "░": ".",
    "█": "#",
    "─": "-",
    "▲": "^",
    "→": ">",
    "…": "~",
    "✓": "+",
    "✗": "x",
}
"""Signs of our own, each with what takes its place; of another language's words, what cannot be shown is ``?``."""


def speak_plainly() -> None:
    """Let standard output replace what its encoding does not know."""
    codecs.register_error("speakerd", _plain)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="speakerd")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
