"""Does a hunt that found nothing count only where it hunted?"""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.__main__ import MOST_GROWTH_MIB, Outcome

GOOD = Outcome("wav", 1, 600, 12, 4000, 900, 80, 60.0, 61.0, None, is_whole=True)


def test_a_hunt_that_found_nothing_is_good() -> None:
    assert GOOD.is_good
    assert GOOD.as_json()["verdict"] == "good"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"finding": Path("wav-crash-1")}, "FOUND"),
        ({"is_whole": False}, "FAILED"),
        ({"attempts": 0}, "FAILED"),
        ({"attempts": 12}, "FAILED"),
        ({"end": 60.0 + MOST_GROWTH_MIB + 1}, "GROWS"),
    ],
)
def test_what_is_not_good(changes: dict[str, object], verdict: str) -> None:
    """A finding, a hunter that died, one that only looked at what it was given, and memory that grows."""
    outcome = replace(GOOD, **changes)  # type: ignore[arg-type]
    assert outcome.verdict == verdict
    assert not outcome.is_good


def test_targets_are_hunted_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that wait for each other come to an end, and what one of them finds is the result."""
    both = threading.Barrier(2, timeout=30)

    def hunt(name: str, seconds: int, seed: int, output: Path) -> Outcome:
        both.wait()
        return replace(GOOD, name=name, finding=output / "wav-crash-1" if name == "wav" else None)

    monkeypatch.setattr(fuzz, "_hunt", hunt)
    assert fuzz.main(["--only", "wav journal", "--at-once", "2", "--output", str(tmp_path)]) == 1
    kept = json.loads((tmp_path / "fuzz.json").read_text())["hunts"]
    assert {one["target"]: one["verdict"] for one in kept} == {"wav": "FOUND", "journal": "good"}
    assert fuzz.main(["--only", "journal settings", "--at-once", "2", "--output", str(tmp_path)]) == 0
