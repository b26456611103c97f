"""The model's voice, on its way to the loudspeaker: the one queue.

The server talks faster than people listen, so the queue holds a whole reply. The connection puts sound in, in the
event loop; the speaker's thread takes it out.
"""

import threading
import time
from collections import deque

from speakerd.live.events import OUTPUT_RATE

PERIOD_MS = 20
"""What the loudspeaker takes in one piece; the shortest pre-buffer is three of them, which a device needs to start
without running dry (its start threshold is one frame and pyalsaaudio cannot set it)."""

BYTES_PER_MS = OUTPUT_RATE * 2 // 1000

LONGEST_MS = 10 * 60_000
"""More sound than this is never queued (29 MB); no reply of a kitchen speaker is that long."""

PATIENCE_S = 0.25
"""A reply that has begun but trickles is started after this long, however little of it is there."""

LATE_S = 2.0
"""After an interruption, sound of the reply that was cut may still arrive until the turn ends, or this long."""


class Reply:
    """A queue of S16_LE mono 24 kHz sound with one writer and one reader, in two threads."""

    def __init__(self, prebuffer_ms: int) -> None:
        """Prepare an empty queue; ``prebuffer_ms`` of sound must be there before playing starts."""
        self._prebuffer = prebuffer_ms * BYTES_PER_MS
        self._period = PERIOD_MS * BYTES_PER_MS
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._queued = 0  # bytes
        self._odd = b""  # half a sample, until its other half comes
        self._first_at: float | None = None
        self._complete = True
        self._in_turn = False
        self._cut_at: float | None = None
        self._closed = False
        self._idle = True  # the reader has nothing in hand and nothing in the device
        self._woken = False  # it is to see after its device before it waits on
        self._cuts = 0
        self._taken_at = 0  # the number of cuts when the reader last took something

    # The writer's side.

    def write(self, pcm: bytes) -> bool:
        """Queue sound of any length; return whether it will be heard."""
        with self._changed:
            if self._is_late() or self._is_full():
                return False
            pcm = self._odd + pcm
            whole = len(pcm) & ~1
            self._odd, pcm = pcm[whole:], pcm[:whole]
            if pcm:
                self._complete = False
                self._in_turn = True
                self._put(pcm)
            return True

    def add(self, pcm: bytes) -> None:
        """Queue a sound of the speaker's own, whole samples, behind a reply that is complete.

        It belongs to no turn: it is never late, and the turn goes on, or is over, as before.
        """
        with self._changed:
            if pcm and not self._is_full():
                self._put(pcm)

    def complete(self) -> None:
        """Learn that all of the reply is here: it is played however short it is."""
        with self._changed:
            self._complete = True
            self._odd = b""
            self._changed.notify_all()

    def end_turn(self) -> None:
        """Learn that the turn is over: the next sound belongs to another reply."""
        with self._changed:
            self._cut_at = None
            self._in_turn = False
        self.complete()

    def cut(self) -> int:
        """Drop what is queued and what still arrives of this reply; return how many milliseconds were dropped."""
        with self._changed:
            dropped, self._queued = self._queued, 0
            self._pieces.clear()
            self._odd = b""
            self._complete = True
            # An interruption that comes after the end of its turn must not cost the next answer its start.
            self._cut_at = time.monotonic() if self._in_turn else None
            self._cuts += 1
            self._changed.notify_all()
            return dropped // BYTES_PER_MS

    def join(self, timeout: float) -> bool:
        """Wait up to so many seconds until all that was queued is played or cut; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, timeout)

    @property
    def is_complete(self) -> bool:
        """Whether all of the reply that began is here."""
        return self._complete

    @property
    def is_in_turn(self) -> bool:
        """Whether sound of a turn came that is not over."""
        return self._in_turn

    @property
    def is_empty(self) -> bool:
        """Whether nothing is queued; what the reader has in hand does not count."""
        return not self._queued

    def wake(self) -> None:
        """Let the reader, where it waits for a reply, see after its device."""
        with self._changed:
            self._woken = self._idle
            self._changed.notify_all()

    def close(self) -> None:
        """Send the reader home."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # The reader's side.

    def is_stale(self) -> bool:
        """Whether what the reader took last has been cut since, and must not be heard any more."""
        return self._taken_at != self._cuts

    def begin(self) -> bytes | None:
        """Wait for a reply; return its first block, the pre-buffer or all there is; None when closed.

        An empty block is returned where the reader is to see after its device first.
        """
        with self._changed:
            while not self._closed:
                if self._woken:
                    self._woken = False
                    return b""
                if self._queued >= self._prebuffer or (self._queued and self._complete):
                    return self._take(self._prebuffer)
                if not self._queued:
                    self._idle = True
                    self._changed.notify_all()
                    self._changed.wait()
                elif (left := (self._first_at or 0.0) + PATIENCE_S - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    return self._take(self._prebuffer)
            return None

    def more(self, wait: float = 0.0) -> bytes | None:
        """Return the next period; wait up to ``wait`` seconds for one; None when nothing came, or after a cut."""
        with self._changed:
            deadline = time.monotonic() + wait
            while not self._closed and not self.is_stale():
                if self._queued >= self._period or (self._queued and self._complete):
                    return self._take(self._period)
                left = deadline - time.monotonic()
                if left <= 0:
                    return self._take(self._period) if self._queued else None
                self._changed.wait(left)
            return None

    def _take(self, octets: int) -> bytes:
        """Take up to so many bytes, a whole number of samples."""
        self._taken_at = self._cuts
        taken: list[memoryview] = []
        missing = octets
        while missing and self._pieces:
            piece = self._pieces.popleft()
            if len(piece) > missing:
                self._pieces.appendleft(piece[missing:])
                piece = piece[:missing]
            taken.append(piece)
            missing -= len(piece)
        self._queued -= octets - missing
        return b"".join(taken)

    def _put(self, pcm: bytes) -> None:
        if not self._queued:
            self._first_at = time.monotonic()
        self._pieces.append(memoryview(pcm))
        self._queued += len(pcm)
        self._idle = False
        self._changed.notify_all()

    def _is_full(self) -> bool:
        return self._queued >= LONGEST_MS * BYTES_PER_MS

    def _is_late(self) -> bool:
        return self._cut_at is not None and time.monotonic() - self._cut_at < LATE_S
