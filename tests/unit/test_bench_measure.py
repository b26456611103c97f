"""From recordings to figures."""

import numpy as np
import pytest

from bench import measure
from bench.measure import Answer
from bench.sound import Sound, Start
from bench.stand_in import Event
from speakerd.errors import SpeakerdError


def sound(frames: int, seed: int = 1) -> bytes:
    """Return sound in which no two moments are alike."""
    return np.random.default_rng(seed).integers(-9000, 9000, frames, np.int16).tobytes()


def passed(pcm: bytes, rate: int, *starts: tuple[int, float]) -> Sound:
    return Sound(pcm, tuple(Start(frame, time, float(rate)) for frame, time in starts or [(0, 0.0)]))


def audio(at: float, octets: int, total: int) -> Event:
    return Event(at, 1, "audio", {"bytes": octets, "total": total})


def test_the_delay_begins_when_the_last_sample_was_at_the_microphone() -> None:
    """The 20 ms that a period takes to be said are not added by anybody."""
    said = sound(640)
    captured = passed(said, 16_000, (0, 10.0))
    events = [audio(10.0 + 319 / 16_000 + 0.003, 640, 640), audio(10.0 + 639 / 16_000 + 0.005, 640, 1280)]
    up = measure.uplink(events, said, captured)
    assert up.delays == pytest.approx([0.003, 0.005])
    assert up.lost == 0


def test_sound_that_never_left_is_counted() -> None:
    """A period that the program lost shows as its frames, and the next message is still found."""
    said = sound(960)
    heard = said[:640] + said[1280:]
    events = [audio(1.0, 640, 640), audio(2.0, 640, 1280)]
    up = measure.uplink(events, heard, passed(said, 16_000))
    assert up.lost == 320
    assert up.delays[1] == pytest.approx(2.0 - 959 / 16_000)


def test_silence_before_the_first_word_is_not_measured() -> None:
    """Silence looks the same at any moment, so nobody can say when it was."""
    said = bytes(640) + sound(320)
    events = [audio(1.0, 640, 640), audio(2.0, 640, 1280)]
    assert len(measure.uplink(events, said, passed(said, 16_000)).delays) == 1


def test_sound_of_unknown_origin_is_an_error() -> None:
    """A program that changes the sound cannot be measured by it."""
    with pytest.raises(SpeakerdError, match="never was at its microphone"):
        measure.uplink([audio(1.0, 640, 640)], sound(320, 2), passed(sound(320, 1), 16_000))


def test_only_what_begins_at_a_sample_is_found() -> None:
    """The same bytes across two samples are another sound."""
    pcm = b"\x01\x02\x03\x04\x02\x03"
    assert passed(pcm, 16_000).find(b"\x02\x03") == 2
    assert passed(pcm, 16_000).find(b"\x04\x02") is None


def test_a_moment_follows_from_the_last_start_before_it() -> None:
    """A loudspeaker that stood still between two answers is reckoned from its second start."""
    played = passed(sound(1000), 1000, (0, 5.0), (600, 9.0))
    assert played.moment(599) == pytest.approx(5.599)
    assert played.moment(600) == pytest.approx(9.0)


def test_an_answer_is_measured_from_its_first_byte_to_its_last_sample_before_the_silence() -> None:
    """Of an answer that was cut after 1000 frames, the first sample and the last one count."""
    whole, other = sound(4800, 1), sound(4800, 2)
    played = passed(whole[:2000] + other, 24_000, (0, 2.0), (1000, 4.0))
    said = [Answer(1.9, 2.01, whole), Answer(3.95, None, other)]
    down = measure.downlink(said, played)
    assert down.first_sounds == pytest.approx([0.1, 0.05])
    assert down.silences == pytest.approx([2.0 + 999 / 24_000 - 2.01])
    assert (down.torn, down.unheard) == (0, 0)


def test_an_answer_heard_to_its_end_was_not_silenced() -> None:
    """An interruption that came too late to cut anything is no evidence of anything."""
    whole = sound(4800)
    down = measure.downlink([Answer(0.0, 0.1, whole)], passed(whole, 24_000))
    assert down.silences == ()


def test_a_gap_within_an_answer_is_counted() -> None:
    """A loudspeaker that ran dry in mid-word started twice for one answer."""
    whole = sound(4800)
    down = measure.downlink([Answer(0.0, None, whole)], passed(whole, 24_000, (0, 0.0), (2000, 1.0)))
    assert down.torn == 1


def test_an_answer_that_never_sounded_is_counted() -> None:
    """It is missing in the other figures, so it must show in one of its own."""
    down = measure.downlink([Answer(0.0, None, sound(4800, 1))], passed(sound(4800, 2), 24_000))
    assert (down.first_sounds, down.unheard) == ((), 1)


def test_answers_are_told_apart_by_their_turns() -> None:
    """What was interrupted is the answer to the turn that the stand-in names, not the last one that began."""
    events = [
        Event(1.0, 1, "answer_start", {"turn": 1}),
        Event(2.0, 1, "answer_start", {"turn": 2}),
        Event(2.5, 1, "interrupted", {"turn": 2}),
        Event(3.0, 1, "interrupted", {"turn": 3}),
    ]
    said = list(measure.answers(events, [b"one", b"two"]))
    assert said == [Answer(1.0, None, b"one"), Answer(2.0, 2.5, b"two")]
