"""The scene of the power cuts."""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field

from tests.image import writes
from tests.image.kitchen import HOSTNAME, KEY, Kitchen, until_booted, until_ready
from tests.image.machine import Machine

A_CARD = 3
"""How many cuts a card lives through; the first is on its first boot."""

A_ROUND = 20
"""So many cuts meet a card in all that it does."""

TAKING_IN = "until [ -d /run/speakerd-provision ]; do sleep 0.1; done"
"""Ends when the provisioning begins."""

MUTE = """\
cd /var/lib/speakerd
if [ -e mute ] || [ -e mute-known ]; then cat mute; else echo not muted; fi
"""
"""What the disk says; where it has never said anything, the speaker is new."""

SOON = "soon"

PRESSES = f"""\
exec runuser -u speakerd -- /usr/lib/speakerd/bin/python3 -c '
import itertools, pathlib, time
from speakerd.host.mute_file import MuteFile
file = MuteFile(pathlib.Path("/var/lib/speakerd"))
for count in itertools.count():
    print("{SOON}", flush=True)
    file.write(muted=count % 2 == 0)
    print(["not muted", "muted"][count % 2 == 0], flush=True)
    time.sleep(2)
'"""
"""Stands for somebody who presses the button every two seconds, and tells what the disk holds from then on."""


@dataclass(slots=True)
class Promise:
    """What the mute may be after a power cut: what was told last, or, while it changes, either."""

    words: set[str] = field(default_factory=lambda: {"not muted"})

    def told(self, line: str) -> None:
        """Take account of a line of the presses."""
        if line == SOON:
            self.words = {*self.words, "muted", "not muted"}
        elif line:
            self.words = {line}


async def power_cuts_do_no_harm(kitchen: Kitchen) -> str:
    """Cut the power at random moments of first and later boots: the card starts again, muted as it was."""
    chance = random.Random(kitchen.seed)
    boot_s = 90.0  # until the first card has shown how long it takes here
    told: list[str] = []
    for first in range(0, kitchen.cuts, A_CARD):
        number = first // A_CARD + 1
        promise = Promise()
        async with kitchen.other_card() as card:
            for cut in range(first, min(first + A_CARD, kitchen.cuts)):
                # Every other card loses its power first while it takes in what its owner has written.
                is_early = cut == first and number % 2 == 0
                after = chance.uniform(0.0, boot_s / 4) if is_early else chance.uniform(1.0, 1.5 * boot_s)
                before, log = card.copied(card.file.with_name("before.img")), card.file.with_name("writes.log")
                machine = await kitchen.boot(card, log=log)
                if is_early:
                    await machine.run(TAKING_IN)
                came = await _live(machine, promise, after)
                await kitchen.switch_off()
                lost = writes.survive(log, before.file, chance)
                before.file.replace(card.file)
                told.append(f"{after:.0f} s {'into the provisioning ' * is_early}({came}; {lost})")
                print(f"     cut {cut + 1} of card {number}, {told[-1]}", flush=True)
            boot_s = await _proven(await kitchen.boot(card), promise)
            print(f"     card {number} is well, READY after {boot_s:.0f} s", flush=True)
    assert kitchen.cuts < A_ROUND or any("pressed" in came for came in told), "no cut came as late as a press"
    return f"seed {kitchen.seed}: {', '.join(told)}"


async def _live(machine: Machine, promise: Promise, seconds: float) -> str:
    """Let it boot, and press its button, for so long; return how far it came."""
    came = "not up"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await machine.run("true")
            came = "booting"
            await machine.run("until [ -d /var/lib/speakerd ]; do sleep 0.2; done")
            await _checked(machine, promise)
            await until_ready(machine)
            came = "ready"
            async for line in machine.lines(PRESSES):
                promise.told(line)
                came = f"pressed, {line}"
    return came


async def _checked(machine: Machine, promise: Promise) -> None:
    """See that the mute is what was promised."""
    word = await machine.run(MUTE)
    assert word in promise.words, f"the mute is {word!r}, and {sorted(promise.words)} was promised"
    promise.words = {word}


async def _proven(machine: Machine, promise: Promise) -> float:
    """See that the card is as if nothing had happened; return how long after switching on it was ready."""
    began = time.monotonic()
    await until_ready(machine)
    seconds = time.monotonic() - began
    await until_booted(machine)
    await _checked(machine, promise)
    assert not await machine.run("systemctl list-units --failed --plain --no-legend")
    assert await machine.run("hostname") == HOSTNAME
    assert await machine.run("systemd-creds decrypt /etc/credstore.encrypted/gemini-api-key -") == KEY
    notes = await machine.run("journalctl -k -t state -o cat || true")
    assert "anew" not in notes, notes
    return seconds


SCENES = (power_cuts_do_no_harm,)
