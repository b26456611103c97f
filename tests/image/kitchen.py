"""What the scenes share: a prepared card, the machine that it is in, and the stand-in Live API."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script
from tests.image.card import Card
from tests.image.machine import VIRT, Board, Machine

KEY = "not-a-real-key-0123456789"
NETWORK, PASSWORD = "A net of nobody", "correct horse battery"
"""A Wi-Fi that is not there."""

HOST = "10.0.2.2"
"""Where the machine finds this one (https://www.qemu.org/docs/master/system/devices/net.html)."""

HOSTNAME = "kitchen"

PRESEED = f"""\
[system]
hostname = "{HOSTNAME}"

[wlan]
ssid = "{NETWORK}"
password = "{PASSWORD}"
country = "DE"
"""

SETTINGS = """\
panel: {{pin_factory: mock, mute_button: {{pin: 17}}, led: {{pin: 27}}}}
live: {{base_url: "{url}", connect_timeout: 60, send_ms: 100}}
"""


@dataclass(slots=True)
class Kitchen:
    """A card in a machine; the scenes follow each other on it."""

    image: Path
    output: Path
    live: LiveApi
    cuts: int
    seed: int
    card: Card
    machine: Machine | None = None
    boots: int = 0
    identities: set[str] = field(default_factory=set)
    """Of the cards so far: machine ids, and keys for SSH."""
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @classmethod
    @contextlib.asynccontextmanager
    async def furnished(
        cls, image: Path, directory: Path, output: Path, *, cuts: int, seed: int
    ) -> AsyncIterator["Kitchen"]:
        """Flash a card, put the owner's files on it, and let the stand-in listen."""
        options = LiveApiOptions(directory / "live", script=Script(), keys=frozenset({KEY}), names=(HOST,))
        async with LiveApi(options) as live:
            card = Card.flashed(image, directory / "card.img")
            kitchen = cls(image, output, live, cuts, seed, card)
            kitchen.prepare(card)
            try:
                yield kitchen
            finally:
                await kitchen.switch_off()

    def prepare(self, card: Card) -> None:
        """Put on a card what an owner would, and delete a draft of it."""
        card.put("rpi-preseed.toml", PRESEED)
        card.put("speakerd.yaml", SETTINGS.format(url=self.live.url.replace("127.0.0.1", HOST)))
        card.put("speakerd-key.txt", f"{KEY}\r\n")
        card.put("draft.txt", f"{KEY}\r\n{PASSWORD}\r\n")
        card.delete("draft.txt")

    @contextlib.asynccontextmanager
    async def other_card(self, copied: Card | None = None) -> AsyncIterator[Card]:
        """Take the card out for a scene with another: a copy, or one just flashed with the owner's files on it."""
        await self.switch_off()
        file = self.card.file.with_name("other.img")
        card = copied.copied(file) if copied else Card.flashed(self.image, file)
        if copied is None:
            self.prepare(card)
        try:
            yield card
        finally:
            await self.switch_off()
            card.file.unlink()

    async def boot(
        self, card: Card | None = None, board: Board = VIRT, *, kernel: Card | None = None, log: Path | None = None
    ) -> Machine:
        """Switch the machine on, with this card or with that of the scene before; see `Machine.on`."""
        await self.switch_off()
        self.boots += 1
        console = self.output / f"console-{self.boots:02}-{board.name}.txt"
        machine = Machine.on(board, card or self.card, console, kernel=kernel, log=log)
        self.machine = await self._stack.enter_async_context(machine)
        return self.machine

    async def running(self) -> Machine:
        """Return the machine as the scene before left it; where that left none, one that is ready."""
        if self.machine is None:
            await until_ready(await self.boot())
        assert self.machine is not None
        return self.machine

    def meet(self, identity: str) -> None:
        """See that no card before had this identity."""
        assert identity not in self.identities, f"two cards have {identity!r}"
        self.identities.add(identity)

    async def switch_off(self) -> None:
        """Cut its power."""
        await self._stack.aclose()
        self.machine = None


async def until_ready(machine: Machine) -> float:
    """Wait until the service says that it is ready; return how long after switching on that was, in seconds."""
    await machine.run("until systemctl is-active -q speakerd; do sleep 0.5; done")
    return time.monotonic() - machine.began


async def until_booted(machine: Machine) -> str:
    """Wait until nothing is left to start; return what systemd says of the whole: running, or degraded."""
    _, state = await machine.tried("systemctl is-system-running --wait")
    await machine.run("while [ $(systemctl show -P SubState speakerd-provision) = running ]; do sleep 0.5; done")
    return state
