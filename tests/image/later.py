"""The scenes of later boots, of mistakes, and of another board."""

import asyncio
import time

from tests.image.kitchen import HOSTNAME, KEY, Kitchen, until_booted, until_ready
from tests.image.machine import PI3

OVERLAY = "googlevoicehat-soundcard"

STATE = "/var/lib/speakerd"

WRONG = """\
panel: {pin_factory: mock}
speaker:
  volume: 300
"""

TOLD = "  ! speakerd.yaml: line 3: speaker.volume:"

WATCHDOG_S = 60
"""Longer than the 15 s after which the watchdog bites."""


async def what_was_set_is_kept(kitchen: Kitchen) -> str:
    """After a proper shutdown the same machine comes up, muted as it was left, and takes nothing in again."""
    machine = await kitchen.running()
    await until_ready(machine)
    await until_booted(machine)
    identity = await machine.run("cat /etc/machine-id")
    report = await machine.run("cat /boot/firmware/speakerd-report.txt")
    await machine.run("speakerd mute")
    await machine.power_off()
    machine = await kitchen.boot()
    seconds = await until_ready(machine)
    await until_booted(machine)
    assert await machine.run("cat /etc/machine-id") == identity
    assert await machine.run("hostname") == HOSTNAME
    assert (await machine.run(f"cat {STATE}/mute")) == "muted", "the mute was forgotten"
    assert "muted" in (await machine.run("systemctl show -P StatusText speakerd")).lower()
    assert await machine.run("systemd-creds decrypt /etc/credstore.encrypted/gemini-api-key -") == KEY
    assert await machine.run("cat /boot/firmware/speakerd-report.txt") == report, "the report was written again"
    assert not await machine.run("systemctl list-units --failed --plain --no-legend")
    return f"READY {seconds:.0f} s after switching on; {await machine.run('systemd-analyze | head -1')}"


async def a_machine_that_hangs_starts_anew(kitchen: Kitchen) -> str:
    """Stop the first of all processes, as a hang of the system would: the hardware's watchdog resets the machine."""
    machine = await kitchen.running()
    state = "/sys/class/watchdog/watchdog0"
    await machine.run(f"modprobe i6300esb; until [ $(cat {state}/state) = active ]; do sleep 0.2; done")
    assert await machine.run(f"cat {state}/timeout") == "15"
    began = time.monotonic()
    await machine.run("echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze")
    async with asyncio.timeout(WATCHDOG_S):
        await machine.ended()
    await kitchen.switch_off()
    return f"after {time.monotonic() - began:.0f} s"


async def mistakes_are_told_on_the_fat(kitchen: Kitchen) -> str:
    """No settings with a mistake are taken over; the report on the FAT names file, line and setting."""
    async with kitchen.other_card() as card:
        card.put("speakerd.yaml", WRONG)
        machine = await kitchen.boot(card)
        await until_booted(machine)
        assert "300" not in await machine.run("cat /etc/speakerd/speakerd.yaml.d/*.yaml 2>/dev/null || true")
        await machine.power_off()
        report = card.read("speakerd-report.txt").decode().replace("\r", "")
    assert any(line.startswith(TOLD) for line in report.splitlines()), report
    return report


async def a_board_on_the_pins_starts_it_once_more(kitchen: Kitchen) -> str:
    """After the firmware was told of a board, the machine starts once more, and not again."""
    async with kitchen.other_card() as card:
        # This card's kernel has none; an owner may bring one.
        card.put(f"a/overlays/{OVERLAY}.dtbo", "an overlay by its name alone")
        card.put("speakerd.yaml", "panel: {board: aiy-voice-hat, pin_factory: mock}")
        machine = await kitchen.boot(card)
        await machine.ended()
        told = card.read("hat.txt").decode()
        assert f"dtoverlay={OVERLAY}" in told.splitlines(), told
        machine = await kitchen.boot(card)
        seconds = await until_ready(machine)
        await until_booted(machine)
        report = (await machine.run("cat /boot/firmware/speakerd-report.txt")).replace("\r", "")
        await kitchen.switch_off()
        assert card.read("hat.txt").decode() == told
    assert "hat.txt" in report, report
    return f"READY {seconds:.0f} s after the second start; {report}"


async def a_pi_3_boots_it(kitchen: Kitchen) -> str:
    """In QEMU's Raspberry Pi 3 the same card starts, from its SD slot and with its USB network."""
    async with kitchen.other_card() as card:
        machine = await kitchen.boot(card, PI3)
        seconds = await until_ready(machine)
        state = await until_booted(machine)
        model = await machine.run("tr -d '\\0' </proc/device-tree/model")
        source = await machine.run("findmnt -rno SOURCE /state")
        failed = await machine.run("systemctl list-units --failed --plain --no-legend")
        await machine.power_off()
    assert "mmcblk" in source, source
    assert not failed, failed
    return f"{model}: READY {seconds:.0f} s after switching on; {state}; state on {source}"


SCENES = (
    what_was_set_is_kept,
    a_machine_that_hangs_starts_anew,
    mistakes_are_told_on_the_fat,
    a_board_on_the_pins_starts_it_once_more,
    a_pi_3_boots_it,
)
