"""The picture of a conversation, drawn from one that is made up here."""

import struct
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from speakerd.simulate.evidence import Entry, Evidence, Sound
from speakerd.simulate.findings import findings
from speakerd.simulate.glow import colour_of
from speakerd.simulate.ledger import Answer, WireEvent
from speakerd.simulate.picture import compose, draw
from speakerd.state import State

BEGAN = 500.0

STATES = [(0.2, "connecting"), (0.7, "idle"), (1, "listening"), (3, "thinking"), (4, "speaking"), (7, "listening")]


def voice(seconds: float, rate: int, since: float, until: float) -> bytes:
    """Return so many seconds of S16_LE in which there is something to hear from and until a moment."""
    noise = np.random.default_rng(1).normal(0, 3000, round((until - since) * rate))
    sound = np.zeros(round(seconds * rate))
    sound[round(since * rate) :][: len(noise)] = noise
    return sound.astype("<i2").tobytes()


def conversation() -> Evidence:
    """Return ten seconds: a question, an answer that is cut off after three seconds, another question."""
    whole = voice(6, 24_000, 0, 6)
    wire = [WireEvent(BEGAN + 1 + tick / 50, 1, "in", "audio", {"bytes": 640}) for tick in range(400)]
    wire += [WireEvent(BEGAN + 4, 1, "out", "answer_start", {"text": "Yes.", "seconds": 6.0})]
    wire += [WireEvent(BEGAN + 4 + tick / 20, 1, "out", "audio_out", {"bytes": 9600}) for tick in range(30)]
    wire += [WireEvent(BEGAN + at, 1, "out", kind, {}) for at, kind in ((5.5, "generation_complete"),)]
    wire += [WireEvent(BEGAN + 7, 1, "out", kind, {}) for kind in ("interrupted", "turn_complete")]
    wire += [WireEvent(BEGAN + at, 1, "out", "turn_complete", {}) for at in (9, 9.2, 9.9)]
    return Evidence(
        BEGAN,
        BEGAN + 10,
        journal=[Entry(BEGAN + at, "state", {"state": state}) for at, state in STATES],
        wire=wire,
        answers=[Answer(1, 1, whole, whole, "It is a quarter past seven, and it rains.", interrupted=True)],
        questions=[(BEGAN + 1, "What is the time?"), (BEGAN + 6.8, "Stop!")],
        microphone=Sound(voice(11, 16_000, 2, 4), 16_000, BEGAN - 1),
        loudspeaker=Sound(voice(11, 24_000, 5, 8.02), 24_000, BEGAN - 1),
    )


def picture(evidence: Evidence, path: Path) -> NDArray[np.float64]:
    """Draw, and return the pixels: rows, columns, and red, green and blue from 0 to 1."""
    draw(evidence, findings(evidence), path)
    content = path.read_bytes()
    assert struct.unpack(">I", content[16:20]) == (1600,)
    return np.asarray(imread(path)[:, :, :3], np.float64)


def near(pixels: NDArray[np.float64], red: int, green: int, blue: int) -> NDArray[np.bool_]:
    """Return which pixels have a colour."""
    return np.asarray((np.abs(pixels - np.array([red, green, blue]) / 255) < 0.02).all(axis=2))


def test_the_states_have_the_light_s_colours(tmp_path: Path) -> None:
    """Somebody who knows the light can read the picture: green it hears, blue it speaks."""
    strongest = {state: np.argmax(colour_of(state)) for state in (State.ERROR, State.LISTENING, State.SPEAKING)}
    assert strongest == {State.ERROR: 0, State.LISTENING: 1, State.SPEAKING: 2}
    pixels = picture(conversation(), tmp_path / "picture.png")
    for state in (State.CONNECTING, State.LISTENING, State.THINKING, State.SPEAKING):
        assert near(pixels, *colour_of(state)).sum() > 1000, state


def test_the_interruption_goes_through_all_lanes(tmp_path: Path) -> None:
    """The moment of the interruption is one line from the microphone down to the loudspeaker."""
    pixels = picture(conversation(), tmp_path / "picture.png")
    red = (pixels[:, :, 0] - pixels[:, :, 1:].max(axis=2)) > 0.1
    assert np.max(np.sum(red, axis=0)) > 0.7 * len(pixels)
    column = int(np.argmax(np.sum(red, axis=0)))
    assert column / 1600 == pytest.approx(0.118 + 0.7 * (0.982 - 0.118), abs=0.01)


def test_nothing_is_said_twice_or_left_out() -> None:
    """Questions, answer, delay and what went over the wire are named, and no text covers another."""
    evidence = conversation()
    figure = compose(evidence, findings(evidence))
    figure.canvas.draw()
    texts = [text for axes in figure.axes for text in axes.texts] + figure.texts
    written = " ".join(" ".join(text.get_text().split()) for text in texts)
    for words in (
        "“What is the time?”", "“Stop!”", "quarter past seven", "interrupted", "20 ms later", "turn complete",
        "all is sent", "CONNECTING", "LISTENING", "SPEAKING", "6.0 s of speech in 1.5 s", "Loudspeaker",
    ):  # fmt: skip
        assert words in written
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    pairs = [(one, two) for i, one in enumerate(boxes) for two in boxes[:i]]
    assert not [pair for pair in pairs if pair[0].overlaps(pair[1])]
    assert all(box.x0 >= 0 and box.x1 <= 1600 for box in boxes)


def test_a_picture_without_sounds_is_drawn_from_the_journal(tmp_path: Path) -> None:
    """Real devices are not recorded: state, light and wire are drawn all the same."""
    evidence = conversation()
    evidence.microphone = evidence.loudspeaker = None
    evidence.answers.clear()
    pixels = picture(evidence, tmp_path / "picture.png")
    assert near(pixels, *colour_of(State.SPEAKING)).sum() > 1000


def test_a_conversation_that_never_began_is_drawn_too(tmp_path: Path) -> None:
    """When something failed at once, the picture shows that nothing happened."""
    picture(Evidence(BEGAN, BEGAN + 0.1), tmp_path / "picture.png")
    nothing = Evidence(BEGAN, BEGAN + 2, microphone=Sound(b"", 16_000, BEGAN), loudspeaker=Sound(b"", 24_000, BEGAN))
    picture(nothing, tmp_path / "picture.png")
