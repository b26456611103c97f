"""Turns, with a clock that is moved by hand."""

import random
from array import array

import pytest

from speakerd.live.events import Usage
from speakerd.settings import Price
from speakerd.sound.level import LevelDetector
from speakerd.sound.voice_gate import GateSettings, VoiceGate
from speakerd.stalls import Stall
from speakerd.turns import Turn, Turns, cost_usd

SILENCE = bytes(640)


def loud() -> bytes:
    return array("h", (random.randint(-8000, 8000) for _ in range(320))).tobytes()


class Evening:
    """Somebody, a model, and the time of day."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[Turn] = []
        self.turns = Turns(Price(), self.told.append, lambda: self.now)
        self._detector = LevelDetector()
        self._gate = VoiceGate(GateSettings(), 20)

    def somebody_talks(self, seconds: float) -> None:
        self._passes(seconds, noise=True)

    def passes(self, seconds: float) -> None:
        self._passes(seconds, noise=False)

    def _passes(self, seconds: float, *, noise: bool) -> None:
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            pcm = loud() if noise else SILENCE
            self._gate.hear(pcm, self._detector.hear(pcm))
            self.turns.hear(talking=self._gate.is_talking, loud=self._gate.quiet_ms == 0)

    def plays(self, seconds: float) -> None:
        """Play all of an answer."""
        self.turns.sounding(True)
        self.passes(seconds)
        self.turns.sounding(False)

    @property
    def turn(self) -> Turn:
        """The one turn that was told."""
        (turn,) = self.told
        return turn


@pytest.fixture
def evening() -> Evening:
    evening = Evening()
    evening.passes(1)
    return evening


def near(seconds: float) -> object:
    """Return what compares equal to a time in milliseconds within two periods."""
    return pytest.approx(seconds * 1000, abs=41)


def test_a_plain_turn(evening: Evening) -> None:
    """A question, its answer, and one line that says how long each took."""
    evening.somebody_talks(2)
    evening.passes(0.8)
    evening.turns.answer(3)
    evening.passes(0.1)
    evening.turns.sounding(True)
    evening.passes(2)
    evening.turns.usage(Usage(626, 63, 689))
    evening.turns.complete()
    assert not evening.told, "it is still to be heard"
    evening.passes(1)
    evening.turns.sounding(False)
    turn = evening.turn
    assert (turn.turn, turn.reason, turn.interruptions, turn.xruns) == (1, None, 0, 0)
    assert turn.heard_ms == near(2)
    assert (turn.first_byte_ms, turn.first_sound_ms) == (near(0.8), near(0.9))
    assert turn.answer_ms == near(3)
    assert (turn.tokens_in, turn.tokens_out) == (626, 63)
    assert evening.turns.last == turn


def test_pauses_between_words_are_not_the_end_of_speech(evening: Evening) -> None:
    """Who takes a breath in mid-sentence has asked one question, and waits from its last word on."""
    evening.somebody_talks(1)
    evening.passes(0.4)
    evening.somebody_talks(1)
    evening.passes(1)
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    assert evening.turn.heard_ms == near(2.4)
    assert evening.turn.first_byte_ms == near(1)


def test_an_interrupted_turn_says_what_was_really_heard_of_it(evening: Evening) -> None:
    """The words that broke in belong to the turn that they begin."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(10)
    evening.turns.sounding(True)
    evening.passes(2)
    evening.somebody_talks(0.5)
    evening.turns.interrupted()
    evening.turns.sounding(False)
    evening.turns.usage(Usage(500, 70, 570))
    evening.turns.complete()
    assert evening.turn.heard_ms == near(1)
    assert evening.turn.answer_ms == near(2.5)
    assert evening.turn.interruptions == 1
    evening.somebody_talks(0.5)
    evening.passes(0.7)
    evening.turns.answer(1)
    evening.turns.usage(Usage(600, 25, 625))
    evening.plays(1)
    evening.turns.complete()
    assert len(evening.told) == 2
    assert (evening.told[1].heard_ms, evening.told[1].first_byte_ms) == (near(1), near(0.7))
    assert evening.told[1].interruptions == 0
    assert evening.turns.totals.interruptions == 1


def test_an_answer_that_is_cut_before_it_sounds_is_told(evening: Evening) -> None:
    """Nothing of it will ever be heard, so nothing is waited for."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(0.05)
    evening.turns.interrupted()
    evening.turns.usage(Usage(500, 2, 502))
    evening.turns.complete()
    assert (evening.turn.answer_ms, evening.turn.first_sound_ms) == (0, None)


def test_a_connection_lost_in_mid_reply_closes_the_turn(evening: Evening) -> None:
    """What had come of the answer is played, and no tokens are waited for."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(2)
    evening.turns.sounding(True)
    evening.passes(1)
    evening.turns.broken_off("connection lost")
    assert not evening.told
    evening.passes(1.4)  # two falling tones follow without a gap
    evening.turns.sounding(False)
    assert evening.turn.reason == "connection lost"
    assert evening.turn.answer_ms == 2000
    assert evening.turn.tokens_in == 0


def test_a_lost_connection_has_no_tokens_to_wait_for(evening: Evening) -> None:
    """Nobody is there any more who could tell them."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(0.5)
    evening.turns.sounding(True)
    evening.turns.broken_off("connection lost")
    evening.passes(0.5)
    evening.turns.sounding(False)
    assert evening.turn.answer_ms == near(0.5)


def test_tokens_alone_are_no_turn_that_could_break_off(evening: Evening) -> None:
    """The next turn pays for them."""
    evening.turns.usage(Usage(100, 0, 100))
    evening.turns.broken_off("connection replaced")
    assert not evening.told
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.complete()
    assert evening.turn.tokens_in == 100


def test_a_short_answer_is_waited_for(evening: Evening) -> None:
    """One word may be complete before the loudspeaker has begun with it."""
    evening.turns.answer(0.2)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    assert not evening.told
    evening.plays(0.2)
    assert evening.turn.answer_ms == near(0.2)


def test_an_answer_that_comes_in_pieces_is_heard_to_its_end(evening: Evening) -> None:
    """On a slow line the loudspeaker runs dry; the line is written after the last piece."""
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.answer(0.2)
    evening.turns.sounding(True)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    assert not evening.told
    evening.passes(0.2)
    evening.turns.sounding(False)
    assert evening.turn.answer_ms == near(1.2)


def test_a_connection_lost_before_the_answer_is_waiting_and_no_turn(evening: Evening) -> None:
    """The question is told again, and the wait that is told is all of it."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.broken_off("connection lost")
    evening.passes(3)
    assert not evening.told
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    assert (evening.turn.heard_ms, evening.turn.first_byte_ms) == (near(1), near(3.8))


def test_two_questions_and_one_answer_are_one_turn(evening: Evening) -> None:
    """What was heard is the two together; the wait begins at the end of the second."""
    evening.somebody_talks(1)
    evening.passes(1.5)
    evening.somebody_talks(0.5)
    evening.passes(0.9)
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    assert evening.turn.heard_ms == near(1.5)
    assert evening.turn.first_byte_ms == near(0.9)


def test_an_answer_over_talk_has_no_wait(evening: Evening) -> None:
    """Where the model begins while somebody still talks, there is no time from the end of speech."""
    evening.somebody_talks(2)
    evening.turns.answer(1)
    evening.turns.sounding(True)
    evening.somebody_talks(0.5)
    evening.passes(0.5)
    evening.turns.sounding(False)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    assert (evening.turn.first_byte_ms, evening.turn.first_sound_ms) == (None, None)
    assert evening.turn.heard_ms == near(2)
    assert str(evening.turn) == f"turn 1: heard 2.0 s, answered for 1.0 s, 2 tokens, about ${0:.3f}"


def test_a_second_answer_to_one_question_has_no_wait_of_its_own(evening: Evening) -> None:
    """It follows without a gap; each turn is as long as it sounded."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(1)
    evening.turns.sounding(True)
    evening.passes(1)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    evening.turns.answer(2)
    assert evening.turn.answer_ms == near(1)
    evening.passes(2)
    evening.turns.sounding(False)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    first, second = evening.told
    assert (first.heard_ms, second.heard_ms) == (near(1), 0)
    assert (second.first_byte_ms, second.first_sound_ms, second.answer_ms) == (None, None, near(2))


def test_tokens_that_come_a_moment_late_are_in_the_line(evening: Evening) -> None:
    """The line waits for them, for a second."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.complete()
    evening.passes(0.5)
    evening.turns.settle()
    assert not evening.told
    evening.turns.usage(Usage(626, 63, 689))
    assert (evening.turn.tokens_in, evening.turn.tokens_out) == (626, 63)


def test_a_service_that_counts_no_tokens_does_not_hold_the_line_back(evening: Evening) -> None:
    """After a second without them it is written; what comes still later counts for the day, not for that turn."""
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.complete()
    evening.passes(1.1)
    evening.turns.settle()
    assert evening.turn.tokens_in == 0
    evening.turns.usage(Usage(626, 63, 689))
    assert evening.turn.tokens_in == 0
    assert evening.turns.totals.tokens_in == 626


def test_all_counts_of_a_turn_are_added_up(evening: Evening) -> None:
    """The service bills each of its counts."""
    evening.turns.answer(1)
    evening.turns.usage(Usage(100, 10, 110))
    evening.turns.usage(Usage(200, 20, 220))
    evening.plays(1)
    evening.turns.complete()
    assert (evening.turn.tokens_in, evening.turn.tokens_out) == (300, 30)


def test_a_turn_without_sound_says_why(evening: Evening) -> None:
    """A question that the service refused is a turn, with the service's own word."""
    evening.somebody_talks(1)
    evening.passes(1)
    evening.turns.usage(Usage(100, 0, 100))
    evening.turns.complete("RESPONSE_REJECTED")
    assert str(evening.turn) == (
        "turn 1: heard 1.0 s, no answer was heard, 100 tokens, about $0.000 (RESPONSE_REJECTED)"
    )


def test_where_nothing_happened_there_is_no_line(evening: Evening) -> None:
    """The service may end turns that nobody began."""
    evening.turns.complete()
    evening.passes(1.1)
    evening.turns.settle()
    assert not evening.told
    assert evening.turns.totals.turns == 0


def test_talk_of_a_while_ago_is_not_in_the_next_turn(evening: Evening) -> None:
    """What the model rightly left alone is no part of the question that comes later."""
    evening.somebody_talks(5)
    evening.passes(20)
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.answer(1)
    evening.plays(1)
    evening.turns.usage(Usage(1, 1, 2))
    evening.turns.complete()
    assert evening.turn.heard_ms == near(1)


def test_a_forgotten_question_is_not_in_the_next_turn(evening: Evening) -> None:
    """Who begins anew has asked nothing yet."""
    evening.somebody_talks(2)
    evening.turns.forget()
    evening.somebody_talks(1)
    evening.passes(0.8)
    evening.turns.complete("RESPONSE_REJECTED")
    evening.passes(1.1)
    evening.turns.settle()
    assert evening.turn.heard_ms == near(1)


def test_gaps_in_the_sound_are_those_of_the_turn(evening: Evening) -> None:
    """Each is in the line of one turn only."""
    lost = 3
    evening.turns.xruns = lambda: lost
    for expected in (3, 2):
        evening.turns.answer(1)
        evening.plays(1)
        evening.turns.usage(Usage(1, 1, 2))
        evening.turns.complete()
        assert evening.told[-1].xruns == expected
        lost += 2


def test_sound_and_text_have_prices_of_their_own() -> None:
    """What the service does not say the kind of counts as sound, which is dearer."""
    price = Price(audio_in=3.0, audio_out=12.0, text_in=0.75, text_out=4.5)
    assert cost_usd(Usage(1_000_000, 0, 0), price) == pytest.approx(3.0)
    assert cost_usd(Usage(1_000_000, 0, 0, prompt_text=1_000_000), price) == pytest.approx(0.75)
    assert cost_usd(Usage(0, 1_000_000, 0), price) == pytest.approx(12.0)
    assert cost_usd(Usage(0, 1_000_000, 0, response_text=500_000), price) == pytest.approx(8.25)


def test_the_line_is_for_people() -> None:
    """It says what one would ask, in one breath."""
    turn = Turn(
        turn=12, reason=None, heard_ms=2140, first_byte_ms=700, first_sound_ms=800, answer_ms=4300, interruptions=1,
        tokens_in=626, tokens_out=63, cost_usd=0.0021, xruns=0,
    )  # fmt: skip
    assert str(turn) == (
        "turn 12: heard 2.1 s, answered after 0.8 s for 4.3 s, interrupted, 689 tokens, about $0.002"
    )


def test_stalls_are_counted_by_kind(evening: Evening) -> None:
    """How often, and how, questions came to nothing."""
    evening.turns.stalled(Stall.SILENT)
    evening.turns.stalled(Stall.SILENT)
    evening.turns.stalled(Stall.EMPTY)
    assert evening.turns.totals.stalls == {"silent": 2, "empty": 1}
