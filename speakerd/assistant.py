"""The heart: it owns the facts, and carries sound from microphone to link and from link to speaker."""

import asyncio
import dataclasses
import logging
import time
from typing import Any, Protocol

from speakerd.errors import LinkError
from speakerd.host.usage_file import UsageFile
from speakerd.live.events import (
    OUTPUT_RATE,
    Audio,
    Event,
    GenerationComplete,
    Heard,
    Interrupted,
    Said,
    TurnComplete,
    Usage,
)
from speakerd.live.verdict import Verdict
from speakerd.settings import Settings
from speakerd.sound import chimes
from speakerd.sound.announcer import Announcer
from speakerd.sound.barge_in import Action, BargeIn
from speakerd.sound.ear import Sound
from speakerd.sound.notices import LINK, Notice
from speakerd.sound.reply import Reply
from speakerd.sound.utterance import Utterance
from speakerd.sound.voice_gate import GateSettings, Step, VoiceGate
from speakerd.stalls import Remedy, Stall, Stalls
from speakerd.state import Facts, Line, State, state_of
from speakerd.troubles import LOUDSPEAKER, MICROPHONE, Troubles
from speakerd.turns import USAGE_S, Turn, Turns

log = logging.getLogger(__name__)

LEFT_LATELY_S = 0.2
"""Sound counts as leaving the house for this long after a message of it went to the socket."""

SILENT_S = 5.0
"""The model begins to answer within two seconds of the end of a question; after this, something is tried."""

HUSH_MS = 200
"""What comes from the server after this much silence is about what was said before it. While somebody talks, it is
about what they talk over; the service notices them within this time."""

TALK_MS = 300
"""Less talk than this is a clatter, and nobody waits for an answer to it."""

KEPT_BACK_MS = 1_000
"""Talk that stays in the house for this long, while there is a connection, is worth a line in the journal."""

SET_UP_S = 10.0
"""How long the light shows that the button asked for provisioning."""


class Uplink(Protocol):
    """Where the room's sound goes."""

    def send(self, pcm: bytes) -> None:
        """Take a period of 16 kHz mono S16_LE sound."""

    def end_sound(self) -> None:
        """Learn that no more sound comes for now."""

    def hush(self) -> None:
        """Send nothing of what was heard so far; no more sound comes for now."""

    def renew(self, why: str, *, restart: bool) -> None:
        """Replace the connection now; with ``restart`` the conversation begins anew."""


class Voice(Protocol):
    """What the loudspeaker can be told while it speaks."""

    def drop(self) -> int:
        """Fall silent at once; return how many milliseconds were not played."""

    def duck(self, *, ducked: bool) -> None:
        """Lower the voice for a moment, or raise it again."""


class Light(Protocol):
    """What shows the state."""

    def show(self, state: State) -> None:
        """Show it until the next one."""


class Assistant:
    """Everything that is so, and what follows from it.

    All its methods are called in the event loop; the devices and the link call in, and are called back through
    the verbs above. ``link``, ``speaker`` and ``light`` are set by whoever puts the parts together.
    """

    link: Uplink
    speaker: Voice
    light: Light

    def __init__(
        self, reply: Reply, settings: Settings, *, muted: bool = False, usage: UsageFile | None = None
    ) -> None:
        """Prepare; nothing is heard or shown before the first call. ``usage`` counts the tokens of the day."""
        period_ms, language = settings.microphone.period_ms, settings.assistant.language
        self._reply = reply
        self._announcer = Announcer(
            reply,
            settings.sounds,
            settings.quiet_hours,
            language,
            busy=self._is_loud,
            talking=lambda: self._facts.talking,
        )
        self._period_ms = period_ms
        self._gate = VoiceGate(gate_settings(settings), period_ms)
        self._barge_in = BargeIn(settings.echo.margin_db, period_ms=period_ms)
        self._is_interrupted = False  # by us, and the server has not said so yet
        self._utterance = Utterance(period_ms)
        self._transcripts = settings.assistant.transcripts
        self._facts = Facts(starting=True, line=Line.DIALLING, muted=muted)
        self._is_deaf = muted
        self._shown: State | None = None
        self.since = time.monotonic()
        """When the state last changed, in seconds of the clock that nobody sets."""
        self.turns = Turns(settings.price, _tell_turn)
        self.usage = usage or UsageFile(None)
        self._left_at = float("-inf")
        self._kept_back_ms = 0
        self._is_sounding = False  # the loudspeaker, with whatever it may be
        self._stalls = Stalls()
        self._marked = False  # the utterance is marked where the answer that is under way began
        self._answer_timer: asyncio.TimerHandle | None = None  # runs while an answer is waited for
        self._troubles = Troubles(self._announcer, self._now)
        self._was_up = False  # there was a connection, some time
        self._set_up_timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> State:
        """What the speaker is doing."""
        return state_of(self._facts)

    @property
    def is_muted(self) -> bool:
        """Whether it is muted, as far as that is shown."""
        return self._facts.muted

    @property
    def trouble(self) -> str | None:
        """What a person must do, in words; None while nobody must do anything."""
        return self._facts.trouble

    def started(self) -> None:
        """Learn that all parts are up; the network need not be."""
        self._now(starting=False)

    # The room.

    def hear(self, sound: Sound) -> None:
        """Take a period of the room's sound; what is to leave the house goes to the link."""
        if self._is_deaf or self._announcer.is_speaking:
            return  # a period that was on its way here when the button went down, or our own words
        was, step = self._facts.talking, self._let_through(sound)
        talking, loud = self._gate.is_talking, self._gate.quiet_ms == 0
        self.turns.hear(talking=talking, loud=loud)
        if self._utterance.hear(sound.pcm, talking=talking, loud=loud) and self._facts.line is not Line.UP:
            self.turns.totals.questions_lost += 1
            log.warning(
                "what was said without a connection is too old by now, and will not be sent",
                extra={"event": "question-lost"},
            )
        for pcm in step.send:
            self.link.send(pcm)
        if step.ended:
            self.link.end_sound()
        leaving = time.monotonic() - self._left_at < LEFT_LATELY_S
        self._check(talking=talking, leaving=leaving)
        if (talking, leaving) == (was, self._facts.leaving):
            return
        heard = {"talking": talking, "leaving": leaving}
        if talking == was:
            self._now(**heard)
        elif talking:
            self._announcer.chime(chimes.listening)
            self._expect_no_answer(waiting=self._facts.waiting, **heard)
        elif leaving and not self._facts.playing and self._utterance.talked_ms >= TALK_MS:
            self._expect_answer(**heard)
        else:
            self._expect_no_answer(**heard)
        if not talking:
            self._announcer.free()

    def _let_through(self, sound: Sound) -> Step:
        """Return what of a period leaves the house; over our own voice only one that is surely somebody's does."""
        if self._gate.is_always_open:
            return self._gate.hear(sound.pcm, sound.probability)
        over_us = sound.sounding and not self._gate.is_open
        heard = (sound.words or sound.pcm, 0.0) if over_us else (sound.pcm, sound.probability)
        step = self._gate.hear(*heard)
        match self._barge_in.hear(
            sounding=over_us, near_db=sound.near_db, residual_db=sound.residual_db, probability=sound.probability
        ):
            case Action.DUCK:
                self.speaker.duck(ducked=True)
            case Action.RESUME:
                self.speaker.duck(ducked=False)
            case Action.STOP:
                since_ms = self._barge_in.since_ms
                self._is_interrupted = self._reply.is_in_turn
                self._interrupted(by="us", after_ms=since_ms)
                return self._gate.open(since_ms)
        return step

    def _interrupted(self, *, by: str, after_ms: int | None = None) -> None:
        """Fall silent, for somebody talks."""
        dropped = self.speaker.drop()
        self.speaker.duck(ducked=False)
        self.turns.interrupted()
        log.info(
            "interrupted; %d ms of the reply stay unsaid",
            dropped,
            extra={"event": "interrupted", "dropped_ms": dropped, "noticed_by": by, "after_ms": after_ms},
        )

    def _check(self, *, talking: bool, leaving: bool) -> None:
        """Compare what should be with what is: while somebody talks, sound leaves the house."""
        if not talking or leaving or self._facts.line is not Line.UP:
            self._kept_back_ms = 0
            return
        before, self._kept_back_ms = self._kept_back_ms, self._kept_back_ms + self._period_ms
        if before < KEPT_BACK_MS <= self._kept_back_ms:
            log.warning("somebody talks, and no sound leaves for the server", extra={"event": "self-check"})

    def microphone_changed(self, trouble: str | None) -> None:
        """Learn that the microphone failed, or works (again)."""
        if trouble is not None and self._is_deaf:
            return  # it is, or will be, closed on purpose
        if trouble is not None and not self._troubles.is_lost(MICROPHONE):
            self._expect_no_answer(talking=False, leaving=False)
            self.link.end_sound()
        self._troubles.device(MICROPHONE, trouble)

    def speaker_changed(self, trouble: str | None) -> None:
        """Learn that the loudspeaker failed, or works (again)."""
        self._troubles.device(LOUDSPEAKER, trouble)
        if trouble is not None:
            self.turns.cut()
        self._announcer.free()

    def playing_changed(self, playing: bool) -> None:
        """Learn that the first sample of a sound was given to the loudspeaker, or that the last one was played."""
        # A sound of our own is no answer, and is not shown as one; an answer behind it is, as soon as it comes.
        self._is_sounding = playing
        answers = playing and not self._announcer.is_sounding
        if answers and not self._facts.talking and self._gate.is_open and not self._gate.is_always_open:
            self._gate.reset()  # the turn has ended for the server, and what comes now is our own voice
            self.link.end_sound()
        self._now(playing=answers, waiting=self._facts.waiting and not answers)
        self._announcer.free()

    def _is_loud(self) -> bool:
        """Say whether the loudspeaker is in use, or missing."""
        return self._is_sounding or self._troubles.is_lost(LOUDSPEAKER)

    # The panel.

    def deafen(self) -> None:
        """Hear nothing from now on; nothing that was heard is sent any more, or kept."""
        self._is_deaf = True
        self._gate.reset()
        self._utterance.forget()
        self.link.hush()
        self._expect_no_answer(talking=False, leaving=False)

    def undeafen(self) -> None:
        """Hear again."""
        self._is_deaf = False

    def muted(self, *, muted: bool, trouble: str | None) -> None:
        """Learn that the promise is kept, or that it is over; ``trouble`` is what is wrong with it."""
        if muted:
            self._troubles.microphone_closed()
            self._troubles.note("card", None)  # a report can wait; that it is muted must be seen
        self._troubles.note("mute", trouble)
        self._now(muted=muted)
        if trouble:
            self._announcer.notice(Notice.MUTE)
        else:
            self._announcer.over(Notice.MUTE)
            self._announcer.chime(chimes.muted if muted else chimes.unmuted)

    def card_has_mistakes(self, trouble: str) -> None:
        """Learn that what is written on the card has mistakes: the light shows it until the first mute."""
        if not self._facts.muted:
            self._troubles.note("card", trouble)
        self._now()
        self._announcer.notice(Notice.CARD)

    def begin_anew(self) -> None:
        """Stop talking, and forget the conversation."""
        log.info("the conversation begins anew, as the button asks", extra={"event": "begin-anew"})
        self.speaker.drop()
        self.turns.broken_off("begun anew")
        self.turns.cut()
        self.turns.forget()
        self._utterance.forget()
        self._expect_no_answer()
        self.link.renew("at the press of the button", restart=True)
        self._announcer.chime(chimes.forgotten)

    def set_up(self) -> None:
        """Show that somebody asks for provisioning."""
        log.info("asked to be set up; this version is set up by its settings", extra={"event": "set-up"})
        self._now(setting_up=True)
        self._announcer.notice(Notice.PROVISIONING)
        if self._set_up_timer is not None:
            self._set_up_timer.cancel()
        self._set_up_timer = asyncio.get_running_loop().call_later(SET_UP_S, self._set_up_is_over)

    def _set_up_is_over(self) -> None:
        self._now(setting_up=False)
        self._announcer.over(Notice.PROVISIONING)

    # The link.

    def went_up(self) -> None:
        """Learn that there is a connection, perhaps in the place of another one."""
        self.turns.totals.rotations += self._facts.line is Line.UP
        self.turns.totals.reconnects += self._was_up and self._facts.line is Line.DOWN
        self._was_up = True
        self._troubles.connected()
        if self._announcer.is_telling(LINK):
            self.speaker.drop()  # it is not so any more, and who talks now is to be heard
            self._announcer.broken_off()
        self._line_changed(Line.UP, None)

    def went_down(self, error: LinkError, what: Verdict) -> None:
        """Learn that there is no connection, and why; nobody is told aloud of one that comes back soon."""
        self._line_changed(Line.DOWN, what.advice or None)
        self._troubles.disconnected(what)

    def _line_changed(self, line: Line, trouble: str | None) -> None:
        # Also a connection that takes the place of another one never goes on with an answer of the former.
        broke_off = not self._reply.is_complete
        self._reply.end_turn()  # what has come of it is still played
        self.turns.broken_off("connection lost" if line is Line.DOWN else "connection replaced")
        if broke_off:
            self.turns.totals.answers_lost += 1
            log.warning(
                "the connection broke in the middle of an answer; the rest of it is lost",
                extra={"event": "answer-lost"},
            )
            self._announcer.broke_off()
        self._stalls.connected()
        self._marked = False
        self._expect_no_answer(line=line, leaving=self._facts.leaving and line is Line.UP)
        self._troubles.note("link", trouble)
        self._now()
        self._announcer.free()

    def is_quiet(self) -> bool:
        """Say whether a pause in the connection would go unnoticed."""
        facts = self._facts
        return not (facts.talking or facts.playing or facts.waiting) and self._reply.is_complete

    def to_tell_again(self) -> bytes:
        """Return the sound of the utterance that no server has answered, up to now."""
        again = self._utterance.to_tell_again()
        self.turns.totals.told_again += bool(again)
        if again and not self._facts.talking and self._utterance.talked_ms >= TALK_MS:
            self._expect_answer()
        return again

    def just_heard(self) -> bytes:
        """Return the sound of the last moments, in which a word may begin, if it may leave."""
        return self._utterance.just_heard() if self._gate.is_open else b""

    def is_heard(self) -> bool:
        """Say whether the room's sound goes on for now."""
        return self._gate.is_open

    def sound_left(self, octets: int) -> None:
        """Learn that so many bytes of the room's sound are on the wire."""
        self._left_at = time.monotonic()
        self.turns.totals.bytes_up += octets
        if self._facts.muted:
            log.error("%d bytes of sound left although the speaker is muted", octets, extra={"event": "self-check"})
            self._troubles.note("mute", "sound left although the speaker is muted: pull its plug, and report this")
            self._now()

    def happened(self, event: Event) -> None:
        """Act on what the server said."""
        hushed = self._gate.quiet_ms >= HUSH_MS
        asked = self._utterance.talked_ms >= TALK_MS
        stall = self._stalls.judge(event, asked=asked, talking=not hushed)
        match event:
            case Audio(pcm, rate):
                self.turns.totals.bytes_down += len(pcm)
                if rate != OUTPUT_RATE:
                    log.warning(
                        "a piece of the reply has %d Hz and cannot be played",
                        rate,
                        extra={"event": "message-skipped"},
                    )
                elif not self._reply.write(pcm):
                    log.debug("%d bytes of a reply that was cut off arrived late and are dropped", len(pcm))
                else:
                    self.turns.answer(len(pcm) / 2 / OUTPUT_RATE)
                    self._answer_sounds(hushed=hushed)
            case GenerationComplete():
                self._reply.complete()
                self._announcer.free()
            case Interrupted():
                if self._is_interrupted:
                    self.speaker.drop()  # we knew, but some of it may have come meanwhile
                else:
                    self._interrupted(by="server")
                self._is_interrupted = False
            case TurnComplete(reason, waiting_for_input):
                self._reply.end_turn()
                self._is_interrupted = False
                self._announcer.free()
                if self._stalls.answered and self._marked:
                    self._utterance.answered_up_to_mark()
                    asked = self._utterance.talked_ms >= TALK_MS
                self._marked = False
                if (hushed or self._stalls.answered) and (waiting_for_input or not asked):
                    self._expect_no_answer()
                if waiting_for_input:
                    self._utterance.answered()
                self._turn_complete(reason)
            case Usage(prompt, response):
                self.usage.add(prompt, response, self.turns.usage(event))
            case Heard(text) if self._transcripts:
                log.info("heard: %s", text, extra={"event": "transcript-heard"})
            case Said(text) if self._transcripts:
                log.info("said: %s", text, extra={"event": "transcript-said"})
        if stall is not None:
            self._stalled(stall)

    def _answer_sounds(self, *, hushed: bool) -> None:
        """Learn that a piece of an answer came; over talk, only the end of the turn shows that it was one."""
        if self._is_sounding and not self._facts.playing:
            self._now(playing=True)
        if not self._marked:
            self._utterance.mark()
            self._marked = True
        if hushed:
            self._utterance.answered_up_to_mark()
            if self._utterance.talked_ms < TALK_MS:
                self._expect_no_answer(waiting=self._facts.waiting)

    def _turn_complete(self, reason: str | None) -> None:
        """Have the turn told as soon as it is played and its tokens are counted."""
        self.turns.complete(reason)
        if self._troubles.is_lost(LOUDSPEAKER):
            self.turns.cut()  # or it would wait for ever
        asyncio.get_running_loop().call_later(USAGE_S, self.turns.settle)

    # What follows.

    def _now(self, **changes: Any) -> None:
        """Change facts, and show the state where it changes with them."""
        was_playing = self._facts.playing
        self._facts = dataclasses.replace(self._facts, **changes, trouble=str(self._troubles) or None)
        if self._facts.playing is not was_playing:
            self.turns.sounding(self._facts.playing)
        state = self.state
        if state is self._shown:
            return
        self._shown, self.since = state, time.monotonic()
        self.light.show(state)
        log.info("%s", state.value, extra={"event": "state", "state": state.value})

    def _expect_answer(self, **changes: Any) -> None:
        """Wait for the answer, and do something about it when it does not come."""
        self._expect_no_answer(waiting=True, **changes)
        self._answer_timer = asyncio.get_running_loop().call_later(SILENT_S, self._stalled, Stall.SILENT)

    def _expect_no_answer(self, *, waiting: bool = False, **changes: Any) -> None:
        """Stop the clock of the answer; ``waiting`` says whether it is still to be waited for."""
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
        self._now(waiting=waiting, **changes)

    def _stalled(self, stall: Stall) -> None:
        """Do something about a question that came to nothing."""
        remedy = self._stalls.failed(stall)
        self.turns.stalled(stall)
        level = logging.INFO if remedy is Remedy.NOTHING else logging.WARNING
        count = self._stalls.counts[stall]
        log.log(
            level,
            "%s; tried: %s",
            stall.value,
            remedy.value,
            extra={"event": "stall", "stall": stall.name.lower(), "remedy": remedy.name.lower(), "count": count},
        )
        match remedy:
            case Remedy.NUDGE:
                self._expect_answer()
                self.link.end_sound()
            case Remedy.RENEW | Remedy.RESTART:
                self._expect_no_answer()
                self.link.renew(f"after {stall.value}", restart=remedy is Remedy.RESTART)
            case Remedy.NOTHING:
                self._expect_no_answer()
                self._utterance.answered()  # as well as it can be


def gate_settings(settings: Settings) -> GateSettings:
    """Return when the gate opens and closes."""
    listen = settings.listen
    is_always_open = listen.gate == "off"
    return GateSettings(
        sensitivity=listen.sensitivity,
        min_speech_ms=listen.min_speech_ms,
        hangover_ms=listen.hangover_ms,
        trailing_ms=listen.hangover_ms if is_always_open else listen.trailing_ms,
        is_always_open=is_always_open,
        is_local=listen.turns == "local",
    )


def _tell_turn(turn: Turn) -> None:
    log.info("%s", turn, extra={"event": "turn", **dataclasses.asdict(turn)})
