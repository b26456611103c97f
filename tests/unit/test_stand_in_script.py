"""A script for the stand-in: what it may say, and what its author reads about a mistake."""

from pathlib import Path
from typing import Any

import pytest

from speakerd.errors import SettingsError
from speakerd.simulate.faults import Faults
from speakerd.simulate.script import ANSWERS, Fault, Script, Wav
from speakerd.simulate.voice import Voice

SCRIPTS = sorted((Path(__file__).parents[2] / "speakerd/simulate/scripts").glob("*.yaml"))


def problems_of(tmp_path: Path, text: str) -> list[str]:
    """Return what is said about a script, without the name of the file."""
    file = tmp_path / "script.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        Script.read(file)
    return [problem.removeprefix(f"{file}:") for problem in refused.value.problems]


def test_a_script_is_read(tmp_path: Path) -> None:
    """Answers, pace and faults are what the file says; a sound file is looked for beside it."""
    file = tmp_path / "script.yaml"
    file.write_text(
        "profile: gemini-3.8-live\n"
        'answers: ["Seven.", {wav: eight.wav}]\n'
        "pace: 8\n"
        "faults:\n"
        "  - when: {event: setup, connection: 1}\n"
        '    do: {close: {code: 1011, reason: "Internal error encountered."}}\n'
        "  - do: {http: 503}\n"
    )
    script = Script.read(file)
    assert script.answers == ("Seven.", Wav(wav=tmp_path / "eight.wav"))
    assert (script.pace, script.thinking) == (8, 0.6)
    close, status = script.faults
    assert close.do.close is not None
    assert (close.event, close.do.close.code, status.event, status.do.http) == ("setup", 1011, "open", 503)


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.stem)
def test_the_scripts_that_come_along_are_right(file: Path) -> None:
    """Every example can be used."""
    assert Script.read(file).faults


def test_there_are_scripts_that_come_along() -> None:
    """Somebody who looks for an example finds one."""
    assert SCRIPTS


MISTAKES = [
    ("profil: x\n", "1: profil: unknown setting; did you mean profile?"),
    ("profile: gemini-9\n", "1: profile: expected one of gemini-3.8-live"),
    ("pace: fast\n", "1: pace: expected a number"),
    ("answers: []\n", "1: answers: "),
    ("answers:\n  - a\n  - {wav: x.wav, txt: y}\n", "3: answers.1.file.txt: unknown setting"),
    ("faults:\n  - do: {clos: 1011}\n", "2: faults.0.do.clos: unknown setting; did you mean close?"),
    ("faults:\n  - do: {close: 1006}\n", "2: faults.0.do.close: 1006 cannot be sent in a close frame"),
    ("faults:\n  - do: {http: 499}\n", "2: faults.0.do.http: there is no HTTP status 499"),
    ("faults:\n  - do: {drop: true}\n", "2: faults.0: drop needs a moment: say when"),
    ("faults:\n  - do: {drop: true, reset: true}\n", "2: faults.0.do: says exactly one thing"),
    ("faults:\n  - when: {event: turn}\n    do: {http: 503}\n", "2: faults.0: http comes before the connection"),
    ("faults:\n  - when: {event: sneeze}\n    do: {drop: true}\n", "2: faults.0.when.event: expected open, setup"),
    ("faults:\n  - when: {event: open, after_seconds: 1}\n    do: {drop: true}\n", "2: faults.0.when: after_seconds"),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    """The author of a script reads which line is wrong, and what would be right."""
    assert any(told.startswith(problem) for told in problems_of(tmp_path, text))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Nobody has to start the stand-in twice to learn of two mistakes."""
    assert len(problems_of(tmp_path, "pace: fast\nthinking: -1\nslice_ms: 0\n")) == 3


def fault(**when: Any) -> Fault:
    return Fault.model_validate({"when": {"event": "turn"} | when, "do": {"drop": True}})


@pytest.mark.parametrize(
    ("when", "fired"),
    [
        ({}, [1]),
        ({"count": 3}, [3]),
        ({"count": 2, "times": 2}, [2, 3]),
        ({"times": "always"}, [1, 2, 3, 4]),
        ({"connection": 2}, [3]),
        ({"turn": 2}, [2]),
        ({"connection": 2, "turn": 2}, [4]),
        ({"connection": 3}, []),
    ],
)
def test_a_fault_has_its_moment(when: dict[str, Any], fired: list[int]) -> None:
    """Of four turns on two connections, a fault takes those that its script means."""
    faults = Faults([fault(**when)])
    turns = [(1, 1), (1, 2), (2, 1), (2, 2)]
    due = [number for number, (connection, turn) in enumerate(turns, 1) if faults.due("turn", connection, turn)]
    assert due == fired


def test_faults_come_in_the_order_of_the_script() -> None:
    """Of two faults at one moment the first in the script is the first to happen."""
    first, second = fault(), fault(count=1)
    assert Faults([first, second]).due("turn", 1, 1) == [first, second]


def test_the_usual_answers_are_for_a_kitchen() -> None:
    """Every answer takes 2 to 9 seconds and sounds like no other."""
    spoken = [Voice().say(text) for text in ANSWERS]
    assert 6 <= len(spoken) <= 8
    assert all(2 <= speech.seconds <= 9 for speech in spoken)
    assert len({speech.pcm[:48_000] for speech in spoken}) == len(spoken)
