"""The light, in real time on simulated pins: what is on them is sampled, as an eye would."""

import asyncio
import contextlib
import datetime as dt
import itertools
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from speakerd.errors import HardwareError
from speakerd.panel.dimmer import LONGEST_S, Dimmer
from speakerd.panel.lamp import LedLamp
from speakerd.panel.light import COLOURS, FLASHES, PATTERNS, Light, Rhythm, brightness, until_change
from speakerd.settings import Led, QuietHours
from speakerd.state import State

ONE, RED, GREEN, BLUE = 27, 5, 6, 13
SEEN = {
    State.ERROR: [(0.4 * n, 0.2) for n in range(5)],
    State.SETUP: [(0.0, 0.1), (0.25, 0.1), (0.5, 0.1), (2.0, 0.1)],
    State.MUTED: [(0.0, 0.1), (0.25, 0.1), (2.0, 0.1)],
    State.OFFLINE: [(0.0, 0.1), (2.0, 0.1)],
}
"""When one LED flashes in its first two seconds, and for how long."""
WAVES = {Rhythm.SLOW_PULSE: 3.0, Rhythm.QUICK_PULSE: 1.0, Rhythm.BREATHING: 4.0}
"""From darkest to darkest, in seconds."""


@pytest.fixture
def factory() -> MockFactory:
    return MockFactory(pin_class=MockPWMPin)


def noon() -> dt.datetime:
    return dt.datetime(2026, 6, 1, 12, 0).astimezone()


class Eye:
    """What a light looks like over time."""

    def __init__(self, factory: MockFactory, led: Led) -> None:
        names = ("pin",) if led.pin is not None else ("red", "green", "blue")
        self._pins = [factory.pin(getattr(led, name)) for name in names]
        self._high = led.active == "high"

    def level(self) -> tuple[float, ...]:
        return tuple(float(pin.state) if self._high else 1 - float(pin.state) for pin in self._pins)

    async def watch(self, seconds: float) -> list[tuple[float, tuple[float, ...]]]:
        """Look 200 times a second; return when what was seen."""
        began = time.monotonic()
        seen = []
        while (at := time.monotonic() - began) < seconds:
            seen.append((at, self.level()))
            await asyncio.sleep(0.005)
        return seen


@contextlib.asynccontextmanager
async def shining(
    factory: MockFactory, led: Led, quiet: QuietHours | None = None, now: Callable[[], dt.datetime] = noon
) -> AsyncIterator[tuple[Light, Eye]]:
    light = Light(Dimmer(led.brightness, quiet or QuietHours(), now))
    lamp = LedLamp(led, factory)
    light.use(lamp, lambda error: pytest.fail(str(error)))
    try:
        yield light, Eye(factory, led)
    finally:
        light.rest()
        lamp.close()


def spells(seen: list[tuple[float, tuple[float, ...]]]) -> list[tuple[bool, float, float]]:
    """Return for each time that it was on, or off, when that began and how long it lasted; without the last one."""
    found: list[tuple[bool, float, float]] = []
    began = 0.0
    for (_, before), (at, now) in itertools.pairwise(seen):
        if any(before) != any(now):
            found.append((any(before), began, at - began))
            began = at
    return found


@pytest.mark.parametrize("led", [Led(pin=ONE), Led(pin=ONE, active="low")], ids=["high", "low"])
@pytest.mark.parametrize("state", SEEN)
async def test_one_led_flashes_as_the_table_says(factory: MockFactory, state: State, led: Led) -> None:
    """Each flash begins and ends when it should, as seen on the pin."""
    async with shining(factory, led) as (light, eye):
        light.show(state)
        seen = await eye.watch(2.3)
    flashes = [(began, length) for lit, began, length in spells(seen) if lit]
    assert len(flashes) >= len(SEEN[state])
    for (began, length), (begins, lasts) in zip(flashes, SEEN[state], strict=False):
        assert began == pytest.approx(begins, abs=0.06)
        assert length == pytest.approx(lasts, abs=0.06)


@pytest.mark.parametrize("state", [state for state in State if PATTERNS[state].single in WAVES])
async def test_one_led_pulses_as_the_table_says(factory: MockFactory, state: State) -> None:
    """A wave is dark at its begin, brightest in its middle, and smooth on the way."""
    round_s = WAVES[PATTERNS[state].single]
    async with shining(factory, Led(pin=ONE)) as (light, eye):
        light.show(state)
        seen = [(at, level[0]) for at, level in await eye.watch(round_s)]
    assert seen[0][1] < 0.05
    assert max(level for at, level in seen if abs(at - round_s / 2) < 0.1) > 0.95
    assert min(level for at, level in seen if round_s - at < 0.1) < 0.1
    bright = [at for at, level in seen if level > 0.5]
    assert bright[0] == pytest.approx(round_s / 4, abs=0.12)
    assert bright[-1] == pytest.approx(round_s * 3 / 4, abs=0.12)


@pytest.mark.parametrize("active", ["high", "low"])
@pytest.mark.parametrize("state", State)
async def test_three_colours_show_each_state(factory: MockFactory, state: State, active: str) -> None:
    """The colour is that of the table whenever the light is on, with a common cathode as with a common anode."""
    pattern = PATTERNS[state]
    led = Led.model_validate({"red": RED, "green": GREEN, "blue": BLUE, "active": active})
    async with shining(factory, led) as (light, eye):
        light.show(state)
        seen = await eye.watch(0.7)
    peak = max(max(level) for _, level in seen)
    if pattern.rgb is Rhythm.OFF:
        assert peak == 0
        return
    if pattern.rgb is Rhythm.STEADY:
        assert seen[0][1] == pytest.approx(COLOURS[pattern.colour])
        assert len({level for _, level in seen}) == 1
    assert peak > 0.1
    for _, level in seen:
        if max(level) > 0.05:
            assert [part / max(level) for part in level] == pytest.approx(COLOURS[pattern.colour], abs=0.01)


@pytest.mark.parametrize("led", [Led(pin=ONE), Led(pin=ONE, active="low")], ids=["high", "low"])
async def test_steady_is_on_and_idle_is_off(factory: MockFactory, led: Led) -> None:
    """Full and dark are plain levels: nothing switches the pin to dim it."""
    async with shining(factory, led) as (light, eye):
        assert eye.level() == (0.0,)
        for state, level in ((State.SPEAKING, 1.0), (State.IDLE, 0.0)):
            light.show(state)
            assert {seen for _, seen in await eye.watch(0.3)} == {(level,)}
            assert factory.pin(ONE).frequency is None


async def test_it_is_as_bright_as_the_settings_say(factory: MockFactory) -> None:
    """With 30 percent nothing is brighter, and the pin is dimmed only while it is lit."""
    async with shining(factory, Led(pin=ONE, brightness=30)) as (light, eye):
        light.show(State.SPEAKING)
        assert eye.level()[0] == pytest.approx(0.3)
        assert factory.pin(ONE).frequency is not None
        light.show(State.IDLE)
        assert eye.level() == (0.0,)
        assert factory.pin(ONE).frequency is None
        light.show(State.LISTENING)
        assert max(level[0] for _, level in await eye.watch(2.2)) == pytest.approx(0.3, abs=0.01)


async def test_a_light_is_dim_in_quiet_hours_and_bright_when_they_end(factory: MockFactory) -> None:
    """A light that does not move follows the clock too, within moments of the hour."""
    began = time.monotonic()
    evening = dt.datetime(2026, 6, 1, 21, 59, 59, 500_000).astimezone()

    def now() -> dt.datetime:
        return evening + dt.timedelta(seconds=time.monotonic() - began)

    quiet = QuietHours(begin="22:00", end="07:00", brightness=10)
    async with shining(factory, Led(pin=ONE), quiet, now) as (light, eye):
        light.show(State.SPEAKING)
        seen = await eye.watch(1.2)
    ((was_bright, _, length),) = spells([(at, (level[0] == 1,)) for at, level in seen])
    assert was_bright
    assert length == pytest.approx(0.5, abs=0.15)
    assert seen[-1][1][0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("begin", "end", "now", "level", "wait_s"),
    [
        (None, None, "12:00", 0.8, None),
        ("22:00", "07:00", "21:30", 0.8, 1800),
        ("22:00", "07:00", "23:00", 0.2, LONGEST_S),
        ("22:00", "07:00", "06:59", 0.2, 60),
        ("22:00", "07:00", "07:00", 0.8, LONGEST_S),
        ("13:00", "15:00", "14:45", 0.2, 900),
        ("00:15", "07:00", "23:45", 0.8, 1800),
    ],
)
def test_quiet_hours_may_last_over_midnight(
    begin: str | None, end: str | None, now: str, level: float, wait_s: float | None
) -> None:
    """The next change is known, today or tomorrow."""
    at = dt.datetime.combine(dt.date(2026, 6, 1), dt.time.fromisoformat(now)).astimezone()
    dimmer = Dimmer(80, QuietHours(begin=begin, end=end, brightness=20), lambda: at)
    assert dimmer.level() == pytest.approx(level)
    assert dimmer.until_change() == wait_s


def test_summer_time_does_not_move_quiet_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the night in which the clocks are put forward, an hour passes from half past one to half past three."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        at = dt.datetime(2026, 3, 29, 1, 30).astimezone()
        assert Dimmer(80, QuietHours(begin="22:00", end="03:15"), lambda: at).until_change() == 45 * 60
    finally:
        monkeypatch.undo()
        time.tzset()


def test_quiet_hours_are_never_brighter_than_the_day() -> None:
    """Whoever wants 5 percent by day does not get 10 by night."""
    night = dt.datetime(2026, 6, 1, 23, 0).astimezone()
    assert Dimmer(5, QuietHours(begin="22:00", end="07:00", brightness=10), lambda: night).level() == 0.05


@pytest.mark.parametrize("led", [Led(pin=ONE), Led(red=RED, green=GREEN, blue=BLUE)], ids=["one", "three"])
@pytest.mark.parametrize("state", State)
async def test_no_light_wakes_the_program_often(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch, state: State, led: Led
) -> None:
    """Twenty times a second at most; only at its edges where it flashes; never where it stands still."""
    async with shining(factory, led) as (light, _):
        loop = asyncio.get_running_loop()
        woken: list[float] = []
        sleep = loop.call_later

        def counted(delay: float, callback: Callable[..., object], *arguments: Any) -> asyncio.TimerHandle:
            def wake() -> None:
                woken.append(loop.time())
                callback(*arguments)

            return sleep(delay, wake)

        monkeypatch.setattr(loop, "call_later", counted)
        light.show(state)
        await asyncio.to_thread(time.sleep, 1.0)
        monkeypatch.undo()
        pattern = PATTERNS[state].single if led.pin is not None else PATTERNS[state].rgb
        if pattern in (Rhythm.OFF, Rhythm.STEADY):
            assert woken == []
        elif pattern in FLASHES:
            assert 1 <= len(woken) <= 8
        else:
            assert 5 <= len(woken) <= 20


class Fuse(MockPWMPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin that may stop to obey."""

    has_blown = False

    def _set_state(self, value: float) -> None:
        if type(self).has_blown:
            raise OSError(5, os.strerror(5))
        super()._set_state(value)


async def test_a_lamp_that_fails_does_not_disturb_the_speaker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failure is told once, in words; states can be shown as before, and go to the next lamp."""
    factory = MockFactory(pin_class=Fuse)
    light, lamp = Light(Dimmer(100, QuietHours())), LedLamp(Led(pin=ONE), factory)
    errors: list[HardwareError] = []
    light.use(lamp, errors.append)
    light.show(State.ERROR)
    monkeypatch.setattr(Fuse, "has_blown", True)
    deadline = time.monotonic() + 5
    while not errors:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert "panel.led.pin: GPIO 27 does not work" in str(errors[0])
    for state in State:
        light.show(state)
    await asyncio.sleep(0.5)
    assert len(errors) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    lamp.close()
    monkeypatch.setattr(Fuse, "has_blown", False)
    light.show(State.SPEAKING)
    new = LedLamp(Led(pin=ONE), factory)
    light.use(new, errors.append)
    assert factory.pin(ONE).state == 1
    light.rest()
    new.close()


async def test_a_light_without_a_lamp_says_in_the_log_what_it_would_show(caplog: pytest.LogCaptureFixture) -> None:
    """The journal has the state, the colour and the rhythm, whatever lamp there is."""
    caplog.set_level(logging.DEBUG)
    light = Light(Dimmer(100, QuietHours()))
    light.show(State.OFFLINE)
    fields = vars(caplog.records[-1])
    assert (fields["event"], fields["state"], fields["colour"], fields["rhythm"]) == (
        "light",
        "offline",
        "amber",
        "slow pulse",
    )


@pytest.mark.parametrize("rhythm", FLASHES)
def test_a_flashing_light_is_drawn_at_each_of_its_edges(rhythm: Rhythm) -> None:
    """From edge to edge nothing changes, and at the edge something does."""
    at = 0.0005
    for _ in range(12):
        wait = until_change(rhythm, at)
        assert wait is not None
        before = brightness(rhythm, at)
        assert {brightness(rhythm, at + wait * part / 10) for part in range(10)} == {before}
        at += wait + 0.0005
        assert brightness(rhythm, at) != before or at % 2.0 < 0.01
