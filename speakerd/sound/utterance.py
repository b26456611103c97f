"""What was last said in the room, until the server has answered it.

A connection may be lost in the middle of a sentence, or between a question and its answer. The sentence is kept
here from its start, so that the next connection can be told it once more.
"""

from collections import deque

PREROLL_MS = 400
"""How much is kept from before talk is noticed: the first sound of a word is softer than what comes after it."""

LONGEST_MS = 30_000
"""A longer sentence loses its beginning (960 kB are kept)."""

ANSWER_MS = 15_000
"""A sentence that has had no answer for this long is not told again; who spoke has given up, or says it anew."""


class Utterance:
    """Keeps the periods of one utterance, with a little of what came before it."""

    def __init__(self, period_ms: int) -> None:
        """Prepare for periods of this length."""
        self._period_ms = period_ms
        self._preroll = PREROLL_MS // period_ms
        self._periods: deque[bytes] = deque(maxlen=LONGEST_MS // period_ms)
        self._begun = False
        self._quiet_ms = 0
        self._told_again = False

    def hear(self, pcm: bytes, *, talking: bool) -> None:
        """Take a period of the room's sound."""
        self._periods.append(pcm)
        if talking:
            if self._quiet_ms and self._told_again:
                self._told_again = False  # a new sentence has a chance of its own
            self._begun, self._quiet_ms = True, 0
            return
        self._quiet_ms += self._period_ms
        if self._begun and self._quiet_ms >= ANSWER_MS:
            self.answered()
        while not self._begun and len(self._periods) > self._preroll:
            self._periods.popleft()

    def answered(self) -> None:
        """Learn that the server has begun to answer: what was said so far has reached it."""
        self._begun = self._told_again = False
        while len(self._periods) > self._preroll:
            self._periods.popleft()

    def to_tell_again(self) -> bytes:
        """Return the utterance that still waits for its answer, from its start until now; each is returned once."""
        if not self._begun or self._told_again:
            return b""
        self._told_again = True
        return b"".join(self._periods)
