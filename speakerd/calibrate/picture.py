"""A picture of what the microphone heard of the loudspeaker: when, and at which pitch."""

from pathlib import Path

import numpy as np

from speakerd.calibrate.measured import LASTS_S, Measured
from speakerd.calibrate.sweep import HIGHEST_HZ, LOWEST_HZ, response
from speakerd.doctor.recording import Recording
from speakerd.errors import SpeakerdError
from speakerd.live.events import INPUT_RATE


def draw(measured: Measured, recording: Recording, began: float, file: Path) -> None:
    """Draw the response over time, and over frequency with its octaves, into a file: PNG, SVG or PDF.

    Raises:
        SpeakerdError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SpeakerdError("a picture needs matplotlib; run: sudo apt install python3-matplotlib") from error
    late_s = began - recording.began
    found = response(recording.mono, INPUT_RATE)
    first = round((late_s + measured.delay_ms / 1000 - 0.02) * INPUT_RATE)
    echo = found[max(first, 0) : first + round(LASTS_S * INPUT_RATE)]
    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2)
    milliseconds = (np.arange(len(echo)) + max(first, 0)) / INPUT_RATE * 1000 - 1000 * late_s
    above.plot(milliseconds, 20 * np.log10(np.abs(echo) + 1e-6), linewidth=0.6)
    above.set(xlabel="after it was played (ms)", ylabel="response (dB)", title="What the microphone hears of it")
    hertz = np.fft.rfftfreq(1 << 15, 1 / INPUT_RATE)
    below.semilogx(hertz[1:], 20 * np.log10(np.abs(np.fft.rfft(echo, 1 << 15)) + 1e-6)[1:], linewidth=0.6)
    below.plot(list(measured.bands_db), list(measured.bands_db.values()), "o-", label="octaves")
    below.set(xlabel="frequency (Hz)", ylabel="echo (dB)", xlim=(LOWEST_HZ, HIGHEST_HZ))
    below.legend()
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise SpeakerdError(f"{file}: the picture cannot be written: {error}") from error
