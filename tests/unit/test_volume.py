"""How loud is the loudspeaker?"""

import datetime as dt
import itertools
import math
from array import array

import pytest

from speakerd.settings import QuietHours
from speakerd.sound.volume import CEILING, DUCKED, Volume, factor_at, gain

NOON = dt.datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001 - the time of day on the wall


def tone(peak: float, samples: int = 480) -> bytes:
    """Return a tone whose highest samples are this share of full scale."""
    return array("h", (round(32767 * peak * math.sin(n / 7)) for n in range(samples))).tobytes()


def peak_of(pcm: bytes) -> float:
    return max(map(abs, memoryview(pcm).cast("h"))) / 32767


def test_full_volume_changes_no_sample() -> None:
    """As loud as the card can: the model's voice is played as it came."""
    loud = tone(1.0)
    assert Volume(lambda: 1.0).shape(loud) is loud


@pytest.mark.parametrize("percent", [80, 30, 1])
def test_each_percent_sounds_as_loud_as_it_says(percent: int) -> None:
    """Half the percent sounds half as loud, by the law that loudness follows."""
    volume = Volume(lambda: gain(percent))
    assert peak_of(volume.shape(tone(0.8))) == pytest.approx(0.8 * (percent / 100) ** (1 / 0.6), abs=1e-3)


def test_zero_percent_is_silence() -> None:
    """Volume 0 plays nothing, for as long as it would have taken."""
    assert Volume(lambda: gain(0)).shape(tone(1.0)) == bytes(960)


def test_what_is_too_loud_is_made_softer_instead_of_clipped() -> None:
    """A device that needs gain gets it, but never a clipped sample."""
    volume = Volume(lambda: 4.0)
    shaped = [volume.shape(tone(0.9)), volume.shape(tone(0.9))]
    assert peak_of(shaped[1]) == pytest.approx(CEILING, abs=1e-3)
    assert peak_of(volume.shape(tone(0.1))) == pytest.approx(0.4, abs=0.02)


def test_a_change_of_loudness_does_not_click() -> None:
    """Ducking lowers the voice within five milliseconds, sample by sample."""
    volume = Volume(lambda: 1.0)
    steady = array("h", [10_000] * 480).tobytes()
    assert volume.shape(steady) == steady
    volume.is_ducked = True
    samples = memoryview(volume.shape(steady)).cast("h")
    assert samples[-1] == pytest.approx(10_000 * DUCKED, abs=1)
    assert max(abs(a - b) for a, b in itertools.pairwise(samples)) < 100
    volume.is_ducked = False
    assert volume.shape(steady)[-960 + 240 :] == steady[240:]
    assert volume.shape(steady) is steady


def test_quiet_hours_are_soft() -> None:
    """At night all is as loud as quiet hours allow, and by day as always."""
    night = QuietHours(begin="22:00", end="07:00", volume=20)
    for hour, percent in ((12, 80), (23, 20), (6, 20), (7, 80)):
        assert factor_at(NOON.replace(hour=hour), 80, night) == gain(percent)


def test_quiet_hours_are_never_louder_than_the_day() -> None:
    """Who set a low volume keeps it at night."""
    assert factor_at(NOON, 10, QuietHours(begin="00:00", end="23:59", volume=30)) == gain(10)
