"""The command: play, listen, measure, say what was found, and keep it."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from speakerd.calibrate.measured import LISTEN_S, Measured, measure
from speakerd.calibrate.picture import draw
from speakerd.calibrate.sweep import LENGTH_S, sweep
from speakerd.calibrate.verdict import findings, settle
from speakerd.doctor.finding import Mark
from speakerd.doctor.recording import Recording, play, record
from speakerd.doctor.report import lines
from speakerd.errors import HardwareError, SpeakerdError
from speakerd.host.threads import PatientThreads
from speakerd.live.events import INPUT_RATE, OUTPUT_RATE
from speakerd.settings import Settings
from speakerd.sound.calibration import Calibration, Calibrations
from speakerd.sound.mixer import take_on
from speakerd.sound.volume import gain

BEFORE_S = 0.5
"""What is heard before the sweep tells what the room is like without it."""

OPEN_S = 3.0
"""How long the microphone may take to give its first sound."""

WORDS = {
    "cancel": "its own voice is taken out of what the microphone hears",
    "half-duplex": "while it speaks, nothing but what is much louder is heard",
    "off": "nothing is done about its own voice",
}


def calibrate(
    settings: Settings,
    directory: Path,
    tell: Callable[[str], object],
    *,
    as_json: bool = False,
    plot: Path | None = None,
    dry_run: bool = False,
) -> int:
    """Measure the settings' microphone and loudspeaker, and keep what follows; return 1 where something is wrong.

    Raises:
        SpeakerdError: a device cannot be used, or the result cannot be kept; the text says what to do.
    """
    recording, began = _heard(settings)
    if recording.gaps:
        raise SpeakerdError("the machine was too busy to listen; run it again when less is going on")
    found = measure(recording.mono, INPUT_RATE, began - recording.began)
    result = settle(found)
    report = findings(found, settings.speaker.volume)
    if not dry_run:
        _keep(settings, directory, result)
    if plot is not None and found is not None:
        draw(found, recording, began, plot)
    if as_json:
        measured = asdict(found) if found else None
        tell(json.dumps({"measured": measured, "result": asdict(result)}, indent=2))
    else:
        for finding in report:
            tell("\n".join(lines(finding)))
        tell("\n".join(_as_table(found, result, kept=not dry_run)))
    return int(any(finding.mark is Mark.BAD for finding in report))


def _heard(settings: Settings) -> tuple[Recording, float]:
    """Play the sweep as loud as an answer; return what the microphone heard, and when the sweep began to sound."""
    loudness = gain(settings.speaker.volume)
    try:
        taken = take_on(settings.speaker.device, settings.speaker.mixer, settings.speaker.volume)
    except LookupError:
        taken = None
    if taken is not None:
        loudness = min(loudness * 10 ** (-taken.card_db / 20), 1.0)
    hears = threading.Event()
    listening = PatientThreads().submit(record, settings.microphone, LISTEN_S, hears.set)
    listening.add_done_callback(lambda _: hears.set())  # it may have failed
    hears.wait(OPEN_S)
    time.sleep(BEFORE_S)
    if listening.done():
        listening.result()  # raises what is wrong with the microphone
    began = play(settings.speaker, loudness * sweep(OUTPUT_RATE))
    try:
        return listening.result(LENGTH_S + OPEN_S), began
    except TimeoutError as error:
        raise HardwareError("the microphone does not answer; unplug it and plug it in again") from error


def _keep(settings: Settings, directory: Path, result: Calibration) -> None:
    try:
        Calibrations(directory).keep(settings.microphone.device, settings.speaker.device, result)
    except OSError as error:
        raise SpeakerdError(
            f"{directory}: the result cannot be kept: {error.strerror}; run it with sudo, or with --dry-run"
        ) from error


def _as_table(found: Measured | None, result: Calibration, *, kept: bool) -> list[str]:
    rows = ["", f"from now on: {WORDS[result.mode]}" if kept else f"it would say: {WORDS[result.mode]}"]
    if found is not None:
        bands = "  ".join(f"{band} Hz {db:.0f}" for band, db in found.bands_db.items())
        rows += [f"echo by octave, dB: {bands}"]
    if kept:
        rows += ["the running speaker takes it up with: sudo systemctl restart speakerd"]
    return rows
