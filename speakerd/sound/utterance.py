"""What was last said in the room, until the server has answered it.

A connection may be lost in the middle of a sentence, or between a question and its answer. The sentence is kept
here from its start, so that the next connection can be told it again.
"""

import time
from collections import deque
from collections.abc import Callable

PREROLL_MS = 400
"""How much goes along from before talk: the first sound of a word is softer than what comes after it."""

NOTICED_MS = 300
"""Talk is noticed so much after it has begun (`python -m bench.gate`)."""

LONGEST_MS = 30_000
"""A longer sentence loses its beginning (960 kB are kept)."""

ANSWER_S = 15.0
"""A sentence that has had no answer for this long is not told again; who spoke has given up, or says it anew."""

TELLINGS = 3
"""How often a sentence is told again at most: one that the service chokes on must not end every connection."""


class Utterance:
    """Keeps the periods of one utterance, with a little of what came before it."""

    def __init__(self, period_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare for periods of this length; ``clock`` tells the time in seconds."""
        self._clock = clock
        self._period_ms = period_ms
        self._preroll = PREROLL_MS // period_ms
        self._noticed = NOTICED_MS // period_ms
        self._periods: deque[bytes] = deque(maxlen=LONGEST_MS // period_ms)
        self._begun = self._talking = False
        self._talked_ms = 0
        self._after_mark = 0  # periods
        self._talked_after_mark_ms = 0
        self._talk_at = float("-inf")  # when somebody talked last
        self._tellings = 0

    @property
    def talked_ms(self) -> int:
        """How much of the utterance is loud: talk, without the pauses between its words."""
        return self._talked_ms

    def hear(self, pcm: bytes, *, talking: bool, loud: bool) -> bool:
        """Take a period of the room's sound; return whether the utterance has just become too old to be told.

        ``talking`` lasts over the pauses between words, ``loud`` does not.
        """
        if expired := self._begun and self._clock() - self._talk_at > ANSWER_S:
            self.answered()
        self._periods.append(pcm)
        self._after_mark += 1
        if talking:
            if not self._talking:
                self._tellings = 0  # a new sentence has chances of its own
            self._begun = True
            self._talked_ms += self._period_ms * loud
            self._talked_after_mark_ms += self._period_ms * loud
            self._talk_at = self._clock()
        self._talking = talking
        while not self._begun and len(self._periods) > self._preroll + self._noticed:
            self._periods.popleft()
        return expired

    def answered(self) -> None:
        """Learn that what was said so far needs no telling any more: the server has begun to answer it."""
        self._begun = False
        self._talked_ms = self._tellings = 0
        while len(self._periods) > self._preroll:
            self._periods.popleft()

    def forget(self) -> None:
        """Keep nothing of what was heard."""
        self._periods.clear()
        self._begun = self._talking = False
        self._talked_ms = self._tellings = 0
        self.mark()

    def mark(self) -> None:
        """Learn that an answer begins here; whether it answers what was said so far, its end will show."""
        self._after_mark = self._talked_after_mark_ms = 0

    def answered_up_to_mark(self) -> None:
        """Learn that the answer came to its end: what was said after it began still waits for one of its own."""
        while len(self._periods) > max(self._after_mark, self._preroll):
            self._periods.popleft()
        self._talked_ms = self._talked_after_mark_ms
        self._begun = self._begun and self._talked_ms > 0
        self._tellings = 0

    def just_heard(self) -> bytes:
        """Return the last moments before now, in which a word may have begun that nobody has noticed yet."""
        if self._begun or (self._clock() - self._talk_at) * 1000 < PREROLL_MS:
            return b""  # there is a sentence in them, which is told again or has been answered
        return b"".join(list(self._periods)[-self._preroll :])

    def to_tell_again(self) -> bytes:
        """Return the utterance that still waits for its answer, from its start until now."""
        if not self._begun or self._tellings == TELLINGS or self._clock() - self._talk_at > ANSWER_S:
            return b""
        self._tellings += 1
        return b"".join(self._periods)
