"""What happened: every event of a run, and all sound in both directions.

It is kept in memory for whoever asks, and written to files once a second: `events.jsonl`, `heard-N.wav` for each
connection, `answer-N.wav` for each answer.
"""

import asyncio
import json
import time
import wave
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speakerd.simulate import ears, voice

FLUSH_SECONDS = 1.0
"""How old what is not yet in the files may become: writing costs time that a measurement beside us would see."""


@dataclass(frozen=True, slots=True)
class WireEvent:
    """Something that happened: ``direction`` is in (from a client), out, or - (neither)."""

    at: float
    """Seconds, `time.monotonic()`."""
    connection: int
    """From 1, in the order in which they came; 0 is the stand-in itself."""
    direction: str
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or as much of it as there was."""

    connection: int
    turn: int
    pcm: bytes
    """The whole of it, S16_LE mono at 24 kHz."""
    sent: bytes
    """What was really sent of it."""
    text: str
    interrupted: bool


class Ledger:
    """Keep events, answers and what was heard.

    With ``keep`` false nothing stays in memory once it is in the files, so that a run can last for weeks.
    """

    def __init__(self, directory: Path, *, keep: bool = True) -> None:
        self.events: list[WireEvent] = []
        self.answers: list[Answer] = []
        self._directory = directory
        self._keep = keep
        self._more = asyncio.Event()
        self._written = 0
        self._answers = 0
        self._flushed = time.monotonic()
        self._events_file = (directory / "events.jsonl").open("w")
        self._heard: dict[int, bytearray] = {}
        self._heard_files: dict[int, _SoundFile] = {}

    def note(self, connection: int, direction: str, kind: str, detail: dict[str, Any]) -> None:
        """Write down that something happens now."""
        now = time.monotonic()
        self.events.append(WireEvent(now, connection, direction, kind, detail))
        self._more.set()
        if now - self._flushed > FLUSH_SECONDS:
            self.flush()

    def hear(self, connection: int, pcm: bytes) -> None:
        """Keep sound that a client sent."""
        self._heard.setdefault(connection, bytearray()).extend(pcm)

    def heard(self, connection: int) -> bytes:
        """Return all sound of a connection, S16_LE mono at 16 kHz; nothing where it sent none."""
        self.flush()
        file = self._directory / f"heard-{connection}.wav"
        if not file.exists():
            return b""
        with wave.open(str(file), "rb") as sound:
            return sound.readframes(sound.getnframes())

    def answered(self, answer: Answer) -> None:
        """Keep an answer that is over."""
        self.answers.append(answer)
        self._answers += 1
        file = _SoundFile(self._directory / f"answer-{self._answers}.wav", voice.RATE)
        file.write(answer.sent)
        file.close()

    def left(self, connection: int) -> None:
        """Finish the file of a connection that is over."""
        self.flush()
        if file := self._heard_files.pop(connection, None):
            file.close()

    def flush(self) -> None:
        """Bring the files up to date."""
        self._flushed = time.monotonic()
        lines = [json.dumps(asdict(event), default=repr) for event in self.events[self._written :]]
        self._events_file.write("".join(f"{line}\n" for line in lines))
        self._events_file.flush()
        self._written = len(self.events)
        for connection, pcm in self._heard.items():
            if connection not in self._heard_files:
                self._heard_files[connection] = _SoundFile(self._directory / f"heard-{connection}.wav", ears.RATE)
            self._heard_files[connection].write(pcm)
        self._heard.clear()
        if not self._keep:
            self.events.clear()
            self.answers.clear()
            self._written = 0

    def close(self) -> None:
        """Finish all files."""
        self.flush()
        self._events_file.close()
        for file in self._heard_files.values():
            file.close()

    async def wait_for(self, kind: str, count: int, connection: int | None, seconds: float) -> WireEvent:
        """Return the ``count``-th event of a kind, on one connection or any, as soon as it has happened.

        Raise TimeoutError, whose text lists what did happen, after ``seconds``.
        """
        read = seen = 0
        deadline = time.monotonic() + seconds
        while True:
            while read < len(self.events):
                event = self.events[read]
                read += 1
                if event.kind == kind and connection in (None, event.connection):
                    seen += 1
                    if seen == count:
                        return event
            self._more.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._more.wait()
            except TimeoutError as error:
                raise TimeoutError(self._complaint(kind, count, connection, seconds)) from error

    def _complaint(self, kind: str, count: int, connection: int | None, seconds: float) -> str:
        where = "" if connection is None else f" on connection {connection}"
        happened = Counter(f"{event.connection}:{event.kind}" for event in self.events)
        last = ", ".join(
            f"{event.connection}:{event.kind} {event.detail}"
            for event in self.events[-200:]
            if event.kind not in {"audio", "audio_out"}
        )
        return f"no {kind} number {count}{where} within {seconds} s. Counted: {dict(happened)}. Last: {last[-2000:]}"


class _SoundFile:
    """A WAV file that is whole after each write, so that it can be read while it grows."""

    def __init__(self, path: Path, rate: int) -> None:
        self._stream = path.open("wb", buffering=0)
        self._wave = wave.open(self._stream, "wb")  # noqa: SIM115  # close() does it
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(rate)

    def write(self, pcm: bytes | bytearray) -> None:
        """Add S16_LE mono sound."""
        self._wave.writeframes(pcm)

    def close(self) -> None:
        """Finish the file."""
        self._wave.close()
        self._stream.close()
