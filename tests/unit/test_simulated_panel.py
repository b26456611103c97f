"""The simulated panel: both of its ends."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gpiozero import InputDevice, PWMOutputDevice

from speakerd.simulate.panel import SimulatedPanel, pins

BUTTON, ONE = 17, 27


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_finger_in_another_process_is_felt(tmp_path: Path) -> None:
    """What is pressed here is low there, and free is what the pull says."""
    panel, factory = SimulatedPanel(tmp_path), pins(tmp_path)
    button = InputDevice(BUTTON, pull_up=True, pin_factory=factory)
    assert not button.is_active
    panel.down()
    until(lambda: button.is_active)
    panel.up()
    until(lambda: not button.is_active)
    with (tmp_path / "pins").open("w") as fifo:
        fifo.write("17 low\n17 free\n")
    until(lambda: [level for _, level in panel.levels(BUTTON)][-2:] == [0.0, 1.0])
    assert not button.is_active


@pytest.mark.parametrize("pull_up", [True, False, None])
def test_a_finger_is_stronger_than_the_pull(tmp_path: Path, pull_up: bool | None) -> None:
    """Both levels can be forced on a pin with any resistor, and with none."""
    panel, factory = SimulatedPanel(tmp_path), pins(tmp_path)
    active = True if pull_up is None else None
    button = InputDevice(BUTTON, pull_up=pull_up, active_state=active, pin_factory=factory)
    for _ in range(2):
        panel.down()
        until(lambda: not button.pin.state)
        panel.up()
        until(lambda: bool(button.pin.state))


@pytest.mark.parametrize("closed", [True, False])
def test_a_switch_is_where_it_was_left(tmp_path: Path, closed: bool) -> None:
    """It was moved before the program started, and the program finds it there, whatever the pull says."""
    panel = SimulatedPanel(tmp_path, active="high")
    panel.switch(not closed)
    panel.switch(closed)
    for pull_up in (True, False):
        switch = InputDevice(BUTTON, pull_up=pull_up, pin_factory=pins(tmp_path))
        assert bool(switch.pin.state) is closed


def test_an_eye_in_another_process_sees_the_light(tmp_path: Path) -> None:
    """Levels, times and colours are those of the pins, and a closed pin is dark."""
    factory = pins(tmp_path)
    for active_high, name in ((True, "high"), (False, "low")):
        eye = SimulatedPanel(tmp_path, led=(5, 6, 13), led_active="high" if name == "high" else "low")
        parts = [PWMOutputDevice(pin, active_high=active_high, pin_factory=factory) for pin in (5, 6, 13)]
        assert eye.colour_now() == "off"
        began = time.monotonic()
        for part, level in zip(parts, (0.5, 0.23, 0.0), strict=True):
            part.value = level
        assert eye.colour_now() == "amber"
        assert eye.shining() == pytest.approx((0.5, 0.23, 0.0))
        at, level_of_red = eye.levels(5)[-1]
        assert began <= at <= time.monotonic()
        assert level_of_red == pytest.approx(0.5)
        assert eye.level(5) == pytest.approx(0.5)
        for part in parts:
            part.close()
        assert eye.colour_now() == "off"
        assert eye.levels(5)[-1][1] is None


def test_what_was_shown_outlives_a_kill(tmp_path: Path) -> None:
    """The last level is on record even if the program is killed the moment after."""
    script = (
        "import os, signal; from pathlib import Path; from gpiozero import LED\n"
        "from speakerd.simulate.panel import pins\n"
        f"led = LED({ONE}, pin_factory=pins(Path({str(tmp_path)!r}))); led.on()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for lives in (1, 2):
        subprocess.run([sys.executable, "-c", script], check=False)
        panel = SimulatedPanel(tmp_path)
        assert panel.colour_now() == "white"
        assert [level for _, level in panel.levels(ONE)].count(1.0) == lives


def test_a_finger_waits_for_nobody(tmp_path: Path) -> None:
    """A press while no program runs is over when the next one starts."""
    panel = SimulatedPanel(tmp_path)
    panel.press(0.01)
    panel.bounce(0.02, edges=8)
    factory = pins(tmp_path)
    button = InputDevice(BUTTON, pull_up=True, pin_factory=factory)
    assert not button.is_active
    assert [level for _, level in panel.levels(BUTTON)] == [1.0]


def test_pins_without_a_directory_are_pins_all_the_same() -> None:
    """A daemon on simulated pins that nobody looks at works."""
    led = PWMOutputDevice(ONE, pin_factory=pins(None))
    led.value = 0.5
    assert led.value == 0.5
    led.close()
