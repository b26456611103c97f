"""What the benches found out, as files: what each begins with, how it is written and read, and where it is kept."""

import ctypes
import ctypes.util
import datetime as dt
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speakerd.errors import SpeakerdError

KEPT = Path(__file__).with_name("results")
"""What the tables and plots of the documentation are made of: copied there from a run, and never edited."""


def about(module: str, target: str) -> dict[str, Any]:
    """Return when, where and by which command something is found out; ``target`` is that of make."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": command(module, target, sys.argv[1:]),
        "commit": _commit(),
        "machine": machine(),
        "python": platform.python_version(),
        "portaudio": portaudio(),
    }


def command(module: str, target: str, words: list[str]) -> str:
    """Return what repeats a run that was given these words: make says them nothing, and passes none on."""
    return shlex.join(["python", "-m", module, *words]) if words else f"make {target}"


def machine() -> dict[str, Any]:
    """Return what the figures were measured on, and how busy it was."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def portaudio() -> str | None:
    """Return the version of PortAudio, which other programs play and record through; None where there is none."""
    name = ctypes.util.find_library("portaudio")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.Pa_GetVersionText.restype = ctypes.c_char_p
    text: bytes = library.Pa_GetVersionText()
    return text.decode()


def rounded(name: str, values: list[float]) -> list[float]:
    """Return samples with as many digits as they deserve: a tenth of a millisecond, and four digits of all else."""
    return [round(value, 1) if name.endswith("_ms") else float(f"{value:.4g}") for value in values]


def save(file: Path, found: Mapping[str, Any]) -> None:
    """Write a file, samples in one line; whoever reads meanwhile, or after a power cut, gets the one from before."""
    text = re.sub(
        r"\[\s+([-+\d.,eE\s]+?)\s+\]",
        lambda found: f"[{', '.join(one.strip() for one in found[1].split(','))}]",
        json.dumps(found, indent=1),
    )
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text + "\n")
    fresh.replace(file)


def load(file: Path) -> dict[str, Any]:
    """Read a file.

    Raises:
        SpeakerdError: it cannot be read; the text says where it is damaged, and what to do.
    """
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise SpeakerdError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SpeakerdError(f"{file} is damaged: {error}; copy it from a run again") from error
    if not isinstance(found, dict):
        raise SpeakerdError(f"{file} is damaged: it holds no object; copy it from a run again")
    return found


def row(*cells: str) -> str:
    """Return a line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def origin(found: Mapping[str, Any]) -> str:
    """Return a line that says when, on what and how something was found out."""
    about = found["machine"]
    return (
        f"{found['date'][:10]}, {about['processor']}, {about['cores']} cores, Linux {about['kernel']}, "
        f"Python {found['python']}, commit {found.get('commit', 'unknown')}, load {about['load']:.1f}. To repeat it: "
        f"`{found['command']}`."
    )


def _commit() -> str:
    """Return which state of the code was measured, and whether it had changes that nobody can look up."""
    words = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.check_output(words, cwd=KEPT.parent, stderr=subprocess.DEVNULL, text=True).strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        return "unknown"


def _processor() -> str:
    """Return the processor's name: `model name` on a PC, `Model` on a Raspberry Pi."""
    found = re.search(r"^[Mm]odel(?: name)?\s*: (\D.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"
