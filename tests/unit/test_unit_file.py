"""The unit: what systemd thinks of it, and that it says what we say of it."""

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
UNIT = CHECKOUT / "systemd" / "speakerd.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Put the unit where a program stands in for the one that is not installed here."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/bin/speakerd", "/bin/true"))
    return copy


def values(setting: str) -> list[str]:
    return re.findall(rf"^{setting}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_finds_no_mistake_in_it(unit: Path) -> None:
    """Not one word is printed: an unknown setting would only be a warning, and the sandbox would have a hole."""
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_is_hardly_exposed(unit: Path) -> None:
    """Systemd's own mark for what a break-in could do is the one in the README, and no more than 1.5."""
    promised = re.search(
        r"`systemd-analyze security` gives it \| ([0-9.]+) of 10 ", (CHECKOUT / "README.md").read_text()
    )
    assert promised
    command = ["systemd-analyze", "security", "--offline=true", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    marks = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert done.returncode == 0, done.stdout
    assert marks == [promised[1]]
    assert float(promised[1]) <= 1.5


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("Type", "notify"),
        ("Restart", "always"),
        ("RestartSec", "2"),
        ("StartLimitIntervalSec", "0"),
        ("RestartPreventExitStatus", "78"),
        ("WatchdogSec", "20"),
        ("LimitCORE", "1"),
        ("DevicePolicy", "closed"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("SocketBindDeny", "any"),
        ("StateDirectoryMode", "0700"),
    ],
)
def test_it_says_what_is_said_of_it(setting: str, value: str) -> None:
    """What the README and this project's promises rest on is in the file, once."""
    assert values(setting) == [value]


def test_only_sound_pins_and_lights_are_let_in() -> None:
    """Sound cards, SPI and pins; and no setting that would hide the sound cards."""
    assert values("DeviceAllow") == ["char-116 rw", "char-153 rw", "char-gpiochip rw"]
    assert values("PrivateDevices") == []


def test_it_waits_for_neither_network_nor_clock() -> None:
    """Both may never come; the speaker says so with its light instead of with its absence."""
    assert values("After") == ["sound.target network.target"]
    assert values("Wants") == values("Requires") == []


def test_only_the_key_is_asked_for_and_only_once() -> None:
    """Systemd tells at each start of what is missing; of several lines for one name it obeys the last."""
    assert [*values("LoadCredential"), *values("LoadCredentialEncrypted")] == ["gemini-api-key"]


def test_the_user_and_its_groups_can_be_made(tmp_path: Path) -> None:
    """On a system that has none of them."""
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", str(UNIT.with_suffix(".sysusers"))]
    subprocess.run(command, check=True, capture_output=True)
    groups = (tmp_path / "etc" / "group").read_text()
    for group in ("audio", "gpio", "spi"):
        assert re.search(rf"^{group}:.*:speakerd$", groups, re.MULTILINE)
    assert "speakerd:x:" in (tmp_path / "etc" / "passwd").read_text()
