"""The heart: it owns the facts, and carries sound from microphone to link and from link to speaker."""

import asyncio
import dataclasses
import logging
import time
from typing import Any, Protocol

from speakerd.errors import LinkError
from speakerd.live.events import (
    OUTPUT_RATE,
    Audio,
    Event,
    GenerationComplete,
    Heard,
    Interrupted,
    Said,
    TurnComplete,
)
from speakerd.live.verdict import Verdict
from speakerd.settings import Settings
from speakerd.sound import chimes
from speakerd.sound.announcer import Announcer
from speakerd.sound.gate import Gate
from speakerd.sound.notices import LINK, Notice, notice_of
from speakerd.sound.reply import Reply
from speakerd.sound.utterance import Utterance
from speakerd.stalls import Remedy, Stall, Stalls
from speakerd.state import Facts, Line, State, state_of

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

LOST_S = 10.0
"""A device that is away this long is a person's business: a cable, not a hiccup."""


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
    """The loudspeaker's emergency stop."""

    def drop(self) -> int:
        """Fall silent at once; return how many milliseconds were not played."""


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

    def __init__(self, reply: Reply, settings: Settings, *, muted: bool = False) -> None:
        """Prepare; nothing is heard or shown before the first call."""
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
        self._gate = Gate(period_ms)
        self._utterance = Utterance(period_ms)
        self._transcripts = settings.assistant.transcripts
        self._facts = Facts(starting=True, line=Line.DIALLING, muted=muted)
        self._is_deaf = muted
        self._shown: State | None = None
        self._left_at = float("-inf")
        self._kept_back_ms = 0
        self._is_sounding = False  # the loudspeaker, with whatever it may be
        self._stalls = Stalls()
        self._marked = False  # the utterance is marked where the answer that is under way began
        self._answer_timer: asyncio.TimerHandle | None = None  # runs while an answer is waited for
        self._lost: dict[str, asyncio.TimerHandle] = {}
        self._troubles: dict[str, str] = {}
        self._outage: Notice | None = None  # while there is no connection: why
        self._outage_timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> State:
        """What the speaker is doing."""
        return state_of(self._facts)

    def started(self) -> None:
        """Learn that all parts are up; the network need not be."""
        self._now(starting=False)

    # The room.

    def hear(self, pcm: bytes) -> None:
        """Take a period of the room's sound to the link."""
        if self._is_deaf or self._announcer.is_speaking:
            return  # a period that was on its way here when the button went down, or our own words
        was, talking = self._facts.talking, self._gate.hear(pcm)
        if (
            self._utterance.hear(pcm, talking=talking, loud=self._gate.quiet_ms == 0)
            and self._facts.line is not Line.UP
        ):
            log.warning(
                "what was said without a connection is too old by now, and will not be sent",
                extra={"event": "question-lost"},
            )
        self.link.send(pcm)
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
        if trouble is not None and "microphone" not in self._lost:
            self._expect_no_answer(talking=False, leaving=False)
            self.link.end_sound()
        self._device("microphone", trouble)

    def speaker_changed(self, trouble: str | None) -> None:
        """Learn that the loudspeaker failed, or works (again)."""
        self._device("loudspeaker", trouble)
        self._announcer.free()

    def playing_changed(self, playing: bool) -> None:
        """Learn that the first sample of a sound was given to the loudspeaker, or that the last one was played."""
        # A sound of our own is no answer, and is not shown as one; an answer behind it is, as soon as it comes.
        self._is_sounding = playing
        answers = playing and not self._announcer.is_sounding
        self._now(playing=answers, waiting=self._facts.waiting and not answers)
        self._announcer.free()

    def _is_loud(self) -> bool:
        """Say whether the loudspeaker is in use, or missing."""
        return self._is_sounding or "loudspeaker" in self._lost

    # The panel.

    def deafen(self) -> None:
        """Hear nothing from now on; nothing that was heard is sent any more, or kept."""
        self._is_deaf = True
        self._utterance.forget()
        self.link.hush()
        self._expect_no_answer(talking=False, leaving=False)

    def undeafen(self) -> None:
        """Hear again."""
        self._gate = Gate(self._period_ms)
        self._is_deaf = False

    def muted(self, *, muted: bool, trouble: str | None) -> None:
        """Learn that the promise is kept, or that it is over; ``trouble`` is what is wrong with it."""
        if muted:  # the microphone is closed on purpose: whether it is there will show when it is opened again
            self._announcer.over(Notice.MICROPHONE)
            if (waiting := self._lost.pop("microphone", None)) is not None:
                waiting.cancel()
            self._troubles.pop("microphone", None)
        self._trouble("mute", trouble, muted=muted)
        if trouble:
            self._announcer.notice(Notice.MUTE)
        else:
            self._announcer.over(Notice.MUTE)
            self._announcer.chime(chimes.muted if muted else chimes.unmuted)

    def begin_anew(self) -> None:
        """Stop talking, and forget the conversation."""
        log.info("the conversation begins anew, as the button asks", extra={"event": "begin-anew"})
        self.speaker.drop()
        self._utterance.forget()
        self._expect_no_answer()
        self.link.renew("at the press of the button", restart=True)
        self._announcer.chime(chimes.forgotten)

    def set_up(self) -> None:
        """Show that somebody asks for provisioning."""
        log.info("asked to be set up; this version is set up by its settings", extra={"event": "set-up"})
        self._now(setting_up=True)
        self._announcer.notice(Notice.PROVISIONING)
        asyncio.get_running_loop().call_later(SET_UP_S, self._set_up_is_over)

    def _set_up_is_over(self) -> None:
        self._now(setting_up=False)
        self._announcer.over(Notice.PROVISIONING)

    # The link.

    def went_up(self) -> None:
        """Learn that there is a connection, perhaps in the place of another one."""
        self._outage = None
        if self._outage_timer is not None:
            self._outage_timer.cancel()
            self._outage_timer = None
        for notice in LINK:
            self._announcer.over(notice)
        if self._announcer.is_telling(LINK):
            self.speaker.drop()  # it is not so any more, and who talks now is to be heard
            self._announcer.broken_off()
        self._line_changed(Line.UP, None)

    def went_down(self, error: LinkError, what: Verdict) -> None:
        """Learn that there is no connection, and why; nobody is told aloud of one that comes back soon."""
        self._outage = notice_of(error, what)
        if self._outage_timer is None:
            self._outage_timer = asyncio.get_running_loop().call_later(LOST_S, self._tell_outage)
        self._line_changed(Line.DOWN, what.advice or None)
        if what.advice:
            self._announcer.notice(self._outage)

    def _tell_outage(self) -> None:
        # Once for each outage: the dials that fail later may be those between which it comes back.
        if self._outage is not None:
            self._announcer.notice(self._outage)

    def _line_changed(self, line: Line, trouble: str | None) -> None:
        # Also a connection that takes the place of another one never goes on with an answer of the former.
        broke_off = not self._reply.is_complete
        self._reply.end_turn()  # what has come of it is still played
        if broke_off:
            log.warning(
                "the connection broke in the middle of an answer; the rest of it is lost",
                extra={"event": "answer-lost"},
            )
            self._announcer.broke_off()
        self._stalls.connected()
        self._marked = False
        self._expect_no_answer(line=line, leaving=self._facts.leaving and line is Line.UP)
        self._trouble("link", trouble)
        self._announcer.free()

    def is_quiet(self) -> bool:
        """Say whether a pause in the connection would go unnoticed."""
        facts = self._facts
        return not (facts.talking or facts.playing or facts.waiting) and self._reply.is_complete

    def to_tell_again(self) -> bytes:
        """Return the sound of the utterance that no server has answered, up to now."""
        again = self._utterance.to_tell_again()
        if again and not self._facts.talking and self._utterance.talked_ms >= TALK_MS:
            self._expect_answer()
        return again

    def just_heard(self) -> bytes:
        """Return the sound of the last moments, in which a word may begin."""
        return self._utterance.just_heard()

    def sound_left(self, octets: int) -> None:
        """Learn that so many bytes of the room's sound are on the wire."""
        self._left_at = time.monotonic()
        if self._facts.muted:
            log.error("%d bytes of sound left although the speaker is muted", octets, extra={"event": "self-check"})
            self._trouble("mute", "sound left although the speaker is muted: pull its plug, and report this")

    def happened(self, event: Event) -> None:
        """Act on what the server said."""
        hushed = self._gate.quiet_ms >= HUSH_MS
        asked = self._utterance.talked_ms >= TALK_MS
        stall = self._stalls.judge(event, asked=asked, talking=not hushed)
        match event:
            case Audio(pcm, rate):
                if rate != OUTPUT_RATE:
                    log.warning("a piece of the reply has %d Hz and cannot be played", rate)
                elif not self._reply.write(pcm):
                    log.debug("%d bytes of a reply that was cut off arrived late and are dropped", len(pcm))
                else:
                    self._answer_sounds(hushed=hushed)
            case GenerationComplete():
                self._reply.complete()
                self._announcer.free()
            case Interrupted():
                dropped = self.speaker.drop()
                log.info(
                    "interrupted; %d ms of the reply stay unsaid",
                    dropped,
                    extra={"event": "interrupted", "dropped_ms": dropped},
                )
            case TurnComplete(reason, waiting_for_input):
                self._reply.end_turn()
                self._announcer.free()
                if self._stalls.answered and self._marked:
                    self._utterance.answered_up_to_mark()
                    asked = self._utterance.talked_ms >= TALK_MS
                self._marked = False
                if (hushed or self._stalls.answered) and (waiting_for_input or not asked):
                    self._expect_no_answer()
                if waiting_for_input:
                    self._utterance.answered()
                log.info(
                    "turn complete%s", f" ({reason})" if reason else "", extra={"event": "turn", "reason": reason}
                )
            case Heard(text) | Said(text) if self._transcripts:
                who = "heard" if isinstance(event, Heard) else "said"
                log.info("%s: %s", who, text, extra={"event": f"transcript-{who}"})
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

    # What follows.

    def _now(self, **changes: Any) -> None:
        """Change facts, and show the state where it changes with them."""
        self._facts = dataclasses.replace(self._facts, **changes)
        state = self.state
        if state is self._shown:
            return
        self._shown = state
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
        level = logging.INFO if remedy is Remedy.NOTHING else logging.WARNING
        count = self._stalls.counts[stall]
        fields = {"stall": stall.name.lower(), "remedy": remedy.name.lower(), "count": count}
        log.log(level, "%s; tried: %s", stall.value, remedy.value, extra={"event": "stall", **fields})
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

    def _device(self, name: str, trouble: str | None) -> None:
        """Tell of a device once each way, and call a person where it stays away."""
        waiting = self._lost.pop(name, None)
        if trouble is None:
            if name == "microphone":
                self._announcer.over(Notice.MICROPHONE)
            if waiting is not None:
                waiting.cancel()
                log.info("the %s works again", name, extra={"event": "device-back", "device": name})
            self._trouble(name, None)
            return
        if waiting is None:
            log.warning("%s", trouble, extra={"event": "device-lost", "device": name})
            loop = asyncio.get_running_loop()
            waiting = loop.call_later(LOST_S, self._call_for_help, name, trouble)
        self._lost[name] = waiting

    def _call_for_help(self, name: str, trouble: str) -> None:
        log.error("the %s does not come back by itself: %s", name, trouble, extra={"event": "device-missing"})
        if name == "microphone":
            self._announcer.notice(Notice.MICROPHONE)
        self._trouble(name, trouble)

    def _trouble(self, where: str, trouble: str | None, **changes: Any) -> None:
        """Note what a person must do about a part of the speaker, or that nothing must be done any more."""
        if trouble is None:
            self._troubles.pop(where, None)
        else:
            self._troubles[where] = trouble
        self._now(trouble="; ".join(self._troubles.values()) or None, **changes)
