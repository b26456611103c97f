"""The state is a function of the facts, and of nothing else."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from speakerd.panel.light import PATTERNS, Rhythm, brightness
from speakerd.state import Facts, Line, State, state_of

IDLE = Facts()


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (replace(IDLE, trouble="check the key"), State.ERROR),
        (replace(IDLE, starting=True), State.STARTING),
        (replace(IDLE, muted=True), State.MUTED),
        (replace(IDLE, line=Line.DOWN), State.OFFLINE),
        (replace(IDLE, line=Line.DIALLING), State.CONNECTING),
        (replace(IDLE, playing=True), State.SPEAKING),
        (replace(IDLE, talking=True, leaving=True), State.LISTENING),
        (replace(IDLE, waiting=True), State.THINKING),
        (IDLE, State.IDLE),
    ],
)
def test_each_fact_alone_has_its_state(facts: Facts, state: State) -> None:
    """One thing that is so shows as that thing."""
    assert state_of(facts) is state


def rank(facts: Facts) -> State:
    """Say the table of the design once more, as prose would: who outranks whom."""
    if facts.trouble:
        return State.ERROR
    if facts.starting:
        return State.STARTING
    if facts.muted:
        return State.MUTED
    if facts.line is not Line.UP:
        return State.OFFLINE if facts.line is Line.DOWN else State.CONNECTING
    if facts.playing:
        return State.SPEAKING
    if facts.talking and facts.leaving:
        return State.LISTENING
    return State.THINKING if facts.waiting else State.IDLE


def test_every_combination_of_facts_has_the_state_of_the_table() -> None:
    """All 384 combinations show what the table says."""
    flags = ("starting", "muted", "playing", "talking", "leaving", "waiting")
    seen = set()
    for trouble, line, values in itertools.product((None, "x"), Line, itertools.product((False, True), repeat=6)):
        given: dict[str, Any] = dict(zip(flags, values, strict=True))
        facts = Facts(trouble=trouble, line=line, **given)
        assert state_of(facts) is rank(facts), facts
        seen.add(facts)
    assert len(seen) == 2 * 3 * 2**6


def test_a_muted_speaker_says_so_whatever_the_network_does() -> None:
    """The light is a promise about privacy before it is news about the internet."""
    for line in Line:
        assert state_of(replace(IDLE, muted=True, line=line, playing=True, talking=True, leaving=True)) is State.MUTED


def test_talk_that_does_not_leave_the_house_is_not_shown_as_listening() -> None:
    """LISTENING means that sound is on the wire, not that somebody talks."""
    assert state_of(replace(IDLE, talking=True)) is State.IDLE


def test_every_state_has_a_light_of_its_own() -> None:
    """No two states look the same on either kind of light."""
    assert set(PATTERNS) == set(State)
    assert len({(pattern.rgb, pattern.colour) for pattern in PATTERNS.values()}) == len(State)
    singles = {state: pattern.single for state, pattern in PATTERNS.items()}
    # A single LED has fewer words: starting and connecting are one to it.
    del singles[State.CONNECTING]
    assert len(set(singles.values())) == len(singles)


@pytest.mark.parametrize(
    ("rhythm", "round_s", "flashes", "lit"),
    [
        (Rhythm.FAST_BLINK, 0.4, 1, 0.5),
        (Rhythm.TWO_FLASHES, 2.0, 2, 0.1),
        (Rhythm.ONE_FLASH, 2.0, 1, 0.05),
        (Rhythm.SLOW_PULSE, 3.0, 1, 0.5),
        (Rhythm.QUICK_PULSE, 1.0, 1, 0.5),
        (Rhythm.BREATHING, 4.0, 1, 0.5),
    ],
)
def test_a_light_moves_as_the_table_says(rhythm: Rhythm, round_s: float, flashes: int, lit: float) -> None:
    """Sampled a thousand times a second, each rhythm has its number of flashes in each round, and its length."""
    samples = [brightness(rhythm, (n + 0.5) / 1000) for n in range(round(round_s * 1000) * 3)]
    on = [level >= 0.5 for level in samples]
    rises = sum(now and not before for before, now in itertools.pairwise([on[-1], *on]))
    assert rises == flashes * 3
    assert sum(on) / len(on) == pytest.approx(lit, abs=0.01)
    assert samples[: len(samples) // 3] == pytest.approx(samples[len(samples) // 3 : 2 * len(samples) // 3])


def test_steady_is_steady_and_off_is_off() -> None:
    """The two rhythms that do not move, do not."""
    assert {brightness(Rhythm.STEADY, t / 7) for t in range(100)} == {1.0}
    assert {brightness(Rhythm.OFF, t / 7) for t in range(100)} == {0.0}
