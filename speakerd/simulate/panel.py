"""A simulated panel: a button, a switch and a light on pins that exist only in software.

The program under test opens its pins with :func:`pins` and knows no better; :class:`SimulatedPanel` is the finger and
the eye in front of it. Between them is a directory. The FIFO ``pins`` takes a line for each level that is forced on
a pin from outside, as in ``17 low``, ``17 high`` or ``17 free``. ``held.json`` keeps which are forced now, for a
program that starts later. ``pins.jsonl`` gets a line for each change of a pin's level, at once, so that it can be
read after a SIGKILL. Every time is CLOCK_MONOTONIC, in seconds: compare it with ``time.monotonic()``.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any, Literal

from gpiozero.pins.mock import MockFactory, MockPWMPin

from speakerd.panel.light import COLOURS

Force = Literal["low", "high", "free"]


class _Pin(MockPWMPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin that obeys what is forced on it from outside while it is an input, and tells of its changes."""

    _forced: bool | None = None

    def force(self, level: bool | None) -> None:
        self._forced = level
        if self._function == "input":
            self._set_pull(self._pull)
            if level is not None:
                (self.drive_high if level else self.drive_low)()

    def _change_state(self, value: float) -> bool:
        if self._function == "input" and self._forced is not None:
            value = self._forced
        changed: bool = super()._change_state(value)
        if changed:
            self.factory.tell(self._number, float(value))
        return changed

    def _set_function(self, value: str) -> None:
        was_output = self._function == "output"
        super()._set_function(value)
        if was_output and value == "input":
            self.factory.tell(self._number, None)  # nothing drives it any more
        elif value == "output":
            self.factory.tell(self._number, float(self._state))


class _Factory(MockFactory):  # type: ignore[misc]  # gpiozero ships no types
    """Pins with a directory; with None, nobody touches or sees them."""

    def __init__(self, directory: Path | None) -> None:
        super().__init__(pin_class=_Pin)
        self._lock = threading.RLock()
        self._record: int | None = None
        self._fifo: int | None = None
        if directory is None:
            return
        _make(directory)
        self._record = os.open(directory / "pins.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # For writing as well, so that it does not end when whoever wrote to it goes.
        self._fifo = os.open(directory / "pins", os.O_RDWR)
        for number, level in _held(directory).items():
            self._force(number, level)
        threading.Thread(target=self._obey, name="simulated pins", daemon=True).start()

    def pin(self, name: Any, pin_class: Any = None, **kwargs: Any) -> Any:
        """Return a pin; the finger and the program may be the first to ask for it at the same time."""
        with self._lock:
            return super().pin(name, pin_class, **kwargs)

    def tell(self, number: int, level: float | None) -> None:
        """Write down the level of a pin; None is that nothing drives it."""
        if self._record is not None:
            line = json.dumps({"at": time.monotonic(), "pin": number, "level": level})
            os.write(self._record, f"{line}\n".encode())

    def _obey(self) -> None:
        assert self._fifo is not None
        with os.fdopen(self._fifo, "r") as lines:
            for line in lines:
                number, level = line.split()
                self._force(int(number), level)

    def _force(self, number: int, level: str) -> None:
        self.pin(number).force({"low": False, "high": True, "free": None}[level])


def pins(directory: Path | None) -> MockFactory:
    """Return pins for the program under test: they obey what the directory says, and tell it their levels."""
    return _Factory(directory)


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # the other end was here first
        os.mkfifo(directory / "pins", 0o600)


def _held(directory: Path) -> dict[int, Force]:
    try:
        held = json.loads((directory / "held.json").read_text())
    except FileNotFoundError:
        return {}
    return {int(number): level for number, level in held.items()}


class SimulatedPanel:
    """The finger and the eye, in another process than the pins; a gesture returns when it is over."""

    def __init__(
        self,
        directory: Path,
        *,
        button: int = 17,
        active: Literal["low", "high"] = "low",
        led: tuple[int, ...] = (27,),
        led_active: Literal["low", "high"] = "high",
    ) -> None:
        """Take the pins of the settings: that of the button or switch, and one for the LED, or red, green, blue."""
        _make(directory)
        self._directory = directory
        self._button = button
        self._closed, self._open = (active, "high" if active == "low" else "low")
        self._led = led
        self._led_active = led_active

    @property
    def environment(self) -> dict[str, str]:
        """What the program under test needs to find the pins."""
        return {"SPEAKERD_PINS": str(self._directory)}

    def down(self) -> None:
        """Put a finger on the button, and leave it there."""
        self._force(self._closed)

    def up(self) -> None:
        """Take the finger off."""
        self._force(self._open)

    def switch(self, closed: bool) -> None:
        """Put the switch into a position."""
        self._force(self._closed if closed else self._open)

    def press(self, seconds: float = 0.1) -> None:
        """Press the button for so long."""
        self.down()
        time.sleep(seconds)
        self.up()

    def hold(self, seconds: float) -> None:
        """Hold the button for so long."""
        self.press(seconds)

    def bounce(self, seconds: float, edges: int) -> None:
        """Open and close the button, beginning with open, in so many edges within so many seconds."""
        for edge in range(edges):
            (self.up if edge % 2 else self.down)()
            time.sleep(seconds / edges)

    def levels(self, pin: int) -> list[tuple[float, float | None]]:
        """Return when a pin got which level, 0 to 1; None is that nothing drove it any more."""
        try:
            text = (self._directory / "pins.jsonl").read_text()
        except FileNotFoundError:
            return []
        complete = text[: text.rfind("\n") + 1]
        changes = [json.loads(line) for line in complete.splitlines()]
        return [(change["at"], change["level"]) for change in changes if change["pin"] == pin]

    def level(self, pin: int) -> float:
        """Return the level of a pin now, 0 to 1; one that nothing drives is at 0."""
        return (self.levels(pin) or [(0.0, None)])[-1][1] or 0.0

    def shining(self) -> tuple[float, ...]:
        """Return how bright each LED is now, 0 to 1."""
        last = [(self.levels(pin) or [(0.0, None)])[-1][1] for pin in self._led]
        return tuple(0.0 if level is None else level if self._led_active == "high" else 1 - level for level in last)

    def colour_now(self) -> str:
        """Return the colour of the light now, by its name in the settings; one LED is ``white``, or ``off``."""
        shining = self.shining()
        brightest = max(shining)
        if brightest < 0.005:
            return "off"
        if len(shining) == 1:
            return "white"
        parts = [level / brightest for level in shining]

        def difference(name: str) -> float:
            return sum((part - wanted) ** 2 for part, wanted in zip(parts, COLOURS[name], strict=True))

        return min((name for name in COLOURS if name != "off"), key=difference)

    def _force(self, level: str) -> None:
        held = _held(self._directory) | {self._button: level}
        unfinished = self._directory / "held.json.new"
        unfinished.write_text(json.dumps(held))
        unfinished.replace(self._directory / "held.json")
        # For reading as well, so that it does not wait for a program that is not there.
        fifo = os.open(self._directory / "pins", os.O_RDWR)
        try:
            os.write(fifo, f"{self._button} {level}\n".encode())
        finally:
            os.close(fifo)
