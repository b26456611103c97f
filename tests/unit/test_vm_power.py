"""Does the host keep score of what a guest whose power fails had promised?"""

import asyncio
from pathlib import Path

import pytest

from tests.vm.machine import BOOTS, TOLD, Console, Cut, Machine, PanicError
from tests.vm.power import PowerCuts


class Scripted(Machine):
    """A machine that tells at each boot what a test wants it to; None is a panic."""

    def __init__(self, *boots: list[str] | None) -> None:
        self._boots = list(boots)
        self.words: list[str] = []
        self.unpacked = 0

    async def furnish(self) -> None:
        """Do nothing: it has no disk."""

    def unpack(self) -> None:
        self.unpacked += 1

    async def boot(
        self, words: str, *, limit: float, first: bool = True, log: str = "console.txt", cut: Cut | None = None
    ) -> Console:
        self.words.append(words)
        lines = self._boots.pop(0)
        if lines is None:
            raise PanicError
        console = Console(Path(log))
        cutting = asyncio.ensure_future(cut(console)) if cut else None
        for line in lines:
            told = TOLD.search(line)
            assert told, line
            console._note(told)
            await asyncio.sleep(0.001)  # as lines come from a guest, one by one
        if cutting is not None:
            done, _ = await asyncio.wait([cutting], timeout=30)
            cutting.cancel()
            assert done, "nobody cut the power"
        return console


FIRST = ["|BEGIN 1 scenes", "|DOWN", "|RED", "|PASS power.set_up", "|END 1 of 1 scenes passed"]
LAST = ["|BEGIN 1 scenes", "|PASS power.boot_last", "|END 1 of 1 scenes passed"]


def press(*after: str) -> list[str]:
    """Return what a boot tells until the power fails behind the second press."""
    return ["|BEGIN 1 scenes", "|PASS power.boot", "|DOWN", "|RED", "|DOWN", *after]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the power fail at once, where a test waits for it."""
    monkeypatch.setattr("tests.vm.power.WITHIN_S", {"press": 0.01, "turn": 0.01})


def play(machine: Scripted, cuts: int) -> bool:
    return asyncio.run(PowerCuts(machine, cuts=cuts, seed=1, limit=30).play())


@pytest.mark.parametrize(
    ("after", "expected"), [((), "either"), (("|RED",), "muted"), (("|RED", "|DOWN", "|HEARD"), "not-muted")]
)
def test_the_next_boot_must_find_what_was_seen_last(after: tuple[str, ...], expected: str) -> None:
    """A press that nobody saw to its end leaves it open; red, and sound on the wire, are promises."""
    machine = Scripted(FIRST, press(*after), LAST)
    assert play(machine, 1)
    assert machine.words[1].startswith("scenes.boot=1 scenes.expected=muted ")
    assert machine.words[2] == f"scenes.boot=last scenes.expected={expected}"
    assert machine.unpacked == 1


def test_a_boot_that_finds_something_else_fails_it_all_and_leaves_what_it_has() -> None:
    """The guest tells FAIL, and whoever asks why has its journal."""
    machine = Scripted(FIRST, press("|FAIL power.boot_1: it is not muted, and was muted"))
    assert not play(machine, 3)
    assert machine.unpacked == 1
    assert len(machine.words) == 2


def test_a_last_boot_that_does_not_come_to_its_end_is_no_success() -> None:
    """A judgement that was never made is none."""
    assert not play(Scripted(FIRST, press(), ["|BEGIN 1 scenes"]), 1)


def test_only_a_panic_before_the_scene_is_tried_again() -> None:
    """Panics of the emulated kernel say nothing of the speaker; after three of them in a row nobody guesses on."""
    assert play(Scripted(FIRST, None, press(), LAST), 1)
    machine = Scripted(FIRST, *[None] * BOOTS)
    with pytest.raises(PanicError):
        play(machine, 1)
    assert machine.unpacked == 1
