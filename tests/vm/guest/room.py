"""The air of the kitchen: the far ends of the two cables, at which people talk and listen."""

import asyncio
import contextlib
import os
import random
import signal
import struct
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

HEARD_RATE, SPOKEN_RATE = 16_000, 24_000
"""Samples a second of what the microphone hears, and of what the loudspeaker plays."""

AT_MICROPHONE, AT_LOUDSPEAKER = "plughw:CARD=Mic,DEV=0", "plughw:CARD=Speaker,DEV=1"

SOFT, LOUD = 20, 150
"""Peaks of a noise of -69 and of -52 dBFS."""

PIECE_MS = 10
"""Sound is compared in pieces of this length."""


class Room:
    """What is heard in the kitchen beside the speaker: a noise that nobody takes for speech, unless it is quiet.

    A noise of more than -60 dBFS that begins at once is a sentence to who judges by loudness alone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._noise: subprocess.Popen[bytes] | None = None

    def be_noisy(self, peak: int = SOFT) -> None:
        """Let there be the noise, for ever, or until the microphone's card goes."""
        self.be_quiet()
        file = self._directory / f"noise-{peak}.raw"
        if not file.exists():
            noise = random.Random(1)
            samples = (noise.randint(-peak, peak) for _ in range(10 * HEARD_RATE))
            file.write_bytes(struct.pack(f"<{10 * HEARD_RATE}h", *samples))
        player = " ".join(_alsa("aplay", AT_MICROPHONE, HEARD_RATE))
        self._noise = subprocess.Popen(
            ["sh", "-c", f"while cat {file}; do :; done | exec {player}"],
            start_new_session=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def be_quiet(self) -> None:
        """Let there be silence."""
        if self._noise is not None:
            with contextlib.suppress(ProcessLookupError):  # the card went, and the noise with it
                os.killpg(self._noise.pid, signal.SIGKILL)
            self._noise.wait()
            self._noise = None

    async def say(self, pcm: bytes) -> None:
        """Say something; return when it is said. Nothing else may be heard at the time."""
        player = await asyncio.create_subprocess_exec(
            *_alsa("aplay", AT_MICROPHONE, HEARD_RATE), stdin=asyncio.subprocess.PIPE
        )
        await player.communicate(pcm)
        assert player.returncode == 0, "nobody can speak here"

    @contextlib.asynccontextmanager
    async def recorded(self, name: str) -> AsyncIterator[Path]:
        """Record what the loudspeaker plays for as long as the block runs; the file is whole when it ends."""
        file = self._directory / f"{name}.raw"
        recorder = await asyncio.create_subprocess_exec(*_alsa("arecord", AT_LOUDSPEAKER, SPOKEN_RATE), str(file))
        try:
            yield file
        finally:
            recorder.send_signal(signal.SIGINT)
            await recorder.wait()


def _alsa(program: str, device: str, rate: int) -> list[str]:
    return [program, "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-r", str(rate), "-c", "1"]


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a sound was found in another one, in order."""

    share: float
    """Of its samples, 0 to 1: every one of them the same."""
    breaks: list[str]
    """Where it did not go on as it should, in words."""

    def __str__(self) -> str:
        return f"{self.share:.2%} of its samples{'; ' + ', '.join(self.breaks) if self.breaks else ''}"


def compare(sound: bytes, other: bytes, rate: int) -> Match:
    """Look for a sound, S16_LE mono, within another one, sample by sample."""
    size = rate * PIECE_MS // 1000 * 2
    expected, began, found, breaks, missing = 0, False, 0, [], 0
    for start in range(0, len(sound) - size + 1, size):
        piece = sound[start : start + size]
        at = expected if other.startswith(piece, expected) else _find(piece, other, expected)
        if at < 0:
            missing += size
            continue
        if began and (missing or at != expected):
            breaks.append(
                f"at {start / 2 / rate:.2f} s {missing / 2 / rate * 1000:.0f} ms lost, "
                f"{(at - expected) / 2 / rate * 1000:.0f} ms of something else"
            )
        began, found, missing, expected = True, found + size, 0, at + size
    if missing:
        breaks.append(f"the last {missing / 2 / rate * 1000:.0f} ms lost")
    whole = len(sound) // size * size
    return Match(found / whole, breaks)


def _find(piece: bytes, other: bytes, start: int) -> int:
    """Return where a piece begins, a whole number of samples from the start, or -1."""
    at = other.find(piece, start)
    while at % 2 and at >= 0:
        at = other.find(piece, at + 1)
    return at
