"""The heart, with a link and a light that only listen."""

import random
from array import array

from speakerd.assistant import Assistant
from speakerd.live.events import Audio, TurnComplete
from speakerd.sound import chimes
from speakerd.sound.reply import Reply
from speakerd.state import Line, State

SILENCE = bytes(640)


def loud() -> bytes:
    return array("h", (random.randint(-8000, 8000) for _ in range(320))).tobytes()


class Kitchen:
    """An assistant, and everything that it talks to."""

    def __init__(self) -> None:
        self.reply = Reply(80)
        self.states: list[State] = []
        self.renewals: list[bool] = []
        self.assistant = Assistant(self.reply, self, 20, transcripts=False)
        self.assistant.link = self
        self.assistant.speaker = self
        self.assistant.started()
        self.assistant.line_changed(Line.UP, None)

    def send(self, pcm: bytes) -> None:
        self.assistant.sound_left(len(pcm))

    def end_sound(self) -> None: ...

    def renew(self, why: str, *, restart: bool) -> None:
        self.renewals.append(restart)

    def drop(self) -> int:
        return self.reply.cut()

    def show(self, state: State) -> None:
        self.states.append(state)

    def passes(self, ms: int, *, noise: bool = False) -> None:
        for _ in range(ms // 20):
            self.assistant.hear(loud() if noise else SILENCE)

    def played(self) -> bytes:
        """Return all that is queued for the loudspeaker."""
        pcm = self.reply.begin() or b""
        while piece := self.reply.more():
            pcm += piece
        return pcm


async def test_a_clatter_is_no_question() -> None:
    """A spoon that drops asks for nothing, and is not asked about again."""
    kitchen = Kitchen()
    for _ in range(3):
        kitchen.passes(1000)
        kitchen.passes(100, noise=True)
    kitchen.passes(2000)
    assert State.LISTENING in kitchen.states
    assert State.THINKING not in kitchen.states


async def test_a_question_is_waited_for() -> None:
    """Whoever says a word is seen to be waited for."""
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.passes(1000)
    assert kitchen.states[-1] is State.THINKING


async def test_a_click_beside_the_answer_does_not_make_it_none() -> None:
    """A cup that is put down just as the answer arrives does not have the question asked again."""
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.passes(1000)
    kitchen.passes(20, noise=True)
    kitchen.assistant.happened(Audio(bytes(4800)))
    kitchen.assistant.happened(TurnComplete())
    assert kitchen.assistant.to_tell_again() == b""
    assert kitchen.states[-1] is not State.THINKING


async def test_in_a_room_that_is_never_quiet_an_answered_question_is_not_told_again() -> None:
    """With a television on, the end of the answer shows what it was an answer to."""
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(2000, noise=True)
    kitchen.assistant.happened(Audio(bytes(4800)))
    kitchen.passes(400, noise=True)
    kitchen.assistant.happened(TurnComplete())
    assert len(kitchen.assistant.to_tell_again()) == 400 * 32


async def test_the_chime_sounds_clean_after_half_a_sample() -> None:
    """An answer may break off in the middle of a sample; what follows it must not become noise."""
    kitchen = Kitchen()
    kitchen.assistant.happened(Audio(bytes(4801)))
    kitchen.assistant.line_changed(Line.DOWN, None)
    assert kitchen.played() == bytes(4800) + chimes.lost()
