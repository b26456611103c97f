"""The long life of a daemon: what counts as growth, and what a soak does to it."""

import random
from pathlib import Path

import pytest

from speakerd.simulate.script import Do, Fault, When
from tests.faults.life import Minute, growth
from tests.faults.misdeeds import MISDEEDS, WORLD, Misdeed, faults_of
from tests.integration.stand_in_talk import SILENCE, Caller, stand_in


def life(minutes: int, *, leak_kib: float = 0.0, leaks: int = 0) -> list[Minute]:
    """Return the minutes of a process whose memory wavers by 300 KiB, and what it leaks by the minute and at half."""
    chance = random.Random(1)
    return [
        Minute(
            minute=at,
            threads=4,
            descriptors=16 + (leaks if at > minutes / 2 else 0),
            rss_kib=70_000 + chance.randint(0, 300) + int(leak_kib * at),
            cpu_s=0.05 * 60 * at,
        )
        for at in range(1, minutes + 1)
    ]


def test_what_wavers_does_not_grow() -> None:
    """An hour of ups and downs is no growth, and neither is what happens while the process warms up."""
    assert not growth(life(60))
    assert not growth(life(9, leak_kib=1000))


@pytest.mark.parametrize("minutes", [60, 600])
def test_a_leak_is_found(minutes: int) -> None:
    """Fifty kilobytes a minute are a leak, and so is a single descriptor."""
    assert "rss_kib grew" in growth(life(minutes, leak_kib=50))[0]
    assert growth(life(minutes, leaks=1)) == ["descriptors grew from 16 to 17"]


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: misdeed.name)
def test_the_stand_in_understands_every_misdeed(misdeed: Misdeed) -> None:
    """What the list says can be told to the stand-in, or is done to the world around the daemon."""
    if misdeed.verb not in WORLD:
        faults = faults_of(misdeed, misdeed.seconds[1] if misdeed.seconds else None)
        assert faults[0].do.verb == misdeed.verb


async def test_a_fault_can_be_told_while_it_runs(tmp_path: Path) -> None:
    """It is done at the next event of its kind, and once."""
    async with stand_in(tmp_path) as live:
        async with Caller.call(live) as caller:
            await caller.set_up()
            await caller.say(SILENCE)
            await live.wait_for("audio")
            live.misbehave(Fault(when=When(event="audio"), do=Do.model_validate({"close": 1011})))
            await caller.say(SILENCE[:1280])
            assert (await live.wait_for("close")).detail["code"] == 1011
        async with Caller.call(live) as caller:
            await caller.set_up()
            await caller.say(SILENCE)
            await live.wait_for("audio", connection=2)
        assert [event.detail["do"] for event in live.events if event.kind == "fault"] == ["close"]
