"""The DotStars: LEDs in a row that are told their colour by two wires, and keep it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

from speakerd.errors import HardwareError
from speakerd.panel.pins import SPI0, explained, has_spi, open_spi
from speakerd.settings import DotStar

if TYPE_CHECKING:
    from gpiozero import Factory, OutputDevice

CURRENT = 8
"""How much of its current each LED gets, in 31sts.

White takes 60 mA of an LED then that has everything (3 x 20 mA, APA102C data sheet): three take 180 mA, and blind
whoever stands at the stove. With 8 they take 47 mA, and a dozen 190 mA, which the supply of a small board bears.
"""

LED_BITS = 0xE0
"""Each LED's frame begins with three ones (APA102C data sheet)."""

DARK = (0.0, 0.0, 0.0)


def frame(levels: tuple[float, ...], count: int) -> bytes:
    """Return what tells so many LEDs to shine with these levels, 0 to 1, of red, green and blue.

    It begins with 32 zeros. Each LED takes 32 bits: its current, then blue, green and red
    (https://cdn-shop.adafruit.com/product-files/2343/APA102C.pdf). Each passes the others on half a clock late, so
    that half as many clocks as there are LEDs must follow; and the SK9822, which is sold under the same names, shows
    nothing before 32 zeros more (https://cpldcpu.wordpress.com/2016/12/13/sk9822-a-clone-of-the-apa102/).
    """
    red, green, blue = (round(255 * level) for level in levels)
    end = bytes(4 + -(-count // 16))
    return bytes(4) + bytes((LED_BITS | CURRENT, blue, green, red)) * count + end


class _Bus(Protocol):
    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class DotStarLamp:
    """A row of DotStars, all of the same colour.

    They cannot be asked what they show, so nobody finds out when they do not obey. Those of a program that was killed
    go on showing what it showed last, until it is there again.

    A frame for three takes a third of a millisecond through the board's SPI. Through other pins it is some 350 calls
    of lgpio: 8 ms in the virtual machine of tests/vm, and a small board is hardly faster. It is therefore sent in a
    thread, and only when something changes.
    """

    coloured = True

    def __init__(self, settings: DotStar, factory: Factory) -> None:
        """Open the pins, dark; called in the event loop.

        Raises:
            HardwareError: one cannot be opened; the text says what to do.
        """
        assert settings.data is not None
        assert settings.clock is not None
        self._loop = asyncio.get_running_loop()
        self._count = settings.count
        self._shown = self._wanted = frame(DARK, self._count)
        self._sending: asyncio.Future[None] | None = None
        self._trouble: HardwareError | None = None
        self._lock = threading.Lock()
        self._bus: _Bus | None = None
        if (settings.data, settings.clock) == SPI0 and has_spi(factory):
            self._bus = _Spi(factory)
        else:
            self._bus = _Wires(settings.data, settings.clock, factory)
        try:
            self._send(self._shown)
        except HardwareError:
            self.close()
            raise

    def set(self, levels: tuple[float, ...]) -> None:
        """Shine: levels of red, green and blue, 0 to 1; returns before it does.

        Raises:
            HardwareError: what was to be shown before could not be sent.
        """
        if self._trouble is not None:
            raise self._trouble
        self._wanted = frame(levels, self._count)
        self._go_on()

    def close(self) -> None:
        """Let go of the pins; the LEDs go dark."""
        with self._lock:
            bus, self._bus = self._bus, None
        if bus is not None:
            # What is wrong with pins that are not wanted any more is nobody's business.
            with contextlib.suppress(HardwareError):
                bus.write(frame(DARK, self._count))
            with contextlib.suppress(HardwareError):
                bus.close()

    def _go_on(self) -> None:
        """Send what is wanted, unless something is on its way; then it is sent after that."""
        if self._sending is None and self._wanted != self._shown:
            self._shown = self._wanted
            self._sending = self._loop.run_in_executor(None, self._send, self._shown)
            self._sending.add_done_callback(self._sent)

    def _sent(self, sending: asyncio.Future[None]) -> None:
        self._sending = None
        try:
            sending.result()
        except HardwareError as error:
            self._trouble = error
        else:
            self._go_on()

    def _send(self, data: bytes) -> None:
        with self._lock:
            if self._bus is not None:
                self._bus.write(data)


class _Spi:
    """The board's SPI, driven by the kernel."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        with self._explained():
            self._spi = open_spi(factory)

    def write(self, data: bytes) -> None:
        with self._explained():
            self._spi.write(data)

    def close(self) -> None:
        with self._explained():
            self._spi.close()

    def _explained(self) -> contextlib.AbstractContextManager[None]:
        return explained("panel.led.dotstar.data", SPI0[0], self._factory)


class _Wires:
    """Two pins that are moved one bit after the other; gpiozero's own way to do that takes a third one."""

    def __init__(self, data: int, clock: int, factory: Factory) -> None:
        self._factory = factory
        self._data_pin, self._clock_pin = data, clock
        self._data = self._opened("data", data)
        try:
            self._clock = self._opened("clock", clock)
        except HardwareError:
            self._data.close()
            raise

    def write(self, data: bytes) -> None:
        wire, clock = self._data.pin, self._clock.pin
        before = None
        with explained("panel.led.dotstar.data", self._data_pin, self._factory):
            for byte in data:
                for place in range(7, -1, -1):
                    bit = byte >> place & 1
                    if bit != before:
                        wire.state = before = bit
                    clock.state = 1  # now they look
                    clock.state = 0

    def close(self) -> None:
        for name, pin, device in (("data", self._data_pin, self._data), ("clock", self._clock_pin, self._clock)):
            with contextlib.suppress(HardwareError), explained(f"panel.led.dotstar.{name}", pin, self._factory):
                device.close()

    def _opened(self, name: str, pin: int) -> OutputDevice:
        from gpiozero import OutputDevice

        with explained(f"panel.led.dotstar.{name}", pin, self._factory):
            self._factory.pin(pin)  # as in contact.py
            return OutputDevice(pin, pin_factory=self._factory)
