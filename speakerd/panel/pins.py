"""The pins of the board, and words for what can be wrong with them."""

from __future__ import annotations

import contextlib
import grp
import itertools
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from speakerd.errors import HardwareError
from speakerd.settings import Panel

if TYPE_CHECKING:
    from gpiozero import SPI, Factory

DEVICES = Path("/dev")

SPI0 = (10, 11)
"""Where the board's SPI has its data and its clock (https://pinout.xyz/pinout/spi)."""


def open_factory() -> Factory:
    """Open the board's pins through lgpio; it takes some 100 ms on a small board, so call it in a thread.

    Raises:
        HardwareError: there are none, or we may not use them; the text says what to do.
    """
    if not any(DEVICES.glob("gpiochip*")):
        raise HardwareError(
            "this machine has no GPIO chip (/dev/gpiochip*), or hides it from the service; "
            "on a board without pins, remove them from panel in the settings"
        )
    try:
        _import_lgpio()
    except (ImportError, OSError) as error:
        raise HardwareError(f"lgpio, which drives the pins, cannot be loaded ({error}); install it anew") from error
    from gpiozero import PinUnknownPi
    from gpiozero.pins.lgpio import LGPIOFactory

    try:
        return LGPIOFactory()
    except PinUnknownPi as error:
        raise HardwareError(
            "this is no Raspberry Pi that gpiozero knows, so nobody can tell which pin is which; "
            "remove the pins from panel in the settings"
        ) from error
    except _errors() as error:
        raise HardwareError(why_closed(DEVICES / "gpiochip0", error)) from error


def has_spi(factory: Factory) -> bool:
    """Return whether the kernel drives the board's SPI, as with dtparam=spi=on; if not, its pins are like others."""
    from gpiozero.pins.local import LocalPiFactory

    return isinstance(factory, LocalPiFactory) and (DEVICES / "spidev0.0").exists()


def open_spi(factory: Factory) -> SPI:
    """Open the board's SPI for sending.

    Raises:
        HardwareError: we may not use it; the text says what to do.
    """
    from gpiozero import SPISoftwareFallback

    data, clock = SPI0
    try:
        # gpiozero would move the pins itself then, but the kernel has given them to its driver.
        with warnings.catch_warnings(action="error", category=SPISoftwareFallback):
            return factory.spi(clock_pin=clock, mosi_pin=data, miso_pin=None, select_pin=8)
    except SPISoftwareFallback as fallback:
        error = fallback.__context__ or fallback
        why = why_closed(DEVICES / "spidev0.0", error, "spi")
        raise HardwareError(f"panel.led.dotstar: {why}") from error


def why_closed(device: Path, error: BaseException, kind: str = "gpio") -> str:
    """Return why a GPIO chip, or what else is of this kind, cannot be opened, and what to do.

    The kind is the name of a group of Raspberry Pi OS: gpio or spi. Its udev rules give the devices to the groups,
    and other systems lack them.
    """
    try:
        status = device.stat()
    except OSError:
        return f"{device} cannot be opened ({error})"
    if status.st_gid == 0 or not status.st_mode & 0o060:
        subsystem = {"gpio": "gpio", "spi": "spidev"}[kind]
        return (
            f'{device} is for root only; put the line SUBSYSTEM=="{subsystem}", GROUP="{kind}", MODE="0660" into '
            f"/etc/udev/rules.d/60-{kind}.rules, create the group {kind} and restart; then usermod -aG {kind} $USER"
        )
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return (
        f"{device} cannot be opened ({error}); it is for the group {group}: usermod -aG {group} $USER, and log in "
        f"anew; for the service, SupplementaryGroups={group}"
    )


@contextlib.contextmanager
def explained(setting: str, pin: int, factory: Factory) -> Iterator[None]:
    """Turn what gpiozero and lgpio raise about a pin into a HardwareError that names the setting and what to do."""
    try:
        yield
    except _errors() as error:
        raise HardwareError(f"{setting}: {_words(pin, factory, error)}") from error


def clashes(panel: Panel) -> list[tuple[str, str]]:
    """Return each setting that claims the pin of another one, and a line that names both."""
    claims = [("panel.mute_button.pin", panel.mute_button.pin), ("panel.mute_switch.pin", panel.mute_switch.pin)]
    claims += [(f"panel.led.{name}", getattr(panel.led, name)) for name in ("pin", "red", "green", "blue")]
    claims += [(f"panel.led.dotstar.{name}", getattr(panel.led.dotstar, name)) for name in ("data", "clock")]
    return [
        (other, f"{one} and {other} are both GPIO {pin}; each needs a pin of its own")
        for (one, pin), (other, same) in itertools.combinations(claims, 2)
        if pin is not None and pin == same
    ]


def _import_lgpio() -> None:
    """Import lgpio where it may leave its FIFO, and nobody sees it.

    It makes one in the current directory, or goes to the one that LG_WD names and stays there; from then on only
    the open file is needed.
    """
    if "lgpio" in sys.modules:
        return
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="lgpio-", dir=os.environ.get("RUNTIME_DIRECTORY")) as directory:
        os.environ["LG_WD"] = directory
        try:
            import lgpio  # noqa: F401 - for what it does when it is imported
        finally:
            os.chdir(here)
            del os.environ["LG_WD"]


def _errors() -> tuple[type[Exception], ...]:
    """Return what gpiozero and lgpio raise; neither is loaded for that."""
    from gpiozero import GPIOZeroError

    lgpio = sys.modules.get("lgpio")
    return (GPIOZeroError, OSError, *([lgpio.error] if lgpio else []))


def _words(pin: int, factory: Factory, error: Exception) -> str:
    from gpiozero import GPIOPinInUse, PinFixedPull, PinInvalidPin

    match error:
        case PinInvalidPin():
            return f"this board has no GPIO {pin}; choose another pin"
        case PinFixedPull():
            return f"GPIO {pin} is pulled by a resistor on the board; set pull: up, or choose another pin"
        case GPIOPinInUse():
            return f"GPIO {pin} is used by another setting as well; choose another pin"
    if "GPIO busy" in str(error):
        return (
            f"GPIO {pin} is in use by {_user(pin, factory)}; `gpioinfo` lists who uses which; end that, or choose "
            "another pin"
        )
    return f"GPIO {pin} does not work: {error}"


def _user(pin: int, factory: Factory) -> str:
    """Return who holds a pin, as the kernel knows them."""
    lgpio = sys.modules.get("lgpio")
    chip = getattr(factory, "_handle", None)  # gpiozero keeps lgpio's handle to itself
    if lgpio is None or chip is None:
        return "another program"
    try:
        *_, name = lgpio.gpio_get_line_info(chip, pin)
    except lgpio.error:
        return "another program"
    return f"{name!r}" if name else "another program"
