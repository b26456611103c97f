"""`speakerd panel`: the pins on trial."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from speakerd.app import simulated_pins
from speakerd.errors import SpeakerdError
from speakerd.panel.light import PATTERNS
from speakerd.panel.panel import Panel
from speakerd.settings import QuietHours, Settings

SHOW_S = 2.0
"""How long each pattern is shown."""


async def try_panel(settings: Settings, say: Callable[[str], None]) -> NoReturn:
    """Show what the light means, one state after the other, and say what the finger does, until it is cancelled.

    What is wrong is in the log.

    Raises:
        SpeakerdError: there is nothing to try, or nothing of it works.
    """

    def switched(*, muted: bool | None) -> None:
        say(f"switch: {'unknown' if muted is None else 'muted' if muted else 'not muted'}")

    panel = Panel(
        settings.panel,
        QuietHours(),  # whoever tries it wants to see it
        lambda gesture: say(f"button: {gesture.value}"),
        switched,
        factory=simulated_pins(settings),
    )
    if not panel.names:
        raise SpeakerdError(
            "the settings name no pins; set panel.board (`speakerd panel --boards` lists them), or "
            "panel.mute_button.pin and panel.led.pin"
        )
    async with panel.running():
        if not panel.parts:
            raise SpeakerdError("nothing of the panel works")
        if "light" in panel.parts:
            await _show_all(panel, say, coloured=settings.panel.led.coloured)
        say("now press the button, or move the switch; Ctrl-C ends this")
        await asyncio.Event().wait()
    raise AssertionError


async def _show_all(panel: Panel, say: Callable[[str], None], *, coloured: bool) -> None:
    for state, pattern in PATTERNS.items():
        rhythm = (pattern.rgb if coloured else pattern.single).name.lower().replace("_", " ")
        say(f"light: {state.value} ({pattern.colour}, {rhythm})" if coloured else f"light: {state.value} ({rhythm})")
        panel.light.show(state)
        await asyncio.sleep(SHOW_S)
