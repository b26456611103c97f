"""Our own voice, and what keeps it out."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from bench.room_measure import onset_s, share_told
from speakerd.errors import SpeakerdError
from speakerd.simulate.acoustics import ROOMS, Room, Talk
from speakerd.simulate.levels import as_sound, at_level, level_db
from speakerd.simulate.noises import fan
from speakerd.simulate.talkers import RECORDINGS, recording
from speakerd.sound.calibration import Calibration
from speakerd.sound.canceller import Canceller, make_canceller
from speakerd.sound.echo import Cleaned, Echo, Measured, Mode

PERIOD = 320
AHEAD_S = 0.16
"""So long before it sounds the loudspeaker's thread knows a block."""


class Nothing:
    """A canceller that takes out nothing, as if the delay were a second."""

    def process(self, near: bytes, far: bytes) -> bytes:
        return near

    def reset(self) -> None: ...


class House:
    """A loudspeaker and a microphone in a room, without devices."""

    def __init__(
        self,
        room: Room,
        mode: Mode | str = "auto",
        make: Callable[[], Canceller] = make_canceller,
        known: Calibration | None = None,
    ) -> None:
        self.room = room
        self.decided: list[tuple[Mode, Measured]] = []

        def decided(mode: Mode, measured: Measured) -> None:
            self.decided.append((mode, measured))

        self.echo = Echo(mode, 10.0, make, decided, known=known)  # type: ignore[arg-type]  # as a test names it

    def speak(self, said: npt.NDArray[np.int16], *talks: Talk, noise_db: float = -65.0) -> list[Cleaned]:
        """Play this, while others talk over a fan; return what the ear makes of each period."""
        seconds = len(said) / 24_000
        noise = at_level(fan(seconds, np.random.default_rng(3)), noise_db)
        heard = self.room.hear(said, talks, noise=noise, seed=1)
        cleaned, played, now = [], 0, 1000.0
        for at in range(0, len(heard) - PERIOD + 1, PERIOD):
            while played < len(said) and played / 24_000 < at / 16_000 + AHEAD_S:
                self.echo.played(said[played : played + 480].tobytes(), now + played / 24_000)
                played += 480
            cleaned.append(self.echo.clean(heard[at : at + PERIOD].tobytes(), now + at / 16_000))
        return cleaned


def answer(seconds: float) -> npt.NDArray[np.int16]:
    """Return a long answer, 24 kHz."""
    talk = np.concatenate([at_level(recording(name), -20) for name in RECORDINGS])
    repeated = np.tile(talk, 1 + round(seconds * 16_000 / len(talk)))[: round(seconds * 16_000)]
    return np.asarray(np.clip(soxr.resample(repeated, 16_000, 24_000) * 32767, -32768, 32767), np.int16)


def level_of(periods: list[Cleaned]) -> float:
    samples = as_sound(b"".join(period.pcm for period in periods))
    return float(10 * np.log10(np.mean(samples**2) + 1e-10))


@pytest.mark.parametrize("name", "ABCD")
def test_the_echo_is_taken_out(name: str) -> None:
    """In each of the rooms at least 35 dB of our own voice are gone after three seconds."""
    said = answer(10)
    heard = ROOMS[name].hear(said, seed=1)
    cleaned = House(ROOMS[name]).speak(said, noise_db=-90)
    before = float(10 * np.log10(np.mean(as_sound(heard[3 * 16_000 : 9 * 16_000]) ** 2)))
    assert before - level_of(cleaned[150:450]) >= 35


def test_a_loudspeaker_that_is_late_is_cancelled_once_that_is_known() -> None:
    """Six tenths of a second, as over Bluetooth, are too long for a canceller that was not told."""
    room, said = Room(-6, 0.6, 0.2), answer(10)
    heard = room.hear(said, seed=1)
    before = float(10 * np.log10(np.mean(as_sound(heard[3 * 16_000 : 9 * 16_000]) ** 2)))
    told, untold = (
        House(room, "cancel", known=known).speak(said, noise_db=-90) for known in (Calibration("cancel", 560), None)
    )
    assert before - level_of(told[150:450]) >= 35
    assert before - level_of(untold[150:450]) < 20


def test_a_headset_is_known_after_the_first_words() -> None:
    """Who talks over them is then heard as if nobody else spoke; a canceller that looks for an echo would hide it."""
    house, said, talk = House(ROOMS["quiet"]), answer(8), at_level(recording("goforward.raw"), -30)
    periods = house.speak(said, Talk(3.0, talk))
    assert [mode for mode, _ in house.decided] == ["off"]
    assert share_told(talk, as_sound(b"".join(period.pcm for period in periods[150:]))) > 0.97


def test_a_headset_is_known_although_somebody_talked_over_the_first_words() -> None:
    """Then it is known as soon as we were heard alone for a while."""
    house, said = House(ROOMS["quiet"]), answer(8)
    house.speak(said, Talk(0.2, at_level(recording("cards/001.wav"), -30)))
    assert [mode for mode, _ in house.decided] == ["off"]


def test_auto_begins_with_what_was_measured() -> None:
    """A headset needs no ten seconds to find out that it is one."""
    assert House(ROOMS["quiet"], known=Calibration("off")).echo.mode == "off"
    assert House(ROOMS["quiet"], "cancel", known=Calibration("off")).echo.mode == "cancel"


def test_who_talks_while_we_are_silent_is_heard_as_before() -> None:
    """The canceller does nothing to a voice that meets no echo."""
    house = House(ROOMS["B"])
    said = np.zeros(24_000 * 4, np.int16)
    voice = Talk(1.0, at_level(recording("goforward.raw"), -30))
    cleaned = house.speak(said, voice)
    assert not any(period.sounding for period in cleaned)
    assert level_of(cleaned[75:150]) == pytest.approx(-30, abs=4)


def test_somebody_who_talks_over_us_stands_out() -> None:
    """What is left of a voice as loud as the echo is far above what is left of the echo."""
    house, said = House(ROOMS["C"]), answer(12)
    loud = ROOMS["C"].echo_db(said)
    cleaned = house.speak(said, Talk(8.0, at_level(recording("goforward.raw"), loud)))
    alone, both = cleaned[200:390], cleaned[425:500]
    assert sum(period.near_db > period.residual_db + 10 for period in alone) < len(alone) * 0.05
    assert sum(period.near_db > period.residual_db + 10 for period in both) > len(both) * 0.5


@pytest.mark.parametrize("name", "CD")
def test_the_first_syllable_of_who_talks_over_us_is_kept(name: str) -> None:
    """A canceller that takes it for echo at first leaves no hole in what they say."""
    house, said, talk = House(ROOMS[name]), answer(14), recording("cards/003.wav")
    talk = at_level(talk, ROOMS[name].echo_db(said) + 6)
    periods = house.speak(said, Talk(8.0, talk))[round((8.0 + onset_s(talk)) * 50) :][: len(talk) // 320 - 10]
    kept = as_sound(b"".join(period.words or period.pcm for period in periods))
    cleaned = as_sound(b"".join(period.pcm for period in periods))
    assert share_told(talk, cleaned) < 0.95
    assert share_told(talk, kept) > 0.97


@pytest.mark.parametrize("name", "ABCD")
def test_our_own_voice_alone_is_not_taken_for_words(name: str) -> None:
    """Only its loudest moments are kept for the case that somebody talks."""
    periods = House(ROOMS[name]).speak(answer(12))[150:]
    assert sum(period.words is not None for period in periods) < len(periods) * 0.25


@pytest.mark.parametrize(
    ("room", "make", "wanted"),
    [
        (ROOMS["B"], make_canceller, "cancel"),
        (Room(level_db=-80), make_canceller, "off"),
        (ROOMS["B"], Nothing, "half-duplex"),
    ],
    ids=["a-room", "a-microphone-that-cancels", "a-canceller-that-fails"],
)
def test_it_finds_out_what_works(room: Room, make: Callable[[], Canceller], wanted: str) -> None:
    """After ten seconds of our voice it is known, and told once."""
    house = House(room, make=make)
    house.speak(np.concatenate([np.zeros(24_000 * 2, np.int16), answer(40)]), noise_db=-50)
    assert [mode for mode, _ in house.decided] == [wanted]
    assert house.echo.mode == wanted


def test_in_half_duplex_only_who_is_far_louder_is_heard() -> None:
    """Our own voice is silence, also where nothing takes it out; somebody beside the microphone is heard."""
    house, said = House(ROOMS["A"], "half-duplex", Nothing), answer(16)
    loud = ROOMS["A"].echo_db(said)
    cleaned = house.speak(said, Talk(12.0, at_level(recording("goforward.raw"), loud + 25)))
    alone, both = cleaned[300:590], cleaned[625:700]
    assert sum(any(period.pcm) for period in alone if period.sounding) < len(alone) * 0.03
    assert sum(any(period.pcm) for period in both) > len(both) * 0.5


def test_off_changes_nothing() -> None:
    """A microphone that cancels by itself is believed."""
    house, said = House(ROOMS["A"], "off"), answer(1)
    noise = at_level(fan(1.0, np.random.default_rng(3)), -65.0)
    heard = ROOMS["A"].hear(said, noise=noise, seed=1)
    assert b"".join(period.pcm for period in house.speak(said)) == heard.tobytes()


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chose a canceller that is not there is told how to get it, and how to do without."""
    monkeypatch.setitem(__import__("sys").modules, "livekit", None)
    with pytest.raises(SpeakerdError, match=r"pip install livekit.*echo\.mode to off"):
        make_canceller("livekit")


def test_level_is_that_of_the_recordings() -> None:
    """The scenes above are as loud as they say."""
    assert level_db(at_level(recording("goforward.raw"), -30)) == pytest.approx(-30, abs=0.1)
