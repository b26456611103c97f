"""What the card is made of, as far as it can be seen without making one."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.image.kitchen import SETTINGS

CHECKOUT = Path(__file__).parents[2]
IMAGE = CHECKOUT / "image"
BOARDS = CHECKOUT / "config" / "boards"
SCRIPTS = [
    *(IMAGE / name for name in ("build", "customise", "overlay/etc/initramfs-tools/scripts/local-bottom/state")),
    *(IMAGE / "debian" / name for name in ("root", "quicken", "initramfs", "boot", "card")),
]


def packages() -> set[str]:
    """Return what the list names."""
    return {line for line in (IMAGE / "packages.txt").read_text().split("\n") if line and line[0] != "#"}


def test_the_list_names_what_the_package_needs() -> None:
    """The speaker is installed on the bare system without a network, so all that it needs is there."""
    control = (CHECKOUT / "packaging" / "debian" / "control").read_text()
    needed = re.findall(r"^(?:Depends|Recommends): (.*)$", control, re.MULTILINE)
    names = {name for line in needed for name in line.split(", ") if "$" not in name}
    assert len(names) > 5
    assert names <= packages()


def test_nothing_that_listens_is_on_the_list() -> None:
    """No package of the card answers the network, but for SSH, which is off."""
    assert not packages() & {"avahi-daemon", "systemd-resolved", "dhcpcd", "openssh-sftp-server", "rpcbind", "exim4"}


def test_only_named_units_start() -> None:
    """SSH is not among what the card starts by itself, and everything that is not named is off."""
    lines = (IMAGE / "overlay/usr/lib/systemd/system-preset/00-speakerd.preset").read_text().splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[-1] == "disable *"
    assert not [rule for rule in rules if "ssh" in rule]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_well_formed(script: Path) -> None:
    """A slip in a script is found before half an hour of building."""
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", script], check=True)


def test_the_mixer_of_each_silent_codec_is_switched_on() -> None:
    """Boards with a WM8960 play and record: the rule is for their card, and both ways are open from end to end."""
    rule = (IMAGE / "overlay/usr/lib/udev/rules.d/91-speakerd-wm8960.rules").read_text()
    matched, *commands = re.findall(r'(?:ATTRS\{id\}==|RUN\+=)"([^"]+)"', rule)
    silent = [text for board in BOARDS.iterdir() if "dtoverlay=wm8960-" in (text := board.read_text())]
    assert len(silent) == 2
    assert all(set(re.findall(r"CARD=(\w+)", text)) == {matched} for text in silent)

    words = [shlex.split(command) for command in commands]
    assert all(word[:5] == ["/usr/bin/amixer", "-q", "-c", matched, "cset"] for word in words)
    values = {word[5].removeprefix("name="): word[6] for word in words if len(word) == 7}
    assert len(values) == len(commands)
    for side, put in (("Left", "LINPUT1"), ("Right", "RINPUT1")):
        assert values[f"{side} Output Mixer PCM Playback Switch"] == "on"
        assert values[f"{side} Boost Mixer {put} Switch"] == "on"
        assert values[f"{side} Input Mixer Boost Switch"] == "on"
    assert "alsa-utils" in packages()


def test_the_scenes_need_no_hardware() -> None:
    """The settings that the boot test puts on the card use pins that exist only in software."""
    assert "pin_factory: mock" in SETTINGS
