"""The scenes of the first boot."""

import json
import re

from packageurl import PackageURL

from tests.image.card import SIZE
from tests.image.kitchen import HOSTNAME, KEY, NETWORK, PASSWORD, Kitchen, until_booted, until_ready
from tests.image.neighbour import PORTS, neighbour_finds

DHCP_PORTS = {"68", "546"}
"""Where an answer with an address comes in; nobody connects to these."""


async def it_starts_and_speakerd_is_ready(kitchen: Kitchen) -> str:
    """Whoever puts a card with files of their own on it in, and switches on, has a speaker."""
    machine = await kitchen.boot()
    seconds = await until_ready(machine)
    state = await until_booted(machine)
    failed = await machine.run("systemctl list-units --failed --plain --no-legend")
    status = await machine.run("systemctl show -P StatusText speakerd")
    assert not failed, f"{state}: {failed}"
    return f"READY {seconds:.0f} s after switching on; {state}; STATUS={status}"


async def the_system_cannot_be_written_to(kitchen: Kitchen) -> str:
    """Nothing writes to the system: what changes is on the state partition, and /tmp is in memory."""
    machine = await kitchen.running()
    status, said = await machine.tried("touch /usr/no-file")
    assert status != 0, said
    assert "Read-only" in said, said
    assert "ro," in await machine.run("findmnt -no OPTIONS /boot/firmware")
    assert await machine.run("stat -c %a /boot/firmware") == "700", "others may read the owner's files"
    kinds = await machine.run(
        "findmnt -no TARGET,FSTYPE / /etc /var /home /root /tmp || true; findmnt -rno TARGET,FSTYPE"
    )
    for line in ("/state ext4", "/etc overlay", "/var overlay", "/home overlay", "/root overlay", "/tmp tmpfs"):
        assert line in kinds, f"{line} is not in {kinds}"
    for directory in ("/etc", "/var/lib", "/home", "/root", "/tmp"):
        await machine.run(f"touch {directory}/a-file && rm {directory}/a-file")
    return said


async def the_state_grows_to_the_end_of_the_card(kitchen: Kitchen) -> str:
    """All that the card has more than the image had is the owner's."""
    machine = await kitchen.running()
    size = int(await machine.run("df --output=size -B1 /state | tail -1"))
    start = int(await machine.run("cat /sys/class/block/[vm]*4/start")) * 512
    assert size > (SIZE - start) * 0.9, f"{size} octets of {SIZE - start}"
    return f"{size / 2**20:.0f} MiB"


async def the_machine_is_one_of_a_kind(kitchen: Kitchen) -> str:
    """Identity and keys are made on the first boot; there is no password, no user and no SSH."""
    machine = await kitchen.running()
    identity = await machine.run("cat /etc/machine-id")
    assert re.fullmatch("[0-9a-f]{32}", identity), identity
    kitchen.meet(identity)
    assert not (await machine.run("ls /etc/ssh | grep ssh_host || true")), "there are SSH keys"
    passwords = await machine.run("cut -d: -f1,2 /etc/shadow")
    assert all(line.partition(":")[2].startswith(("*", "!")) for line in passwords.splitlines()), passwords
    people = await machine.run("awk -F: '$3 >= 1000 && $3 < 60000 {print $1}' /etc/passwd")
    assert not people, people
    enabled = await machine.run("systemctl is-enabled ssh.service ssh.socket sshd.service 2>&1 || true")
    assert "enabled" not in enabled.split(), enabled
    return identity


async def it_behaves_like_an_appliance(kitchen: Kitchen) -> str:
    """No swap, a watchdog, a journal in memory."""
    machine = await kitchen.running()
    assert len((await machine.run("cat /proc/swaps")).splitlines()) == 1
    watchdog = await machine.run("systemctl show -P RuntimeWatchdogUSec")
    assert watchdog == "15s", watchdog
    assert not (await machine.run("ls /var/log/journal 2>/dev/null || true"))
    journal = await machine.run("journalctl -u systemd-journald -o cat | grep 'Runtime Journal'")
    assert "max 16M" in journal, journal
    return f"watchdog {watchdog}; {journal}; memory {await machine.run('free -m | sed -n 2p')}"


async def nothing_listens(kitchen: Kitchen) -> str:
    """Whoever knocks finds no port open, and the kernel has none in its list."""
    machine = await kitchen.running()
    lines = (await machine.run("ss -H -ltnu")).splitlines()
    ports = [line.split()[4].rpartition(":")[2] for line in lines]
    assert not set(ports) - DHCP_PORTS, lines
    names = await machine.run("ss -H -lx | awk '{print $5}' | sort")
    assert "ssh" not in names, names
    knocked = await neighbour_finds(machine)
    assert not knocked, f"open for the neighbours: {knocked}"
    return f"{lines or 'nothing'}; of {PORTS} ports none was open"


async def the_owners_files_are_taken_in(kitchen: Kitchen) -> str:
    """Name, Wi-Fi, settings and key are in force, and the report says so."""
    machine = await kitchen.running()
    assert await machine.run("hostname") == HOSTNAME
    wireless = await machine.run("nmcli -g 802-11-wireless.ssid connection show speakerd-wifi")
    assert wireless == NETWORK, wireless
    assert "mock" in await machine.run("cat /etc/speakerd/speakerd.yaml.d/*.yaml /etc/speakerd/speakerd.yaml")
    assert await machine.run("systemd-creds decrypt /etc/credstore.encrypted/gemini-api-key -") == KEY
    report = await machine.run("cat /boot/firmware/speakerd-report.txt")
    for told in ("encrypted for this card", NETWORK, "speakerd.yaml are in force"):
        assert told in report, f"{told} is not in {report}"
    return report


async def the_list_of_its_parts_is_what_is_installed(kitchen: Kitchen) -> str:
    """Find the same packages on the card and in its list, in the same versions, and nothing else in either."""
    machine = await kitchen.running()
    listed = json.loads(kitchen.image.with_suffix(".cdx.json").read_text())["components"]
    urls = [PackageURL.from_string(one["purl"]) for one in listed]
    debian = {(url.name, url.version, url.qualifiers["arch"]) for url in urls if url.type == "deb"}
    installed = await machine.run("dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n'")
    assert {one for one in debian if one[2] != "source"} == {tuple(line.split()) for line in installed.splitlines()}
    python = {f"{url.name}-{url.version}" for url in urls if url.type == "pypi"}
    names = await machine.run("cd /usr/lib/speakerd/lib/python3*/site-packages; ls -d *.dist-info")
    brought = {name.removesuffix(".dist-info").lower().replace("_", "-") for name in names.split()}
    assert python == {name for name in brought if not name.startswith("speakerd-")}
    return f"{len(installed.splitlines())} of Debian's packages, {len(python)} of Python's"


async def how_long_it_took(kitchen: Kitchen) -> str:
    """Measure the boot."""
    machine = await kitchen.running()
    return await machine.run(
        "systemd-analyze; systemd-analyze blame --no-pager | head -12; df -h / /state /boot/firmware"
    )


async def no_secret_is_left_on_the_fat(kitchen: Kitchen) -> str:
    """Key and Wi-Fi password are gone from the partition that any computer reads, and from its free space."""
    machine = await kitchen.running()
    await until_booted(machine)
    await machine.power_off()
    await kitchen.switch_off()
    octets = kitchen.card.octets("boot")
    for secret in (KEY, PASSWORD):
        assert secret.encode() not in octets, f"{secret} is still there"
    names = kitchen.card.names()
    assert not {"speakerd-key.txt", "rpi-preseed.toml", "zeros.tmp"} & set(names), names
    return " ".join(names)


SCENES = (
    it_starts_and_speakerd_is_ready,
    the_system_cannot_be_written_to,
    the_state_grows_to_the_end_of_the_card,
    the_machine_is_one_of_a_kind,
    it_behaves_like_an_appliance,
    nothing_listens,
    the_owners_files_are_taken_in,
    the_list_of_its_parts_is_what_is_installed,
    how_long_it_took,
    no_secret_is_left_on_the_fat,
)
