"""The file that says whether the speaker is muted."""

import threading
from pathlib import Path

import pytest

from speakerd.host.mute_file import MuteFile


def test_a_first_start_is_not_muted(tmp_path: Path) -> None:
    """A speaker that was never muted listens."""
    assert not MuteFile(tmp_path).read()
    assert MuteFile(tmp_path).is_new()


@pytest.mark.parametrize("muted", [True, False])
def test_what_was_stored_is_known_to_the_next_start(tmp_path: Path, muted: bool) -> None:
    """A restart changes nothing; only its owner can read the files."""
    MuteFile(tmp_path).write(muted=not muted)
    MuteFile(tmp_path).write(muted=muted)
    assert MuteFile(tmp_path).read() is muted
    assert not MuteFile(tmp_path).is_new()
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "mute": 0o600,
        "mute-known": 0o600,
    }


@pytest.mark.parametrize("content", [b"", b"not", b"not muted", b"not muted\n\n", b"\0" * 10, b"\xff", b"muted\n"])
def test_what_cannot_be_understood_means_muted(tmp_path: Path, content: bytes) -> None:
    """A file cut short, or full of zeros, as power cuts leave them, does not open the microphone."""
    MuteFile(tmp_path).write(muted=False)
    (tmp_path / "mute").write_bytes(content)
    assert MuteFile(tmp_path).read()


def test_a_fact_that_got_lost_means_muted(tmp_path: Path) -> None:
    """A missing file is a first start only where nothing was ever stored."""
    MuteFile(tmp_path).write(muted=False)
    (tmp_path / "mute").unlink()
    assert MuteFile(tmp_path).read()


@pytest.mark.parametrize("name", ["mute", "mute-known"])
def test_what_cannot_be_read_means_muted(tmp_path: Path, name: str) -> None:
    """Something else in the file's place, such as a directory, is no reason to listen."""
    MuteFile(tmp_path).write(muted=False)
    (tmp_path / "mute").unlink()
    (tmp_path / "mute-known").unlink()
    (tmp_path / name).mkdir()
    assert MuteFile(tmp_path).read()


def test_a_disk_behind_a_broken_path_means_muted(tmp_path: Path) -> None:
    """Where the directory itself is no directory any more, nothing is known, and the speaker is muted."""
    (tmp_path / "state").write_text("no directory")
    assert MuteFile(tmp_path / "state").read()


def test_a_half_written_file_does_not_count(tmp_path: Path) -> None:
    """Whatever a power cut leaves beside the file, the file says what it said before."""
    MuteFile(tmp_path).write(muted=True)
    (tmp_path / "mute.new").write_bytes(b"not muted\n")
    assert MuteFile(tmp_path).read()


def test_a_disk_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    """Nobody may believe that the fact is kept when it is not."""
    (tmp_path / "mute.new").mkdir()
    with pytest.raises(IsADirectoryError):
        MuteFile(tmp_path).write(muted=True)


def test_a_write_that_hung_does_not_have_the_last_word(tmp_path: Path) -> None:
    """A disk that comes back to life after the button was pressed again keeps what was wanted last."""
    file = MuteFile(tmp_path)
    wishes = [threading.Thread(target=file.write, kwargs={"muted": muted}) for muted in (False, True)]
    with file._lock:  # the disk hangs
        for wish in wishes:
            wish.start()
            wish.join(0.1)
    for wish in reversed(wishes):
        wish.join(5)
    assert (tmp_path / "mute").read_bytes() == b"muted\n"


def test_by_hand_nothing_is_kept() -> None:
    """A daemon without a directory of its own starts as if for the first time."""
    file = MuteFile(None)
    file.write(muted=True)
    assert not file.read()
    assert not file.is_new()
