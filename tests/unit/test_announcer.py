"""When the speaker says something by itself, and how loud."""

import datetime as dt
import math
from array import array

import pytest

from speakerd.settings import QuietHours, Sounds
from speakerd.sound import announcer, chimes
from speakerd.sound.announcer import Announcer
from speakerd.sound.notices import Notice
from speakerd.sound.reply import BYTES_PER_MS, Reply
from speakerd.sound.volume import gain

SPOKEN = {notice: bytes([0, 10 + number]) * 24_000 for number, notice in enumerate(Notice)}
"""A second of sound for each notice, none like another."""

ANSWER = b"\1\0" * 24_000


class Kitchen:
    """A speaker with a real queue, read as its thread does, in a kitchen with clocks that stand still."""

    def __init__(
        self, sounds: Sounds | None = None, quiet: QuietHours | None = None, spoken: dict[Notice, bytes] = SPOKEN
    ) -> None:
        self.reply = Reply(prebuffer_ms=80)
        self.playing = False
        self.seconds = 1000.0
        self.clock = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
        self.languages: set[str] = set()

        def say(notice: Notice, language: str) -> bytes | None:
            self.languages.add(language)
            return spoken.get(notice)

        self.announcer = Announcer(
            self.reply,
            sounds or Sounds(),
            quiet or QuietHours(),
            "de-AT",
            busy=lambda: self.playing,
            say=say,
            seconds=lambda: self.seconds,
            now=lambda: self.clock,
        )

    def heard(self) -> bytes:
        """Return what the loudspeaker plays until it has nothing more to play; nothing is b""."""
        if self.reply.is_empty:
            return b""
        self.playing = True
        taken = bytearray(self.reply.begin() or b"")
        while block := self.reply.more():
            taken += block
        self.playing = False
        self.announcer.free()
        return bytes(taken)

    def answers(self, pcm: bytes = ANSWER) -> None:
        """Let the model begin an answer."""
        self.reply.write(pcm)

    def answered(self) -> None:
        """Let the model end it."""
        self.reply.end_turn()
        self.announcer.free()


def level(pcm: bytes) -> int:
    return max(array("h", pcm))


def test_a_chime_is_heard_at_once() -> None:
    """It does not wait for more sound, as an answer does, however short it is."""
    kitchen = Kitchen()
    kitchen.announcer.chime(chimes.muted)
    assert kitchen.reply.begin() == chimes.muted()[: 80 * BYTES_PER_MS]


def test_nothing_goes_into_an_answer() -> None:
    """A notice waits for its end, also where the network pauses in the middle."""
    kitchen = Kitchen()
    kitchen.answers()
    kitchen.announcer.notice(Notice.CLOCK)
    assert kitchen.heard() == ANSWER  # the queue has run dry, but more is to come
    assert kitchen.heard() == b""
    kitchen.answers()
    kitchen.answered()
    assert kitchen.heard() == ANSWER
    assert kitchen.heard() == SPOKEN[Notice.CLOCK]


def test_an_answer_is_over_when_it_was_heard() -> None:
    """All of it is here long before all of it is played."""
    kitchen = Kitchen()
    kitchen.answers()
    kitchen.answered()
    kitchen.announcer.notice(Notice.CLOCK)
    assert kitchen.heard() == ANSWER
    assert kitchen.heard() == SPOKEN[Notice.CLOCK]


def test_a_missing_loudspeaker_is_waited_for() -> None:
    """What nobody could hear is said when the cable is in again."""
    kitchen = Kitchen()
    kitchen.playing = True  # or missing: the same to the announcer
    kitchen.announcer.notice(Notice.KEY)
    assert kitchen.reply.is_empty
    kitchen.playing = False
    kitchen.announcer.free()
    assert kitchen.heard() == SPOKEN[Notice.KEY]


def test_a_chime_that_comes_too_late_is_not_played() -> None:
    """Two seconds after the press nobody knows what it means any more; one second after it, everybody."""
    kitchen = Kitchen()
    for late, chime in ((1.0, chimes.muted()), (2.5, b"")):
        kitchen.answers()
        kitchen.announcer.chime(chimes.muted)
        kitchen.seconds += late
        kitchen.answered()
        assert kitchen.heard() == ANSWER
        assert kitchen.heard() == chime


def test_only_the_last_of_many_presses_chimes() -> None:
    """Who presses on and on hears where it ended."""
    kitchen = Kitchen()
    kitchen.announcer.chime(chimes.muted)
    for _ in range(3):
        kitchen.announcer.chime(chimes.unmuted)
        kitchen.announcer.chime(chimes.muted)
    assert kitchen.heard() + kitchen.heard() == chimes.muted() * 2
    assert kitchen.heard() == b""


def test_a_chime_goes_before_notices() -> None:
    """The hand on the button is answered first; then notices follow, one by one."""
    kitchen = Kitchen()
    kitchen.answers()
    kitchen.announcer.notice(Notice.CLOCK)
    kitchen.announcer.notice(Notice.MICROPHONE)
    kitchen.announcer.chime(chimes.muted)
    kitchen.answered()
    heard = [kitchen.heard() for _ in range(5)]
    assert heard == [ANSWER, chimes.muted(), SPOKEN[Notice.CLOCK], SPOKEN[Notice.MICROPHONE], b""]


def test_a_cause_is_told_once() -> None:
    """It is not said again every minute that the internet is away."""
    kitchen = Kitchen()
    kitchen.answers()
    for _ in range(3):
        kitchen.announcer.notice(Notice.OFFLINE)
        kitchen.seconds += 3600
    kitchen.answered()
    assert [kitchen.heard() for _ in range(3)] == [ANSWER, SPOKEN[Notice.OFFLINE], b""]
    kitchen.seconds += 3600
    kitchen.announcer.notice(Notice.OFFLINE)
    assert kitchen.heard() == b""


def test_a_cause_that_comes_again_is_told_again() -> None:
    """Tomorrow's outage is another one."""
    kitchen = Kitchen()
    for _ in range(2):
        kitchen.announcer.notice(Notice.OFFLINE)
        assert kitchen.heard() == SPOKEN[Notice.OFFLINE]
        kitchen.announcer.over(Notice.OFFLINE)
        kitchen.seconds += 601


def test_a_cause_that_comes_and_goes_is_told_every_ten_minutes_at_most() -> None:
    """A loose cable does not make the speaker talk all the time."""
    kitchen = Kitchen()
    told = 0
    for _ in range(60):  # half an hour
        kitchen.announcer.notice(Notice.OFFLINE)
        told += kitchen.heard() == SPOKEN[Notice.OFFLINE]
        kitchen.announcer.over(Notice.OFFLINE)
        kitchen.seconds += 30
    assert told == 3


def test_a_cause_that_came_back_for_good_is_told_in_the_end() -> None:
    """The second outage within ten minutes may be the long one."""
    kitchen = Kitchen()
    kitchen.announcer.notice(Notice.OFFLINE)
    kitchen.heard()
    kitchen.announcer.over(Notice.OFFLINE)
    told = []
    for _ in range(5):  # as dial after dial fails
        kitchen.seconds += 200
        kitchen.announcer.notice(Notice.OFFLINE)
        told.append(kitchen.heard() == SPOKEN[Notice.OFFLINE])
    assert told == [False, False, True, False, False]


def test_a_cause_that_has_passed_is_not_told() -> None:
    """What waited for the end of an answer may not be true any more; it is told when it comes again."""
    kitchen = Kitchen()
    kitchen.answers()
    kitchen.announcer.notice(Notice.CLOCK)
    kitchen.announcer.over(Notice.CLOCK)
    kitchen.answered()
    assert [kitchen.heard(), kitchen.heard()] == [ANSWER, b""]
    kitchen.announcer.notice(Notice.CLOCK)
    assert kitchen.heard() == SPOKEN[Notice.CLOCK]


def test_without_words_it_chimes() -> None:
    """Where nobody built the notices, one hears at least that something is wrong."""
    kitchen = Kitchen(spoken={})
    kitchen.announcer.notice(Notice.OFFLINE)
    assert kitchen.heard() == chimes.unreachable()


def test_the_language_is_that_of_the_assistant() -> None:
    """The notices speak as the model does."""
    kitchen = Kitchen()
    kitchen.announcer.notice(Notice.OFFLINE)
    assert kitchen.languages == {"de-AT"}


def test_the_end_of_a_broken_answer_is_right_behind_it() -> None:
    """One hears that the rest is missing, however much of the answer is still to be heard."""
    kitchen = Kitchen()
    kitchen.answers()
    kitchen.reply.end_turn()
    kitchen.announcer.broke_off()
    assert kitchen.heard() == ANSWER + chimes.lost()


@pytest.mark.parametrize(
    ("sounds", "chime", "played"),
    [
        (Sounds(), chimes.muted, True),
        (Sounds(), chimes.listening, False),
        (Sounds(listening=True, chimes=False), chimes.listening, True),
        (Sounds(chimes=False), chimes.unmuted, False),
        (Sounds(chimes=False), chimes.forgotten, False),
        (Sounds(chimes=False), chimes.unreachable, True),
        (Sounds(notices=False), chimes.muted, True),
        (Sounds(notices=False), chimes.unreachable, False),
    ],
)
def test_each_kind_of_sound_can_be_turned_off(sounds: Sounds, chime: chimes.Chime, played: bool) -> None:
    """Who wants no chimes hears none, and still hears what is wrong."""
    kitchen = Kitchen(sounds)
    kitchen.announcer.chime(chime)
    assert kitchen.heard() == (chime() if played else b"")


def test_notices_can_be_turned_off() -> None:
    """The light is enough for some."""
    kitchen = Kitchen(Sounds(notices=False))
    kitchen.announcer.notice(Notice.OFFLINE)
    kitchen.answers()
    kitchen.reply.end_turn()
    kitchen.announcer.broke_off()
    assert [kitchen.heard(), kitchen.heard()] == [ANSWER, b""]


def test_half_the_volume_sounds_half_as_loud() -> None:
    """That is 10 dB less; 100 changes nothing, and 0 is silence."""
    assert gain(100) == 1.0
    assert gain(0) == 0.0
    for percent in (10, 30, 50):
        assert 20 * math.log10(gain(percent) / gain(2 * percent)) == pytest.approx(-10, abs=0.1)


def test_the_volume_is_that_of_the_settings() -> None:
    """Chimes and notices alike; the model's answers have a volume of their own."""
    kitchen = Kitchen(Sounds(volume=50))
    kitchen.announcer.chime(chimes.muted)
    assert level(kitchen.heard()) == pytest.approx(level(chimes.muted()) * gain(50), abs=1)
    kitchen.announcer.notice(Notice.KEY)
    assert level(kitchen.heard()) == pytest.approx(level(SPOKEN[Notice.KEY]) * gain(50), abs=1)
    kitchen.answers()
    assert kitchen.heard() == ANSWER


def test_quiet_hours_can_be_silent() -> None:
    """With 0 nothing is heard at night, and nothing of it is made up for in the morning."""
    kitchen = Kitchen(quiet=QuietHours(begin="22:00", end="07:00", volume=0))
    kitchen.clock = kitchen.clock.replace(hour=3)
    kitchen.announcer.notice(Notice.OFFLINE)
    kitchen.announcer.notice(Notice.CLOCK)
    kitchen.announcer.chime(chimes.muted)
    kitchen.clock = kitchen.clock.replace(hour=8)
    kitchen.announcer.free()
    assert kitchen.heard() == b""
    assert not kitchen.announcer.is_speaking


@pytest.mark.parametrize(
    ("begin", "end", "at", "quiet"),
    [
        ("22:00", "07:00", "21:59", False),
        ("22:00", "07:00", "22:00", True),
        ("22:00", "07:00", "00:00", True),
        ("22:00", "07:00", "06:59", True),
        ("22:00", "07:00", "07:00", False),
        ("13:00", "15:00", "12:59", False),
        ("13:00", "15:00", "14:59", True),
        ("13:00", "15:00", "15:00", False),
        ("08:00", "08:00", "08:00", False),
        (None, None, "03:00", False),
    ],
)
def test_quiet_hours_begin_and_end(begin: str | None, end: str | None, at: str, quiet: bool) -> None:
    """They may last over midnight; the first minute belongs to them, the last one not."""
    now = dt.datetime.strptime(f"2026-11-23 {at} +0100", "%Y-%m-%d %H:%M %z")
    assert QuietHours(begin=begin, end=end).are_on(now) is quiet


def hears_ourselves(kitchen: Kitchen) -> bool:
    return kitchen.announcer.is_speaking


@pytest.mark.parametrize("sound", ["chime", "notice"])
def test_the_microphone_can_know_that_it_hears_a_sound_of_our_own(sound: str) -> None:
    """Or the speaker would take its own words for a question, and send them once the internet is back."""
    kitchen = Kitchen()
    assert not hears_ourselves(kitchen)
    if sound == "chime":
        kitchen.announcer.chime(chimes.unmuted)
    else:
        kitchen.announcer.notice(Notice.OFFLINE)
    assert hears_ourselves(kitchen)
    kitchen.seconds += len(kitchen.heard()) / 48_000
    assert hears_ourselves(kitchen)
    kitchen.seconds += announcer.ECHO_S + 0.01
    assert not hears_ourselves(kitchen)


def test_what_sounds_over_talk_does_not_cut_it_off() -> None:
    """A chime for whoever begins to talk, and one for an answer that broke off, cost nobody a word."""
    kitchen = Kitchen(Sounds(listening=True))
    kitchen.announcer.chime(chimes.listening)
    kitchen.announcer.broke_off()
    assert kitchen.heard()
    assert not kitchen.announcer.is_speaking


def test_a_notice_waits_until_nobody_talks() -> None:
    """Nobody is talked over, and no words are lost below it."""
    talking = True
    reply = Reply(80)
    kitchen = Announcer(reply, Sounds(), QuietHours(), "en-US", busy=lambda: False, talking=lambda: talking)
    kitchen.notice(Notice.OFFLINE)
    kitchen.free()
    assert reply.is_empty
    talking = False
    kitchen.free()
    assert not reply.is_empty
