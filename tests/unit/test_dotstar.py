"""DotStars on simulated pins: what comes out of the wires is read bit by bit, as the LEDs do."""

import asyncio
import contextlib
import datetime as dt
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.local import LocalPiFactory
from gpiozero.pins.mock import MockFactory, MockPin

from speakerd.errors import HardwareError
from speakerd.panel import pins
from speakerd.panel.dimmer import Dimmer
from speakerd.panel.dotstar import CURRENT, DotStarLamp, frame
from speakerd.panel.light import COLOURS, PATTERNS, Light, Rhythm
from speakerd.panel.panel import Panel
from speakerd.panel.pins import has_spi
from speakerd.settings import DotStar, QuietHours
from speakerd.settings import Panel as PanelSettings
from speakerd.state import State

DATA, CLOCK = 5, 6
WIRES = DotStar(data=DATA, clock=CLOCK)
SPI = DotStar(data=10, clock=11)

Row = tuple[tuple[int, int, int], ...]
"""What each LED of a row shows: red, green and blue, 0 to 255."""


class Wire(MockPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin that may be slow or stop to obey, and that calls whoever looks at its rising edges."""

    is_cut = False
    rising: Callable[[], object] = staticmethod(lambda: None)
    delay: Callable[[], object] = staticmethod(lambda: None)

    def _set_state(self, value: float) -> None:
        if type(self).is_cut:
            raise OSError(5, os.strerror(5))
        super()._set_state(value)

    def _change_state(self, value: float) -> bool:
        changed = bool(super()._change_state(value))
        if changed and value:
            self.delay()
            self.rising()
        return changed


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> MockFactory:
    monkeypatch.setattr(Wire, "is_cut", False)
    return MockFactory(pin_class=Wire)


class Chain:
    """LEDs as the data sheet has them: a start of 32 zeros, 32 bits for each, and the clocks that move them on."""

    def __init__(self, count: int) -> None:
        self.rows: list[tuple[float, Row]] = []
        """What they showed, and from when on."""
        self.current: set[int] = set()
        self._count = count
        self._zeros = 0
        self._bits: list[int] | None = None

    @classmethod
    def at(cls, factory: MockFactory, settings: DotStar) -> "Chain":
        """Return LEDs that are wired to these pins."""
        chain = cls(settings.count)
        data, clock = factory.pin(settings.data), factory.pin(settings.clock)
        clock.rising = lambda: chain.take(int(data.state))
        return chain

    def take(self, bit: int) -> None:
        """Take a bit, at the clock's rising edge."""
        if self._bits is None:
            if bit and self._zeros >= 32:
                self._bits = [bit]
            self._zeros = 0 if bit else self._zeros + 1
            return
        self._bits.append(bit)
        # The end: 32 zeros for those that wait for them, and half a clock for each LED.
        if len(self._bits) == 32 * self._count + 32 + (self._count + 1) // 2:
            self._show(self._bits)
            self._bits, self._zeros = None, 0

    def _show(self, bits: list[int]) -> None:
        words = [int("".join(map(str, bits[at : at + 32])), 2) for at in range(0, 32 * self._count, 32)]
        assert not any(bits[32 * self._count :])
        assert all(word >> 29 == 0b111 for word in words)
        self.current |= {word >> 24 & 0b11111 for word in words}
        row = tuple((word & 0xFF, word >> 8 & 0xFF, word >> 16 & 0xFF) for word in words)
        self.rows.append((time.monotonic(), row))

    def shows(self) -> Row:
        """Return what they show now."""
        return self.rows[-1][1]

    def levels(self) -> Iterator[tuple[float, tuple[float, ...]]]:
        """Return when they began to show what, 0 to 1 for each colour; all LEDs must have shown the same."""
        for at, row in self.rows:
            (colour,) = set(row)
            yield at, tuple(part / 255 for part in colour)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def shining(
    factory: MockFactory, settings: DotStar = WIRES, percent: int = 100, quiet: QuietHours | None = None
) -> AsyncIterator[tuple[Light, Chain]]:
    chain = Chain.at(factory, settings)
    light = Light(Dimmer(percent, quiet or QuietHours(), lambda: dt.datetime(2026, 6, 1, 23, 0).astimezone()))
    lamp = DotStarLamp(settings, factory)
    light.use(lamp, lambda error: pytest.fail(str(error)))
    try:
        yield light, chain
    finally:
        light.rest()
        lamp.close()


@pytest.mark.parametrize("count", [1, 3, 12, 32])
async def test_every_led_of_a_row_gets_its_colour(factory: MockFactory, count: int) -> None:
    """However long the row is, its last LED shows what its first one does."""
    async with shining(factory, DotStar(data=DATA, clock=CLOCK, count=count)) as (light, chain):
        assert chain.shows() == ((0, 0, 0),) * count
        light.show(State.CONNECTING)
        await until(lambda: chain.shows() == ((255, 115, 0),) * count)


@pytest.mark.parametrize("settings", [WIRES, SPI], ids=["any pins", "those of SPI, which is off"])
@pytest.mark.parametrize("state", State)
async def test_each_state_has_its_colour(factory: MockFactory, state: State, settings: DotStar) -> None:
    """The colour is that of the table whenever the lights are on."""
    pattern = PATTERNS[state]
    async with shining(factory, settings) as (light, chain):
        light.show(state)
        await asyncio.sleep(0.7)
        seen = [level for _, level in chain.levels()]
    if pattern.rgb is Rhythm.OFF:
        assert set(seen) == {(0, 0, 0)}
        return
    brightest = max(seen, key=max)
    assert max(brightest) > 0.1
    assert [part / max(brightest) for part in brightest] == pytest.approx(COLOURS[pattern.colour], abs=0.02)
    if pattern.rgb is Rhythm.STEADY:
        assert set(seen) == {(0, 0, 0), brightest}


async def test_a_pulse_is_smooth(factory: MockFactory) -> None:
    """From dark to bright and back in a second, in small steps; and dark when the lamp is closed."""
    began = time.monotonic()
    async with shining(factory) as (light, chain):
        light.show(State.THINKING)  # a quick pulse
        await asyncio.sleep(1.0)
    levels = [(at - began, level[2]) for at, level in chain.levels()]
    assert 8 <= len(levels) <= 22  # fewer where the machine is busy
    assert max(level for at, level in levels if abs(at - 0.5) < 0.15) > 0.9
    assert levels[1][1] < 0.1
    assert levels[-1][1] == 0


async def test_flashes_come_and_go(factory: MockFactory) -> None:
    """An error blinks five times in two seconds."""
    async with shining(factory) as (light, chain):
        light.show(State.ERROR)
        await asyncio.sleep(1.1)
        levels = [(at, level[0]) for at, level in chain.levels()][1:]
    assert [level for _, level in levels] == [1, 0, 1, 0, 1, 0]
    assert levels[2][0] - levels[0][0] == pytest.approx(0.4, abs=0.1)


async def test_they_are_as_bright_as_settings_and_quiet_hours_say(factory: MockFactory) -> None:
    """Forty percent by day is forty of a hundred; ten at night are fewer; and none gets all of its current."""
    async with shining(factory, percent=40) as (light, chain):
        light.show(State.SPEAKING)
        await until(lambda: chain.shows() == ((0, 0, 102),) * 3)
    async with shining(factory, percent=40, quiet=QuietHours(begin="22:00", end="07:00")) as (light, chain):
        light.show(State.SPEAKING)
        await until(lambda: chain.shows() == ((0, 0, 26),) * 3)
        assert chain.current == {CURRENT}


async def test_what_does_not_change_is_not_sent(factory: MockFactory) -> None:
    """The wires are still while the light is."""
    async with shining(factory) as (light, chain):
        for _ in range(3):
            light.show(State.SPEAKING)
            await asyncio.sleep(0.1)
        assert len(chain.rows) == 2
        edges = len(factory.pin(CLOCK).states)
        await asyncio.sleep(0.2)
        assert len(factory.pin(CLOCK).states) == edges


async def test_slow_wires_show_the_newest_and_hold_nobody_up(factory: MockFactory) -> None:
    """While a frame is on its way others may come: the last of them is shown, and the loop goes on."""
    async with shining(factory) as (light, chain):
        go_on = threading.Event()
        deadline = time.monotonic() + 2
        factory.pin(CLOCK).delay = lambda: go_on.wait(max(0.0, deadline - time.monotonic()))
        for state in (State.SPEAKING, State.CONNECTING, State.LISTENING):
            light.show(state)
            await asyncio.sleep(0.02)
        assert len(chain.rows) == 1
        go_on.set()
        await until(lambda: chain.shows() == ((0, 255, 0),) * 3)
        assert [row[0] for _, row in chain.rows] == [(0, 0, 0), (0, 0, 255), (0, 255, 0)]


async def test_they_go_dark_when_the_lamp_is_closed_in_the_middle_of_a_frame(
    factory: MockFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """What was on its way gets there first, and what was to follow does not."""
    async with shining(factory) as (light, chain):
        factory.pin(CLOCK).delay = lambda: time.sleep(0.0005)
        light.show(State.SPEAKING)
        await asyncio.sleep(0.03)
        light.show(State.LISTENING)
    assert [row[0] for _, row in chain.rows] == [(0, 0, 0), (0, 0, 255), (0, 0, 0)]
    await asyncio.sleep(0.1)
    assert chain.shows() == ((0, 0, 0),) * 3
    assert caplog.records == []


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@contextlib.asynccontextmanager
async def front(factory: Any, settings: DotStar) -> AsyncIterator[Panel]:
    panel = Panel(
        PanelSettings.model_validate({"led": {"dotstar": settings.model_dump()}}),
        QuietHours(),
        lambda _gesture: None,
        lambda *, muted: None,
        factory=factory,
        waits_s=(0.1, 0.2),
    )
    async with panel.running():
        yield panel


async def test_wires_that_fail_are_told_once_and_tried_again(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The light is dark for as long as it does not work, and then shows what it should."""
    chain = Chain.at(factory, WIRES)
    async with front(factory, WIRES) as panel:
        panel.light.show(State.ERROR)
        await until(lambda: len(chain.rows) > 1)
        monkeypatch.setattr(Wire, "is_cut", True)
        await until(lambda: "light" not in panel.parts)
        await asyncio.sleep(0.5)  # a few tries
        panel.light.show(State.SPEAKING)
        monkeypatch.setattr(Wire, "is_cut", False)
        await until(lambda: "light" in panel.parts)
        await until(lambda: chain.shows() == ((0, 0, 255),) * 3)
    assert len(told(caplog)) <= 2  # at a bit, and at the opening
    assert told(caplog)[0].startswith("panel.led.dotstar.data: GPIO 5 does not work: ")


@pytest.mark.parametrize(("data", "clock", "words"), [(45, 6, "dotstar.data: this"), (5, 45, "dotstar.clock: this")])
async def test_a_pin_that_does_not_exist_is_told(
    factory: MockFactory, caplog: pytest.LogCaptureFixture, data: int, clock: int, words: str
) -> None:
    """The setting is named, and the other pin is let go of."""
    async with front(factory, DotStar(data=data, clock=clock)) as panel:
        assert panel.parts == []
        await asyncio.sleep(0.25)
    (line,) = told(caplog)
    assert line == f"panel.led.{words} board has no GPIO 45; choose another pin"


class Kernel(LocalPiFactory):  # type: ignore[misc]  # gpiozero ships no types
    """A board whose SPI the kernel drives; gpiozero decides as on a real one which pins that are."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = Chain(3)
        self.problem: Exception | None = None

    def _get_revision(self) -> int:
        return 0xA020D3  # a Pi 3B+

    def _get_spi_class(self, shared: bool, hardware: bool) -> Any:
        assert hardware
        assert not shared
        return self.opened

    def opened(self, *, pin_factory: object, **pins: str | None) -> object:
        """Open the device, in place of lgpio."""
        assert pin_factory is self
        assert pins == {"clock_pin": "GPIO11", "mosi_pin": "GPIO10", "miso_pin": None, "select_pin": "GPIO8"}
        if self.problem is not None:
            raise self.problem
        return self

    def write(self, data: bytes) -> None:
        """Take a transfer."""
        if self.problem is not None:
            raise self.problem
        for byte in data:
            for place in range(8):
                self.chain.take(byte >> (7 - place) & 1)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    monkeypatch.setattr(pins, "DEVICES", tmp_path)
    (tmp_path / "spidev0.0").touch()
    return Kernel()


async def test_where_spi_is_on_the_kernel_sends(kernel: Kernel) -> None:
    """With dtparam=spi=on the pins belong to a driver, which is given the same bits."""
    async with front(kernel, SPI) as panel:
        panel.light.show(State.SPEAKING)
        await until(lambda: kernel.chain.shows() == ((0, 0, 255),) * 3)
    assert kernel.chain.shows() == ((0, 0, 0),) * 3


async def test_spi_that_fails_is_told_and_tried_again(kernel: Kernel, caplog: pytest.LogCaptureFixture) -> None:
    """The other way, through the pins, is not tried: they are the driver's."""
    async with front(kernel, SPI) as panel:
        panel.light.show(State.ERROR)
        kernel.problem = OSError("bad SPI transfer")
        await until(lambda: "light" not in panel.parts)
        kernel.problem = None
        await until(lambda: "light" in panel.parts)
    assert told(caplog)[0] == "panel.led.dotstar.data: GPIO 10 does not work: bad SPI transfer"


def test_spi_is_the_kernels_only_where_it_has_a_device(kernel: Kernel, factory: MockFactory, tmp_path: Path) -> None:
    """Without dtparam=spi=on, or with pins that exist only in software, nobody else has these pins."""
    assert has_spi(kernel)
    assert not has_spi(factory)
    (tmp_path / "spidev0.0").unlink()
    assert not has_spi(kernel)


@pytest.mark.filterwarnings("ignore::gpiozero.SPISoftwareFallback")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another group")
@pytest.mark.parametrize(
    ("group", "words"), [(0, 'SUBSYSTEM=="spidev", GROUP="spi"'), (29, "SupplementaryGroups=audio")]
)
async def test_spi_without_rights_is_told_with_what_to_do(
    kernel: Kernel, tmp_path: Path, caplog: pytest.LogCaptureFixture, group: int, words: str
) -> None:
    """Whoever is not in its group learns which; where there is none, the rule that is missing is named."""
    os.chown(tmp_path / "spidev0.0", 0, group)
    (tmp_path / "spidev0.0").chmod(0o660)
    kernel.problem = OSError("can not open SPI device")
    async with front(kernel, SPI) as panel:
        assert panel.parts == []
    (line,) = told(caplog)
    assert line.startswith(f"panel.led.dotstar: {tmp_path}/spidev0.0 ")
    assert words in line
    assert "software" not in line


def test_a_frame_is_what_the_data_sheet_says() -> None:
    """Start, an LED in blue, green and red behind its ones and its current, and the end."""
    assert frame((1.0, 0.5, 0.0), 1).hex(" ") == "00 00 00 00 e8 00 80 ff 00 00 00 00 00"


async def test_a_failure_reaches_whoever_shines_next(factory: MockFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that sends has nobody to tell."""
    lamp = DotStarLamp(WIRES, factory)
    monkeypatch.setattr(Wire, "is_cut", True)
    lamp.set((1.0, 0.0, 0.0))
    deadline = time.monotonic() + 5

    async def fail() -> None:
        while time.monotonic() < deadline:
            await asyncio.sleep(0.01)
            lamp.set((1.0, 0.0, 0.0))

    with pytest.raises(HardwareError, match="GPIO 5"):
        await fail()
    lamp.close()
