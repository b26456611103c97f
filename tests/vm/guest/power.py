"""What the guest plays when its power may fail: one act for each boot of the same disk.

The host says on the kernel's command line what it expects to find, and cuts the power when it likes. It learns from
the console what was promised until then:

- ``DOWN``: the button goes down, so the mute may be either way.
- ``RED``: the light says that the speaker is muted.
- ``HEARD``: the server hears the room.
- ``ASKED``: somebody has asked something.
"""

import asyncio
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.vm.guest.journal import UNIT
from tests.vm.guest.kitchen import (
    BOUNCE_MS,
    BUTTON,
    COLOURS,
    DROP_IN,
    RUN,
    START_S,
    STATE,
    Kitchen,
    output_of,
    systemctl,
    until,
)
from tests.vm.guest.pins import PINS
from tests.vm.guest.talk import QUESTION

Tell = Callable[[str, str], None]

PANEL = {**COLOURS, "mute_button": {"pin": BUTTON, "bounce_ms": BOUNCE_MS}}
RED, OTHERS = 5, (6, 13)

STEADY_S = 0.25
"""A light that is red for so long, and in no other colour, is steady; one that errs goes off after 0.2 s."""

DEAF_S = 10.0
"""For how long nothing may leave after a start as one that is muted."""


async def set_up(kitchen: Kitchen, tell: Tell) -> str:
    """Make it a speaker that starts with the machine, and mute it."""
    await kitchen.start(PANEL)
    kept = Path("/etc/systemd/system") / DROP_IN.parent.name
    kept.mkdir(parents=True)
    shutil.copy(DROP_IN, kept)
    # The stand-in's certificate is new at each boot, and must be there when the speaker reads it.
    (kept / "after.conf").write_text("[Unit]\nAfter=scenes.service\n")
    Path("/var/log/journal").mkdir(exist_ok=True)
    await systemctl("enable", UNIT)
    await kitchen.until_state("idle", START_S)
    await output_of("journalctl", "--flush")
    await _press(kitchen, tell)
    await _until_red(tell)
    return "set up, and muted"


async def judge(kitchen: Kitchen, expected: str, tell: Tell) -> str:
    """See that it has started by itself, as what it was; un-mute it where it is muted."""
    began, expected = time.monotonic(), expected.replace("-", " ")
    await until(lambda: kitchen.journal.state() is not None, "the service", START_S)
    while await systemctl("show", "-P", "ActiveState", UNIT) != "active":
        assert time.monotonic() - began < START_S, "it is not ready"
        await asyncio.sleep(0.2)
    ready = time.monotonic()
    found = kitchen.disk()
    assert expected in (found, "either"), f"it is {found}, and was {expected}"
    await output_of("speakerd", "check")
    counted = _usage()
    lost = [entry.message for entry in kitchen.journal.entries if entry.fields.get("event") == "usage-lost"]
    assert not lost, lost
    if found == "muted":
        await _until_red(tell)
        assert kitchen.microphone() == "closed", kitchen.microphone()
        await asyncio.sleep(max(0.0, ready + DEAF_S - time.monotonic()))
        assert kitchen.octets_since(began) == 0
        await _press(kitchen, tell)
    await kitchen.until_state("idle", START_S)
    await kitchen.until_sound()
    tell("HEARD", "")
    assert kitchen.disk() == "not muted", kitchen.disk()
    was = f"{found} as its light{', 0 bytes until the button un-muted it' if found == 'muted' else ''}"
    return f"expected {expected}; {was}; heard {time.monotonic() - began:.0f} s after the stand-in; {counted}"


async def live(kitchen: Kitchen, act: str, seed: int, tell: Tell) -> None:
    """Press the button, or talk, until the power fails."""
    pause = random.Random(seed)
    while True:
        if act == "turn":
            kitchen.room.be_quiet()
            seen = len(kitchen.journal.entries)
            tell("ASKED", "")
            await kitchen.room.say(QUESTION.read_bytes())
            await kitchen.journal.until(after=seen, event="turn")
        else:
            await _press(kitchen, tell)
            await _until_red(tell)
            await asyncio.sleep(pause.uniform(0, 2))
            await _press(kitchen, tell)
            await kitchen.until_state("idle")
            await kitchen.until_sound()
            tell("HEARD", "")
        await asyncio.sleep(pause.uniform(0, 2))


async def keep() -> None:
    """Keep what all the boots have said."""
    (RUN / "journal-of-all-boots.txt").write_text(await output_of("journalctl", "--no-pager", "-o", "short-precise"))


async def _press(kitchen: Kitchen, tell: Tell) -> None:
    tell("DOWN", "")
    kitchen.press()
    await asyncio.sleep(0.3)


async def _until_red(tell: Tell) -> None:
    """Wait until the light is red, and steady: one that errs blinks, and a mixture flickers."""
    files = [os.open(PINS / f"sim_gpio{pin}" / "value", os.O_RDONLY) for pin in (RED, *OTHERS)]
    deadline, since = time.monotonic() + START_S, None
    try:
        while since is None or time.monotonic() - since < STEADY_S:
            if _levels(files) != [1, 0, 0]:
                since = None
            elif since is None:
                since = time.monotonic()
            assert time.monotonic() < deadline, f"the light is not red: {_levels(files)}"
            await asyncio.sleep(0.007)
    finally:
        for file in files:
            os.close(file)
    tell("RED", "")


def _levels(files: list[int]) -> list[int]:
    return [int(os.pread(file, 8, 0)) for file in files]


def _usage() -> str:
    """Return what is kept of the day; raise ValueError where it cannot be read."""
    file = STATE / "usage.json"
    return f"usage {json.loads(file.read_text())['tokens_out']} tokens" if file.exists() else "no usage yet"
