"""The scenes of later boots, of mistakes, and of another board."""

from tests.image.card import Card
from tests.image.kitchen import HOSTNAME, KEY, Kitchen, until_booted, until_ready
from tests.image.machine import PI3

OVERLAY = "googlevoicehat-soundcard"

STATE = "/var/lib/speakerd"

WRONG = """\
panel: {pin_factory: mock}
speaker:
  volume: 300
"""


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


async def mistakes_are_told_on_the_fat(kitchen: Kitchen) -> str:
    """No settings with a mistake are taken over; the report on the FAT names file and line."""
    await kitchen.switch_off()
    card = Card.flashed(kitchen.image, kitchen.card.file.with_name("mistakes.img"))
    kitchen.prepare(card)
    card.put("speakerd.yaml", WRONG)
    machine = await kitchen.boot(card)
    await until_booted(machine)
    assert "300" not in await machine.run("cat /etc/speakerd/speakerd.yaml.d/*.yaml 2>/dev/null || true")
    await machine.power_off()
    await kitchen.switch_off()
    report = card.read("speakerd-report.txt").decode()
    card.file.unlink()
    assert "speakerd.yaml" in report, report
    assert "3" in report, report
    assert "volume" in report, report
    return report.replace("\r", "")


async def a_state_that_is_lost_is_made_anew_and_muted(kitchen: Kitchen) -> str:
    """Whoever has a card whose state got lost has a speaker all the same, and a muted one."""
    await kitchen.switch_off()
    card = kitchen.card.copied(kitchen.card.file.with_name("lost.img"))
    machine = await kitchen.boot(card)
    start = int(await machine.run("cat /sys/class/block/vda4/start")) * 512
    await kitchen.switch_off()
    with card.file.open("r+b") as file:
        file.seek(start)
        file.write(bytes(64 << 20))
    machine = await kitchen.boot(card)
    await until_booted(machine)
    word = await machine.run(f"cat {STATE}/mute")
    source = await machine.run("findmnt -rno SOURCE /state")
    told = await machine.run("journalctl -k -t state -o cat")
    await kitchen.switch_off()
    card.file.unlink()
    assert word == "muted", word
    assert "made anew" in told, told
    assert source.startswith("/dev/"), f"the state is kept in {source}"
    return told


async def a_board_on_the_pins_starts_it_once_more(kitchen: Kitchen) -> str:
    """After the firmware was told of a board, the machine starts once more, and not again."""
    await kitchen.switch_off()
    card = Card.flashed(kitchen.image, kitchen.card.file.with_name("board.img"))
    kitchen.prepare(card)
    card.make("overlays")  # this card's kernel has none; an owner may bring one
    card.put(f"overlays/{OVERLAY}.dtbo", "an overlay by its name alone")
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
    card.file.unlink()
    assert "hat.txt" in report, report
    return f"READY {seconds:.0f} s after the second start; {report}"


async def a_pi_3_boots_it(kitchen: Kitchen) -> str:
    """In QEMU's Raspberry Pi 3 the same card starts, from its SD slot and with its USB network."""
    await kitchen.switch_off()
    card = Card.flashed(kitchen.image, kitchen.card.file.with_name("pi3.img"))
    kitchen.prepare(card)
    machine = await kitchen.boot(card, PI3)
    seconds = await until_ready(machine)
    state = await until_booted(machine)
    model = await machine.run("tr -d '\\0' </proc/device-tree/model")
    source = await machine.run("findmnt -rno SOURCE /state")
    failed = await machine.run("systemctl list-units --failed --plain --no-legend")
    await machine.power_off()
    await kitchen.switch_off()
    card.file.unlink()
    assert "mmcblk" in source, source
    assert not failed, failed
    return f"{model}: READY {seconds:.0f} s after switching on; {state}; state on {source}"


SCENES = (
    what_was_set_is_kept,
    mistakes_are_told_on_the_fat,
    a_state_that_is_lost_is_made_anew_and_muted,
    a_board_on_the_pins_starts_it_once_more,
    a_pi_3_boots_it,
)
