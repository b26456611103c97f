"""The board's pins: what can be wrong with them, and the panel that goes on nevertheless."""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from gpiozero import LED
from gpiozero.pins.mock import MockFactory, MockPWMPin

from speakerd.errors import HardwareError
from speakerd.panel import light, pins
from speakerd.panel.button import Gesture
from speakerd.panel.panel import Panel
from speakerd.panel.pins import clashes, open_factory, why_closed
from speakerd.settings import Panel as PanelSettings
from speakerd.settings import QuietHours
from speakerd.state import State

BUTTON, SWITCH, ONE = 17, 22, 27
BOTH: dict[str, Any] = {"mute_button": {"pin": BUTTON}, "led": {"pin": ONE}}


class Busy(MockPWMPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin that another program may hold."""

    held: frozenset[int] = frozenset()

    def __init__(self, factory: MockFactory, info: Any) -> None:
        super().__init__(factory, info)
        if self._number in self.held:
            raise OSError("GPIO busy")  # which is what lgpio says, in an exception of its own

    def _set_state(self, value: float) -> None:
        if self._number in self.held:
            raise OSError("bad GPIO write")
        super()._set_state(value)

    def _get_state(self) -> float:
        if self._number in self.held:
            raise OSError("bad GPIO read")
        return float(super()._get_state())


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> MockFactory:
    monkeypatch.setattr(Busy, "held", frozenset())
    return MockFactory(pin_class=Busy)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class Front:
    """A panel, and what came of it."""

    def __init__(self, settings: dict[str, Any], factory: MockFactory | None) -> None:
        self.gestures: list[Gesture] = []
        self.positions: list[bool | None] = []
        self.panel = Panel(
            PanelSettings.model_validate(settings),
            QuietHours(),
            self.gestures.append,
            self.note,
            factory=factory,
            waits_s=(0.1, 0.2),
        )

    def note(self, *, muted: bool | None) -> None:
        self.positions.append(muted)


@contextlib.asynccontextmanager
async def front(settings: dict[str, Any], factory: MockFactory | None) -> AsyncIterator[Front]:
    here = Front(settings, factory)
    async with here.panel.running():
        await asyncio.sleep(0.02)
        yield here


async def press(factory: MockFactory) -> None:
    factory.pin(BUTTON).drive_low()
    await asyncio.sleep(0.05)
    factory.pin(BUTTON).drive_high()


async def test_button_and_light_work_together(factory: MockFactory) -> None:
    """A press is heard and a state is shown."""
    async with front(BOTH, factory) as here:
        await press(factory)
        await until(lambda: here.gestures == [Gesture.DOWN, Gesture.PRESS])
        here.panel.light.show(State.SPEAKING)
        assert factory.pin(ONE).state == 1
    assert factory.pin(ONE).state == 0


async def test_a_button_needs_no_light_and_a_light_no_button(
    factory: MockFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Each works alone, and nobody complains about the other."""
    async with front({"mute_button": {"pin": BUTTON}}, factory) as here:
        here.panel.light.show(State.SPEAKING)
        await press(factory)
        await until(lambda: Gesture.PRESS in here.gestures)
        assert here.panel.parts == ["button"]
    async with front({"led": {"pin": ONE}}, factory) as here:
        here.panel.light.show(State.SPEAKING)
        assert factory.pin(ONE).state == 1
    assert caplog.records == []


async def test_a_switch_tells_its_position(factory: MockFactory) -> None:
    """A switch that is closed mutes."""
    async with front({"mute_switch": {"pin": SWITCH, "pull": "down"}}, factory) as here:
        assert here.positions == [False]
        factory.pin(SWITCH).drive_high()
        await until(lambda: here.positions == [False, True])


async def test_a_switch_whose_pin_fails_is_somewhere_and_nobody_knows_where(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever obeys it is told, and told its position again when it can be read."""
    async with front({"mute_switch": {"pin": SWITCH, "pull": "down"}}, factory) as here:
        await until(lambda: here.positions == [False])
        monkeypatch.setattr(Busy, "held", frozenset({SWITCH}))
        factory.pin(SWITCH).drive_high()
        await until(lambda: here.positions == [False, None])
        monkeypatch.setattr(Busy, "held", frozenset())
        await until(lambda: here.positions == [False, None, False])  # opened anew, a mock pin follows its pull


async def test_a_button_whose_pin_fails_under_the_finger_ends_the_press(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever fell silent for it learns that nothing will come of it."""
    async with front({"mute_button": {"pin": BUTTON}}, factory) as here:
        await asyncio.sleep(0.1)
        factory.pin(BUTTON).drive_low()
        await until(lambda: here.gestures == [Gesture.DOWN])
        monkeypatch.setattr(Busy, "held", frozenset({BUTTON}))
        factory.pin(BUTTON).drive_high()
        await until(lambda: here.gestures == [Gesture.DOWN, Gesture.LOST])


def told(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def test_a_pin_that_is_in_use_is_told_once_and_taken_when_it_is_free(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The light waits for its pin, and then shows at once what it should; the button works all along."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(Busy, "held", frozenset({ONE}))
    async with front(BOTH, factory) as here:
        assert here.panel.parts == ["button"]
        here.panel.light.show(State.SPEAKING)
        await press(factory)
        await until(lambda: Gesture.PRESS in here.gestures)
        await asyncio.sleep(0.6)  # a few tries
        (line,) = told(caplog)
        assert line.startswith("panel.led.pin: GPIO 27 is in use by another program; `gpioinfo` lists")
        assert caplog.records[0].__dict__["part"] == "light"
        monkeypatch.setattr(Busy, "held", frozenset())
        await until(lambda: "light" in here.panel.parts)
        assert factory.pin(ONE).state == 1
        assert told(caplog, logging.INFO) == ["the panel's light works now"]


async def test_a_lamp_that_fails_later_is_told_once_and_tried_again(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The light goes dark, the button does not notice."""
    async with front(BOTH, factory) as here:
        here.panel.light.show(State.ERROR)
        monkeypatch.setattr(Busy, "held", frozenset({ONE}))
        await until(lambda: "light" not in here.panel.parts)
        for state in State:
            here.panel.light.show(state)
        await asyncio.sleep(0.5)  # a few tries
        assert len(told(caplog)) == 2  # what it was, and what it is now
        await press(factory)
        await until(lambda: Gesture.PRESS in here.gestures)
        here.panel.light.show(State.SPEAKING)
        monkeypatch.setattr(Busy, "held", frozenset())
        await until(lambda: "light" in here.panel.parts)
        assert factory.pin(ONE).state == 1


async def test_a_light_that_is_not_as_it_should_be_is_told_and_opened_anew(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where another program, or a short circuit, holds the pin, the journal says that the light lies."""
    monkeypatch.setattr(light, "LOOK_S", 0.1)
    async with front({"led": {"pin": ONE}}, factory) as here:
        here.panel.light.show(State.SPEAKING)
        await asyncio.sleep(0.3)
        assert told(caplog) == []
        factory.pin(ONE).state = 0
        await until(lambda: "light" not in here.panel.parts)
        (line,) = told(caplog)
        assert line.startswith("the light at panel.led.pin, GPIO 27, is off and should not be")
        await until(lambda: "light" in here.panel.parts)
        assert factory.pin(ONE).state == 1


async def test_two_settings_that_claim_one_pin_are_told(
    factory: MockFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The button has it; the light says why it stays dark."""
    async with front({"mute_button": {"pin": 17}, "led": {"pin": 17}}, factory) as here:
        assert here.panel.parts == ["button"]
    assert told(caplog) == ["panel.led.pin: GPIO 17 is used by another setting as well; choose another pin"]


async def test_a_pin_that_does_not_exist_is_told(factory: MockFactory, caplog: pytest.LogCaptureFixture) -> None:
    """No header has a GPIO 45; all others go on."""
    async with front({"mute_button": {"pin": BUTTON}, "led": {"red": 5, "green": 6, "blue": 45}}, factory) as here:
        assert here.panel.parts == ["button"]
        assert told(caplog) == ["panel.led.blue: this board has no GPIO 45; choose another pin"]
        LED(5, pin_factory=factory).close()  # the other two were let go of


async def test_a_pin_with_a_resistor_of_its_own_is_told(
    factory: MockFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """GPIO 2 is pulled up on the board, whatever the settings say."""
    async with front({"mute_button": {"pin": 2, "pull": "down"}}, factory) as here:
        assert here.panel.parts == []
    assert "set pull: up" in told(caplog)[0]


async def test_without_a_gpio_chip_the_panel_says_so_and_the_speaker_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One line for the whole panel, however often it is tried."""
    monkeypatch.setattr(pins, "DEVICES", tmp_path)
    async with front(BOTH, None) as here:
        here.panel.light.show(State.SPEAKING)
        await asyncio.sleep(0.5)
        assert here.panel.parts == []
    (line,) = told(caplog)
    assert "no GPIO chip" in line
    assert "remove them from panel" in line


@pytest.mark.skipif(Path("/dev/gpiochip0").exists(), reason="this machine has a GPIO chip")
def test_a_chip_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    """Lgpio leaves a FIFO wherever it is imported: not with us; and the current directory stays what it was."""
    script = (
        "import os, sys; from pathlib import Path; from speakerd.panel import light, pins\n"
        f"pins.DEVICES = Path({str(tmp_path / 'dev')!r})\n"
        "try: pins.open_factory()\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "print('lgpio' in sys.modules, os.getcwd(), os.listdir(), os.listdir(os.environ['RUNTIME_DIRECTORY']))\n"
    )
    for name in ("dev", "run", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "dev" / "gpiochip0").touch()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path / "here", env=os.environ | {"RUNTIME_DIRECTORY": str(tmp_path / "run")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, second = done.stdout.splitlines()
    assert first.startswith("HardwareError")
    assert second == f"True {tmp_path / 'here'} [] []"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("group", "mode", "words"),
    [(0, 0o600, 'SUBSYSTEM=="gpio"'), (0, 0o660, 'SUBSYSTEM=="gpio"'), (29, 0o660, "usermod -aG audio $USER")],
)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another group")
def test_missing_rights_are_told_with_what_to_do(tmp_path: Path, group: int, mode: int, words: str) -> None:
    """Whoever is not in the group learns which; where there is none, the rule that is missing is named."""
    chip = tmp_path / "gpiochip0"
    chip.touch()
    os.chown(chip, 0, group)
    chip.chmod(mode)
    assert words in why_closed(chip, OSError("can not open gpiochip"))


def test_no_chip_is_a_hardware_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is not the settings that are wrong, nor the program."""
    monkeypatch.setattr(pins, "DEVICES", tmp_path)
    with pytest.raises(HardwareError, match="GPIO chip"):
        open_factory()


def test_gpiozero_is_not_loaded_for_a_speaker_without_a_panel() -> None:
    """A USB speakerphone with no pins needs no library for them."""
    script = (
        "import asyncio, sys\n"
        "from speakerd.panel.panel import Panel\n"
        "from speakerd.settings import Panel as PanelSettings, QuietHours\n"
        "from speakerd.state import State\n"
        "async def main():\n"
        "    panel = Panel(PanelSettings(), QuietHours(), print, print)\n"
        "    async with panel.running(): panel.light.show(State.IDLE)\n"
        "    assert panel.parts == []\n"
        "asyncio.run(main())\n"
        "print({'gpiozero', 'lgpio'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, []),
        (BOTH, []),
        ({"mute_button": {"pin": 5}, "led": {"pin": 5}}, ["panel.mute_button.pin", "panel.led.pin"]),
        ({"mute_switch": {"pin": 5}, "led": {"red": 4, "green": 5, "blue": 6}}, ["mute_switch.pin", "led.green"]),
        ({"led": {"red": 4, "green": 6, "blue": 4}}, ["panel.led.red", "panel.led.blue"]),
        ({"mute_button": {"pin": 6}, "led": {"dotstar": {"data": 5, "clock": 6}}}, ["button.pin", "dotstar.clock"]),
        ({"led": {"dotstar": {"data": 5, "clock": 5}}}, ["panel.led.dotstar.data", "panel.led.dotstar.clock"]),
    ],
)
def test_clashes_are_found_without_any_pins(settings: dict[str, Any], names: list[str]) -> None:
    """`speakerd check` can name both settings that claim a pin."""
    found = clashes(PanelSettings.model_validate(settings))
    assert len(found) == bool(names)
    assert all(name in found[0][1] for name in names)
