"""The heart: it owns the facts, and carries sound from microphone to link and from link to speaker."""

import asyncio
import dataclasses
import logging
import time
from typing import Any, Protocol

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
from speakerd.sound.gate import Gate
from speakerd.sound.reply import Reply
from speakerd.sound.utterance import Utterance
from speakerd.state import Facts, Line, State, state_of

log = logging.getLogger(__name__)

LEFT_LATELY_S = 0.2
"""Sound counts as leaving the house for this long after a message of it went to the socket."""

PATIENCE_S = 10.0
"""How long the answer is waited for before the light stops saying so; the model answers within two seconds."""

LOST_S = 10.0
"""A device that is away this long is a person's business: a cable, not a hiccup."""


class Uplink(Protocol):
    """Where the room's sound goes."""

    def send(self, pcm: bytes) -> None:
        """Take a period of 16 kHz mono S16_LE sound."""

    def end_sound(self) -> None:
        """Learn that no more sound comes for now."""


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
    the three verbs above. ``link`` and ``speaker`` are set by whoever puts the parts together.
    """

    link: Uplink
    speaker: Voice

    def __init__(self, reply: Reply, light: Light, period_ms: int, *, transcripts: bool) -> None:
        """Prepare; nothing is heard or shown before the first call."""
        self._reply = reply
        self._light = light
        self._gate = Gate(period_ms)
        self._utterance = Utterance(period_ms)
        self._transcripts = transcripts
        self._facts = Facts(starting=True, line=Line.DIALLING)
        self._shown: State | None = None
        self._left_at = float("-inf")
        self._waiting_timer: asyncio.TimerHandle | None = None
        self._lost: dict[str, asyncio.TimerHandle] = {}
        self._troubles: dict[str, str] = {}

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
        was, talking = self._facts.talking, self._gate.hear(pcm)
        self._utterance.hear(pcm, talking=talking)
        self.link.send(pcm)
        leaving = time.monotonic() - self._left_at < LEFT_LATELY_S
        if (talking, leaving) == (was, self._facts.leaving):
            return
        asked = was and not talking and leaving and not self._facts.playing
        self._now(talking=talking, leaving=leaving, waiting=asked or self._facts.waiting)
        if asked:
            self._be_patient()

    def microphone_changed(self, trouble: str | None) -> None:
        """Learn that the microphone failed, or works (again)."""
        if trouble is not None and "microphone" not in self._lost:
            self._now(talking=False, leaving=False)
            self.link.end_sound()
        self._device("microphone", trouble)

    def speaker_changed(self, trouble: str | None) -> None:
        """Learn that the loudspeaker failed, or works (again)."""
        self._device("loudspeaker", trouble)

    def playing_changed(self, playing: bool) -> None:
        """Learn that the first sample of a reply was given to the loudspeaker, or that the last one was played."""
        self._now(playing=playing, waiting=self._facts.waiting and not playing)

    # The link.

    def line_changed(self, line: Line, trouble: str | None) -> None:
        """Learn that the line went up or down, and what a person must do about it."""
        # Also a connection that takes the place of another one never goes on with an answer of the former.
        if not self._reply.is_complete:
            log.warning(
                "the connection broke in the middle of an answer; the rest of it is lost",
                extra={"event": "answer-lost"},
            )
        self._reply.end_turn()  # what has come of it is still played
        down = {"waiting": False, "leaving": False} if line is Line.DOWN else {}
        self._trouble("link", trouble, line=line, **down)

    def is_quiet(self) -> bool:
        """Say whether a pause in the connection would go unnoticed."""
        facts = self._facts
        return not (facts.talking or facts.playing or facts.waiting) and self._reply.is_complete

    def to_tell_again(self) -> bytes:
        """Return the sound of the utterance that no server has answered, up to now."""
        return self._utterance.to_tell_again()

    def sound_left(self, octets: int) -> None:
        """Learn that so many bytes of the room's sound are on the wire."""
        self._left_at = time.monotonic()

    def happened(self, event: Event) -> None:
        """Act on what the server said."""
        match event:
            case Audio(pcm, rate):
                if rate != OUTPUT_RATE:
                    log.warning("a piece of the reply has %d Hz and cannot be played", rate)
                elif not self._reply.write(pcm):
                    log.debug("%d bytes of a reply that was cut off arrived late and are dropped", len(pcm))
                elif not self._facts.talking:
                    self._utterance.answered()
            case GenerationComplete():
                self._reply.complete()
            case Interrupted():
                dropped = self.speaker.drop()
                log.info(
                    "interrupted; %d ms of the reply stay unsaid",
                    dropped,
                    extra={"event": "interrupted", "dropped_ms": dropped},
                )
            case TurnComplete(reason):
                self._reply.end_turn()
                self._now(waiting=False)
                log.info(
                    "turn complete%s", f" ({reason})" if reason else "", extra={"event": "turn", "reason": reason}
                )
            case Heard(text) | Said(text) if self._transcripts:
                who = "heard" if isinstance(event, Heard) else "said"
                log.info("%s: %s", who, text, extra={"event": f"transcript-{who}"})

    # What follows.

    def _now(self, **changes: Any) -> None:
        """Change facts, and show the state where it changes with them."""
        self._facts = dataclasses.replace(self._facts, **changes)
        state = self.state
        if state is self._shown:
            return
        self._shown = state
        self._light.show(state)
        log.info("%s", state.value, extra={"event": "state", "state": state.value})

    def _be_patient(self) -> None:
        """Stop waiting for the answer some day."""
        if self._waiting_timer is not None:
            self._waiting_timer.cancel()
        loop = asyncio.get_running_loop()
        self._waiting_timer = loop.call_later(PATIENCE_S, lambda: self._now(waiting=False))

    def _device(self, name: str, trouble: str | None) -> None:
        """Tell of a device once each way, and call a person where it stays away."""
        waiting = self._lost.pop(name, None)
        if trouble is None:
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
        self._trouble(name, trouble)

    def _trouble(self, where: str, trouble: str | None, **changes: Any) -> None:
        """Note what a person must do about a part of the speaker, or that nothing must be done any more."""
        if trouble is None:
            self._troubles.pop(where, None)
        else:
            self._troubles[where] = trouble
        self._now(trouble="; ".join(self._troubles.values()) or None, **changes)
