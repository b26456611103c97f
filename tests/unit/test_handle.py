"""The handle of the conversation, across restarts."""

import json
import time
from pathlib import Path

import pytest

from speakerd.live.handle import VALID_S, Handle


def kept(file: Path, **changes: object) -> str | None:
    """Write a handle file by hand, and return what a new process makes of it."""
    file.write_text(json.dumps({"handle": "h", "model": "m", "at": time.time()} | changes))
    return Handle(file, "m").value


def test_a_young_handle_is_taken_up(tmp_path: Path) -> None:
    """The conversation of a minute ago goes on."""
    assert kept(tmp_path / "handle", at=time.time() - 60) == "h"


@pytest.mark.parametrize(
    "changes",
    [
        {"at": time.time() - VALID_S - 1},
        {"at": time.time() + 3600},
        {"model": "other"},
        {"handle": None},
        {"at": "x"},
    ],
)
def test_what_the_service_would_refuse_is_not_even_tried(tmp_path: Path, changes: dict[str, object]) -> None:
    """Too old, from the future, from another model, forgotten or damaged: a new conversation."""
    assert kept(tmp_path / "handle", **changes) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"handle": "h"}', "[" * 100_000])
def test_a_file_cut_short_by_a_power_cut_is_none(tmp_path: Path, content: str) -> None:
    """A damaged file costs the conversation and nothing else."""
    (tmp_path / "handle").write_text(content)
    assert Handle(tmp_path / "handle", "m").value is None


def test_the_newest_is_kept_and_a_forgotten_one_is_gone(tmp_path: Path) -> None:
    """What is on the disk is what is in memory."""
    handle = Handle(tmp_path / "handle", "m")
    handle.keep("one")
    handle.keep("two")
    assert Handle(tmp_path / "handle", "m").value == "two"
    handle.forget()
    assert handle.value is None
    assert Handle(tmp_path / "handle", "m").value is None
    assert [path.name for path in tmp_path.iterdir()] == ["handle"]


def test_a_disk_that_takes_nothing_costs_nothing(tmp_path: Path) -> None:
    """Where nothing can be kept, the conversation goes on all the same."""
    handle = Handle(tmp_path / "nowhere" / "handle", "m")
    handle.keep("one")
    assert handle.value == "one"
