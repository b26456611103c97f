"""The scenes of the package: set up, brought up to date, removed and purged, under a real systemd."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.vm.guest.journal import UNIT
from tests.vm.guest.kitchen import CREDENTIAL, KEY, SETTINGS, SINGLE, START_S, STATE, Kitchen, output_of, systemctl

PACKAGE, NEXT = Path("/opt/scenes/speakerd.deb"), Path("/opt/scenes/next.deb")
ANSWERS = SETTINGS.parent / "speakerd.yaml.d" / "50-setup.yaml"


async def setting_up_makes_it_a_speaker(kitchen: Kitchen) -> str:
    """`speakerd setup` stores key, devices and pins, starts the service, and says what to expect."""
    await kitchen.start({})
    await kitchen.stop()
    away = CREDENTIAL.rename(CREDENTIAL.with_suffix(".away"))
    kitchen.journal.begin_anew()
    answers = ["--microphone", "plughw:CARD=Mic,DEV=1", "--loudspeaker", "plughw:CARD=Speaker,DEV=0"]
    pins = ["--button", "17", "--light", "27"]
    try:
        said = await output_of("speakerd", "setup", "--key-file", "-", "--offline", *answers, *pins, stdin=f"{KEY}\n")
        assert KEY not in said, said
        assert KEY not in ANSWERS.read_text(), ANSWERS
        assert await systemctl("is-enabled", UNIT) == "enabled"
        await kitchen.until_state("idle", START_S)
        await kitchen.until_sound()
        kitchen.press()
        await kitchen.until_state("muted")
    finally:
        await kitchen.stop()
        ANSWERS.unlink(missing_ok=True)
        away.replace(CREDENTIAL)
    return said


async def an_upgrade_keeps_what_the_owner_has(kitchen: Kitchen) -> str:
    """After an upgrade the next version runs, with the owner's settings, and muted if it was muted."""
    await kitchen.at_home()
    await systemctl("enable", UNIT)
    kitchen.press()
    await kitchen.until_state("muted")
    pid, settings = await kitchen.pid(), SETTINGS.read_text()
    kitchen.journal.begin_anew()
    await output_of("dpkg", "--install", str(NEXT))
    version = await output_of("dpkg-query", "--show", "--showformat=${Version}", "speakerd")
    assert version.endswith("+next"), version
    await kitchen.until_state("muted", START_S)
    assert await kitchen.pid() not in (0, pid), "the old version still runs"
    assert SETTINGS.read_text() == settings
    assert kitchen.microphone() == "closed", kitchen.microphone()
    kitchen.press()
    await kitchen.until_state("idle", START_S)
    return f"{version} runs, and was muted as before"


async def a_purge_leaves_nothing_behind(kitchen: Kitchen) -> str:
    """When it is removed its settings stay; when it is purged nothing does; it can be installed again."""
    await kitchen.start(SINGLE)
    await output_of("dpkg", "--remove", "speakerd")
    assert await systemctl("show", "-P", "ActiveState", UNIT) == "inactive"
    assert not Path("/usr/bin/speakerd").exists()
    assert SETTINGS.exists()
    assert STATE.exists()
    await output_of("dpkg", "--purge", "speakerd")
    left = sorted(_left())
    assert not left, left
    await output_of("dpkg", "--install", str(PACKAGE))
    assert await systemctl("show", "-P", "UnitFileState", UNIT) == "disabled"
    return "installed, removed, purged, and installed again"


def _left() -> Iterator[str]:
    """Return what has our name, but for the list of packages, and what the scenes have made."""
    for top in ("/etc", "/usr", "/var/lib", "/run"):
        for directory, directories, files in os.walk(top):
            for name in (*directories, *files):
                path = f"{directory}/{name}"
                if "speakerd" in name and not path.startswith(("/var/lib/dpkg", "/run/systemd/system/speakerd")):
                    yield path


SCENES = (setting_up_makes_it_a_speaker, an_upgrade_keeps_what_the_owner_has, a_purge_leaves_nothing_behind)
"""In this order, and after all others."""
