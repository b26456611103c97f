"""What the figures mean: what is wrong, in plain words, and what the speaker is to do about its echo. Pure."""

import math

from speakerd.calibrate.measured import Measured, echo_db
from speakerd.doctor.finding import Finding, bad, note, ok
from speakerd.sound.calibration import Calibration
from speakerd.sound.echo import Mode

NAME = "echo"

TALK_DB = -26.0
"""How loud somebody two steps away is at a usual microphone, dB full scale."""

DROWNING_DB = 6.0
"""An echo that is louder than talk by more hides it, whatever is done about it."""

FAINT_DB = 3.0
"""An echo that stands no further above the room's noise needs nothing done about it."""

DISTORTED_DB = -12.0
"""What a loudspeaker adds cannot be taken out of the echo; with more than this, too much is left of it."""

CLEAN_DB = -20.0
"""With no more than this, a canceller leaves as little as it can (``make bench-room``: all of the rooms)."""

LATE_MS = 100.0
"""What is later than this is moved by its delay; a canceller knows shorter ones by itself."""

AHEAD_MS = 40.0
"""So much of a delay is left to the canceller, for the next time it may be shorter."""

CLIPPED = 1e-3
"""A share of samples at full scale that no music makes by chance."""

MARGIN_DB = 10.0
"""How far a voice must stand above what is left of the echo, where the loudspeaker plays cleanly."""


def settle(measured: Measured | None) -> Calibration:
    """Return what the speaker is to do about its echo."""
    if measured is None or echo_db(measured) < measured.noise_db + FAINT_DB:
        return Calibration("off", 0, MARGIN_DB)
    excess = max(measured.distortion_db - CLEAN_DB, 0.0)
    mode: Mode = "half-duplex" if measured.distortion_db > DISTORTED_DB else "cancel"
    delay = round(measured.delay_ms - AHEAD_MS) if measured.delay_ms > LATE_MS else 0
    return Calibration(mode, delay, MARGIN_DB + math.ceil(excess / 2))


def findings(measured: Measured | None, volume: int) -> list[Finding]:
    """Return what is to be said of the figures, the worst first; ``volume`` is that of the sweep, in percent."""
    if measured is None:
        return [
            note(
                NAME,
                "the microphone does not hear the loudspeaker",
                "if you heard no whistle either, turn it up, and see: speakerd doctor; "
                "a headset, or a speakerphone that cancels its echo, is meant to be so",
            )
        ]
    level = echo_db(measured)
    strength = f"{abs(measured.return_db):.0f} dB {'softer' if measured.return_db < 0 else 'louder'}"
    said = f"heard {measured.delay_ms:.0f} ms later, {strength} than played; the room has {measured.noise_db:.0f} dB"
    found = []
    if measured.clipped > CLIPPED:
        found.append(
            bad(NAME, "the loudspeaker overdrives the microphone",
                "lower the microphone with alsamixer (F4: capture), or the loudspeaker's volume, or move them apart")
        )  # fmt: skip
    if level > TALK_DB + DROWNING_DB:
        lower = max(1, round(volume * 10 ** (-0.06 * (level - TALK_DB) / 2)))
        found.append(
            bad(NAME, f"the microphone hears the loudspeaker {level - TALK_DB:.0f} dB louder than you",
                f"move them apart, or lower the volume: speaker.volume: {lower}")
        )  # fmt: skip
    if measured.distortion_db > DISTORTED_DB:
        found.append(bad(NAME, "the loudspeaker distorts, and that cannot be taken out", "lower speaker.volume"))
    if measured.noise_db > TALK_DB - DROWNING_DB:
        found.append(note(NAME, "the room is nearly as loud as talk", "do it again when it is quieter"))
    return [*found, ok(NAME, said)]
