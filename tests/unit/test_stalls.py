"""Questions that came to nothing."""

import pytest

from speakerd.live.events import Audio, Event, Interrupted, Said, ToolCall, TurnComplete
from speakerd.stalls import Remedy, Stall, Stalls

SOUND = Audio(b"\0\0")


def judged(*events: Event, asked: bool = True, talking: bool = False, stalls: Stalls | None = None) -> list[Stall]:
    stalls = stalls or Stalls()
    verdicts = [stalls.judge(event, asked=asked, talking=talking) for event in events]
    return [stall for stall in verdicts if stall]


@pytest.mark.parametrize(
    ("events", "stall"),
    [
        ((TurnComplete(),), Stall.EMPTY),
        ((Said("It is late."), TurnComplete()), Stall.EMPTY),
        ((TurnComplete("RESPONSE_REJECTED"),), Stall.REJECTED),
        ((SOUND, Interrupted(), TurnComplete()), Stall.PHANTOM),
        ((Interrupted(), ToolCall("1", "f"), TurnComplete()), Stall.EMPTY),
    ],
)
def test_a_question_comes_to_nothing_in_several_ways(events: tuple[Event, ...], stall: Stall) -> None:
    """A turn without sound, a refused turn, an answer that nobody interrupted."""
    assert judged(*events) == [stall]


@pytest.mark.parametrize(
    "events",
    [
        (SOUND, TurnComplete()),
        (SOUND, TurnComplete("GENERATED_AUDIO_SAFETY")),
        (TurnComplete(waiting_for_input=True),),
        (Interrupted(), TurnComplete()),
        (ToolCall("1", "f"),),
    ],
)
def test_a_turn_that_ends_as_it_should_is_no_stall(events: tuple[Event, ...]) -> None:
    """An answer, a speaker who was not done, an interruption before the first word."""
    assert judged(*events) == []


def test_an_empty_turn_that_nobody_asked_for_is_no_stall() -> None:
    """The model may end a turn of its own with nothing to say."""
    assert judged(TurnComplete(), asked=False) == []


def test_whoever_talks_is_not_waiting() -> None:
    """While somebody talks, the model rightly says nothing, and breaks off what it said."""
    assert judged(SOUND, Interrupted(), TurnComplete(), TurnComplete(), talking=True) == []


def test_remedies_come_in_order_and_end() -> None:
    """A nudge, a fresh connection, patience, a new conversation, and then nothing until there is an answer."""
    stalls = Stalls()
    tried = [stalls.failed(Stall.SILENT) for _ in range(8)]
    assert tried[:2] == [Remedy.NUDGE, Remedy.RENEW]
    assert tried[5] is Remedy.RESTART
    assert set(tried[6:]) == {Remedy.NOTHING}
    assert stalls.counts == {Stall.SILENT: 8}


def test_an_answer_puts_everything_right() -> None:
    """After a whole answer the next failure is a first one again."""
    stalls = Stalls()
    for _ in range(6):
        stalls.failed(Stall.SILENT)
    assert judged(SOUND, TurnComplete(), stalls=stalls) == []
    assert stalls.failed(Stall.SILENT) is Remedy.NUDGE


def test_an_answer_cut_short_puts_nothing_right() -> None:
    """A model whose answers all break off is not well."""
    stalls = Stalls()
    for _ in range(2):
        for stall in judged(SOUND, Interrupted(), TurnComplete(), stalls=stalls):
            assert stalls.failed(stall) is Remedy.NOTHING
    assert stalls.failed(Stall.PHANTOM) is Remedy.RENEW


def test_one_refusal_is_a_judgement_and_two_are_a_fault() -> None:
    """A conversation in which every turn is refused is begun anew, once."""
    stalls = Stalls()
    tried = [stalls.failed(Stall.REJECTED) for _ in range(4)]
    assert tried == [Remedy.NOTHING, Remedy.RESTART, Remedy.NOTHING, Remedy.NOTHING]


def test_a_new_connection_begins_without_a_turn() -> None:
    """Sound of a turn that a lost connection took with it does not count for the next one."""
    stalls = Stalls()
    judged(SOUND, stalls=stalls)
    stalls.connected()
    assert judged(TurnComplete(), stalls=stalls) == [Stall.EMPTY]


def test_each_kind_of_failure_counts_for_itself() -> None:
    """An answer cut by an echo does not make the first refusal look like the second one."""
    stalls = Stalls()
    stalls.failed(Stall.PHANTOM)
    stalls.failed(Stall.SILENT)
    assert stalls.failed(Stall.REJECTED) is Remedy.NOTHING
