"""One target, hunted for a while in this process: libFuzzer leads, by way of Atheris.

It runs as a program of its own, since libFuzzer ends the process that it is in.
"""

import argparse
import contextlib
import importlib
import random
import sys
from pathlib import Path

from tests.fuzz.target import LONGEST, Attempt, Target, tried

TARGETS = {
    "messages": ("tests.fuzz.messages", "MESSAGES"),
    "settings": ("tests.fuzz.settings_files", "SETTINGS"),
    "control": ("tests.fuzz.control_socket", "CONTROL"),
    "wav": ("tests.fuzz.wav_headers", "WAV"),
    "card": ("tests.fuzz.card_files", "CARD"),
    "journal": ("tests.fuzz.journal_lines", "JOURNAL"),
    "token": ("tests.fuzz.token_answers", "TOKEN"),
}
"""Where each target is: a module is imported only when what it tries may be instrumented."""

STUCK_S = 30
"""An input that is not done by then will never be; one that is merely too slow is told by ``tried``."""

MODULES = ("speakerd", "yaml", "soundfile", "tomllib")
"""Their branches lead the way to new inputs; a name stands for all that begins with it."""


def target_of(name: str) -> Target:
    """Return a target by its name."""
    module, constant = TARGETS[name]
    target: Target = getattr(importlib.import_module(module), constant)
    return target


def repeat(name: str, file: Path) -> None:
    """Make one attempt with the input in a file; what it raises is the finding."""
    with target_of(name).ready() as attempt:
        tried(attempt, file.read_bytes())


def hunt(name: str, seconds: int, seed: int, found: Path) -> None:
    """Make attempts for so many seconds; the first finding ends it, and its input is left in ``found``."""
    import atheris
    from google import genai  # noqa: F401 - to instrument the SDK takes longer than what it leads to is worth

    with atheris.instrument_imports(include=list(MODULES)):
        target = target_of(name)
    stack = contextlib.ExitStack()  # never closed: libFuzzer does not return
    attempt: Attempt = stack.enter_context(target.ready())

    def change(data: bytes, longest: int, number: int) -> bytes:
        rand = random.Random(number)
        if rand.random() < 0.2:
            mutated: bytes = atheris.Mutate(data, longest)
            return mutated
        for _ in range(rand.choice((1, 1, 2, 4))):
            data = target.changed(data, rand)
        return data[:longest]

    inputs = found / name
    inputs.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={LONGEST}", f"-timeout={STUCK_S}"]
    options += [f"-artifact_prefix={found}/{name}-", "-rss_limit_mb=0", "-print_final_stats=1"]
    atheris.Setup(
        [sys.argv[0], *options, str(inputs), str(target.seeds)],
        lambda data: tried(attempt, data),
        custom_mutator=change,
    )
    atheris.Fuzz()


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.hunt", description=__doc__)
    parser.add_argument("name", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    hunt(given.name, given.seconds, given.seed, given.output)


if __name__ == "__main__":
    main()
