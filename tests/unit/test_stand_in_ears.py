"""The stand-in hears where people speak, in recordings of people."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerd.simulate.ears import Ears, SpeechEnd, SpeechStart

SPEECH = Path("/usr/share/pocketsphinx/test/data")
QUESTION = (SPEECH / "goforward.raw").read_bytes()
SECOND = bytes(32_000)


def noise(seconds: float, loudness: int) -> bytes:
    """Return a hum of a certain root mean square."""
    return (loudness.to_bytes(2, "little", signed=True) + (-loudness).to_bytes(2, "little", signed=True)) * round(
        seconds * 8000
    )


@pytest.mark.parametrize("recording", ["goforward.raw", "numbers.raw", "something.raw"])
def test_a_sentence_is_one_utterance(recording: str) -> None:
    """A person who says one sentence is heard once, near where it is, and with its length."""
    ears = Ears()
    pcm = (SPEECH / recording).read_bytes()
    start, end = ears.hear(SECOND + pcm + SECOND)
    assert isinstance(start, SpeechStart)
    assert isinstance(end, SpeechEnd)
    assert 1.3 < start.offset < 1.7
    assert 1.5 < end.seconds < 3.5


def test_two_sentences_are_two_utterances() -> None:
    """After a pause that is long enough, what is said belongs to the next turn."""
    noticed = Ears().hear(QUESTION + SECOND + QUESTION + SECOND)
    assert [type(change) for change in noticed] == [SpeechStart, SpeechEnd] * 2


def test_nothing_ends_when_the_sound_stops() -> None:
    """Time is counted in sound: without any, an utterance goes on."""
    ears = Ears()
    ears.hear(QUESTION)
    assert ears.speaking
    assert ears.hear(b"") == []
    assert isinstance(ears.hear(SECOND)[0], SpeechEnd)


def test_the_end_of_the_stream_ends_the_utterance() -> None:
    """Who says that no more sound comes has finished speaking."""
    ears = Ears()
    ears.hear(QUESTION)
    assert isinstance(ears.stop(), SpeechEnd)
    assert ears.stop() is None


@pytest.mark.parametrize(("milliseconds", "turns"), [(200, 1), (2000, 0)])
def test_the_pause_that_ends_a_turn_can_be_chosen(milliseconds: int, turns: int) -> None:
    """A longer silence is needed where a longer one was asked for."""
    noticed = Ears(end_ms=milliseconds).hear(QUESTION + SECOND)
    assert sum(isinstance(change, SpeechEnd) for change in noticed) == turns


def test_silence_and_a_click_are_not_speech() -> None:
    """Neither nothing, nor a hum, nor a knock on the table starts a turn."""
    assert Ears().hear(SECOND * 3) == []
    assert Ears().hear(noise(5, 100)) == []
    assert Ears().hear(SECOND + noise(0.04, 8000) + SECOND) == []


def test_a_fan_becomes_a_background() -> None:
    """A steady noise may be taken for speech at first; soon it is not, and a voice still stands out of it."""
    ears = Ears()
    ears.hear(noise(10, 300))
    assert not ears.speaking
    assert any(isinstance(change, SpeechStart) for change in ears.hear(QUESTION))


def test_low_sensitivity_needs_a_louder_voice() -> None:
    """What is heard at high sensitivity is not at low, against the same noise."""
    hum, voice = noise(3, 200), noise(0.5, 800)
    assert Ears(sensitivity="HIGH").hear(hum + voice)
    assert not Ears(sensitivity="LOW").hear(hum + voice)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_it_does_not_matter_how_the_sound_is_cut(sizes: list[int]) -> None:
    """Pieces of any length, even odd ones, are heard like the whole."""
    pcm = QUESTION + SECOND
    whole, pieces = Ears(), Ears()
    noticed, start = [], 0
    for size in sizes:
        noticed += pieces.hear(pcm[start : start + size])
        start += size
    assert noticed + pieces.hear(pcm[start:]) == whole.hear(pcm)
