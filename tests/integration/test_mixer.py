"""The card's own volume control, through the real ALSA library."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from speakerd.settings import Settings
from speakerd.settings import Speaker as SpeakerSettings
from speakerd.simulate.card import SimulatedCard
from speakerd.sound.alsa import Speaker
from speakerd.sound.mixer import Taken, take_on
from speakerd.sound.reply import Reply
from speakerd.sound.volume import Volume, gain
from tests.integration.test_alsa import until

NAMED = "card:CARD=sim"


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedCard]:
    with SimulatedCard(tmp_path / "card", mixer=True) as card:
        for name, value in card.environment.items():
            monkeypatch.setenv(name, value)
        yield card


class House:
    """A loudspeaker, and what it is told to play."""

    def __init__(self, **settings: object) -> None:
        self.settings = Settings.model_validate({"speaker": settings}).speaker
        self.volume = Volume(lambda: gain(self.settings.volume))
        self.reply = Reply(80)
        self.reports: list[str | None] = []

    @contextlib.asynccontextmanager
    async def speaking(self) -> AsyncIterator[Speaker]:
        speaker = Speaker(self.settings, self.reply, lambda _: None, self.reports.append, self.volume)
        async with speaker.running():
            await until(lambda: self.reports, "the loudspeaker")
            yield speaker


@pytest.mark.parametrize(("percent", "db"), [(100, 0), (80, -3), (50, -10), (1, -50)])
async def test_the_card_does_what_it_can_of_the_volume(card: SimulatedCard, percent: int, db: int) -> None:
    """It is switched on, and never amplifies; the rest is done to the samples."""
    house = House(device=NAMED, volume=percent)
    async with house.speaking():
        assert card.mixer == (db, True)
    loud = b"\x00\x40" * 480
    house.volume.shape(loud)
    sample = int.from_bytes(house.volume.shape(loud)[:2], "little", signed=True)
    assert sample * 10 ** (db / 20) == pytest.approx(0x4000 * gain(percent), rel=0.06)


async def test_a_control_is_set_again_when_the_card_comes_back(card: SimulatedCard, tmp_path: Path) -> None:
    """What it forgot without power, or somebody's alsamixer has done, does not last."""
    house = House(device=NAMED, volume=50)
    async with house.speaking() as speaker:
        card.unplug()
        house.reply.write(bytes(96_000))
        house.reply.complete()
        await until(lambda: house.reports[-1] is not None, "the loss of the card")
        (tmp_path / "card" / "speaker.mixer").write_text("56 0\n")
        card.replug()
        speaker.try_again()
        await until(lambda: house.reports[-1] is None, "the loudspeaker")
        assert card.mixer == (-10, True)


async def test_software_leaves_the_card_alone(card: SimulatedCard) -> None:
    """Somebody else sets its control then, and the samples are made softer."""
    house = House(device=NAMED, mixer="software", volume=50)
    async with house.speaking():
        assert card.mixer == (-30, False)
    assert house.volume.card_db == 0


async def test_a_control_that_the_card_lacks_is_told_and_does_not_matter(
    card: SimulatedCard, caplog: pytest.LogCaptureFixture
) -> None:
    """The line names those that it has; the volume is set in software."""
    house = House(device=NAMED, mixer="Lautsprecher")
    async with house.speaking():
        assert card.mixer == (-30, False)
    assert "has no volume control Lautsprecher in dB (it has Speaker); the volume is set in software" in caplog.text


def test_a_control_can_be_named_for_a_device_that_names_no_card(card: SimulatedCard) -> None:
    """Auto leaves such a device alone: it may be a desktop's own volume."""
    assert take_on("speaker", "auto", 50) is None
    assert card.mixer == (-30, False)
    assert take_on("speaker", "Speaker", 50) == Taken("Speaker", -10.0)
    assert card.mixer == (-10, True)


def test_a_device_without_any_control_is_played_to_as_ever(card: SimulatedCard) -> None:
    """Nothing is told where nothing was asked for."""
    assert take_on("null", "auto", 50) is None
    with pytest.raises(LookupError, match="it has none"):
        take_on("null", "Speaker", 50)


def test_the_settings_know_it() -> None:
    """Without a word about it the card is looked at."""
    assert SpeakerSettings().mixer == "auto"
