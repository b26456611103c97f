"""The unit of the provisioning: what systemd thinks of it, and that it leaves what the provisioning needs."""

import re
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "image/overlay/usr/lib/systemd/system/speakerd-provision.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Put the unit where a program stands in for those that are not installed here."""
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^(Exec\w+=-?)/\S+", r"\1/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    return copy


def values(setting: str) -> list[str]:
    return re.findall(rf"^{setting}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_finds_no_mistake_in_it(unit: Path) -> None:
    """Not one word is printed: an unknown setting would only be a warning, and the sandbox would have a hole."""
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_runs_where_the_fat_cannot_be_mounted() -> None:
    """It waits for the mount, and does not depend on it: else nobody would tell the speaker."""
    assert "boot-firmware.mount" in values("After")[0].split()
    assert "boot-firmware.mount" in values("Wants")[0].split()
    assert values("Requires") == values("RequiresMountsFor") == values("BindsTo") == []


def test_the_speaker_waits_until_the_files_are_taken_in() -> None:
    """And only until then: overwriting the free space takes longer."""
    assert values("Type") == ["notify"]
    assert "speakerd.service" in values("Before")[0].split()


@pytest.mark.parametrize(
    "setting",
    ["PrivateMounts", "PrivateTmp", "PrivateDevices", "ProtectSystem", "ProtectHome", "ProtectKernelTunables"],
)
def test_its_mounts_are_those_of_the_machine(setting: str) -> None:
    """Each of these would give it mounts of its own, and it lets the machine's FAT be written."""
    assert values(setting) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("RestrictAddressFamilies", "AF_UNIX AF_NETLINK"),
        ("NoNewPrivileges", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("MemoryMax", "256M"),
        ("LimitCORE", "1"),
    ],
)
def test_what_reads_hostile_files_is_held(setting: str, value: str) -> None:
    """It has the rights of root, and neither a network nor all of the memory; no core file holds a key."""
    assert values(setting) == [value]


def test_what_its_programs_may_do_is_left_to_them() -> None:
    """Users and their homes, the mount, the name and the wireless country each take some."""
    (dropped,) = values("CapabilityBoundingSet")
    needed = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_AUDIT_WRITE"}
    assert dropped.startswith("~")
    assert not needed & set(dropped.removeprefix("~").split())
