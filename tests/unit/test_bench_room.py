"""The figures of the simulated kitchen: from sounds to a table that hides nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.room_ear import make_ear
from bench.room_measure import FADED_DB, onset_s, percentile, share_told
from bench.room_offline import Offline, cut, measure, replay
from bench.room_picture import draw
from bench.room_report import ROWS, Measured, Target, as_json, is_met, table, verdict
from bench.room_result import Clatter, Interruption, Plan, Replies, Result, Tape
from bench.room_words import ANSWER_S, OVER, answers
from speakerd.simulate.acoustics import SPEAKER_RATE
from speakerd.simulate.noises import RATE, Sound
from speakerd.simulate.talkers import recording

WORDS = recording("numbers.raw")

TAPE = Tape(
    2000.0,
    list(cut(bytes(2 * SPEAKER_RATE), SPEAKER_RATE, at=2000.0)),
    list(cut(bytes(2 * RATE), RATE, at=2000.0)),
)

GOOD = Measured(
    Offline(-30.0, 48.0, 2.0, (0.3, 0.4)),
    9.0,
    Result(
        Replies(120.0, 0, 0),
        [Interruption("numbers.raw", near_db, 2000.5, 210.0, 0.98, 0.9) for near_db in (6.0, 0.0)],
        [Clatter("cough", 2000.7, stopped=False), Clatter("clink", 2000.9, stopped=False)],
        TAPE,
        starved=0,
    ),
)


def but(**changes: object) -> Measured:
    """Return a good visit with something else in it."""
    assert GOOD.result is not None
    return replace(GOOD, result=replace(GOOD.result, **changes))  # type: ignore[arg-type]  # as the test names them


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE), np.float32)


def test_a_talk_begins_with_its_first_word() -> None:
    """Neither the silence of a recording counts, nor a click in it."""
    sound = np.concatenate((silence(0.2), np.full(80, 0.1, np.float32), silence(0.2), WORDS))
    assert onset_s(sound) == pytest.approx(0.4 + 80 / RATE + onset_s(WORDS), abs=0.011)
    assert 0.3 < onset_s(WORDS) < 0.7


@pytest.mark.parametrize("late_s", [-0.3, 0.0, 0.113, 1.5])
def test_what_was_told_whole_is_found_wherever_it_is(late_s: float) -> None:
    """Softer, later, or without the silence before it."""
    told = np.concatenate((silence(late_s), WORDS)) if late_s > 0 else WORDS[round(-late_s * RATE) :]
    assert share_told(WORDS, told * np.float32(0.1)) > 0.99


def test_what_was_not_told_is_missed() -> None:
    """The first half, the second half, or all of it."""
    half = len(WORDS) // 2
    first, second = share_told(WORDS, WORDS[:half]), share_told(WORDS, WORDS[half:])
    assert 0.3 < first < 0.7
    assert first + second == pytest.approx(1, abs=0.05)
    assert share_told(WORDS, silence(0)) == 0


def test_a_word_that_is_hardly_left_is_lost() -> None:
    """Forty decibels less than the others are no word any more; some less are one that is not clear."""
    half = len(WORDS) // 2
    first = share_told(WORDS, WORDS[:half])

    def softer(db: float) -> Sound:
        return np.concatenate((WORDS[:half], WORDS[half:] * np.float32(10 ** (-db / 20))))

    assert share_told(WORDS, softer(40)) == pytest.approx(first, abs=0.05)
    assert share_told(WORDS, softer(25)) > 0.99
    assert share_told(WORDS, softer(25), FADED_DB) == pytest.approx(first, abs=0.05)


def test_who_was_never_noticed_counts_as_later_than_all() -> None:
    """One of three does not change the median, and is the worst."""
    assert percentile([100.0, None, 200.0], 50) == 200
    assert percentile([100.0, None, 200.0], 95) is None
    assert percentile([], 50) is None


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target("≤", 400), 400.0, True),
        (Target("≤", 400), 401.0, False),
        (Target("≥", 95), 95.0, True),
        (Target("≥", 95), 94.0, False),
        (Target("≤", 400), None, False),
    ],
)
def test_a_target_is_a_limit(target: Target, value: float | None, *, met: bool) -> None:
    """At most so much, or at least; what there is not, meets nothing."""
    assert target.is_met(value) is met


def test_a_good_visit_meets_all_targets() -> None:
    """And the table fits a terminal."""
    rooms = dict.fromkeys("ABCD", GOOD)
    lines = list(table("cancel", rooms))
    assert is_met(rooms)
    assert len(lines) == 1 + len(ROWS)
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (but(replies=Replies(120.0, 1, 0)), "self_interruptions"),
        (but(replies=Replies(120.0, 0, 640)), "bytes_left"),
        (but(interruptions=[Interruption("numbers.raw", 6.0, 1.0, None, 0.98, 0.9)]), "barge_in_6_db_p50_ms"),
        (but(interruptions=[Interruption("numbers.raw", 0.0, 1.0, 200.0, 0.7, 0.9)]), "barge_in_0_db_told_percent"),
        (but(clatters=[Clatter("cough", 1.0, stopped=True)]), "coughs_stopped"),
        (but(clatters=[]), "clinks_stopped"),
        (replace(GOOD, offline=replace(GOOD.offline, attenuation_db=34.0)), "attenuation_db"),
        (replace(GOOD, memory_mib=13.0), "memory_mib"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_target_that_is_missed_is_told_with_its_room(bad: Measured, name: str) -> None:
    """And the whole is not met."""
    rooms = {"A": GOOD, "D": bad}
    (row,) = (row for row in ROWS if row.name == name)
    assert verdict(row, rooms) == "MISSED D"
    assert not is_met(rooms)


def test_a_visit_that_the_machine_was_too_slow_for_proves_nothing() -> None:
    """Neither met nor missed, whatever its figures are; what was measured without a visit still counts."""
    rooms = {"A": replace(GOOD, void="this machine was too slow 3 times")}
    verdicts = {row.name: verdict(row, rooms) for row in ROWS}
    assert verdicts["self_interruptions"] == "void A"
    assert verdicts["attenuation_db"] == "met"
    assert not is_met(rooms)
    assert list(table("cancel", rooms))[-1] == "A is void: this machine was too slow 3 times"


def test_a_visit_that_did_not_take_place_is_told_too() -> None:
    """A daemon that did not answer leaves a hole in the table, and not in the evening."""
    rooms = {"A": replace(GOOD, result=None, void="no answer")}
    assert not is_met(rooms)
    assert len(list(table("cancel", rooms))) == 1 + len(ROWS) + 1


def test_the_file_is_json_for_everybody() -> None:
    """What was never noticed is null, not a number that only Python can read."""
    never = but(interruptions=[Interruption("numbers.raw", 6.0, 1.0, None, 0.0, 0.0)])
    room = json.loads(json.dumps(as_json("A", "cancel", never, minutes=1), allow_nan=False))
    assert (room["room"], room["mode"], room["wanted"]) == ("A", "cancel", {"minutes": 1})
    assert room["figures"]["barge_in_6_db_p50_ms"] is None
    assert room["targets"]["barge_in_6_db_p50_ms"] == "MISSED"
    assert room["targets"]["attenuation_db"] == "met"
    assert room["interruptions"][0]["name"] == "numbers.raw"


def test_an_ear_is_told_of_a_sound_before_it_is_heard() -> None:
    """Without that, nothing could be taken out."""
    said = answers()[0][: 2 * SPEAKER_RATE]
    heard = list(replay(make_ear("cancel"), cut(said.tobytes(), SPEAKER_RATE), cut(bytes(4 * RATE), RATE)))
    assert len(heard) == 100
    assert heard[50].sounding


def test_the_echo_is_measured_without_a_visit() -> None:
    """With nothing done about it, all of it is left."""
    offline = measure("A", "off", answers()[0][: 10 * SPEAKER_RATE])
    assert offline.attenuation_db == pytest.approx(0, abs=0.1)
    assert offline.echo_db == pytest.approx(-33, abs=3)
    assert len(offline.periods_ms) == 500


def test_answers_are_long_and_nobody_in_them_talks_over_them() -> None:
    """A minute each."""
    assert {len(answer) for answer in answers()} == {ANSWER_S * SPEAKER_RATE}
    assert not any(name.startswith("librivox") for name in OVER)


def test_a_visit_can_be_seen(tmp_path: Path) -> None:
    """In a picture as wide as a screen."""
    assert GOOD.result is not None
    draw(Plan("A", "cancel", 1, 1, -30.0, ()), GOOD.result, tmp_path / "A.png")
    assert (tmp_path / "A.png").read_bytes().startswith(b"\x89PNG")
