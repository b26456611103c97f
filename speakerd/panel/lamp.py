"""The lamp: an LED, or three of different colours in one housing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from speakerd.errors import HardwareError
from speakerd.panel.pins import explained
from speakerd.settings import Led

if TYPE_CHECKING:
    from gpiozero import Factory, PWMOutputDevice

DIMMING_HZ = 200
"""How often a dimmed LED is switched; the eye sees flicker below about 100."""


class LedLamp:
    """LEDs on pins. They are switched on and off for dimming only while one is neither on nor off."""

    def __init__(self, settings: Led, factory: Factory) -> None:
        """Open the pins, dark.

        Raises:
            HardwareError: one cannot be opened; the text says what to do.
        """
        from gpiozero import PWMOutputDevice

        names = ("pin",) if settings.pin is not None else ("red", "green", "blue")
        self.coloured = len(names) == 3
        self._factory = factory
        self._leds: list[tuple[str, int, PWMOutputDevice]] = []
        self._levels: tuple[float, ...] = (0.0,) * len(names)
        try:
            for name in names:
                setting, pin = f"panel.led.{name}", getattr(settings, name)
                with explained(setting, pin, factory):
                    factory.pin(pin)  # as in contact.py
                    led = PWMOutputDevice(
                        pin, active_high=settings.active == "high", frequency=None, pin_factory=factory
                    )
                self._leds.append((setting, pin, led))
        except HardwareError:
            self.close()
            raise

    def set(self, levels: tuple[float, ...]) -> None:
        """Shine: one level, 0 to 1, for each LED.

        Raises:
            HardwareError: a pin does not obey, or has not stayed as it was set the last time.
        """
        self._check()
        self._levels = levels
        for (setting, pin, led), level in zip(self._leds, levels, strict=True):
            with explained(setting, pin, self._factory):
                is_dimmed = 0 < level < 1
                if is_dimmed is not (led.frequency is not None):
                    led.frequency = DIMMING_HZ if is_dimmed else None
                led.value = level

    def _check(self) -> None:
        for (setting, pin, led), level in zip(self._leds, self._levels, strict=True):
            with explained(setting, pin, self._factory):
                is_level = led.value
            if led.frequency is None and is_level != level:
                raise HardwareError(
                    f"the light at {setting}, GPIO {pin}, is {'on' if is_level else 'off'} and should not be; "
                    "look for another program that uses the pin, and for a short circuit"
                )

    def close(self) -> None:
        """Let go of the pins; the LEDs go dark."""
        for setting, pin, led in self._leds:
            # What is wrong with a pin that is not wanted any more is nobody's business.
            with contextlib.suppress(HardwareError), explained(setting, pin, self._factory):
                led.close()
        self._leds.clear()
