"""Questions that came to nothing: how to tell, and what to try; pure.

A connection may look alive while the model on it says nothing any more
(https://github.com/googleapis/python-genai/issues/2333). The model may also choose to say nothing, to talk that was
not meant for it, and may do so all evening. So every remedy is bounded, and one that costs the conversation its
memory comes late.
"""

import enum
from collections import Counter

from speakerd.live.events import Audio, Event, Interrupted, ToolCall, TurnComplete


class Stall(enum.Enum):
    """How a question came to nothing."""

    SILENT = "no answer"
    EMPTY = "a turn without sound"
    REJECTED = "a refused turn"
    PHANTOM = "an answer interrupted by nobody"


class Remedy(enum.Enum):
    """What is tried."""

    NOTHING = "nothing"
    NUDGE = "tell the server that the sound has ended"
    RENEW = "a fresh connection"  # the same conversation goes on; the question is told again
    RESTART = "a new conversation"  # the question is told again


_LADDERS: dict[Stall, tuple[Remedy, ...]] = {
    # The fourth sentence in a row: talk at the table, which the model rightly leaves alone, may cost the memory of
    # what was before it, but a conversation that is stuck for ever costs the speaker.
    Stall.SILENT: (Remedy.NUDGE, Remedy.RENEW, Remedy.NOTHING, Remedy.NOTHING, Remedy.NOTHING, Remedy.RESTART),
    Stall.EMPTY: (Remedy.RENEW, Remedy.NOTHING, Remedy.NOTHING, Remedy.NOTHING, Remedy.RESTART),
    # Once is a judgement of what was said; one conversation was refused 27 times in a row
    # (https://github.com/google-gemini/gemini-live-api-examples/issues/40).
    Stall.REJECTED: (Remedy.NOTHING, Remedy.RESTART),
    # Once is an echo, or somebody whom only the service heard.
    Stall.PHANTOM: (Remedy.NOTHING, Remedy.NOTHING, Remedy.RENEW),
}
"""What is tried at the first failure in a row, at the second …; after the last one nothing, until an answer comes."""


class Stalls:
    """Judges what becomes of each question."""

    def __init__(self) -> None:
        """Prepare; nothing has gone wrong."""
        self.counts: Counter[Stall] = Counter()
        self._in_a_row: Counter[Stall] = Counter()
        self.answered = False
        """Whether the turn that ended last was an answer, and a whole one."""
        self._sounded = self._cut = self._cut_by_nobody = False

    def judge(self, event: Event, *, asked: bool, talking: bool) -> Stall | None:
        """Return how the question came to nothing with this event, if it did.

        ``asked`` says that a question waits for its answer, ``talking`` that somebody in the room talks.
        """
        match event:
            case Audio():
                self._sounded = True
            case ToolCall():
                self._cut = False
            case Interrupted():
                self._cut, self._cut_by_nobody = True, self._sounded and not talking
            case TurnComplete(reason, waiting_for_input):
                sounded, cut, by_nobody = self._sounded, self._cut, self._cut_by_nobody
                self._sounded = self._cut = self._cut_by_nobody = False
                self.answered = sounded and not cut
                if by_nobody:
                    return Stall.PHANTOM
                if self.answered:
                    self._in_a_row.clear()
                elif asked and not (sounded or cut or talking or waiting_for_input):
                    return Stall.REJECTED if reason else Stall.EMPTY
        return None

    def failed(self, stall: Stall) -> Remedy:
        """Count a failure; return what to try."""
        self.counts[stall] += 1
        ladder, rung = _LADDERS[stall], self._in_a_row[stall]
        self._in_a_row[stall] += 1
        return ladder[rung] if rung < len(ladder) else Remedy.NOTHING

    def connected(self) -> None:
        """Learn that the connection is another one: no turn is under way on it."""
        self._sounded = self._cut = self._cut_by_nobody = False
