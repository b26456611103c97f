"""The mute, between a panel, a microphone and a disk that do as the scene wants."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from speakerd.errors import HardwareError
from speakerd.host.mute_file import MuteFile
from speakerd.mute import Mute
from speakerd.panel.button import Gesture
from tests.integration.household import until


class Kitchen:
    """Everything around the mute; ``diary`` is what happened, in order, with what the disk said at the time."""

    def __init__(self, directory: Path, *, muted: bool = False) -> None:
        self.directory = directory
        self.file = MuteFile(directory)
        self.file.write(muted=muted)
        self.diary: list[str] = []
        self.trouble: str | None = None
        self.why: str | None = None
        self.mute = Mute(self.file, self, self, muted=muted)

    async def close(self) -> None:
        self._note("closed")
        if self.why:
            raise HardwareError(self.why)

    def open(self) -> None:
        self._note("open")

    def why_open(self) -> str | None:
        return self.why

    def deafen(self) -> None:
        self._note("deaf")

    def undeafen(self) -> None:
        self._note("hears")

    def muted(self, *, muted: bool, trouble: str | None) -> None:
        self.trouble = trouble
        self._note("shows muted" if muted else "shows open")

    def begin_anew(self) -> None:
        self._note("anew")

    def set_up(self) -> None:
        self._note("set up")

    def _note(self, what: str) -> None:
        disk = "muted" if MuteFile(self.directory).read() else "open"
        self.diary.append(f"{what} ({disk})")

    async def happens(self, count: int) -> None:
        await until(lambda: len(self.diary) >= count, f"{count} entries, of which there are {self.diary}")

    def press(self) -> None:
        self.mute.gesture(Gesture.DOWN)
        self.mute.gesture(Gesture.PRESS)


@contextlib.asynccontextmanager
async def kitchen(directory: Path, *, muted: bool = False) -> AsyncIterator[Kitchen]:
    here = Kitchen(directory, muted=muted)
    running = asyncio.create_task(here.mute.run())
    yield here
    running.cancel()
    await asyncio.wait([running])


async def test_the_promise_is_kept_before_it_is_shown(tmp_path: Path) -> None:
    """Deaf at once, then closed, then on the disk, and only then does the light say so."""
    async with kitchen(tmp_path) as here:
        here.press()
        await here.happens(4)
        assert here.diary[-2:] == ["closed (open)", "shows muted (muted)"]
        assert set(here.diary[:-2]) == {"deaf (open)"}
        assert here.trouble is None


async def test_the_light_stops_saying_so_before_the_disk_does(tmp_path: Path) -> None:
    """A power cut while it is un-muted never finds a red light over a disk that says it listens."""
    async with kitchen(tmp_path, muted=True) as here:
        here.press()
        await here.happens(4)
        assert here.diary == ["deaf (muted)", "shows open (muted)", "open (open)", "hears (open)"]


async def test_a_long_press_begins_anew_and_leaves_the_mute_alone(tmp_path: Path) -> None:
    """Whoever holds the button is not heard meanwhile, and is heard afterwards if they were before."""
    async with kitchen(tmp_path) as here:
        for gesture in (Gesture.DOWN, Gesture.HOLD, Gesture.LONG_HOLD, Gesture.RELEASE):
            here.mute.gesture(gesture)
        assert here.diary == ["deaf (open)", "anew (open)", "hears (open)", "set up (open)"]
    async with kitchen(tmp_path, muted=True) as here:
        for gesture in (Gesture.DOWN, Gesture.HOLD, Gesture.RELEASE):
            here.mute.gesture(gesture)
        await asyncio.sleep(0)
        assert here.diary == ["deaf (muted)", "anew (muted)"]


async def test_pressed_again_and_again_the_last_press_counts(tmp_path: Path) -> None:
    """However fast somebody presses, the end is what the number of presses says, and all agree on it."""
    async with kitchen(tmp_path) as here:
        for presses in range(1, 30):
            here.press()
            await asyncio.sleep(0.001 * (presses % 7))
        await until(lambda: here.diary[-1] == "shows muted (muted)", "the mute")
        here.press()
        await until(lambda: here.diary[-1] == "hears (open)", "the end of it")
        assert not MuteFile(tmp_path).read()


async def test_it_never_hears_while_it_shows_muted(tmp_path: Path) -> None:
    """Between any two presses, the microphone is open only after the light has stopped to say that it is closed."""
    async with kitchen(tmp_path) as here:
        for _ in range(20):
            here.press()
            await asyncio.sleep(0.002)
        await here.mute.mute()
        shown = False
        for entry in here.diary:
            what, disk = entry.split(" (")
            shown = what == "shows muted" or (shown and what != "shows open")
            assert not (shown and what in {"open", "hears"}), here.diary
            assert not (shown and disk == "open)"), here.diary


async def test_a_switch_is_obeyed_in_both_positions(tmp_path: Path) -> None:
    """Its position is the fact, whatever the disk says."""
    async with kitchen(tmp_path, muted=True) as here:
        here.mute.switched(muted=False)
        await here.happens(3)
        assert here.diary[-1] == "hears (open)"
        here.mute.switched(muted=True)
        await here.happens(6)
        assert here.diary[-1] == "shows muted (muted)"


async def test_a_command_mutes_and_only_mutes(tmp_path: Path) -> None:
    """Asked twice, it is as muted as before; it returns when all is done."""
    async with kitchen(tmp_path) as here:
        assert await here.mute.mute() is None
        assert here.diary[-1] == "shows muted (muted)"
        assert await here.mute.mute() is None
        assert not any(entry.startswith(("open", "hears")) for entry in here.diary)


async def test_a_microphone_that_does_not_close_is_told(tmp_path: Path) -> None:
    """The promise is not claimed where it cannot be proven; the way out is to pull the plug."""
    async with kitchen(tmp_path) as here:
        here.why = "the driver hangs"
        trouble = await here.mute.mute()
        assert trouble is not None
        assert "the driver hangs" in trouble
        assert "unplug it" in trouble
        assert here.trouble == trouble


async def test_a_microphone_that_opens_by_itself_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is muted the kernel is asked again and again."""
    monkeypatch.setattr("speakerd.mute.LOOK_S", 0.05)
    async with kitchen(tmp_path) as here:
        await here.mute.mute()
        here.why = "somebody opened it"
        await until(lambda: "somebody opened it" in (here.trouble or ""), "the look")
        here.why = None
        await until(lambda: here.trouble is None, "the end of the trouble")
        assert here.diary[-1] == "shows muted (muted)"


async def test_a_disk_that_takes_nothing_is_told_and_the_room_is_cut_off_all_the_same(tmp_path: Path) -> None:
    """A mute that a restart would undo is not shown as one that holds."""
    async with kitchen(tmp_path) as here:
        (tmp_path / "mute.new").mkdir()
        trouble = await here.mute.mute()
        assert trouble is not None
        assert "at its next start it will listen" in trouble
        assert "closed (open)" in here.diary


async def test_a_disk_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is cut off, and after a while somebody is told that the disk does not keep it."""
    monkeypatch.setattr("speakerd.mute.STORE_S", 0.1)
    async with kitchen(tmp_path) as here:
        with here.file._lock:
            trouble = await here.mute.mute()
        assert trouble is not None
        assert "the disk took longer" in trouble
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(1)


async def test_the_first_start_is_remembered(tmp_path: Path) -> None:
    """From then on a fact that has got lost means muted."""
    async with kitchen(tmp_path) as here:
        (tmp_path / "mute").unlink()
        (tmp_path / "mute-known").unlink()
        running = asyncio.create_task(Mute(here.file, here, here, muted=False).run())
        await until((tmp_path / "mute-known").exists, "the mark of a first start")
        running.cancel()
        await asyncio.wait([running])
        assert not MuteFile(tmp_path).read()


async def test_a_finger_that_is_back_before_the_disk_was_ready_is_not_heard(tmp_path: Path) -> None:
    """Pressed to un-mute, and pressed again at once: nothing is heard between the two."""
    async with kitchen(tmp_path, muted=True) as here:
        with here.file._lock:  # a slow disk
            here.press()
            await here.happens(2)
            here.mute.gesture(Gesture.DOWN)
        await until(lambda: "open (open)" in here.diary, "the end of the first press")
        await asyncio.sleep(0.05)
        assert "hears (open)" not in here.diary
        here.mute.gesture(Gesture.PRESS)
        await until(lambda: here.diary[-1] == "shows muted (muted)", "the mute")
        assert "hears (open)" not in here.diary


async def test_two_wishes_to_mute_do_not_cancel_each_other(tmp_path: Path) -> None:
    """A command that mutes while the finger is still down does not turn the press into the opposite."""
    async with kitchen(tmp_path) as here:
        here.mute.gesture(Gesture.DOWN)
        assert await here.mute.mute() is None
        here.mute.gesture(Gesture.PRESS)
        await here.mute.mute()
        assert not any(entry.startswith(("open", "hears")) for entry in here.diary)


async def test_a_press_that_got_lost_changes_nothing(tmp_path: Path) -> None:
    """Where the wire breaks under the finger, the room is heard again, or stays unheard, as before."""
    async with kitchen(tmp_path) as here:
        here.mute.gesture(Gesture.DOWN)
        here.mute.gesture(Gesture.LOST)
        assert here.diary == ["deaf (open)", "hears (open)"]
    async with kitchen(tmp_path, muted=True) as here:
        here.mute.gesture(Gesture.DOWN)
        here.mute.gesture(Gesture.LOST)
        await asyncio.sleep(0.05)
        assert here.diary == ["deaf (muted)"]


async def test_a_switch_that_cannot_be_read_any_more_means_muted(tmp_path: Path) -> None:
    """It comes back as it was, if nobody moved it; a mute that was asked for meanwhile stays."""
    async with kitchen(tmp_path) as here:
        here.mute.switched(muted=False)
        await until(lambda: here.diary[-1:] == ["hears (open)"], "the start")
        here.mute.switched(muted=None)
        await until(lambda: here.diary[-1] == "shows muted (muted)", "the mute")
        here.mute.switched(muted=False)
        await until(lambda: here.diary[-1] == "hears (open)", "the return")
        await here.mute.mute()
        here.mute.switched(muted=None)
        here.mute.switched(muted=False)
        await asyncio.sleep(0.1)
        assert here.diary[-1] == "shows muted (muted)"
        here.mute.switched(muted=None)
        here.mute.switched(muted=True)
        here.mute.switched(muted=False)
        await until(lambda: here.diary[-1] == "hears (open)", "the switch")


async def test_what_the_disk_says_already_needs_no_writing(tmp_path: Path) -> None:
    """A card that has become read-only, as old ones do, is no trouble while it says the right thing."""
    async with kitchen(tmp_path, muted=True) as here:
        (tmp_path / "mute.new").mkdir()
        here.press()
        await until(lambda: here.diary[-1] == "hears (muted)", "the end of the mute")
        assert await here.mute.mute() is None


async def test_a_command_that_was_undone_at_once_says_so(tmp_path: Path) -> None:
    """Whoever asked for a mute does not read that it is muted when a finger has ended it."""
    async with kitchen(tmp_path) as here:
        with here.file._lock:
            asked = asyncio.create_task(here.mute.mute())
            await here.happens(2)
            here.press()
        assert await asked == "the button ended that at once"
