"""The scenes of the power: a speaker that is shut down, and one whose power fails, at any moment, again and again.

The guest plays ``guest/power.py`` at each boot from one disk. A power cut is the sudden end of QEMU: what the guest
had not written to its disk by then is lost.
"""

import asyncio
import random

from tests.vm.machine import BOOTS, Console, Cut, Machine, PanicError

KINDS = ("press", "boot", "turn")
"""When the power fails: soon after a press, while it starts, while a question is asked or answered."""

WITHIN_S = {"press": 6.0, "turn": 40.0}
"""The latest moment after the press, or the beginning of the question: the guest takes several times as long as its
own clock says."""

WITHIN_BOOTS = 1.5
"""The latest moment after the power came, in times of what it took from there to the stand-in: that depends on the
host, and the speaker starts behind it."""

PROMISES = {"DOWN": "either", "RED": "muted", "HEARD": "not-muted"}
"""What must hold after the power has failed, by what was seen last: a press counts when the light is red."""


class PowerCuts:
    """The scene of several boots from one disk."""

    def __init__(self, machine: Machine, *, cuts: int, seed: int, limit: float) -> None:
        self._machine = machine
        self._cuts = cuts
        self._limit = limit
        self._seed = seed
        self._random = random.Random(seed)
        self._expected = "either"
        self._boots: list[float] = []

    async def play(self) -> bool:
        """Play it; return whether it went well."""
        await self._machine.furnish()
        try:
            return await self._play()
        finally:
            self._machine.unpack()

    async def _play(self) -> bool:
        console = await self._boot("first", "scenes.boot=first", first=True)
        well = console.went_well and console.is_over
        for number in range(1, self._cuts + 1):
            well = well and await self._cut(number)
        if well:
            console = await self._boot("last", self._words("last"))
            well = console.went_well and console.is_over
        seconds = ", ".join(f"{boot:.0f}" for boot in self._boots)
        print(f"{self._cuts} power cuts (seed {self._seed}); from power to the stand-in {seconds} s")
        return well

    def _words(self, number: int | str) -> str:
        return f"scenes.boot={number} scenes.expected={self._expected}"

    async def _cut(self, number: int) -> bool:
        """Boot, and let the power fail; return whether all was well until then."""
        kind = KINDS[(number - 1) % len(KINDS)]
        latest = WITHIN_S[kind] if kind in WITHIN_S else WITHIN_BOOTS * self._boots[0]
        after, nth, is_cut = self._random.uniform(0, latest), self._random.randint(1, 2), asyncio.Event()

        async def cut(console: Console) -> None:
            if kind != "boot":
                await console.until("PASS", "FAIL")
                before = sum(word in ("DOWN", "ASKED") for word in console.told)
                await console.until("DOWN", "ASKED", count=before + nth)
            await asyncio.sleep(after)
            is_cut.set()

        act = "" if kind == "boot" else f" scenes.act={kind} scenes.seed={self._seed + number}"
        console = await self._boot(str(number), self._words(number) + act, cut=cut)
        print(
            f"cut {number} of {self._cuts}: {after:.2f} s into a {kind}; the next boot must find it {self._expected}"
        )
        return is_cut.is_set() and "FAIL" not in console.told

    async def _boot(self, name: str, words: str, *, first: bool = False, cut: Cut | None = None) -> Console:
        for number in range(1, BOOTS + 1):
            try:
                console = await self._machine.boot(
                    words, first=first, limit=self._limit, log=f"console-{name}.txt", cut=cut
                )
            except PanicError:
                print(f"boot {name}, try {number}: the guest's kernel panicked before its scene")
                continue
            self._boots += [at for word, at in zip(console.told, console.at, strict=True) if word == "BEGIN"]
            self._expected = PROMISES.get(console.last(*PROMISES) or "", self._expected)
            return console
        raise PanicError
