"""What is said to the programs that are measured."""

from pathlib import Path

from bench.track import RATE, THINKING_S, compose, write_answers
from speakerd.simulate.ears import Ears, SpeechEnd, SpeechStart
from speakerd.simulate.script import Script


def test_the_stand_in_hears_every_question_and_nothing_else() -> None:
    """Silence stays silence, the long speech is one turn, and each question is one more."""
    track = compose(3.0, 4)
    heard = Ears().hear(track.pcm)
    starts = [change.offset for change in heard if isinstance(change, SpeechStart)]
    ends = [change.seconds for change in heard if isinstance(change, SpeechEnd)]
    assert len(starts) == len(ends) == 5
    assert track.silence.end <= starts[0] < track.speech.start + 0.2
    assert abs(ends[0] - 3.0) < 0.2


def test_no_two_moments_are_alike() -> None:
    """Any 20 ms, of silence too, say where they are from."""
    track = compose(3.0, 2)
    period = RATE // 50 * 2
    periods = [track.pcm[at : at + period] for at in range(0, len(track.pcm) - period, period)]
    assert len(set(periods)) == len(periods)
    assert len({answer[:480].tobytes() for answer in track.answers}) == len(track.answers) == 3


def test_cpu_is_counted_in_parts_that_do_not_overlap() -> None:
    """Silence, speech and reply follow each other, and each takes what was asked for."""
    track = compose(3.0, 2)
    spans = [track.silence, track.speech, track.reply]
    assert [round(span.end - span.start, 6) for span in spans] == [3.0, 3.0, 3.0]
    assert track.silence.end <= track.speech.start
    assert track.speech.end <= track.reply.start
    assert track.reply.end <= track.seconds


def test_the_stand_in_takes_the_script(tmp_path: Path) -> None:
    """It finds every answer and knows every word."""
    wanted = write_answers(compose(3.0, 2).answers, tmp_path)
    script = Script.model_validate(wanted)
    assert script.thinking == THINKING_S
    assert len(script.answers) == 3
    assert all(Path(answer["wav"]).exists() for answer in wanted["answers"])
