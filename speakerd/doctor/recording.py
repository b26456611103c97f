"""A few seconds of sound, to and from the devices, with the moments at which they began."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import alsaaudio
import numpy as np
from numpy.typing import NDArray

from speakerd.errors import HardwareError
from speakerd.live.events import INPUT_RATE, OUTPUT_RATE
from speakerd.settings import Microphone, Speaker
from speakerd.sound.alsa import XRUN, open_pcm

PERIOD_MS = 20
PERIODS = 50
"""A second in the device's ring: the SDK is imported meanwhile, which makes a small board busy."""

FULL_SCALE = 32768

LATE_S = 3.0
"""A device that has not given its sound so long after its time gives none."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What the microphone heard: 16 kHz, between -1 and 1.

    ``samples`` has a row for each channel. ``began`` is when the first was heard, in seconds of the
    monotonic clock. ``gaps`` counts where sound was lost.
    """

    samples: NDArray[np.float64]
    began: float
    gaps: int

    @property
    def mono(self) -> NDArray[np.float64]:
        """All channels as one."""
        return np.asarray(self.samples.mean(axis=0))


def record(settings: Microphone, seconds: float, heard: Callable[[], None] = lambda: None) -> Recording:
    """Listen for so long, with two channels where the device has them; ``heard`` is called as soon as sound comes.

    Raises:
        HardwareError: the microphone cannot be opened, went away, or gives no sound; the text says what to do.
    """
    with _opened(settings) as (pcm, channels):
        try:
            return _recorded(pcm, channels, seconds, heard)
        except alsaaudio.ALSAAudioError as error:
            raise HardwareError(f"the microphone went away: {error}") from error


def play(settings: Speaker, sound: NDArray[np.float64]) -> float:
    """Play sound, 24 kHz mono between -1 and 1, to its end; return when its first sample sounded, as above.

    Raises:
        HardwareError: the loudspeaker cannot be opened, or went away; the text says what to do.
    """
    period = OUTPUT_RATE * PERIOD_MS // 1000
    pcm = open_pcm(alsaaudio.PCM_PLAYBACK, settings.device, OUTPUT_RATE, 1, period, PERIODS)
    try:
        return _played(pcm, (sound * (FULL_SCALE - 1)).astype("<i2").tobytes())
    except alsaaudio.ALSAAudioError as error:
        raise HardwareError(f"the loudspeaker went away: {error}") from error
    finally:
        _close(pcm)


def try_to_open(settings: Speaker) -> None:
    """Open the loudspeaker and close it again.

    Raises:
        HardwareError: it cannot be opened; the text says what to do.
    """
    _close(open_pcm(alsaaudio.PCM_PLAYBACK, settings.device, OUTPUT_RATE, 1, OUTPUT_RATE * PERIOD_MS // 1000, 8))


@contextlib.contextmanager
def _opened(settings: Microphone) -> Iterator[tuple[alsaaudio.PCM, int]]:
    period = INPUT_RATE * PERIOD_MS // 1000
    channels = max(2, settings.channels)  # a dead one does not show in the sum of both
    try:
        pcm = open_pcm(alsaaudio.PCM_CAPTURE, settings.device, INPUT_RATE, channels, period, PERIODS)
    except HardwareError:
        channels = settings.channels
        pcm = open_pcm(alsaaudio.PCM_CAPTURE, settings.device, INPUT_RATE, channels, period, PERIODS)
    try:
        yield pcm, channels
    finally:
        _close(pcm)


def _recorded(pcm: alsaaudio.PCM, channels: int, seconds: float, heard: Callable[[], None]) -> Recording:
    pieces: list[bytes] = []
    began, frames, gaps = math.inf, 0, 0
    deadline = time.monotonic() + seconds + LATE_S
    while frames < seconds * INPUT_RATE:
        count, data = pcm.read()
        now = time.monotonic()
        if now > deadline:
            raise HardwareError("the microphone is open and gives no sound")
        if count == XRUN:
            gaps += 1
        elif count > 0:
            pieces.append(data)
            frames += count
            heard()
            # The device counts in steps and so is never ahead: the earliest of all guesses is the best.
            # After an overrun alsa-lib may crash on this question, and the recording is no good anyway.
            waiting = 0 if gaps else max(0, pcm.avail())
            began = min(began, now - (frames + waiting) / INPUT_RATE)
    samples = np.frombuffer(b"".join(pieces), "<i2").reshape(-1, channels).T
    return Recording(samples / FULL_SCALE, began, gaps)


def _played(pcm: alsaaudio.PCM, sound: bytes) -> float:
    size = pcm.info()["buffer_size"]
    began, written = math.inf, 0
    while sound:
        frames = pcm.write(sound)
        if frames != XRUN:  # nothing of it was taken
            written += frames
            sound = sound[frames * 2 :]
    while 0 <= (free := pcm.avail()) < size:
        left = size - free
        began = min(began, time.monotonic() - (written - left) / OUTPUT_RATE)  # as in _recorded
        if left <= OUTPUT_RATE * PERIOD_MS // 1000:
            break
        time.sleep(PERIOD_MS / 4000)
    with contextlib.suppress(alsaaudio.ALSAAudioError):  # it had run empty already
        pcm.drain()
    return began


def _close(pcm: alsaaudio.PCM) -> None:
    with contextlib.suppress(alsaaudio.ALSAAudioError):  # a device that is gone may complain of its own end
        pcm.close()
