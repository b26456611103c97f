"""The button and the switch, in real time on simulated pins."""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin
from gpiozero.pins.pi import PiPin

from speakerd.errors import HardwareError
from speakerd.panel.button import Button, Finger, Gesture, Switch
from speakerd.panel.contact import CALM_S, Rest
from speakerd.settings import MuteButton, MuteSwitch

PIN = 17


@pytest.fixture
def factory() -> MockFactory:
    return MockFactory(pin_class=MockPWMPin)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


class Front:
    """A button, the finger on it, and what was understood."""

    def __init__(self, factory: MockFactory, settings: MuteButton) -> None:
        self.heard: list[tuple[float, Gesture]] = []
        self.errors: list[HardwareError] = []
        self.pin = factory.pin(PIN)
        self._closed_is_high = settings.active_high

    @property
    def gestures(self) -> list[Gesture]:
        return [gesture for _, gesture in self.heard]

    def note(self, gesture: Gesture) -> None:
        self.heard.append((time.monotonic(), gesture))

    def down(self) -> None:
        (self.pin.drive_high if self._closed_is_high else self.pin.drive_low)()

    def up(self) -> None:
        (self.pin.drive_low if self._closed_is_high else self.pin.drive_high)()

    async def press(self, seconds: float = 0.1) -> None:
        self.down()
        await asyncio.sleep(seconds)
        self.up()


@contextlib.asynccontextmanager
async def front(factory: MockFactory, *, stuck_s: float = 60.0, **settings: Any) -> AsyncIterator[Front]:
    parsed = MuteButton(pin=PIN, **settings)
    here = Front(factory, parsed)
    button = Button(parsed, factory, here.note, here.errors.append, stuck_s)
    try:
        await asyncio.sleep(0.02)
        yield here
    finally:
        button.close()


@pytest.mark.parametrize(
    "wiring",
    [
        {"pull": "up"},
        {"pull": "down"},
        {"pull": "up", "active": "high"},
        {"pull": "down", "active": "low"},
        {"pull": "floating", "active": "low"},
        {"pull": "floating", "active": "high"},
    ],
    ids=str,
)
async def test_a_press_is_understood_however_the_button_is_wired(
    factory: MockFactory, wiring: dict[str, Any]
) -> None:
    """Pull-up, pull-down or none, and either level: it is pressed when it is pressed."""
    async with front(factory, **wiring) as here:
        here.up()
        await asyncio.sleep(0.1)
        here.heard.clear()  # a button without a resistor lies as it fell until somebody touches it
        await here.press()
        await until(lambda: here.gestures == [Gesture.DOWN, Gesture.PRESS])


async def test_a_button_is_down_before_it_is_up_again(factory: MockFactory) -> None:
    """That it went down is told soon after, while the finger is still on it."""
    async with front(factory) as here:
        began = time.monotonic()
        here.down()
        await until(lambda: here.gestures == [Gesture.DOWN])
        assert here.heard[0][0] - began < 0.05
        assert here.heard[0][0] - began >= 0.01


async def test_two_seconds_are_a_hold(factory: MockFactory) -> None:
    """A finger that stays for two seconds has said so by then, and says no more when it goes than that."""
    async with front(factory) as here:
        began = time.monotonic()
        await here.press(2.3)
        await until(lambda: here.gestures == [Gesture.DOWN, Gesture.HOLD, Gesture.RELEASE])
        assert 2.0 <= here.heard[1][0] - began < 2.2


async def test_ten_seconds_are_a_long_hold(factory: MockFactory) -> None:
    """A finger that stays for ten seconds says two things on the way."""
    async with front(factory) as here:
        began = time.monotonic()
        await here.press(10.2)
        await until(lambda: here.gestures[-1] is Gesture.RELEASE)
        assert here.gestures == [Gesture.DOWN, Gesture.HOLD, Gesture.LONG_HOLD, Gesture.RELEASE]
        assert 10.0 <= here.heard[2][0] - began < 10.2


async def test_a_bouncing_button_is_pressed_once(factory: MockFactory) -> None:
    """Forty edges within a few milliseconds, at both ends of a press, are one press."""
    async with front(factory) as here:
        for _ in range(20):
            here.down()
            here.up()
        here.down()
        await asyncio.sleep(0.1)
        for _ in range(20):
            here.up()
            here.down()
        here.up()
        await until(lambda: len(here.heard) == 2)
        await asyncio.sleep(0.1)
        assert here.gestures == [Gesture.DOWN, Gesture.PRESS]


async def test_a_spike_is_not_a_press(factory: MockFactory) -> None:
    """What does not last for bounce_ms did not happen."""
    async with front(factory, bounce_ms=50) as here:
        await here.press(0.005)
        await asyncio.sleep(0.2)
        assert here.gestures == []


async def test_quick_presses_are_all_counted(factory: MockFactory) -> None:
    """Six presses in two seconds are six presses."""
    async with front(factory) as here:
        for _ in range(6):
            await here.press(0.08)
            await asyncio.sleep(0.2)
        await until(lambda: here.gestures == [Gesture.DOWN, Gesture.PRESS] * 6)


async def test_a_button_that_is_down_at_the_start_is_not_pressed(factory: MockFactory) -> None:
    """Whatever leans on it when the power comes must not mute, un-mute or forget anything."""
    factory.pin(PIN)
    async with front(factory, pull="floating", active="low") as here:
        await asyncio.sleep(2.2)
        assert here.gestures == []
        here.up()
        await asyncio.sleep(0.1)
        assert here.gestures == []
        await here.press()
        await until(lambda: here.gestures == [Gesture.DOWN, Gesture.PRESS])


async def test_a_button_that_is_leant_on_is_told_once(factory: MockFactory, caplog: pytest.LogCaptureFixture) -> None:
    """A button that stays down gets one line that says what to do, and another only after it was up."""
    async with front(factory, stuck_s=0.3) as here:
        here.down()
        await until(lambda: len(caplog.records) == 1)
        await asyncio.sleep(0.5)
        assert len(caplog.records) == 1
        assert "leans on it" in caplog.text
        assert caplog.records[0].__dict__["event"] == "panel"
        here.up()
        await asyncio.sleep(0.1)
        here.down()
        await until(lambda: len(caplog.records) == 2)


class Storm:
    """A loose wire: edges in a thread of their own, as gpiozero has them."""

    def __init__(self, front: Front, edges_per_s: float, seconds: float) -> None:
        self._front = front
        self._gap_s = 1 / edges_per_s
        self._edges = round(edges_per_s * seconds)
        self.thread = threading.Thread(target=self._rage)

    def _rage(self) -> None:
        began = time.monotonic()
        for edge in range(self._edges):
            (self._front.up if edge % 2 else self._front.down)()
            time.sleep(max(0.0, began + (edge + 1) * self._gap_s - time.monotonic()))
        self._front.up()


@pytest.mark.parametrize("edges_per_s", [30, 200])
async def test_a_loose_wire_is_told_once_and_presses_nothing(
    factory: MockFactory, caplog: pytest.LogCaptureFixture, edges_per_s: int
) -> None:
    """Edges without end are one line in the journal and no presses; once it rests, the button works again."""
    async with front(factory) as here:
        storm = Storm(here, edges_per_s, 4.0)
        storm.thread.start()
        await until(lambda: len(caplog.records) == 1)
        pressed = here.gestures.count(Gesture.PRESS)
        assert pressed <= 8
        await asyncio.to_thread(storm.thread.join)
        assert here.gestures.count(Gesture.PRESS) == pressed
        assert len(caplog.records) == 1
        assert "loose wire" in caplog.text
        await asyncio.sleep(CALM_S + 0.2)
        here.heard.clear()
        await here.press()
        await until(lambda: here.gestures == [Gesture.DOWN, Gesture.PRESS])


async def test_a_storm_of_edges_does_not_hold_up_the_loop(factory: MockFactory) -> None:
    """With 2,000 edges a second, whatever else the program does still gets its turn within milliseconds."""
    async with front(factory) as here:
        await asyncio.sleep(0.1)
        storm = Storm(here, 2000, 1.0)
        storm.thread.start()
        late = []
        while storm.thread.is_alive():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - began - 0.01)
        assert len(late) > 30
        assert sorted(late)[len(late) * 9 // 10] < 0.02
        assert max(late) < 0.25


async def test_a_storm_of_edges_calls_the_loop_rarely(factory: MockFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gpiozero's threads knock at the loop no more than once while it is looking anyway."""
    loop = asyncio.get_running_loop()
    knocks = itertools.count()
    knock = loop.call_soon_threadsafe

    def counted(*arguments: Any, **options: Any) -> asyncio.Handle:
        next(knocks)
        return knock(*arguments, **options)

    async with front(factory) as here:
        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        storm = Storm(here, 1000, 0.5)
        storm.thread.start()
        await until(lambda: not storm.thread.is_alive())
        monkeypatch.undo()
        assert next(knocks) < 60


@pytest.mark.parametrize("closed", [True, False])
async def test_a_switch_tells_where_it_is_and_then_where_it_goes(factory: MockFactory, closed: bool) -> None:
    """Its position at the start is told without anybody touching it."""
    settings = MuteSwitch(pin=PIN, pull="floating", active="low")
    pin = factory.pin(PIN)
    (pin.drive_low if closed else pin.drive_high)()
    positions: list[bool | None] = []
    switch = Switch(settings, factory, positions.append, lambda error: pytest.fail(str(error)))
    await until(lambda: positions == [closed])
    for _ in range(10):  # it bounces, too
        pin.drive_high()
        pin.drive_low()
    (pin.drive_high if closed else pin.drive_low)()
    await until(lambda: len(positions) == 2)
    await asyncio.sleep(0.1)
    assert positions == [closed, not closed]
    switch.close()
    pin.drive_high()
    pin.drive_low()
    await asyncio.sleep(0.1)
    assert len(positions) == 2


class Broken(MockPWMPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin that cannot be read any more."""

    is_broken = False

    def _get_state(self) -> bool:
        if type(self).is_broken:
            raise OSError("bad GPIO read")
        return bool(super()._get_state())


async def test_a_button_that_cannot_be_read_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pin that goes away is an error for whoever can open it again, and not a traceback."""
    factory = MockFactory(pin_class=Broken)
    async with front(factory) as here:
        monkeypatch.setattr(Broken, "is_broken", True)
        here.down()
        await until(lambda: len(here.errors) == 1)
        assert "panel.mute_button.pin" in str(here.errors[0])
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_press_that_was_over_before_anybody_looked_counts(factory: MockFactory) -> None:
    """However busy the program is, a button that was pressed was pressed, once for each time."""
    gestures: list[Gesture] = []
    factory.pin(PIN).drive_high()
    button = Button(MuteButton(pin=PIN), factory, gestures.append, lambda error: pytest.fail(str(error)))
    await asyncio.sleep(0.1)

    def press() -> None:
        for _ in range(2):
            factory.pin(PIN).drive_low()
            time.sleep(0.1)
            factory.pin(PIN).drive_high()
            time.sleep(0.1)

    finger = threading.Thread(target=press)
    finger.start()
    time.sleep(0.6)  # noqa: ASYNC251 - the loop is late
    finger.join()
    await until(lambda: gestures == [Gesture.DOWN, Gesture.PRESS] * 2)
    button.close()


class Late(MockPWMPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin whose edges are told when somebody lets them, with the time at which they were."""

    def __init__(self, factory: MockFactory, info: Any) -> None:
        super().__init__(factory, info)
        self.untold: list[tuple[float, bool]] = []

    def _call_when_changed(self) -> None:
        self.untold.append((self._last_change, bool(self._state)))

    def tell(self, before: float = float("inf")) -> None:
        """Tell of all edges that were before a moment."""
        while self.untold and self.untold[0][0] < before:
            PiPin._call_when_changed(self, *self.untold.pop(0))


async def test_what_is_told_late_and_all_at_once_is_judged_by_when_it_was() -> None:
    """Two presses are two presses, and bouncing is none, even when the machine was too busy to tell of them."""
    factory = MockFactory(pin_class=Late)
    gestures: list[Gesture] = []
    pin = factory.pin(PIN)
    pin.drive_high()
    button = Button(MuteButton(pin=PIN), factory, gestures.append, lambda error: pytest.fail(str(error)))
    await asyncio.sleep(0.1)
    for length_s in (0.001, 0.1, 0.001, 0.1, 0.001):
        pin.drive_low()
        time.sleep(length_s)  # noqa: ASYNC251 - the loop is late
        pin.drive_high()
        time.sleep(length_s)  # noqa: ASYNC251
    pin.tell()
    await until(lambda: gestures == [Gesture.DOWN, Gesture.PRESS] * 2)
    await asyncio.sleep(0.1)
    assert gestures == [Gesture.DOWN, Gesture.PRESS] * 2
    button.close()


async def test_bouncing_that_is_told_late_is_no_press() -> None:
    """Where a busy machine tells of each edge when it is long over, there are always others to come."""
    factory = MockFactory(pin_class=Late)
    gestures: list[Gesture] = []
    pin = factory.pin(PIN)
    pin.drive_high()
    settings = MuteButton(pin=PIN, bounce_ms=100)  # longer than a busy machine holds up this scene
    button = Button(settings, factory, gestures.append, lambda error: pytest.fail(str(error)))
    await asyncio.sleep(0.3)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        (pin.drive_low if pin.state else pin.drive_high)()
        pin.tell(before=time.monotonic() - 0.15)
        await asyncio.sleep(0.002)
    pin.drive_high()
    pin.tell()
    await asyncio.sleep(0.3)
    assert gestures == []
    button.close()


async def test_a_level_that_nobody_told_of_must_last_as_well() -> None:
    """What the pin is when it is looked at may have begun a moment ago."""
    factory = MockFactory(pin_class=Late)
    gestures: list[Gesture] = []
    pin = factory.pin(PIN)
    pin.drive_high()
    settings = MuteButton(pin=PIN, bounce_ms=100)
    button = Button(settings, factory, gestures.append, lambda error: pytest.fail(str(error)))
    await asyncio.sleep(0.2)
    pin.drive_low()
    pin.drive_high()
    pin.tell()
    await asyncio.sleep(0.05)
    pin.drive_low()
    await asyncio.sleep(0.09)
    pin.drive_high()
    await asyncio.sleep(0.3)
    assert gestures == []
    button.close()


class Clinging(MockPWMPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin that is told of edges until it is asked not to be, as lgpio's are."""

    def close(self) -> None:
        """Leave everything as it is."""


async def test_nobody_is_called_for_a_button_that_was_closed() -> None:
    """A chip that is opened anew, as with new settings, must not meet those who listened to it before."""
    factory = MockFactory(pin_class=Clinging)
    pin = factory.pin(PIN)
    button = Button(MuteButton(pin=PIN), factory, lambda _gesture: None, lambda error: pytest.fail(str(error)))
    assert pin.when_changed is not None
    button.close()
    assert pin.when_changed is None


def test_each_down_has_its_end() -> None:
    """Whoever fell silent when the button went down learns what it was, even from a button that breaks."""
    finger = Finger()
    assert finger.moved(0.0, down=False) == []
    assert finger.moved(1.0, down=True) == [Gesture.DOWN]
    assert finger.moved(2.0, down=None) == [Gesture.LOST]
    assert finger.moved(3.0, down=True) == []
    assert finger.next_at() is None
    assert finger.moved(4.0, down=False) == []
    assert finger.moved(5.0, down=True) == [Gesture.DOWN]
    assert finger.waited(6.9) == []
    assert finger.waited(7.0) == [Gesture.HOLD]
    assert finger.moved(8.0, down=None) == [Gesture.RELEASE]


def test_a_contact_rests_when_its_level_has_lasted() -> None:
    """The time counts from the last edge, not from the first."""
    rest = Rest(0.01)
    assert rest.look(closed=False, edge_at=float("-inf"), now=0.0) is None
    assert rest.closed is False
    assert rest.look(closed=True, edge_at=1.0, now=1.0) == pytest.approx(1.01)
    assert rest.look(closed=True, edge_at=1.008, now=1.01) == pytest.approx(1.018)
    assert rest.closed is False
    assert rest.look(closed=True, edge_at=1.008, now=1.018) is None
    assert rest.closed is True
