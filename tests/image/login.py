"""The scenes of an owner who wants to log in, which is what the dialog of Raspberry Pi Imager is for."""

import asyncio
import os
import subprocess
from pathlib import Path

from tests.image.card import Card
from tests.image.kitchen import HOSTNAME, Kitchen, until_booted, until_ready
from tests.image.machine import Machine
from tests.image.neighbour import PORTS, neighbour_finds

USER, WORD = "cook", "salt and pepper"

CRYPTED = "$6$speakerd$3XQp8AKyEEXvMrNkpV2NdFklvLR8bxxvxOoSaxc/eWPh6iGu/jxDw.7bL8pu9TunV9A0in74ErGKQTD9/slY80"
"""That word, by `openssl passwd -6 -salt speakerd`."""

WITH_A_KEY = """\
[system]
hostname = "{hostname}"

[user]
name = "{user}"
password = "{word}"
password_encrypted = true
groups = ["sudo"]

[ssh]
enabled = true
authorized_keys = ["{key}"]

[speakerd]
journal = "persistent"
"""

WITH_A_PASSWORD = """\
[user]
name = "{user}"
password = "{word}"
passwordless_sudo = true

[ssh]
enabled = true
password_authentication = true
"""


async def who_asked_for_it_logs_in_with_a_key(kitchen: Kitchen) -> str:
    """Let the user of the dialog in, with their key, and nobody else; keep the journal, as they wanted."""
    key = kitchen.card.file.with_name("key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    told = {"hostname": HOSTNAME, "user": USER, "word": CRYPTED, "key": public}
    async with kitchen.other_card() as card:
        card.put("rpi-preseed.toml", WITH_A_KEY.format(**told))
        machine = await _logged_in(kitchen, card, key)
        said = await _ssh(kitchen, USER, f"echo '{WORD}' | sudo -S id -u 2>/dev/null", key)
        assert said == (0, "0"), said
        for who, how in (("root", key), (USER, None)):
            status, refused = await _ssh(kitchen, who, "true", how)
            assert (status, "Permission denied (publickey)" in refused) == (255, True), f"{who}: {refused}"
        knocked = await neighbour_finds(machine)
        assert knocked == ["22"], f"open for the neighbours: {knocked}"
        listening = await machine.run("ss -H -ltn | awk '{print $4}'")
        assert {line.rpartition(":")[2] for line in listening.splitlines()} == {"22"}, listening
        keys = await _identity(kitchen, machine)
        await machine.power_off()

        machine = await _logged_in(kitchen, card, key)
        assert await machine.run("cat /etc/ssh/ssh_host_*_key.pub") == keys, "the keys are others at each boot"
        before = await machine.run("journalctl -b -1 -u speakerd-provision -o cat")
    assert f"{USER} may log in" in before, before
    return (
        f"from outside, of {PORTS} ports: {', '.join(knocked)}; {len(before.splitlines())} lines of the boot before"
    )


async def another_card_is_another_machine(kitchen: Kitchen) -> str:
    """Flashed from the same image, another card has other keys and another identity; here a password is enough."""
    async with kitchen.other_card() as card:
        card.put("rpi-preseed.toml", WITH_A_PASSWORD.format(user=USER, word=WORD))
        machine = await _logged_in(kitchen, card, None)
        status, refused = await _ssh(kitchen, "root", "true", None)
        assert (status, "Permission denied" in refused) == (255, True), refused
        said = await _ssh(kitchen, USER, "sudo -n id -u", None)
        assert said == (0, "0"), said
        return await _identity(kitchen, machine)


async def _logged_in(kitchen: Kitchen, card: Card, key: Path | None) -> Machine:
    """Boot a card, and see that its owner can log in."""
    machine = await kitchen.boot(card)
    await until_ready(machine)
    await until_booted(machine)
    said = await _ssh(kitchen, USER, "id -un", key)
    assert said == (0, USER), said
    return machine


async def _ssh(kitchen: Kitchen, who: str, command: str, key: Path | None) -> tuple[int, str]:
    """Log in with a key, or else with the password, and run a command; return its exit status and what is said."""
    asked = kitchen.card.file.with_name("asked")
    asked.write_text(f"#!/bin/sh\necho '{WORD}'\n")
    asked.chmod(0o700)
    machine = await kitchen.running()
    options = ["BatchMode=yes", "IdentitiesOnly=yes", f"IdentityFile={key}"]
    if key is None:
        options = ["PubkeyAuthentication=no", "NumberOfPasswordPrompts=1"]
    options += ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=60"]
    process = await asyncio.create_subprocess_exec(
        "ssh", "-F", "none", *(f"-o{option}" for option in options), "-p", str(machine.ssh_port),
        f"{who}@127.0.0.1", command,
        env=os.environ | {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().strip()


async def _identity(kitchen: Kitchen, machine: Machine) -> str:
    """See that no other card has the keys of this one, or its identity."""
    keys = await machine.run("cat /etc/ssh/ssh_host_*_key.pub")
    for line in keys.splitlines():
        kitchen.meet(line.split()[1])
    kitchen.meet(await machine.run("cat /etc/machine-id"))
    return keys


SCENES = (who_asked_for_it_logs_in_with_a_key, another_card_is_another_machine)
