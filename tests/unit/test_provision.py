"""What an owner writes on the card, and what becomes of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from speakerd.provision import preseed
from speakerd.provision.boot import REPORT, Boot
from speakerd.provision.provision import Provision, Taken
from speakerd.provision.steps import connection
from speakerd.settings import load

KEY = "AIza" + "B3cr3t-_" * 4 + "abc"
PASSWORD = "dont tell \\anybody"

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

[connect]
enabled = true
"""


class Card:
    """A card and its system, in a directory; programs of the system are only noted."""

    def __init__(self, directory: Path) -> None:
        self.fat, self.root = directory / "fat", directory / "root"
        for path in (self.fat, self.root / "etc/speakerd", self.root / "usr/share/zoneinfo/Europe"):
            path.mkdir(parents=True)
        (self.root / "usr/share/zoneinfo/Europe/Berlin").touch()
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
        (self.root / "etc/group").write_text("root:x:0:\nsudo:x:27:\n")
        (self.root / "etc/speakerd/speakerd.yaml").write_text("{}\n")
        self.ran: list[tuple[list[str], str]] = []
        self.fails = ""

    def put(self, name: str, content: str | bytes) -> Path:
        file = self.fat / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def boots(self) -> Taken:
        return Provision(Boot(self.fat), self.root, self._run).take_in()

    def _run(self, command: Sequence[str], told: str) -> None:
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
    assert "[connect] is nothing that this speaker knows" in taken.done


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
        ('[system]\nhostname = "my kitchen"', "system.hostname: "),
        ('[wlan]\nssid = "Home"\npassword = "short"', "password must have 8 to 63 characters"),
        ('[wlan]\nssid = "Home"\npassword = "12345678"\ncountry = "Germany"', "wlan.country: "),
        ("[wlan]\nssid = Home", "a text goes between quotation marks"),
        ("[ssh]\nenabled = true", "there must be a [user] who logs in"),
        ('[user]\nname = "anna"\n[ssh]\nenabled = true', "nobody could log in"),
        ('[user]\nname = "Anna Smith"', "user.name: "),
        ('[user]\nname = "anna"\npassword = "a\\nroot:x"', "user.password: "),
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


def test_settings_are_in_force_and_stay_on_the_card(card: Card) -> None:
    """So that they can be changed there again; a boot without a change says nothing."""
    file = card.put("speakerd.yaml", "speaker: {volume: 55}\n")
    assert card.boots().done == ["the settings in speakerd.yaml are in force"]
    assert load(card.root / "etc/speakerd/speakerd.yaml").speaker.volume == 55
    assert file.exists()
    assert card.boots() == Taken()


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
    before = file.stat().st_size
    with file.open("rb") as opened:
        assert not card.boots().mistakes
        left = opened.read()
    assert not file.exists()
    assert left == bytes(before)  # what had it open sees what is on the disk now
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
    """Line ends that Windows knows; mistakes first; and no write where nothing has changed."""
    boot = Boot(tmp_path)
    boot.report(str(Taken(["the key is stored"], ["speakerd.yaml: line 2: speaker.volume is too much"])))
    file = tmp_path / REPORT
    content = file.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n")
    assert content.index(b"Please mend this") < content.index(b"speaker.volume") < content.index(b"the key is stored")
    before = file.stat().st_mtime_ns
    boot.report(content.decode().replace("\r\n", "\n"))
    assert file.stat().st_mtime_ns == before


def test_a_file_that_nobody_wrote_by_hand_is_refused(card: Card) -> None:
    """A picture that was named like the key does not fill the memory."""
    card.put("speakerd-key.txt", bytes(1 << 20))
    assert "is longer than 256 KiB" in card.boots().mistakes[0]


def test_a_network_of_any_name_is_written_as_its_bytes() -> None:
    """Imager gives one that is no text as hexadecimal digits; an open one has no password."""
    told = preseed.parse('[wlan]\nssid_hex = "ff00"\n')
    assert told.wlan is not None
    assert "ssid=255;0;\n" in connection(told.wlan)
    assert "wifi-security" not in connection(told.wlan)
