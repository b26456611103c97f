"""What was last said, until it is answered."""

from speakerd.sound.utterance import ANSWER_S, LONGEST_MS, NOTICED_MS, PREROLL_MS, TELLINGS, Utterance


def period(number: int) -> bytes:
    return number.to_bytes(2, "little") * 320


class Room:
    """A room that counts its periods."""

    def __init__(self) -> None:
        self.now = 0.0
        self.utterance = Utterance(20, lambda: self.now)
        self.number = 0
        self.expired = 0

    def passes(self, ms: int, *, talking: bool = False) -> None:
        for _ in range(ms // 20):
            self.number += 1
            self.now += 0.02
            self.expired += self.utterance.hear(period(self.number), talking=talking, loud=talking)

    def told(self) -> list[int]:
        pcm = self.utterance.to_tell_again()
        return [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), 640)]


def test_in_a_silent_room_there_is_nothing_to_tell() -> None:
    """Silence is not told again."""
    room = Room()
    room.passes(5000)
    assert room.told() == []


def test_a_sentence_is_told_from_before_its_start_until_now() -> None:
    """The softest first sound of a word comes along, and what was said while there was no connection."""
    room = Room()
    room.passes(2000)
    room.passes(1000, talking=True)
    room.passes(300)
    assert room.told() == list(range(100 - (PREROLL_MS + NOTICED_MS) // 20 + 1, 165 + 1))


def test_a_sentence_is_told_again_a_few_times() -> None:
    """One that ends every connection it is told to is not told for ever."""
    room = Room()
    room.passes(1000, talking=True)
    assert [bool(room.told()) for _ in range(TELLINGS + 1)] == [True] * TELLINGS + [False]
    room.passes(200)
    assert room.told() == []


def test_the_next_sentence_is_told_in_its_turn() -> None:
    """After an answer a new sentence counts anew."""
    room = Room()
    room.passes(1000, talking=True)
    assert room.told()
    room.utterance.answered()
    room.passes(1000)
    room.passes(100, talking=True)
    assert room.told()[-5:] == list(range(101, 106))


def test_an_answered_sentence_is_not_told_again() -> None:
    """What the server has begun to answer has reached it."""
    room = Room()
    room.passes(1000, talking=True)
    room.utterance.answered()
    assert room.told() == []


def test_a_sentence_that_nobody_answers_is_given_up() -> None:
    """Whoever spoke has given up by then too; it is said once that it was."""
    room = Room()
    room.passes(1000, talking=True)
    room.passes(round(ANSWER_S * 1000))
    assert room.expired == 0
    room.passes(2000)
    assert room.expired == 1
    assert room.told() == []


def test_a_sentence_grows_old_by_the_clock_and_not_by_what_is_heard() -> None:
    """A process that was stopped for a minute hears nothing meanwhile, and tells nothing of before it."""
    room = Room()
    room.passes(1000, talking=True)
    room.now += 60
    assert room.told() == []


def test_it_is_bounded() -> None:
    """A television that never stops does not fill the memory."""
    room = Room()
    room.passes(LONGEST_MS * 2, talking=True)
    told = room.told()
    assert len(told) == LONGEST_MS // 20
    assert told[-1] == room.number


def test_the_last_moments_are_there_before_anybody_notices_talk() -> None:
    """A word that begins just now has its first sound in them."""
    room = Room()
    room.passes(5000)
    assert len(room.utterance.just_heard()) == PREROLL_MS * 32


def test_the_last_moments_hold_no_sentence() -> None:
    """What is told again, or was answered a moment ago, does not go out a second time."""
    room = Room()
    room.passes(1000, talking=True)
    assert room.utterance.just_heard() == b""
    room.utterance.answered()
    room.passes(200)
    assert room.utterance.just_heard() == b""
    room.passes(400)
    assert room.utterance.just_heard()


def test_a_whole_answer_leaves_what_was_said_after_it_began() -> None:
    """In a room that is never quiet, an answered question is not told again, and the next one is."""
    room = Room()
    room.passes(1000, talking=True)
    room.utterance.mark()
    room.passes(1000, talking=True)
    room.utterance.answered_up_to_mark()
    assert room.told() == list(range(51, 101))
    assert room.utterance.talked_ms == 1000


def test_a_whole_answer_to_the_last_word_leaves_nothing() -> None:
    """Who has said nothing since the answer began waits for nothing."""
    room = Room()
    room.passes(1000, talking=True)
    room.utterance.mark()
    room.passes(1000)
    room.utterance.answered_up_to_mark()
    assert room.told() == []
    assert room.utterance.talked_ms == 0
