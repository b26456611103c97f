"""The heart, with a link and a light that only listen."""

import asyncio
import random
import time
from array import array

import pytest

from speakerd import assistant, troubles
from speakerd.assistant import Assistant
from speakerd.errors import Cause, LinkError
from speakerd.live.events import Audio, Interrupted, TurnComplete, Usage
from speakerd.live.verdict import Next, Verdict
from speakerd.settings import Settings
from speakerd.sound import chimes, utterance
from speakerd.sound.ear import Sound
from speakerd.sound.notices import Notice, sound_of
from speakerd.sound.reply import Reply
from speakerd.state import State

SILENCE = bytes(640)


def loud() -> bytes:
    return array("h", (random.randint(-8000, 8000) for _ in range(320))).tobytes()


class Kitchen:
    """An assistant, and everything that it talks to."""

    def __init__(self, gate: str = "off") -> None:
        self.reply = Reply(80)
        self.states: list[State] = []
        self.renewals: list[bool] = []
        self.ducked: list[bool] = []
        self.sends = True
        self.hushed = 0
        self.sent: list[bytes] = []
        self.ends = 0
        self.assistant = Assistant(self.reply, Settings.model_validate({"listen": {"gate": gate}}))
        self.assistant.link = self
        self.assistant.speaker = self
        self.assistant.light = self
        self.assistant.started()
        self.assistant.went_up()

    def send(self, pcm: bytes) -> None:
        self.sent.append(pcm)
        if self.sends:
            self.assistant.sound_left(len(pcm))

    def end_sound(self) -> None:
        self.ends += 1

    def hush(self) -> None:
        self.hushed += 1

    def renew(self, why: str, *, restart: bool) -> None:
        self.renewals.append(restart)

    def drop(self) -> int:
        return self.reply.cut()

    def duck(self, *, ducked: bool) -> None:
        self.ducked.append(ducked)

    def show(self, state: State) -> None:
        self.states.append(state)

    def shown(self) -> State:
        """Return what the light shows."""
        return self.states[-1]

    def passes(self, ms: int, *, noise: bool = False) -> None:
        for _ in range(ms // 20):
            self.assistant.hear(Sound(loud(), 1.0) if noise else Sound(SILENCE, 0.0))

    def played(self) -> bytes:
        """Return all that is queued for the loudspeaker; where that is nothing, there is nothing to wait for."""
        pcm = b"" if self.reply.is_empty else self.reply.begin() or b""
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
    assert kitchen.shown() is State.THINKING


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
    assert kitchen.shown() is not State.THINKING


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
    kitchen.assistant.went_down(LinkError("gone", code=1006), Verdict(Next.RESUME))
    assert kitchen.played() == bytes(4800) + chimes.lost()


async def test_what_was_said_before_the_button_went_down_is_forgotten() -> None:
    """Nothing of it is told to the next connection, and what comes after it is not heard."""
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.assistant.deafen()
    assert kitchen.hushed == 1
    kitchen.passes(800, noise=True)
    assert kitchen.assistant.to_tell_again() == b""
    assert kitchen.assistant.just_heard() == b""
    assert kitchen.shown() is State.IDLE
    kitchen.assistant.undeafen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    assert kitchen.shown() is State.LISTENING


async def test_muted_in_the_middle_of_an_answer_it_is_heard_to_its_end() -> None:
    """The microphone is deaf, not the loudspeaker dumb."""
    kitchen = Kitchen()
    kitchen.assistant.happened(Audio(b"\1" * 4800))
    kitchen.assistant.deafen()
    kitchen.assistant.muted(muted=True, trouble=None)
    kitchen.assistant.happened(Audio(b"\2" * 4800))
    assert kitchen.shown() is State.MUTED
    assert b"\1" * 4800 + b"\2" * 4800 in kitchen.played()


async def test_a_mute_that_does_not_hold_is_an_error_and_no_mute() -> None:
    """The light does not claim what is not so."""
    kitchen = Kitchen()
    kitchen.assistant.muted(muted=True, trouble="the disk is full")
    assert kitchen.shown() is State.ERROR
    assert State.MUTED not in kitchen.states
    kitchen.assistant.muted(muted=False, trouble=None)
    assert kitchen.shown() is State.IDLE


async def test_sound_that_leaves_all_the_same_is_an_error() -> None:
    """Whatever the reason, the light does not go on to say that nothing leaves."""
    kitchen = Kitchen()
    kitchen.assistant.deafen()
    kitchen.assistant.muted(muted=True, trouble=None)
    assert kitchen.shown() is State.MUTED
    kitchen.assistant.sound_left(640)
    assert kitchen.shown() is State.ERROR


async def test_talk_that_stays_in_the_house_is_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """When somebody talks and nothing leaves, the journal says so, once for each time."""
    kitchen = Kitchen()
    kitchen.sends = False
    for _ in range(2):
        kitchen.passes(1000)
        kitchen.passes(3000, noise=True)
    assert State.LISTENING not in kitchen.states
    assert len([line for line in caplog.messages if "no sound leaves" in line]) == 2


async def test_held_for_long_the_button_is_seen_to_work() -> None:
    """The request to be set up shows for a while, whatever else is so."""
    kitchen = Kitchen()
    kitchen.assistant.muted(muted=True, trouble=None)
    kitchen.assistant.set_up()
    assert kitchen.shown() is State.SETUP


async def test_held_for_long_twice_it_shows_for_as_long_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the first request does not end the second."""
    monkeypatch.setattr(assistant, "SET_UP_S", 0.5)
    kitchen = Kitchen()
    kitchen.assistant.set_up()
    await asyncio.sleep(0.3)
    kitchen.assistant.set_up()
    await asyncio.sleep(0.35)
    assert kitchen.shown() is State.SETUP
    async with asyncio.timeout(5):
        while kitchen.shown() is State.SETUP:  # noqa: ASYNC110 - the light tells nobody
            await asyncio.sleep(0.02)


async def test_since_when_it_is_so_is_known() -> None:
    """The clock at the last change of state, and not at the last fact."""
    kitchen = Kitchen()
    kitchen.passes(1000)
    changed = kitchen.assistant.since
    assert abs(time.monotonic() - changed) < 5
    await asyncio.sleep(0.01)
    kitchen.assistant.went_up()
    assert kitchen.assistant.since == changed
    kitchen.passes(800, noise=True)
    assert kitchen.assistant.since > changed


def turns_told(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [vars(record) for record in caplog.records if vars(record).get("event") == "turn"]


async def test_a_turn_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """When the answer has been heard, the journal says how long it took and what it cost."""
    caplog.set_level("INFO")
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.assistant.happened(Audio(bytes(4800)))
    kitchen.assistant.playing_changed(True)
    kitchen.assistant.happened(Usage(100, 10, 110))
    kitchen.assistant.happened(TurnComplete())
    assert not turns_told(caplog)
    await asyncio.sleep(0.05)
    kitchen.assistant.playing_changed(False)
    (line,) = turns_told(caplog)
    assert (line["turn"], line["reason"], line["tokens_in"], line["tokens_out"]) == (1, None, 100, 10)
    assert line["cost_usd"] == pytest.approx(0.00042)
    assert kitchen.assistant.usage.today.tokens_in == 100
    assert kitchen.assistant.turns.totals.bytes_down == 4800
    assert kitchen.assistant.turns.totals.bytes_up == (1000 + 800) * 32


async def test_a_turn_that_no_loudspeaker_plays_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody pulled its plug; the tokens are paid for, and the line says that nothing was heard."""
    caplog.set_level("INFO")
    kitchen = Kitchen()
    kitchen.assistant.speaker_changed("it went away")
    kitchen.assistant.happened(Audio(bytes(48000)))
    kitchen.assistant.happened(Usage(100, 10, 110))
    kitchen.assistant.happened(TurnComplete())
    (line,) = turns_told(caplog)
    assert line["answer_ms"] == 0


async def test_a_loudspeaker_that_goes_away_ends_the_turn(caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the answer is not said to nobody, and its line does not wait for the loudspeaker's return."""
    caplog.set_level("INFO")
    kitchen = Kitchen()
    kitchen.assistant.happened(Audio(bytes(480_000)))
    kitchen.assistant.playing_changed(True)
    kitchen.assistant.happened(Usage(100, 10, 110))
    kitchen.assistant.happened(TurnComplete())
    kitchen.assistant.playing_changed(False)
    assert not turns_told(caplog)
    kitchen.assistant.speaker_changed("it went away")
    assert len(turns_told(caplog)) == 1


async def test_a_turn_that_the_button_ends_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever begins anew in mid-answer finds it in the journal, and the next turn knows nothing of it."""
    caplog.set_level("INFO")
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.assistant.happened(Audio(bytes(480_000)))
    kitchen.passes(800, noise=True)
    kitchen.assistant.begin_anew()
    kitchen.assistant.happened(Usage(100, 10, 110))
    kitchen.assistant.happened(TurnComplete())
    first, second = turns_told(caplog)
    assert (first["reason"], second["reason"]) == ("begun anew", None)
    assert second["heard_ms"] == 0


async def test_tokens_that_never_come_do_not_hold_the_line_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that counts nothing has its turns told, too."""
    monkeypatch.setattr("speakerd.turns.USAGE_S", 0.1)
    monkeypatch.setattr(assistant, "USAGE_S", 0.11)
    caplog.set_level("INFO")
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.assistant.happened(TurnComplete("RESPONSE_REJECTED"))
    async with asyncio.timeout(5):
        while not turns_told(caplog):  # noqa: ASYNC110 - a line tells nobody
            await asyncio.sleep(0.02)
    assert turns_told(caplog)[0]["reason"] == "RESPONSE_REJECTED"


async def test_what_happened_is_counted() -> None:
    """Connections that came back and that were replaced, interruptions, answers and questions that were lost."""
    kitchen = Kitchen()
    assert (kitchen.assistant.turns.totals.reconnects, kitchen.assistant.turns.totals.rotations) == (0, 0)
    kitchen.assistant.went_up()
    kitchen.assistant.happened(Audio(bytes(4800)))
    kitchen.assistant.happened(Interrupted())
    kitchen.assistant.happened(TurnComplete())
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.assistant.happened(Audio(bytes(4800)))
    kitchen.assistant.went_down(*GONE)
    kitchen.assistant.went_down(*GONE)
    kitchen.assistant.went_up()
    assert kitchen.assistant.to_tell_again()
    totals = kitchen.assistant.turns.totals
    assert (totals.reconnects, totals.rotations, totals.interruptions) == (1, 1, 1)
    assert (totals.answers_lost, totals.told_again, totals.questions_lost) == (1, 1, 0)


async def test_a_question_that_nobody_could_be_asked_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said without a connection, and is too old by now, is one question that was lost."""
    monkeypatch.setattr(utterance, "ANSWER_S", 0.1)
    kitchen = Kitchen()
    kitchen.assistant.went_down(*GONE)
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    await asyncio.sleep(0.15)
    kitchen.passes(1000)
    assert kitchen.assistant.turns.totals.questions_lost == 1


async def test_to_begin_anew_is_to_forget_and_fall_silent() -> None:
    """The answer stops, what was asked is not asked again, and the next conversation is a new one."""
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.assistant.happened(Audio(bytes(4800)))
    kitchen.assistant.begin_anew()
    assert kitchen.renewals == [True]
    assert kitchen.played() == chimes.forgotten()
    assert kitchen.assistant.to_tell_again() == b""


async def test_a_microphone_that_fails_behind_the_mute_is_nobodys_trouble() -> None:
    """It is closed on purpose; whether it works will show when it is opened again."""
    kitchen = Kitchen()
    kitchen.assistant.microphone_changed("it went away")
    kitchen.assistant.deafen()
    kitchen.assistant.microphone_changed("it is not there")
    kitchen.assistant.muted(muted=True, trouble=None)
    assert kitchen.shown() is State.MUTED
    assert not kitchen.assistant._troubles.is_lost(troubles.MICROPHONE)


async def test_a_sound_of_our_own_is_no_answer() -> None:
    """While the answer is waited for, a chime neither ends the wait nor is shown as the model's voice."""
    kitchen = Kitchen()
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.passes(1000)
    kitchen.assistant.muted(muted=False, trouble=None)
    kitchen.assistant.playing_changed(True)
    assert kitchen.shown() is State.THINKING
    kitchen.assistant.happened(Audio(bytes(4800)))
    assert kitchen.shown() is State.SPEAKING


GONE = LinkError("unreachable"), Verdict(Next.RESUME, cause=Cause.OFFLINE)
OFFLINE = sound_of(Notice.OFFLINE, "en-US") or chimes.unreachable()


async def test_an_outage_is_told_once_when_it_has_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many dials fail, and however, one sentence says so, and none for a connection that comes back soon."""
    monkeypatch.setattr(troubles, "LOST_S", 0.2)
    kitchen = Kitchen()
    kitchen.assistant.went_down(*GONE)
    kitchen.assistant.went_up()
    await asyncio.sleep(0.3)
    assert kitchen.reply.is_empty
    for _ in range(3):
        kitchen.assistant.went_down(*GONE)
    await asyncio.sleep(0.3)
    kitchen.assistant.went_down(LinkError("x", code=1011), Verdict(Next.RESUME))
    assert kitchen.played() == OFFLINE


async def test_who_talks_when_the_connection_is_back_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence that there is none is broken off, and the microphone is deaf to it no longer than it lasts."""
    monkeypatch.setattr(troubles, "LOST_S", 0.1)
    kitchen = Kitchen()
    kitchen.assistant.went_down(*GONE)
    await asyncio.sleep(0.2)
    kitchen.passes(100, noise=True)
    assert kitchen.assistant.just_heard() == b""  # it may be our own voice
    kitchen.assistant.went_up()
    assert kitchen.reply.is_empty
    kitchen.passes(100, noise=True)
    assert len(kitchen.assistant.to_tell_again() or kitchen.assistant.just_heard()) == 100 * 32


async def test_what_a_person_must_do_is_said_at_once() -> None:
    """A key that is refused does not become good by waiting."""
    kitchen = Kitchen()
    kitchen.assistant.went_down(LinkError("x", code=401), Verdict(Next.PERSON, "check the key"))
    assert not kitchen.reply.is_empty


class Talk:
    """A kitchen in which the speaker speaks, and what is heard over that."""

    def __init__(self, kitchen: Kitchen) -> None:
        self.kitchen = kitchen
        self.heard = 0
        kitchen.assistant.happened(Audio(bytes(480_000)))
        kitchen.assistant.playing_changed(True)

    def hears(self, ms: int, *, db: float = -60.0, probability: float = 0.0) -> None:
        """Hear something over the answer, of which -60 dB are left."""
        for _ in range(ms // 20):
            self.heard += 1
            pcm = self.heard.to_bytes(2, "little") * 320
            self.kitchen.assistant.hear(Sound(pcm, probability, sounding=True, near_db=db, residual_db=-60.0))

    def sent(self) -> list[int]:
        """Return which periods left."""
        return [int.from_bytes(pcm[:2], "little") for pcm in self.kitchen.sent]


async def test_who_talks_over_the_answer_silences_it_at_once_and_loses_no_word() -> None:
    """The loudspeaker stops before the server knows, and all since before the first sound leaves."""
    kitchen = Kitchen("voice")
    talk = Talk(kitchen)
    talk.hears(2000)
    talk.hears(200, db=-30, probability=0.9)
    assert kitchen.ducked[0] is True
    assert kitchen.reply.is_empty
    talk.hears(100, db=-30, probability=0.9)
    assert talk.sent() == list(range(talk.sent()[0], 116))
    assert talk.sent()[0] <= 101 - 400 // 20
    assert kitchen.assistant.turns.totals.interruptions == 1
    kitchen.assistant.happened(Interrupted())
    assert kitchen.assistant.turns.totals.interruptions == 1


async def test_what_they_said_before_it_was_noticed_leaves_as_it_was_kept() -> None:
    """Where the canceller took their first syllable for echo, the sound that still has it goes out."""
    kitchen = Kitchen("voice")
    talk = Talk(kitchen)
    talk.hears(2000)
    kept = b"\x01\x10" * 320
    for _ in range(15):
        kitchen.assistant.hear(Sound(bytes(640), 0.95, sounding=True, near_db=-30, residual_db=-60.0, words=kept))
    assert kept in kitchen.sent
    assert kitchen.sent[-1] == bytes(640)  # from then on it is cleaned as ever


async def test_what_is_left_of_the_echo_never_leaves() -> None:
    """However like a voice our own voice is, as long as it is no louder than expected."""
    kitchen = Kitchen("voice")
    talk = Talk(kitchen)
    for _ in range(20):
        talk.hears(900, db=-52)
        talk.hears(100, db=-52, probability=0.9)
    assert not kitchen.sent
    assert not kitchen.ducked
    assert not kitchen.reply.is_empty


async def test_a_cough_lowers_the_voice_for_a_moment() -> None:
    """Whoever coughs hears the rest of the answer."""
    kitchen = Kitchen("voice")
    talk = Talk(kitchen)
    talk.hears(1000)
    talk.hears(140, db=-20, probability=0.1)
    talk.hears(1000)
    assert kitchen.ducked == [True, False]
    assert not kitchen.sent
    assert not kitchen.reply.is_empty


async def test_the_silence_behind_a_question_ends_with_the_answer() -> None:
    """When the answer sounds the service has noticed the end: nothing more leaves."""
    kitchen = Kitchen("voice")
    kitchen.passes(1000)
    kitchen.passes(800, noise=True)
    kitchen.passes(700)
    assert (len(kitchen.sent) > 60, kitchen.ends) == (True, 0)
    Talk(kitchen)
    sent = len(kitchen.sent)
    kitchen.passes(700)
    assert (len(kitchen.sent), kitchen.ends) == (sent, 1)


async def test_with_an_open_gate_all_sound_leaves() -> None:
    """Who wants the server alone to judge gets that."""
    kitchen = Kitchen()
    talk = Talk(kitchen)
    talk.hears(1000, db=-30, probability=0.9)
    assert talk.sent() == list(range(1, 51))
    assert not kitchen.reply.is_empty


async def test_mistakes_on_the_card_are_shown_and_said() -> None:
    """Whoever has no screen sees and hears that there is a report to be read."""
    kitchen = Kitchen()
    kitchen.assistant.card_has_mistakes("read the report")
    assert kitchen.shown() is State.ERROR
    assert kitchen.assistant.trouble == "read the report"
    assert kitchen.played() == sound_of(Notice.CARD, "en")


async def test_a_mute_is_seen_over_mistakes_on_the_card() -> None:
    """The light is a promise about privacy first; un-muted, it does not call for anybody again."""
    kitchen = Kitchen()
    kitchen.assistant.card_has_mistakes("read the report")
    kitchen.assistant.muted(muted=True, trouble=None)
    assert kitchen.shown() is State.MUTED
    kitchen.assistant.muted(muted=False, trouble=None)
    assert kitchen.shown() is State.IDLE


async def test_a_speaker_that_starts_muted_shows_that() -> None:
    """Mistakes on the card are said then, and not shown."""
    kitchen = Kitchen()
    kitchen.assistant.muted(muted=True, trouble=None)
    kitchen.assistant.card_has_mistakes("read the report")
    assert kitchen.shown() is State.MUTED
