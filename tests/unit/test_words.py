"""Marked utterances: what the stand-in recognises, and the account of every word."""

import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from speakerd.errors import SpeakerdError
from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.recognise import PREROLL_BYTES, TurnSound, Vocabulary
from speakerd.simulate.script import Script
from tests.faults.words import NAMES, WORDS, Phrases, account

SILENCE = bytes(16_000)


@pytest.fixture(scope="module")
def phrases(tmp_path_factory: pytest.TempPathFactory) -> Phrases:
    """Speak every word there is, and a few a second time, lower."""
    return Phrases(tmp_path_factory.mktemp("words"), len(NAMES) // WORDS + 1)


def test_each_sentence_is_heard_as_its_own_words_and_no_others(phrases: Phrases) -> None:
    """Sixty words and their lower sisters are told apart, in order, whatever is around them."""
    vocabulary = Script.model_validate(phrases.script).vocabulary
    for utterance in phrases.utterances:
        assert tuple(vocabulary.words_in(SILENCE + utterance.pcm + SILENCE)) == utterance.words
    words = [word for utterance in phrases.utterances for word in utterance.words]
    assert len(words) == len(set(words)) > len(NAMES)


def test_a_word_with_a_sample_missing_is_not_there(phrases: Phrases) -> None:
    """Sound that was cut, doubled or shifted by half a sample does not pass for the word."""
    vocabulary = Script.model_validate(phrases.script).vocabulary
    first = phrases.utterances[0]
    assert vocabulary.words_in(first.pcm[2:]) == list(first.words[1:])
    assert vocabulary.words_in(first.pcm[:-2]) == list(first.words[:-1])
    assert vocabulary.words_in(b"\0" + first.pcm) == []
    assert vocabulary.words_in(first.pcm[:2000] + first.pcm[2002:]) == list(first.words[1:])
    assert vocabulary.words_in(first.pcm * 2) == [*first.words, *first.words]


def test_two_processes_speak_the_same_words(phrases: Phrases, tmp_path: Path) -> None:
    """A daemon's stand-in and whoever judges it need not be one process."""
    again = Phrases(tmp_path, 1)
    assert again.utterances == phrases.utterances[:1]


def test_the_sound_of_a_turn_begins_a_little_before_the_speech() -> None:
    """The soft beginning of a word is kept, an hour of silence before it is not, and the next turn begins anew."""
    sound = TurnSound()
    sound.hear(bytes(10 * PREROLL_BYTES), speaking=False)
    sound.hear(b"\1\0" * PREROLL_BYTES, speaking=False)
    sound.hear(b"\2\0", speaking=True)
    turn = sound.take()
    assert turn == bytes(PREROLL_BYTES) + b"\1\0" * PREROLL_BYTES + b"\2\0"
    assert sound.take() == b""


def test_a_recording_that_is_no_use_is_told_at_once(tmp_path: Path) -> None:
    """A missing, empty or wrong file is named, with what is wrong about it."""
    empty, stereo = tmp_path / "empty.raw", tmp_path / "stereo.wav"
    empty.write_bytes(b"")
    with wave.open(str(stereo), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(400))
    for path, words in ((empty, "no sound"), (stereo, "mono"), (tmp_path / "missing.wav", "cannot be read")):
        with pytest.raises(SpeakerdError, match=words):
            Vocabulary.read({"word": path})


def test_a_reply_belongs_to_a_known_word() -> None:
    """A slip of the pen in a script is found when it is read."""
    with pytest.raises(ValueError, match="ember is not one of words"):
        Script.model_validate({"replies": {"ember": "Yes."}})


def turn(connection: int, number: int, text: str, session: str = "a") -> WireEvent:
    return event(connection, "turn", turn=number, text=text, session=session)


def event(connection: int, kind: str, **detail: Any) -> WireEvent:
    return WireEvent(0.0, connection, "-", kind, detail)


def test_a_sentence_that_was_answered_is_not_lost(phrases: Phrases) -> None:
    """Heard, answered, and the answer played: all is well."""
    one, two = phrases.utterances[:2]
    events = [turn(1, 1, " ".join(one.words)), event(1, "answer_start", turn=1)]
    words = account([one, two], events, one.answer)
    assert (words.lost, words.repeated) == (two.words, ())


def test_an_answer_that_nobody_heard_is_no_answer(phrases: Phrases) -> None:
    """What the service said to a dead connection does not count, nor does half an answer without its start."""
    one = phrases.utterances[0]
    events = [turn(1, 1, " ".join(one.words)), event(1, "answer_start", turn=1)]
    assert account([one], events, b"").lost == one.words
    assert account([one], events, one.answer[len(one.answer) // 4 & ~1 : len(one.answer) // 2]).lost == one.words


def test_a_word_that_the_service_did_not_hear_is_lost(phrases: Phrases) -> None:
    """An answer to half a question is not an answer to the words of the other half."""
    one = phrases.utterances[0]
    events = [turn(1, 1, " ".join(one.words[2:])), event(1, "answer_start", turn=1)]
    assert account([one], events, one.answer).lost == one.words[:2]


def test_what_a_conversation_knows_twice_is_repeated(phrases: Phrases) -> None:
    """Told again after a resumption that remembers it; not if the service had forgotten it, or in another one."""
    one = phrases.utterances[0]
    text = " ".join(one.words)
    again = [turn(2, 2, text), event(2, "answer_start", turn=2)]
    remembers = [turn(1, 1, text), event(2, "resumed", session="a", memory_turn=1), *again]
    assert account([one], remembers, one.answer).repeated == one.words
    forgot = [turn(1, 3, text), event(2, "resumed", session="a", memory_turn=1), *again]
    assert account([one], forgot, one.answer).repeated == ()
    other = [turn(1, 1, text), *(replace(e, detail=e.detail | {"session": "b"}) for e in again)]
    assert account([one], other, one.answer).repeated == ()


def test_an_answer_that_is_begun_twice_is_repeated(phrases: Phrases) -> None:
    """Nobody wants to hear the beginning of an answer again, not even after a cut."""
    one = phrases.utterances[0]
    events = [turn(1, 1, " ".join(one.words)), event(1, "answer_start", turn=1)]
    assert account([one], events, one.answer[:48_000] + one.answer).repeated == one.words
