"""Does the loudspeaker sound, and does the microphone hear it?"""

import threading
import time
from concurrent.futures import Future

from speakerd.doctor import echo
from speakerd.doctor.finding import Finding, bad_by, note, ok
from speakerd.doctor.recording import Recording, play, record, try_to_open
from speakerd.errors import HardwareError
from speakerd.host.threads import PatientThreads
from speakerd.live.events import INPUT_RATE, OUTPUT_RATE
from speakerd.settings import Microphone, Speaker

NAME = "loudspeaker"

BEFORE_S, AFTER_S = 0.3, 0.7
"""What is heard before the sound tells what the room is like without it; what comes after catches a late echo."""

OPEN_S = 2.0
"""How long the microphone may take to give its first sound."""

LATE_S = 0.3
"""What wires need is far less; what goes over the air as Bluetooth does needs about so much."""


def examine(speaker: Speaker, microphone: Microphone, *, quiet: bool) -> list[Finding]:
    """Play a soft whistle, listen to it, and say how the loudspeaker is; ``quiet`` opens it and plays nothing."""
    try:
        if quiet:
            try_to_open(speaker)
            return [ok(NAME, "opens; nothing was played")]
        ear = _Ear(microphone)
        began = play(speaker, echo.sweep(OUTPUT_RATE))
    except HardwareError as error:
        return [bad_by(NAME, error, "unplug it and plug it in again; see: dmesg | tail")]
    return [judge(ear.recording(), began)]


def judge(recording: Recording | None, began: float) -> Finding:
    """Return how the loudspeaker is whose sound began at ``began``; None where nobody could listen to it."""
    if recording is None:
        return note(NAME, "plays; whether it is heard, no microphone could tell", "did you hear a soft whistle?")
    found = echo.find(recording.mono, INPUT_RATE)
    if found is None:
        return note(
            NAME,
            "plays, but the microphone does not hear it",
            "if you heard no whistle, turn it up with alsamixer, and check plug and power; "
            "a headset, or a speakerphone that cancels its echo, is meant to be so",
        )
    if recording.gaps:
        return ok(NAME, "plays, and the microphone hears it; the machine was too busy to tell how late")
    late = max(0.0, recording.began + found.at_s - began)
    strength = f"{abs(found.gain_db):.0f} dB {'softer' if found.gain_db < 0 else 'louder'}"
    text = f"plays, and the microphone hears it {late * 1000:.0f} ms later, {strength}"
    if late > LATE_S:
        return note(
            NAME,
            text,
            "that is late, as over Bluetooth; sudo speakerd calibrate takes it into account, "
            "but talk that is broken off goes on for as long",
        )
    return ok(NAME, text)


class _Ear:
    """The microphone, listening in a thread of its own; it gives up where that hangs."""

    def __init__(self, settings: Microphone) -> None:
        """Begin, and wait until it hears."""
        seconds = BEFORE_S + echo.LENGTH_S + AFTER_S
        heard = threading.Event()
        self._limit_s = seconds + OPEN_S
        self._future: Future[Recording] = PatientThreads().submit(record, settings, seconds, heard.set)
        self._future.add_done_callback(lambda _: heard.set())  # it may have failed
        heard.wait(OPEN_S)
        time.sleep(BEFORE_S)

    def recording(self) -> Recording | None:
        """Return what it heard; None where it could not."""
        try:
            return self._future.result(self._limit_s)
        except (HardwareError, TimeoutError):  # what is wrong with it is told in its own line
            return None
