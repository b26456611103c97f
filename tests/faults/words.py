"""Marked utterances: sentences of words that the stand-in knows by heart, and what became of each word."""

import wave
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from speakerd.simulate.ears import RATE
from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.voice import RATE as VOICE_RATE
from speakerd.simulate.voice import Voice

# fmt: off
NAMES = (
    "amber", "anchor", "apple", "april", "arrow", "autumn", "badger", "bamboo", "barley", "basket", "beacon",
    "bottle", "bramble", "butter", "cactus", "camel", "candle", "carrot", "castle", "cedar", "cherry",
    "cinder", "clover", "cobalt", "copper", "coral", "cotton", "daisy", "desert", "dragon", "ember", "falcon",
    "feather", "fjord", "forest", "galaxy", "garden", "ginger", "glacier", "granite", "hammer", "harbour",
    "hazel", "helmet", "hollow", "island", "ivory", "jasmine", "kettle", "ladder", "lantern", "lemon",
    "magnet", "marble", "meadow", "mellow", "needle", "nutmeg", "orange", "pepper",
)
# fmt: on
"""What the synthesiser says: sixty words that begin and end with a sound loud enough to be noticed."""

WORDS = 4
"""Words in an utterance: two to three seconds of speech."""

GAP_S = 0.12
"""Silence between two words: short enough to be one utterance for the daemon (600 ms) and the stand-in (800 ms)."""

DETUNE = 0.03
"""How much lower the words are each time that all of them have been used: other samples make another word."""

LEVEL = 12_000
"""The loudest sample of a word."""

QUIET = 400
"""A sample below this, at either end of a word, is no part of it."""

TELLING_S = 0.25
"""How much of its start tells an answer from all others, and counts as its being heard."""


@dataclass(frozen=True)
class Utterance:
    """A sentence to be said once, and the one answer to it."""

    number: int
    words: tuple[str, ...]
    pcm: bytes
    """S16_LE mono at 16 kHz, with nothing before and after the words."""
    answer: bytes
    """What the loudspeaker plays when it is answered, S16_LE mono at 24 kHz."""

    @property
    def answer_start(self) -> bytes:
        """Return the start of the answer, from its first sound on."""
        samples = np.frombuffer(self.answer, "<i2")
        first = int(np.argmax(np.abs(samples) >= QUIET)) * 2
        return self.answer[first : first + round(TELLING_S * VOICE_RATE) * 2]


class Phrases:
    """So many utterances, with no word in two of them; in files, so that several processes can share them."""

    def __init__(self, directory: Path, count: int = 4) -> None:
        """Speak what is not yet in ``directory``. Raise SpeakerdError where espeak-ng is missing."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._voice = Voice()
        names = [self._name(at) for at in range(count * WORDS)]
        self._words = {name: self._word(at, name) for at, name in enumerate(names)}
        self.utterances = [
            self._utterance(number, tuple(names[(number - 1) * WORDS : number * WORDS]))
            for number in range(1, count + 1)
        ]

    @property
    def script(self) -> dict[str, Any]:
        """Return what the stand-in must know: the recordings, and the answer to each utterance."""
        return {
            "words": {name: str(self._file(name)) for name in self._words},
            "replies": {
                word: {"wav": str(self._file(f"answer-{utterance.number}")), "text": " ".join(utterance.words)}
                for utterance in self.utterances
                for word in utterance.words
            },
        }

    def _name(self, at: int) -> str:
        tune, at = divmod(at, len(NAMES))
        return f"{NAMES[at]}{tune + 1}" if tune else NAMES[at]

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.wav"

    def _word(self, at: int, name: str) -> bytes:
        if not self._file(name).exists():
            tune, at = divmod(at, len(NAMES))
            said = np.frombuffer(self._voice.say(NAMES[at]).pcm, "<i2").astype(np.float32)
            word = soxr.resample(said, VOICE_RATE, RATE * (1 + tune * DETUNE))
            word *= LEVEL / np.abs(word).max()
            loud = np.flatnonzero(np.abs(word) >= QUIET)
            _write(self._file(name), word[loud[0] : loud[-1] + 1].astype("<i2").tobytes())
        return _read(self._file(name))

    def _utterance(self, number: int, words: tuple[str, ...]) -> Utterance:
        pcm = bytes(round(GAP_S * RATE) * 2).join(self._words[word] for word in words)
        answer = self._file(f"answer-{number}")
        if not answer.exists():  # the question, said back twice: four to six seconds
            _write(answer, pcm + bytes(RATE) + pcm)
        return Utterance(number, words, pcm, self._voice.play(answer).pcm)


@dataclass(frozen=True)
class Account:
    """What became of every word that was said."""

    lost: tuple[str, ...]
    """Words that never came into a turn whose answer was heard, or whose answer was not: in the order of saying."""
    known_twice: tuple[str, ...]
    """Words that a conversation knows twice."""
    heard_twice: tuple[str, ...]
    """Words whose answer began to be heard twice."""

    @property
    def repeated(self) -> tuple[str, ...]:
        """Words of either kind."""
        return tuple(dict.fromkeys(self.known_twice + self.heard_twice))


def account(said: Sequence[Utterance], events: Sequence[WireEvent], played: bytes) -> Account:
    """Return what became of the words, by what the stand-in heard and what the loudspeaker played."""
    answered = _answered(events)
    starts = {utterance.number: played.count(utterance.answer_start) for utterance in said}
    known = Counter(word for turns in _conversations(events).values() for word in _twice(turns))
    return Account(
        lost=tuple(
            word
            for utterance in said
            for word in utterance.words
            if not starts[utterance.number] or word not in answered
        ),
        known_twice=tuple(word for utterance in said for word in utterance.words if word in known),
        heard_twice=tuple(word for utterance in said for word in utterance.words if starts[utterance.number] > 1),
    )


def _answered(events: Sequence[WireEvent]) -> set[str]:
    """Return every word of a turn to which an answer was begun."""
    asked: dict[tuple[int, int], str] = {}
    answered: set[str] = set()
    for event in events:
        where = (event.connection, event.detail.get("turn", 0))
        if event.kind == "turn":
            asked[where] = event.detail["text"]
        elif event.kind == "answer_start":
            answered.update(asked.get(where, "").split())
    return answered


def _conversations(events: Sequence[WireEvent]) -> dict[str, dict[int, str]]:
    """Return the user's turns of each conversation as the service remembers them at the end.

    To resume a conversation is to forget what came after the handle was given.
    """
    conversations: dict[str, dict[int, str]] = {}
    for event in events:
        if event.kind == "turn":
            conversations.setdefault(event.detail["session"], {})[event.detail["turn"]] = event.detail["text"]
        elif event.kind == "resumed":
            turns = conversations.setdefault(event.detail["session"], {})
            for number in [number for number in turns if number > event.detail["memory_turn"]]:
                del turns[number]
    return conversations


def _twice(turns: dict[int, str]) -> list[str]:
    counts = Counter(word for text in turns.values() for word in text.split())
    return [word for word, count in counts.items() if count > 1]


def _write(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


def _read(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())
