"""The recorded questions."""

from pathlib import Path

import pytest

from speakerd.errors import SpeakerdError
from speakerd.simulate.speech import DIRECTORY, questions


def test_people_ask_two_questions() -> None:
    """Each question is a few seconds of a voice, without the header of its file."""
    for question in questions():
        assert 1 < question.seconds < 4
        assert not question.pcm.startswith(b"RIFF")


def test_a_missing_recording_names_its_package(tmp_path: Path) -> None:
    """Who lacks the recordings is told what to install."""
    with pytest.raises(SpeakerdError, match=r"apt-get install .* pocketsphinx-testdata") as caught:
        questions(tmp_path)
    assert str(tmp_path / "goforward.raw") in str(caught.value)


def test_a_broken_recording_is_told(tmp_path: Path) -> None:
    """A file that is there and is no sound is told like one that is missing."""
    (tmp_path / "goforward.raw").write_bytes((DIRECTORY / "goforward.raw").read_bytes())
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "003.wav").write_bytes(b"no sound")
    with pytest.raises(SpeakerdError, match=r"003\.wav cannot be read"):
        questions(tmp_path)
