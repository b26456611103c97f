"""The panel: a button or a switch, and a light, each for itself."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol

from speakerd.errors import HardwareError
from speakerd.panel.button import Button, Gesture, Switch
from speakerd.panel.dimmer import Dimmer
from speakerd.panel.dotstar import DotStarLamp
from speakerd.panel.lamp import LedLamp
from speakerd.panel.light import Light
from speakerd.panel.pins import open_factory
from speakerd.settings import Panel as PanelSettings
from speakerd.settings import QuietHours

if TYPE_CHECKING:
    from gpiozero import Factory

log = logging.getLogger(__name__)

WAITS_S = (10.0, 30.0, 60.0)
"""How long to wait before what could not be opened is tried again; the last one for ever."""


class Switched(Protocol):
    """Whoever obeys the switch."""

    def __call__(self, *, muted: bool | None) -> None:
        """Learn where it is; None is that nobody knows."""


class _Part(Protocol):
    def close(self) -> None: ...


class Panel:
    """What is on the front of the speaker, as far as the settings name it and it works.

    What cannot be opened is told once and tried again; it never stops anybody else.
    """

    def __init__(
        self,
        settings: PanelSettings,
        quiet_hours: QuietHours,
        gesture: Callable[[Gesture], None],
        switched: Switched,
        *,
        factory: Factory | None = None,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        """Prepare; with a factory its pins are used, and else the board's own."""
        self.light = Light(Dimmer(settings.led.brightness, quiet_hours))
        self._settings = settings
        self._gesture = gesture
        self._switched = switched
        self._factory = factory
        self._is_our_factory = factory is None
        self._waits_s = waits_s
        self._parts: dict[str, _Part] = {}
        self._troubles: dict[str, str] = {}
        self._broken = asyncio.Event()

    @property
    def names(self) -> list[str]:
        """The parts that the settings name."""
        return list(self._openers())

    @property
    def parts(self) -> list[str]:
        """The parts that work."""
        return list(self._parts)

    @property
    def troubles(self) -> dict[str, str]:
        """Why the parts that do not work do not, each by its name; "pins" stands for all of them."""
        return dict(self._troubles)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the button and shine for as long as the block runs."""
        if not self._openers():
            yield
            return
        await self._open()
        # No group, for it would wrap what the block raises.
        keeper = asyncio.create_task(self._keep_open(), name="panel")
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            self._close()
            if not keeper.cancelled():
                keeper.result()

    def _openers(self) -> dict[str, Callable[[Factory], _Part]]:
        """Return what opens each part that the settings name; the light comes last, for a mute weighs more."""
        settings = self._settings
        openers: dict[str, Callable[[Factory], _Part]] = {}
        if settings.mute_button.pin is not None:
            openers["button"] = self._open_button
        if settings.mute_switch.pin is not None:
            openers["switch"] = self._open_switch
        if settings.led.given:
            openers["light"] = self._open_lamp
        return openers

    async def _keep_open(self) -> NoReturn:
        while True:
            await self._broken.wait()
            for wait_s in itertools.chain(self._waits_s, itertools.repeat(self._waits_s[-1])):
                await asyncio.sleep(wait_s)
                self._broken.clear()
                await self._open()
                if not self._broken.is_set():
                    break

    async def _open(self) -> None:
        """Open what is not open; what does not work sets ``_broken``."""
        if self._factory is None:
            try:
                self._factory = await asyncio.get_running_loop().run_in_executor(None, open_factory)
            except HardwareError as error:
                self._fail("pins", error)
                return
            self._tell("pins", None)
        for name, opener in self._openers().items():
            if name not in self._parts:
                try:
                    self._parts[name] = opener(self._factory)
                except HardwareError as error:
                    self._fail(name, error)
                else:
                    self._tell(name, None)

    def _open_button(self, factory: Factory) -> Button:
        return Button(self._settings.mute_button, factory, self._gesture, functools.partial(self._fail, "button"))

    def _open_switch(self, factory: Factory) -> Switch:
        def switched(closed: bool | None) -> None:
            self._switched(muted=closed)

        return Switch(self._settings.mute_switch, factory, switched, functools.partial(self._fail, "switch"))

    def _open_lamp(self, factory: Factory) -> LedLamp | DotStarLamp:
        led = self._settings.led
        lamp = LedLamp(led, factory) if led.dotstar.data is None else DotStarLamp(led.dotstar, factory)
        try:
            self.light.use(lamp, functools.partial(self._fail, "light"))
        except HardwareError:
            lamp.close()
            raise
        return lamp

    def _close(self) -> None:
        self.light.rest()
        for part in self._parts.values():
            part.close()
        self._parts.clear()
        if self._is_our_factory and self._factory is not None:
            self._factory.close()
            self._factory = None

    def _fail(self, name: str, error: HardwareError) -> None:
        if name == "light":
            self.light.rest()
        if part := self._parts.pop(name, None):
            part.close()
            if name == "switch":
                self._switched(muted=None)
        self._tell(name, str(error))
        self._broken.set()

    def _tell(self, name: str, trouble: str | None) -> None:
        """Tell of a trouble once, and of its end."""
        before = self._troubles.pop(name, None)
        if trouble is not None:
            self._troubles[name] = trouble
            if trouble != before:
                log.warning("%s", trouble, extra={"event": "panel", "part": name})
        elif before is not None:
            log.info("the panel's %s works now", name, extra={"event": "panel", "part": name})
