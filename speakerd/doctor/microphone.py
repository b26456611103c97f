"""Does the microphone hear, and how well?"""

import math

import numpy as np
from numpy.typing import NDArray

from speakerd.doctor.finding import Finding, bad, bad_by, note, ok
from speakerd.doctor.recording import FULL_SCALE, record
from speakerd.errors import HardwareError
from speakerd.live.events import INPUT_RATE
from speakerd.settings import Microphone

NAME = "microphone"

LISTEN_S = 1.6

SETTLE_S = 0.3
"""Many microphones click, or drift to their rest, when they are switched on."""

CLIPPED, BADLY_CLIPPED = 0.001, 0.05
"""Parts of all samples at full scale: a clap may do the one, only too much gain the other."""

OFFSET, BAD_OFFSET = 0.03, 0.2
"""Of full scale. Cheap cards have up to a few percent, which costs nothing; a loose wire has more."""

FAINT_DB, LOUD_DB = -75.0, -20.0
"""A quiet kitchen lies between; below the one is the noise of the electronics, above the other only a shout."""

MIXER = "alsamixer (F6 chooses the card, F4 its microphone)"


def examine(settings: Microphone) -> list[Finding]:
    """Listen for a moment and say how the microphone is; nothing that was heard is kept."""
    try:
        recording = record(settings, LISTEN_S)
    except HardwareError as error:
        return [bad_by(NAME, error, "unplug it and plug it in again; see: dmesg | tail")]
    return [judge(recording.samples[:, int(SETTLE_S * INPUT_RATE) :], settings.channels)]


def judge(samples: NDArray[np.float64], channels: int) -> Finding:
    """Return how sound is: a row for each channel, between -1 and 1.

    ``channels`` is what the settings say: with several the first one is used, and with one ALSA mixes all of them.
    """
    alive = np.ptp(samples, axis=1) > 1.5 / FULL_SCALE  # the last bit of a dead one may still flicker
    if not alive.any():
        return bad(
            NAME,
            "opens, and gives nothing but silence",
            f"look for a switch on it, and un-mute it: {MIXER}, where M un-mutes and Space switches capture on",
        )
    if channels > 1 and not alive[0]:
        return bad(
            NAME,
            f"channel 1, the one that is used, is dead; channel {int(alive.argmax()) + 1} is alive",
            "check the wiring; or set microphone.channels to 1 with a device plughw:…, which mixes all channels",
        )
    heard = samples[0] if channels > 1 else samples.mean(axis=0)
    return _distorted(heard, samples) or _dead(alive) or _level(heard)


def level_db(sound: NDArray[np.float64]) -> float:
    """Return how loud sound is, in dB below full scale, without its DC offset."""
    effective = float(np.std(sound))
    return 20 * math.log10(effective) if effective > 0 else -math.inf


def _distorted(heard: NDArray[np.float64], samples: NDArray[np.float64]) -> Finding | None:
    clipped = float(np.max(np.mean(np.abs(samples) >= (FULL_SCALE - 1) / FULL_SCALE, axis=1)))
    offset = abs(float(heard.mean()))
    if clipped >= BADLY_CLIPPED:
        return bad(NAME, f"is overdriven: {clipped:.0%} of the sound is cut off", f"turn it down: {MIXER}")
    if offset >= BAD_OFFSET:
        return bad(
            NAME,
            f"stands at {offset:.0%} of full scale when it should rest at zero (DC offset)",
            "check its wires, ground first; an I2S microphone may need another overlay in config.txt",
        )
    if clipped >= CLIPPED:
        text = f"was overdriven for a moment: {clipped:.1%} of the sound is cut off"
        return note(NAME, text, f"if nobody shouted, turn it down: {MIXER}")
    if offset >= OFFSET:
        return note(NAME, f"rests at {offset:.0%} of full scale instead of zero (DC offset); it hears all the same")
    return None


def _dead(alive: NDArray[np.bool_]) -> Finding | None:
    if alive.all():
        return None
    dead = ", ".join(str(number) for number in np.flatnonzero(~alive) + 1)
    return note(NAME, f"hears, but channel {dead} is dead", "where it has one microphone only, all is well")


def _level(heard: NDArray[np.float64]) -> Finding:
    level, peak = level_db(heard), 20 * math.log10(max(float(np.abs(heard).max()), 1 / FULL_SCALE))
    text = f"hears the room at {round(level)} dB, at most {round(peak)} dB (0 is the loudest there is)"
    if level < FAINT_DB:
        return note(NAME, f"{text}: hardly anything", f"turn it up: {MIXER}; then speak and try again")
    if level > LOUD_DB:
        return note(NAME, f"{text}: very loud", f"if the room is quiet, turn it down: {MIXER}")
    return ok(NAME, text)
