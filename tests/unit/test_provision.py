"""What an owner writes on the card, and what becomes of it."""

import contextlib
import errno
import itertools
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

import pytest

from speakerd.host.card import REPORT, mistakes
from speakerd.provision import hat, preseed
from speakerd.provision.boot import COMPLAINT, SECTOR, ZEROS, Boot
from speakerd.provision.provision import RESTART, UNFORESEEN, Provision, Taken, leave, restart, sweep, tell_speaker
from speakerd.provision.steps import connection
from speakerd.settings import load
from speakerd.sound.devices import Device

KEY = "AIza" + "B3cr3t-_" * 4 + "abc"
PASSWORD = "dont tell \\anybody"

EXAMPLES = Path(__file__).parents[2] / "image" / "boot"
"""What the card comes with; whoever changes one of them writes its new hash into the program."""

FROM_IMAGER = f"""\
config_version = "1.0"

[system]
hostname = "kitchen"

[user]
name = "anna"
password = "$5$abc$def"
password_encrypted = true
groups = ["sudo", "video"]

[ssh]
enabled = true
password_authentication = false
ssh_import_id = ["gh:anna"]
authorized_keys = [
  "ssh-ed25519 AAAA anna@laptop",
]

[wlan]
ssid = "Küche; 5 GHz"
password = '{PASSWORD}'
password_encrypted = false
hidden = true
country = "de"

[locale]
keymap = "de"
timezone = "Europe/Berlin"
lang = "de_DE.UTF-8"
lc_time = "de_DE.UTF-8"

[connect]
enabled = true
"""


class Card:
    """A card and its system, in a directory; programs of the system are only noted."""

    def __init__(self, directory: Path) -> None:
        self.fat, self.root = directory / "fat", directory / "root"
        for path in (self.fat, self.root / "etc/speakerd", self.root / "usr/share/zoneinfo/Europe"):
            path.mkdir(parents=True)
        (self.fat / "start4.elf").touch()
        (self.root / "usr/share/zoneinfo/Europe/Berlin").touch()
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
        (self.root / "etc/group").write_text("root:x:0:\nsudo:x:27:\n")
        (self.root / "etc/speakerd/speakerd.yaml").write_text("{}\n")
        self.ran: list[tuple[list[str], str]] = []
        self.fails = ""
        self.power: Power | None = None

    def put(self, name: str, content: str | bytes) -> Path:
        file = self.fat / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def boots(self) -> Taken:
        return Provision(Boot(self.fat), self.root, self.run).take_in()

    def run(self, command: Sequence[str], told: str) -> None:
        if self.power:
            self.power.step()
        self.ran.append((list(command), told))
        if command[0] == self.fails:
            raise OSError(f"{self.fails} says: no")

    def says(self, name: str) -> str:
        return (self.root / name).read_text()


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    # Without systemd-creds a key is stored plainly, for root only: what encrypts belongs to the machine.
    monkeypatch.setenv("PATH", str(tmp_path))
    return Card(tmp_path)


def test_a_card_without_a_word_changes_nothing(card: Card) -> None:
    """Nothing is done, nothing is told, nothing is run."""
    assert card.boots() == Taken()
    assert not card.ran


def test_what_imager_asks_for_is_done(card: Card) -> None:
    """Name, network, country, user, key and time zone; and the file with its secrets is gone."""
    file = card.put("rpi-preseed.toml", FROM_IMAGER)
    taken = card.boots()
    assert not taken.mistakes
    assert not file.exists()
    assert card.says("etc/hostname") == "kitchen\n"
    assert "127.0.1.1 kitchen" in card.says("etc/hosts")
    assert "ieee80211_regdom=DE" in card.says("etc/modprobe.d/speakerd-country.conf")
    wireless = card.root / "etc/NetworkManager/system-connections/speakerd-wifi.nmconnection"
    assert wireless.stat().st_mode & 0o777 == 0o600
    assert "hidden=true" in wireless.read_text()
    assert "psk=dont tell \\\\anybody\n" in wireless.read_text()
    assert "PasswordAuthentication no" in card.says("etc/ssh/sshd_config.d/10-speakerd.conf")
    assert card.says("home/anna/.ssh/authorized_keys") == "ssh-ed25519 AAAA anna@laptop\n"
    assert str((card.root / "etc/localtime").readlink()) == "/usr/share/zoneinfo/Europe/Berlin"
    assert (["useradd", "--create-home", "--shell", "/bin/bash", "anna"], "") in card.ran
    assert (["chpasswd", "--encrypted"], "anna:$5$abc$def\n") in card.ran
    assert (["systemctl", "enable", "ssh.service"], "") in card.ran
    assert ["usermod", "--append", "--groups", "sudo", "anna"] in [command for command, _ in card.ran]
    assert not any("video" in command for command, _ in card.ran)  # a group that is not there


def test_what_is_not_supported_is_told(card: Card) -> None:
    """Sections, and keys of known ones: nobody waits for what does not come, and some learn what to do instead."""
    card.put("rpi-preseed.toml", FROM_IMAGER)
    done = card.boots().done
    assert "[connect] is nothing that this speaker knows" in done
    assert "locale.lc_time is nothing that this speaker knows" in done
    assert "locale.lang is not supported: what it speaks is assistant.language in speakerd.yaml" in done
    assert any(line.startswith("ssh.ssh_import_id is not supported: ") for line in done)
    assert len([line for line in done if "support" in line or "knows" in line]) == 4


def test_an_imager_that_knows_more_is_no_mistake(card: Card) -> None:
    """What it writes, and an older speaker has never heard of, costs nobody the Wi-Fi; only near names are slips."""
    file = card.put("rpi-preseed.toml", FROM_IMAGER + '[telescope]\nzoom = 3\n[mounts]\nfstab = ["a"]\n')
    taken = card.boots()
    assert not taken.mistakes
    assert "[telescope] is nothing that this speaker knows" in taken.done
    assert "[mounts] is nothing that this speaker knows" in taken.done
    assert not file.exists()


def test_no_secret_is_in_an_argument_or_in_the_report(card: Card) -> None:
    """Everybody on a machine can see arguments, and everybody who has the card can read the report."""
    card.put("rpi-preseed.toml", FROM_IMAGER)
    card.put("speakerd-key.txt", KEY)
    taken = card.boots()
    for secret in (PASSWORD, "$5$abc", KEY):
        assert secret not in str(taken)
        assert not any(secret in word for command, _ in card.ran for word in command)


def test_nobody_can_log_in_unless_that_was_asked_for(card: Card) -> None:
    """A network alone opens nothing."""
    card.put("rpi-preseed.toml", '[wlan]\nssid = "Home"\npassword = "12345678"\n')
    assert not card.boots().mistakes
    assert not card.ran
    assert not (card.root / "etc/ssh").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[system]\nhostname = "my kitchen"', "line 2: system.hostname: expected letters"),
        ('[wlan]\nssid = "Home"\npassword = "short"', "password must have 8 to 63 characters"),
        ('[wlan]\nssid = "Home"\npassword = "12345678"\ncountry = "Germany"', "wlan.country: "),
        ("[wlan]\nssid = Home", "Invalid value (at line 2, column 8); a text goes between quotation marks"),
        ("[ssh]\nenabled = true", "there must be a [user] who logs in"),
        ('[user]\nname = "anna"\n[ssh]\nenabled = true', "nobody could log in"),
        ('[user]\nname = "Anna Smith"', "user.name: "),
        ('[user]\nname = "anna"\npassword = "a\\nroot:x"', "line 3: user.password: "),
        ('[user]\nname = "anna"\npassword = "x:0:"\npassword_encrypted = true', "password is not encrypted"),
        ('[wlan]\nssid = "Home"\npassword = "12345678"\nkey_mgmt = "none"', "line 1: wlan: there is a password"),
        ('[wlan]\nssid = "Home"\n[wlan]\nhidden = true', "at line 3"),
        (
            '[wlan]\nssid = "Home"\npasword = "12345678"',
            "line 3: wlan.pasword is unknown; did you mean wlan.password",
        ),
        (
            '[wlan]\nssid = "Home"\npassword = "12345678\\n[ipv4]"',
            "line 3: wlan.password: expected a text in one line",
        ),
        ('[wlan]\nssid = "Ho\\u0007me"', "line 2: wlan.ssid: expected the name of your Wi-Fi, in one line"),
        (
            '[user]\nname = "anna"\n[ssh]\nenabled = true\nauthorized_keys = ["ssh-ed25519 A\\rssh-rsa B"]',
            "line 5: ssh.authorized_keys: expected a list of public keys",
        ),
        ("[wlan]\nssid = “Home”", 'write " instead of “ and ”'),
        ('[wlan]\nssid = "C:\\Home"', "a text with a \\ in it goes between ' and '"),
        ('[wlan]\nssid = "a"\npassword = "12345678\\Q"', "a text with a \\ in it goes between ' and '"),
        ("wlan\n", "(at line 1, column 5)"),
        ('[wlan]\nSSID = "Home"', "line 2: wlan.SSID is unknown; did you mean wlan.ssid?"),
        ('[wifi]\nssid = "Home"\npassword = "12345678"', "line 1: [wifi] is unknown; did you mean [wlan]?"),
        ('[wi-fi]\nssid = "Home"\n', "line 1: [wi-fi] is unknown; did you mean [wlan]?"),
        ('config_version = "1.0"\n[sistem]\nhostname = "a"', "line 2: [sistem] is unknown; did you mean [system]?"),
        ('hostname = "kitchen"', "line 1: hostname is unknown here; it belongs below [system]"),
        ('[user]\nname = "anna"\nssid = "Home"', "line 3: user.ssid is unknown here; it belongs below [wlan]"),
        ('[wlan]\nssid = "Home"\npower = 3', "line 3: wlan.power is unknown; there is ssid, ssid_hex, password"),
        ('[kitchen]\nname = "a"', "line 1: [kitchen] is unknown; there is [system], [user], [ssh], [wlan]"),
        (
            '[locale]\ntimezone = "Europe/Berlinn"',
            "locale.timezone: there is no such place; did you mean Europe/Berlin?",
        ),
        ('[system]\nhostname = "a"\n[locale]\ntimezone = "Europe"', "locale.timezone: there is no such place"),
        (
            '[user]\nname = "anna"\n[ssh]\nenabled = true\npassword_authentication = true',
            "line 3: ssh: password_authentication needs a password at user.password",
        ),
    ],
)
def test_a_mistake_is_told_and_nothing_of_its_file_is_done(card: Card, text: str, words: str) -> None:
    """The owner can mend it: the file stays, and the report says what and where."""
    file = card.put("rpi-preseed.toml", text)
    taken = card.boots()
    assert any(words in line for line in taken.mistakes), taken.mistakes
    assert all(line.startswith("rpi-preseed.toml: ") for line in taken.mistakes)
    assert file.read_text() == text
    assert not card.ran
    assert not (card.root / "etc/hostname").exists()
    assert "12345678" not in str(taken)
    assert "short" not in str(taken).replace("in short", "")


def test_what_helps_is_said_where_it_helps(card: Card) -> None:
    """Quotation marks are no cure for a section that stands there twice."""
    card.put("rpi-preseed.toml", '[wlan]\nssid = "Home"\n[wlan]\n')
    assert "quotation" not in str(card.boots())


def test_the_report_says_how_to_try_another_password(card: Card) -> None:
    """The file is gone by then; and whoever forgot the password reads that this network has none."""
    card.put("rpi-preseed.toml", FROM_IMAGER)
    told = "the wireless network is Küche; 5 GHz; for another one, or another password, write rpi-preseed.toml again"
    assert any(told in line for line in card.boots().done)
    card.put("rpi-preseed.toml", '[wlan]\nssid_hex = "410a0a2d20"\n')
    assert any("the wireless network is A��- , an open one;" in line for line in card.boots().done)


def test_ssh_is_switched_off_again(card: Card) -> None:
    """It takes the same file and the one word; a file that says nothing of SSH leaves it as it is."""
    card.put("rpi-preseed.toml", "[ssh]\nenabled = false\n")
    assert card.boots().done[0] == "nobody may log in from afar: SSH is off"
    assert [command for command, _ in card.ran] == [
        ["systemctl", "disable", "ssh.service"],
        ["systemctl", "stop", "--no-block", "ssh.service"],
    ]
    card.put("rpi-preseed.toml", '[system]\nhostname = "kitchen"\n[ssh]\n')
    card.boots()
    assert not [command for command, _ in card.ran[2:] if command[0] == "systemctl"]


def test_settings_are_in_force_and_stay_on_the_card(card: Card) -> None:
    """So that they can be changed there again; a boot without a change says nothing."""
    file = card.put("speakerd.yaml", "speaker: {volume: 55}\n")
    assert card.boots().done == ["the settings in speakerd.yaml are in force"]
    assert load(card.root / "etc/speakerd/speakerd.yaml").speaker.volume == 55
    assert file.exists()
    assert card.boots() == Taken()


def test_settings_that_a_damaged_card_has_changed_are_put_in_force_anew(card: Card) -> None:
    """What is stored is no text any more; that is no mistake in the owner's file."""
    card.put("speakerd.yaml", "speaker: {volume: 55}\n")
    card.boots()
    (card.root / "etc/speakerd/speakerd.yaml.d/40-card.yaml").write_bytes(b"\xff\0\xff")
    assert card.boots() == Taken(done=["the settings in speakerd.yaml are in force"])
    assert load(card.root / "etc/speakerd/speakerd.yaml").speaker.volume == 55


def test_settings_with_mistakes_leave_those_of_before(card: Card) -> None:
    """Each mistake is told with its line, all at once."""
    card.put("speakerd.yaml", "speaker: {volume: 55}\n")
    card.boots()
    card.put("speakerd.yaml", "speaker:\n  volume: 200\n  loudness: 3\n")
    mistakes = card.boots().mistakes
    assert any("speakerd.yaml: line 2" in line and "speaker.volume" in line for line in mistakes)
    assert any("speakerd.yaml: line 3" in line and "speaker.loudness" in line for line in mistakes)
    assert load(card.root / "etc/speakerd/speakerd.yaml").speaker.volume == 55


@pytest.mark.parametrize(
    "content",
    [KEY, f'"{KEY}"\r\n', f"\ufeff{KEY}\n", f"  {KEY}  ".encode("utf-16")],
    ids=["bare", "quoted, Windows", "with a mark", "UTF-16"],
)
def test_a_key_is_moved_off_the_card(card: Card, content: str | bytes) -> None:
    """Whatever editor it was pasted into; root alone can read where it goes, and nothing of it is left."""
    file = card.put("speakerd-key.txt", content)
    before, size = file.stat().st_size, file.stat().st_blksize
    with file.open("rb") as opened:
        assert not card.boots().mistakes
        left = opened.read()
    assert not file.exists()
    assert set(left) == {0}  # what had it open sees what is on the disk now
    assert len(left) == -(-before // size) * size, "whole clusters, with what an earlier and longer text left in them"
    stored = card.root / "etc/credstore/gemini-api-key"
    assert stored.read_text() == KEY
    assert stored.stat().st_mode & 0o777 == 0o600


def test_what_is_no_key_is_told_and_left(card: Card) -> None:
    """Nothing that worked is replaced by it, and the report does not repeat it."""
    file = card.put("speakerd-key.txt", "my key is in the drawer")
    taken = card.boots()
    assert taken.mistakes[0].startswith("speakerd-key.txt: what is in speakerd-key.txt is not an API key")
    assert "drawer" not in str(taken)
    assert file.exists()
    assert not (card.root / "etc/credstore").exists()


def test_a_key_among_the_settings_is_told(card: Card) -> None:
    """It is not taken from there, and not repeated."""
    card.put("speakerd.yaml", f"live:\n  api_key: {KEY}\n")
    taken = card.boots()
    assert any("an API key does not belong in this file" in line for line in taken.mistakes)
    assert KEY not in str(taken)


def test_names_are_found_as_windows_writes_them(card: Card) -> None:
    """Its editors add .txt, and do not show it; capitals do not matter."""
    card.put("Speakerd.YAML.txt", "speaker: {volume: 40}\r\n")
    assert not card.boots().mistakes
    assert load(card.root / "etc/speakerd/speakerd.yaml").speaker.volume == 40


def test_what_was_cut_off_is_done_at_the_next_boot(card: Card) -> None:
    """A file is removed only when all of it was done."""
    file = card.put("rpi-preseed.toml", FROM_IMAGER)
    card.fails = "chpasswd"
    assert any("it could not be taken in: chpasswd says: no" in line for line in card.boots().mistakes)
    assert file.exists()
    card.fails = ""
    assert not card.boots().mistakes
    assert not file.exists()


def test_the_report_is_for_anybody(tmp_path: Path) -> None:
    """Line ends that Windows knows; mistakes first; and no write where nothing but the time has changed."""
    boot = Boot(tmp_path)
    taken = Taken(["the key is stored"], ["speakerd.yaml: line 2: speaker.volume is too much"])
    boot.report("read at 10", str(taken))
    content = (tmp_path / REPORT).read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n")
    assert content.index(b"Please mend this") < content.index(b"speaker.volume") < content.index(b"the key is stored")
    boot.report("read at 11", str(taken))
    assert (tmp_path / REPORT).read_bytes() == content


def test_a_report_of_mistakes_goes_with_them(card: Card) -> None:
    """It says that nothing is left to mend; one of what was done stays."""
    file = card.put("speakerd.yaml", "speaker: {volume: 200}\n")
    boot = Boot(card.fat)
    leave(boot, card.boots(), [])
    assert COMPLAINT in boot.said()
    file.unlink()
    leave(boot, card.boots(), [])
    assert COMPLAINT not in boot.said()
    assert "nothing to mend" in boot.said()
    card.put("speakerd-key.txt", KEY)
    leave(boot, card.boots(), [])
    leave(boot, card.boots(), [])
    assert "the key is stored" in boot.said()


def test_the_report_names_the_sound_cards(card: Card) -> None:
    """As the settings want them; one that is there at a later start is told of, too, and what was done stays."""
    boot = Boot(card.fat)
    card.put("speakerd-key.txt", KEY)
    leave(boot, card.boots(), [Device("default", microphone=True, speaker=True)])
    assert "  - none: plug one in at USB, or name the board on the pins at panel.board" in boot.said()
    found = [
        Device("plughw:CARD=Device,DEV=0", microphone=True, speaker=True),
        Device("plughw:CARD=Headphones,DEV=0", microphone=False, speaker=True),
    ]
    leave(boot, card.boots(), found)
    assert "the key is stored" in boot.said()
    assert "  - plughw:CARD=Device,DEV=0: microphone and loudspeaker\n" in boot.said()
    assert "  - plughw:CARD=Headphones,DEV=0: loudspeaker\n" in boot.said()
    assert "none" not in boot.said()
    written = (card.fat / REPORT).stat().st_mtime_ns
    leave(boot, card.boots(), found)
    assert (card.fat / REPORT).stat().st_mtime_ns == written


def test_a_card_that_cannot_be_written_is_told_of(card: Card) -> None:
    """The key is stored all the same, and its owner learns that it is still on the card."""
    card.put("speakerd-key.txt", KEY)

    def locked() -> AbstractContextManager[None]:
        raise OSError(errno.EROFS, "Read-only file system")

    boot = Boot(card.fat, locked)
    taken = Provision(boot, card.root, card.run).take_in()
    assert (card.root / "etc/credstore/gemini-api-key").read_text() == KEY
    assert any("cannot be removed (Read-only file system)" in line for line in taken.mistakes)
    leave(boot, taken, [])
    assert any("no report can be left (Read-only file system)" in line for line in taken.mistakes)


@contextlib.contextmanager
def full() -> Iterator[None]:
    """Let nothing grow beyond 64 bytes, as if the card had no room for more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("before", ["speakerd read this card.\r\n\r\n  - the settings are in force\r\n", None])
def test_a_full_card_keeps_its_report_and_loses_the_key(card: Card, before: str | None) -> None:
    """What is left is whole: the report of before, or none. Light and voice call the owner all the same."""
    if before is not None:
        card.put(REPORT, before)
    key = card.put("speakerd-key.txt", KEY)
    boot = Boot(card.fat, full)
    taken = Provision(boot, card.root, card.run).take_in()
    leave(boot, taken, [])
    leave(boot, taken, [])
    assert not key.exists()
    assert card.says("etc/credstore/gemini-api-key") == KEY
    assert {file.name: file.read_bytes().decode() for file in card.fat.glob("*.txt")} == (
        {REPORT: before} if before else {}
    )
    (mistake,) = taken.mistakes
    assert mistake.startswith("speakerd-report.txt: no report can be left")
    assert "make room on the card" in mistake


def test_a_wiping_that_was_cut_off_is_ended(card: Card) -> None:
    """A file of zeros is no mistake of the owner's: it is removed, and the key stays as it was taken in."""
    file = card.put("speakerd-key.txt", bytes(40))
    assert card.boots() == Taken()
    assert not file.exists()


def test_a_wiping_that_was_cut_off_in_the_middle_is_ended(card: Card) -> None:
    """The first sector is wiped first, so what begins with zeros is known; settings are nothing to be wiped."""
    file = card.put("rpi-preseed.toml", bytes(512) + FROM_IMAGER[512:].encode())
    settings = card.put("speakerd.yaml", bytes(512) + b"speaker: {}")
    (mistake,) = card.boots().mistakes
    assert mistake.startswith("speakerd.yaml: ")
    assert not file.exists()
    assert settings.exists()


def test_free_space_is_overwritten_after_a_secret(card: Card) -> None:
    """An editor that saves anew and renames leaves the key there; and it is done once, not at each boot."""
    card.put("speakerd-key.txt", KEY)
    boot = Boot(card.fat, room=lambda: (5 << 20) + 1)
    Provision(boot, card.root, card.run).take_in()
    zeros = card.fat / ZEROS
    with zeros.open("rb") as opened:
        boot.sweep()
        assert opened.read() == bytes((5 << 20) + 1)
    assert not zeros.exists()
    card.boots()
    assert not zeros.exists()


def test_free_space_is_overwritten_at_the_next_boot_after_a_power_cut(card: Card) -> None:
    """What the first attempt has written takes no room from the second."""
    zeros = card.put(ZEROS, b"from before")
    boot = Boot(card.fat, room=lambda: 3 - zeros.stat().st_size)
    with zeros.open("rb") as opened:
        boot.sweep()
        assert opened.read() == bytes(3)
    assert not zeros.exists()


def test_a_sweep_that_was_cut_off_leaves_room_for_the_report(card: Card) -> None:
    """What it has filled is free again before anything is written, and the next attempt still follows."""
    zeros = card.put(ZEROS, bytes(5000))
    card.boots()
    assert zeros.stat().st_size == 0


def test_a_card_without_room_has_no_free_space(card: Card) -> None:
    """There is nothing to be overwritten, and nothing to be told."""
    zeros = card.put(ZEROS, b"")
    taken = Taken()
    sweep(Boot(card.fat, full, lambda: 1 << 24), taken)
    assert taken == Taken()
    assert not zeros.exists()


def test_settings_count_no_more_when_their_file_is_removed(card: Card) -> None:
    """The report says so; where only its name has changed, they stay, for that is a slip."""
    settings = card.root / "etc/speakerd/speakerd.yaml"
    file = card.put("speakerd.yaml", "speaker: {volume: 20}")
    card.boots()
    slip = file.rename(file.with_name("speaker.yaml"))
    (mistake,) = card.boots().mistakes
    assert mistake.startswith("speaker.yaml: ")
    assert load(settings).speaker.volume == 20
    slip.unlink()
    assert card.boots().done == ["speakerd.yaml was removed, so what was set in it counts no more"]
    assert load(settings).speaker.volume != 20
    assert card.boots() == Taken()


@pytest.mark.parametrize(
    ("name", "meant"), [("rpi-preseed.example.toml", "rpi-preseed.toml"), ("speakerd.example.yaml", "speakerd.yaml")]
)
def test_an_example_that_was_filled_in_is_told_of(card: Card, name: str, meant: str) -> None:
    """Nobody reads it; the one that the card comes with is no mistake, whatever saves it."""
    text = (EXAMPLES / name).read_text()
    for same in (text.replace("\n", "\r\n"), f"\ufeff{text}\n"):
        card.put(name, same)
        assert card.boots() == Taken()
    for changed in (f'{text}# password = "{PASSWORD}"\n', "x" * (1 << 19)):
        card.put(name, changed)
        (mistake,) = card.boots().mistakes
        assert mistake.startswith(f"{name}: you changed the example, which nothing reads; save it as {meant}")


@pytest.mark.parametrize("name", ["key.txt", "my api key.TXT", "speakerd-key.txt~", "FSCK0000.REC", "key (2).txt"])
def test_a_key_under_another_name_is_told_of(card: Card, name: str) -> None:
    """Else it would stay where any computer reads it, and nobody would know why there is no key."""
    file = card.put(name, f"\n {KEY}\r\n".encode("utf-16"))
    taken = card.boots()
    (mistake,) = taken.mistakes
    assert mistake.startswith(f"{name}: ")
    assert "speakerd-key.txt" in mistake
    assert KEY not in str(taken)
    assert file.exists()


def test_a_key_in_the_bin_is_told_of(card: Card) -> None:
    """A Mac moves what is deleted to a directory on the card."""
    (card.fat / ".Trashes" / "501").mkdir(parents=True)
    card.put(".Trashes/501/key.txt", KEY)
    assert card.boots().mistakes[0].startswith(".Trashes/501/key.txt: what looks like an API key is in it")


def test_a_copy_of_the_key_is_told_of(card: Card) -> None:
    """Beside the file that counts."""
    card.put("speakerd-key.txt", KEY)
    card.put("Copy of speakerd-key.txt", KEY)
    taken = card.boots()
    assert taken.mistakes[0].startswith("Copy of speakerd-key.txt: ")
    assert len(taken.mistakes) == 1
    assert (card.root / "etc/credstore/gemini-api-key").exists()


def test_what_is_stored_in_memory_stays_on_the_card(card: Card) -> None:
    """It counts until the power goes, and then again; its owner learns that the card keeps nothing."""
    (card.root / "state").symlink_to("/dev/shm")  # what the state is where no disk could be used
    with_overlays(card, "googlevoicehat-soundcard")
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")
    files = [card.put("speakerd-key.txt", KEY), card.put("rpi-preseed.toml", FROM_IMAGER)]
    taken = card.boots()
    assert all(file.exists() for file in files)
    assert card.says("etc/credstore/gemini-api-key") == KEY
    assert "keeps nothing" in taken.mistakes[0]
    assert "removed" not in str(taken)
    assert not taken.needs_restart, "a card that forgets that it has started once more would do so for ever"
    assert "switch the speaker off and on" in str(taken)


def test_nothing_is_wiped_before_the_card_keeps_it(card: Card) -> None:
    """All that the programs have written is on the card by then, or the file stays and its owner learns why."""
    (card.root / "state").symlink_to("/proc")  # stands for a disk, which is no tmpfs
    file = card.put("speakerd-key.txt", KEY)
    card.fails = "sync"
    taken = card.boots()
    assert file.read_text() == KEY
    assert "speakerd-key.txt: it was taken in, but the card does not keep it (sync says: no)" in taken.mistakes[0]
    card.fails = ""
    assert not card.boots().mistakes
    assert card.ran[-1] == (["sync", "--file-system", "/state"], "")
    assert not file.exists()


@pytest.mark.parametrize("same", [True, False])
def test_a_file_and_its_double(card: Card, same: bool) -> None:
    """Where both say the same, both are taken in and wiped; else neither, and that is told."""
    files = [card.put("speakerd-key.txt", KEY), card.put("speakerd-key.txt.txt", KEY if same else KEY + "x")]
    taken = card.boots()
    assert [file.exists() for file in files] == [not same] * 2
    assert (card.root / "etc/credstore/gemini-api-key").exists() is same
    assert bool(taken.mistakes) is not same
    assert KEY not in str(taken)


@pytest.mark.parametrize("name", ["speakerd.yml", "speakerd-key (1).txt", "speakerd-key.rtf", "rpi_preseed.toml"])
def test_a_slip_in_a_name_is_told(card: Card, name: str) -> None:
    """Else nothing would happen, and nobody would know why."""
    card.put(name, "")
    card.put("._speakerd.yaml", "")  # a Mac leaves such beside each file
    card.put("speakerd.example.yaml", (EXAMPLES / "speakerd.example.yaml").read_bytes())
    assert len(mistakes := card.boots().mistakes) == 1
    assert mistakes[0].startswith(f"{name}: nothing reads a file of this name")


def test_settings_with_mistakes_are_never_in_force(card: Card) -> None:
    """Not even until they were looked at: a power cut then would leave them. They are told at each boot."""
    card.put("speakerd.yaml", "speaker: {volume: 200}\n")
    for _ in range(2):
        assert "speakerd.yaml: line 1: speaker.volume" in card.boots().mistakes[0]
        assert list((card.root / "etc/speakerd/speakerd.yaml.d").iterdir()) == []


def test_without_wireless_hardware_the_rest_is_done(card: Card) -> None:
    """`iw` fails there, and where the driver comes later; the country is kept for the next boot."""
    file = card.put("rpi-preseed.toml", FROM_IMAGER)
    card.fails = "iw"
    assert not card.boots().mistakes
    assert not file.exists()
    assert "ieee80211_regdom=DE" in card.says("etc/modprobe.d/speakerd-country.conf")


def test_a_key_in_the_wrong_file_is_told(card: Card) -> None:
    """Where it belongs is told, and the key is not."""
    card.put("rpi-preseed.toml", f'[speakerd]\nkey = "{KEY}"\n')
    card.put("speakerd.yaml", f"live:\n  api_key: {KEY}\n")
    taken = card.boots()
    assert len(taken.mistakes) == 2
    assert all("put it into speakerd-key.txt" in line for line in taken.mistakes)
    assert KEY not in str(taken)


def test_nobody_becomes_root_by_name(card: Card) -> None:
    """A user of the system gets no password, and nothing else of that file is done."""
    card.put("rpi-preseed.toml", '[system]\nhostname = "kitchen"\n[user]\nname = "root"\npassword = "secret"\n')
    assert "the system itself uses" in card.boots().mistakes[0]
    assert not card.ran
    assert not (card.root / "etc/hostname").exists()


def test_the_lack_of_a_key_is_known(card: Card) -> None:
    """Once there is one, or a mistake about it was told, there is nothing to say."""
    provision = Provision(Boot(card.fat), card.root, card.run)
    assert provision.lacks_key
    card.put("speakerd-key.txt", KEY)
    provision.take_in()
    assert not provision.lacks_key


def test_the_speaker_finds_what_is_to_be_mended(tmp_path: Path) -> None:
    """A line for each; an empty list is not the same as no card."""
    assert mistakes(tmp_path) is None
    tell_speaker(["speakerd.yaml: line 2: what"], tmp_path)
    assert mistakes(tmp_path) == ["speakerd.yaml: line 2: what"]
    tell_speaker([], tmp_path)
    assert mistakes(tmp_path) == []
    assert (tmp_path / "mistakes").stat().st_mode & 0o777 == 0o644


def test_a_file_that_nobody_wrote_by_hand_is_refused(card: Card) -> None:
    """A picture that was named like the key does not fill the memory."""
    card.put("speakerd-key.txt", b"\x89PNG" * (1 << 18))
    assert "is longer than 256 KiB" in card.boots().mistakes[0]


def test_a_file_that_is_beyond_reading_keeps_none_of_the_others(card: Card) -> None:
    """It is told of by its name and stays; the key beside it is taken."""
    file = card.put("rpi-preseed.toml", "a = " + "[" * 20_000)
    card.put("speakerd-key.txt", KEY)
    taken = card.boots()
    assert taken.mistakes == ["rpi-preseed.toml: has too many brackets in one another"]
    assert file.exists()
    assert card.says("etc/credstore/gemini-api-key") == KEY


def test_what_nobody_foresaw_is_told(card: Card) -> None:
    """The rest is taken in, and the report names the place in the program, but no secret."""
    file = card.put("rpi-preseed.toml", FROM_IMAGER)
    card.put("speakerd-key.txt", KEY)

    def run(command: Sequence[str], told: str) -> None:
        raise LookupError(PASSWORD)

    taken = Provision(Boot(card.fat), card.root, run).take_in()
    assert taken.mistakes[0].startswith(f"rpi-preseed.toml: {UNFORESEEN} (LookupError, test_provision.py line ")
    assert PASSWORD not in str(taken)
    assert file.exists()
    assert card.says("etc/credstore/gemini-api-key") == KEY


def test_a_name_that_is_no_text_is_told(card: Card) -> None:
    """As the kernel shows it that knows another alphabet; the report can be written."""
    card.put(os.fsdecode(b"speakerd-k\xe9y.txt"), "")
    taken = card.boots()
    leave(Boot(card.fat), taken, [])
    assert "speakerd-k?y.txt: nothing reads a file of this name" in Boot(card.fat).said()


def test_a_card_that_cannot_be_read_is_told_of(card: Card, tmp_path: Path) -> None:
    """A FAT that is not mounted is an empty directory. The owner hears of that, and not of a missing key."""
    for boot in (Boot(tmp_path / "nothing"), Boot(card.root / "etc" / "speakerd")):
        (card.root / "etc/speakerd/speakerd.yaml").unlink(missing_ok=True)
        provision = Provision(boot, card.root, card.run)
        taken = provision.take_in()
        (mistake,) = taken.mistakes
        assert mistake.startswith("the card: its part BOOTFS cannot be read")
        assert not provision.lacks_key
        leave(boot, taken, [])
        assert taken.mistakes == [mistake]
        tell_speaker(taken.mistakes, tmp_path)
        assert mistakes(tmp_path) == [mistake]
    assert not list((card.root / "etc" / "speakerd").iterdir())


def test_a_network_of_any_name_is_written_as_its_bytes() -> None:
    """Imager gives one that is no text as hexadecimal digits; an open one has no password."""
    told = preseed.parse('[wlan]\nssid_hex = "ff00"\n')
    assert told.wlan is not None
    assert "ssid=255;0;\n" in connection(told.wlan)
    assert "wifi-security" not in connection(told.wlan)


CONFIG = "os_prefix=a/\ndtparam=audio=on\ninclude hat.txt\n"


def with_overlays(card: Card, *names: str, directory: str = "a/overlays") -> None:
    """Lay out a card as Raspberry Pi's firmware finds it."""
    card.put("config.txt", CONFIG)
    (card.fat / directory).mkdir(parents=True)
    for name in ("README", *(f"{name}.dtbo" for name in names)):
        card.put(f"{directory}/{name}", "")


def test_the_firmware_learns_of_the_board_once(card: Card) -> None:
    """It takes one more start, and only one; the owner is told."""
    with_overlays(card, "googlevoicehat-soundcard")
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")
    taken = card.boots()
    assert not taken.mistakes
    assert taken.needs_restart
    assert any("the speaker starts once more by itself" in line for line in taken.done)
    assert (card.fat / "hat.txt").read_text().splitlines()[1:] == ["dtoverlay=googlevoicehat-soundcard"]
    assert sorted(path.name for path in card.fat.glob("*.[ty]*")) == ["config.txt", "hat.txt", "speakerd.yaml"]
    assert card.boots() == Taken()


def test_a_board_that_was_stored_counts_like_one_on_the_card(card: Card) -> None:
    """`speakerd setup` may have named it; without one again, its lines go."""
    with_overlays(card, "wm8960-soundcard")
    stored = card.root / "etc/speakerd/speakerd.yaml"
    stored.write_text("panel: {board: respeaker-2mic}\n")
    assert card.boots().needs_restart
    assert "\ndtparam=i2c_arm=on\ndtoverlay=wm8960-soundcard," in (card.fat / "hat.txt").read_text()
    stored.write_text("panel: {board: button-led}\n")
    assert card.boots().needs_restart
    assert (card.fat / "hat.txt").read_text() == f"{hat.HEAD}\n"
    assert card.boots() == Taken()


def test_nothing_is_written_for_a_board_without_lines(card: Card) -> None:
    """A new card with a speakerphone does not start twice."""
    card.put("config.txt", CONFIG)
    card.put("hat.txt", f"{hat.HEAD}\r\n")
    card.put("speakerd.yaml", "panel: {board: usb-speakerphone}\n")
    assert not card.boots().needs_restart
    assert (card.fat / "hat.txt").read_bytes() == f"{hat.HEAD}\r\n".encode()


@pytest.mark.parametrize("directory", ["overlays", "a/overlays"])
def test_a_system_without_the_overlay_is_told_of(card: Card, directory: str) -> None:
    """Debian's kernel has none: nothing is written, and at each boot the owner learns which image to flash."""
    with_overlays(card, "hifiberry-dac", directory=directory)
    card.put("speakerd.yaml", "panel: {board: respeaker-2mic}\n")
    for _ in range(2):
        taken = card.boots()
        assert not taken.needs_restart
        (mistake,) = taken.mistakes
        assert mistake.startswith("panel.board: respeaker-2mic needs the overlay wm8960-soundcard")
        assert "ends in -rpios" in mistake
    assert not (card.fat / "hat.txt").exists()


@pytest.mark.parametrize(("directory", "found"), [("overlays", True), ("a/overlays", True), ("b/overlays", False)])
def test_overlays_are_looked_for_where_the_firmware_does(card: Card, directory: str, found: bool) -> None:
    """Below os_prefix where there are some, and else outside of it."""
    with_overlays(card, "googlevoicehat-soundcard", directory=directory)
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")
    assert card.boots().needs_restart is found


def test_lines_of_the_owners_own_are_not_said_twice(card: Card) -> None:
    """A board whose overlay is loaded two times does not work."""
    with_overlays(card, "googlevoicehat-soundcard")
    card.put("config.txt", f"{CONFIG}dtoverlay=googlevoicehat-soundcard\r\n")
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")
    assert not card.boots().needs_restart
    assert not (card.fat / "hat.txt").exists()


def test_a_firmware_that_would_not_read_them_is_told_of(card: Card) -> None:
    """A card that was flashed before, or whose config.txt was changed, does not start again for nothing."""
    with_overlays(card, "googlevoicehat-soundcard")
    card.put("config.txt", "os_prefix=a/\n#include hat.txt\n")
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")
    taken = card.boots()
    assert "add the line `include hat.txt` at its end" in taken.mistakes[0]
    assert not taken.needs_restart
    assert not (card.fat / "hat.txt").exists()


def test_a_file_of_the_firmware_that_is_none_is_told_of(card: Card) -> None:
    """By its name, and nothing is written."""
    card.put("config.txt", "#" * (1 << 19))
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")
    assert card.boots().mistakes == ["panel.board: config.txt is longer than 256 KiB"]
    assert not (card.fat / "hat.txt").exists()


def test_a_card_that_cannot_keep_the_board_does_not_start_again(card: Card) -> None:
    """Else it would do so for ever."""
    with_overlays(card, "googlevoicehat-soundcard")
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")

    def locked() -> AbstractContextManager[None]:
        raise OSError(errno.EROFS, "Read-only file system")

    taken = Provision(Boot(card.fat, locked), card.root, card.run).take_in()
    assert "Read-only file system" in taken.mistakes[0]
    assert not taken.needs_restart


def test_a_card_that_forgets_is_not_started_for_ever(card: Card) -> None:
    """A worn card may take a file and not keep it; the speaker says so and goes on."""
    with_overlays(card, "googlevoicehat-soundcard")
    card.put("speakerd.yaml", "panel: {board: aiy-voice-hat}\n")
    assert card.boots().needs_restart
    (card.fat / hat.FILE).unlink()
    taken = card.boots()
    assert not taken.needs_restart
    assert "use another one" in str(taken)
    assert not card.boots().needs_restart
    (card.fat / hat.FILE).unlink()
    assert card.boots().needs_restart, "somebody removed the file of a card that keeps what is written"


def test_a_start_that_cannot_be_asked_for_is_the_owners(card: Card) -> None:
    """They learn that they must switch it off and on."""
    assert restart(card.run) is None
    assert card.ran == [(RESTART, "")]
    card.fails = RESTART[0]
    assert "switch the speaker off and on" in (restart(card.run) or "")


class Cut(BaseException):
    """The power goes."""


class Power:
    """Counts what is done to files and by programs, and goes off in front of one such step."""

    CHANGES = ("os.rename", "os.remove", "os.chmod", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate")

    def __init__(self) -> None:
        self._left: int | None = None
        sys.addaudithook(self._audit)  # for good, and asleep unless it is switched on

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in self.CHANGES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
        ):
            self.step()

    def _call(self, frame: FrameType, event: str, function: object) -> None:
        if event == "c_call" and getattr(function, "__name__", "") in ("write", "fsync"):
            self.step()

    def step(self) -> None:
        """Do one step; without power there is none any more, not even to tidy up."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Cut

    @contextlib.contextmanager
    def for_steps(self, number: int) -> Iterator[None]:
        """Go off after so many steps."""
        self._left = number
        sys.setprofile(self._call)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._left = None


@pytest.fixture(scope="module")
def power() -> Power:
    return Power()


def all_of(card: Card) -> dict[str, str]:
    """Return what is on a card and in its system, whatever directory it is in."""
    return {
        str(file.relative_to(card.root.parent)): str(file.readlink())
        if file.is_symlink()
        else file.read_text().replace(str(card.root), "")
        for file in (*card.root.rglob("*"), *card.fat.rglob("*"))
        if file.is_symlink() or (file.is_file() and file.name != "setup.sha256")  # hashes of texts with names in them
    }


@pytest.fixture
def memory() -> Iterator[Path]:
    """Have a directory on no disk: hundreds of cards wait for it thousands of times."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def test_the_power_may_go_at_any_step(card: Card, memory: Path, power: Power) -> None:
    """In front of each write, rename, fsync, removal and program: the next boot ends as if nothing had been."""
    steps = halves = 0
    for after in itertools.count():
        other = Card(memory / str(after))
        for each in (card, other) if after == 0 else (other,):
            each.put("rpi-preseed.toml", FROM_IMAGER)
            each.put("speakerd-key.txt", KEY)
            each.put("speakerd.yaml", "speaker: {volume: 55}\n")
        if after == 0:
            card.boots()
        other.power = power
        try:
            with power.for_steps(after):
                other.boots()
            break
        except Cut:
            steps += 1
        file = other.fat / "rpi-preseed.toml"
        left = file.read_bytes() if file.exists() else b""
        halves += left == bytes(SECTOR) + FROM_IMAGER.encode()[SECTOR:]
        before = len(other.ran)
        assert not other.boots().mistakes
        assert all_of(other) == all_of(card), f"after step {after}"
        if left == FROM_IMAGER.encode():
            assert [command for command, _ in other.ran[before:]][: len(card.ran)] == [line for line, _ in card.ran]
    assert steps > 100
    assert halves, "the first sector is wiped before the others, so that a wiping is known by it"


@pytest.mark.parametrize(
    ("shadow", "group", "commands"),
    [
        (False, False, [["pwconv"], ["groupadd", "--gid", "1000", "anna"]]),
        (True, False, [["groupadd", "--gid", "1000", "anna"]]),
        (True, True, []),
    ],
)
def test_a_user_that_was_half_made_is_made_whole(
    card: Card, shadow: bool, group: bool, commands: list[list[str]]
) -> None:
    """Useradd writes one file after the other, and makes the home last; a second useradd would refuse."""
    (card.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/bash\n")
    (card.root / "etc/shadow").write_text("root:*:::::::\n" + "anna:!:::::::\n" * shadow)
    (card.root / "etc/group").write_text("root:x:0:\n" + "anna:x:1000:\n" * group)
    card.put("rpi-preseed.toml", f'[user]\nname = "anna"\npassword = "{PASSWORD}"\n'.replace("\\", ""))
    home = ["install", "--directory", "--mode=0700", "--owner=anna", "--group=anna", "/home/anna"]
    assert not card.boots().mistakes
    assert [command for command, _ in card.ran] == [*commands, home, ["chpasswd"]]


@pytest.mark.parametrize(("number", "made"), [(4242, True), (os.getuid() or 1000, False)])
def test_a_home_that_is_not_the_users_becomes_hers(card: Card, number: int, made: bool) -> None:
    """As it is where the power went before useradd gave it away; her own is left as it is."""
    home = card.root / "home" / "anna"
    home.mkdir(parents=True)
    if os.getuid() == 0:
        os.chown(home, 1000, -1)
    (card.root / "etc/passwd").write_text(f"anna:x:{number}:1000::/home/anna:/bin/bash\n")
    (card.root / "etc/shadow").write_text("anna:!:::::::\n")
    (card.root / "etc/group").write_text("anna:x:1000:\n")
    card.put("rpi-preseed.toml", '[user]\nname = "anna"\n')
    assert not card.boots().mistakes
    assert [command[0] for command, _ in card.ran] == ["install"] * made


def test_a_lock_that_a_power_cut_left_is_removed(card: Card) -> None:
    """Useradd believes in it if some process has the number that is in it, at each boot anew."""
    lock = card.root / "etc" / "passwd.lock"
    lock.write_text("1\0")
    card.put("rpi-preseed.toml", '[user]\nname = "anna"\n')
    assert not card.boots().mistakes
    assert not lock.exists()


def test_the_power_may_go_before_the_key_is_wiped(card: Card) -> None:
    """It is in both places then, and the next boot takes it off the card."""
    file = card.put("speakerd-key.txt", KEY)

    def cut() -> AbstractContextManager[None]:
        raise Cut

    with pytest.raises(Cut):
        Provision(Boot(card.fat, cut), card.root, card.run).take_in()
    assert file.read_text() == KEY
    assert card.says("etc/credstore/gemini-api-key") == KEY
    assert not card.boots().mistakes
    assert not file.exists()
    assert card.says("etc/credstore/gemini-api-key") == KEY
