"""The scenes of a card of which something got lost, or has another name."""

from tests.image.kitchen import HOSTNAME, KEY, Kitchen, until_booted, until_ready
from tests.image.machine import Machine

REPORT = "/boot/firmware/speakerd-report.txt"


async def the_owners_part_may_have_another_name(kitchen: Kitchen) -> str:
    """Whoever renames what looks like a memory stick has a card on which all is taken in as before."""
    async with kitchen.other_card() as card:
        card.rename("MY STICK")
        machine = await kitchen.boot(card)
        seconds = await until_ready(machine)
        await until_booted(machine)
        assert await machine.run("systemd-creds decrypt /etc/credstore.encrypted/gemini-api-key -") == KEY
        assert not await machine.run("systemctl list-units --failed --plain --no-legend")
        name = await machine.run("lsblk -no LABEL /dev/vda1")
    assert name == "MY STICK", name
    return f"READY {seconds:.0f} s after switching on, with {name}"


async def without_the_owners_part_it_goes_on(kitchen: Kitchen) -> str:
    """Start with what it had where the FAT cannot be read any more, and let the light say that something is wrong."""
    async with kitchen.other_card(kitchen.card) as card:
        card.wipe("boot")
        machine = await kitchen.boot(card, kernel=kitchen.card)
        seconds = await until_ready(machine)
        state = await until_booted(machine)
        failed = await machine.run("systemctl list-units --failed --plain --no-legend | cut -d ' ' -f 1")
        status = await machine.run("systemctl show -P StatusText speakerd")
        assert await machine.run("hostname") == HOSTNAME
    assert failed == "boot-firmware.mount", failed
    assert status.startswith("Error: "), status
    return f"READY {seconds:.0f} s after switching on; {state}; STATUS={status}"


async def a_state_that_is_lost_is_made_anew_and_muted(kitchen: Kitchen) -> str:
    """Whoever has a card whose state got lost writes their files again, and has a speaker, and a muted one."""
    async with kitchen.other_card(kitchen.card) as card:
        card.wipe("state", 64 << 20)
        kitchen.prepare(card)
        machine = await kitchen.boot(card)
        await until_booted(machine)
        told, source = await _muted(machine)
    assert "made anew" in told, told
    assert source.startswith("/dev/"), f"the state is kept in {source}"
    return told


async def a_card_without_a_state_keeps_nothing_and_is_muted(kitchen: Kitchen) -> str:
    """Where there is no room for a state, the speaker starts muted all the same, and the key stays where it is."""
    async with kitchen.other_card() as card:
        card.drop("state")
        machine = await kitchen.boot(card)
        await until_booted(machine)
        told, source = await _muted(machine)
        report = (await machine.run(f"cat {REPORT}")).replace("\r", "")
        await machine.power_off()
        assert card.read("speakerd-key.txt").decode().strip() == KEY
    assert "will be forgotten" in told, told
    assert source == "state", f"the state is kept in {source}"
    assert "it keeps nothing" in report, report
    return report


async def _muted(machine: Machine) -> tuple[str, str]:
    """See that the speaker is muted; return what the kernel's log says of the state, and where it is."""
    word = await machine.run("cat /var/lib/speakerd/mute")
    assert word == "muted", word
    status = await machine.run("systemctl show -P StatusText speakerd")
    assert "muted" in status.lower(), status
    told = await machine.run("journalctl -k -t state -o cat")
    return told, await machine.run("findmnt -rno SOURCE /state")


SCENES = (
    the_owners_part_may_have_another_name,
    without_the_owners_part_it_goes_on,
    a_state_that_is_lost_is_made_anew_and_muted,
    a_card_without_a_state_keeps_nothing_and_is_muted,
)
