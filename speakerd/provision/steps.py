"""What is done with what the owner has written: each step is done as a whole, or again at the next boot."""

import contextlib
import difflib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from speakerd.provision.preseed import NAME, Preseed, Ssh, User, Wlan
from speakerd.provision.whole import write

Run = Callable[[Sequence[str], str], None]
"""Runs a program of the system with this on its standard input; raises OSError where it fails."""

HOSTS = "127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost ip6-loopback\n"

FIRST_USER = 1000
"""The first number that Debian's useradd gives to a person (UID_MIN in login.defs(5))."""

ZONES = Path("usr/share/zoneinfo")


class System:
    """The system of the card, whose files are below ``root``."""

    def __init__(self, root: Path, run: Run) -> None:
        """Prepare; ``run`` is called for what files alone do not do."""
        self._root = root
        self._run = run

    def take(self, told: Preseed) -> Iterator[str]:
        """Do what a file asks for; yield what was done, in words.

        Raises:
            OSError: something cannot be done.
            ValueError: something must not be done; then nothing was.
        """
        if told.user is not None and self._is_of_the_system(told.user.name):
            raise ValueError(f"user.name: {told.user.name} is a name that the system itself uses; choose another one")
        if told.locale.timezone:
            self._see_zone(told.locale.timezone)
        if told.system.hostname:
            self._name(told.system.hostname)
            yield f"the speaker is called {told.system.hostname}"
        if told.locale.timezone:
            yield self._zone(told.locale.timezone)
        if told.locale.keymap:
            self._keyboard(told.locale.keymap)
            yield f"a keyboard would be one of layout {told.locale.keymap}"
        if told.wlan is not None:
            yield self._wireless(told.wlan)
        if told.user is not None:
            self._user(told.user)
            yield f"{told.user.name} may log in"
        if told.user is not None and told.ssh.enabled:
            yield self._ssh(told.user, told.ssh)
        if told.ssh.enabled is False:
            yield self._no_ssh()
        if told.speakerd.journal:
            self._journal(keep=told.speakerd.journal == "persistent")
            yield f"the journal is {told.speakerd.journal}"

    def _name(self, name: str) -> None:
        self._write("etc/hosts", HOSTS.format(name=name))
        self._write("etc/hostname", f"{name}\n")
        self._run(["hostname", name], "")

    def _see_zone(self, name: str) -> None:
        zones = self._root / ZONES
        if not (zones / name).is_file():
            places = [str(file.relative_to(zones)) for file in zones.rglob("*") if file.is_file()]
            near = difflib.get_close_matches(name, places, 1)
            hint = f"did you mean {near[0]}?" if near else 'write one such as "Europe/Berlin"'
            raise ValueError(f"locale.timezone: there is no such place; {hint}")

    def _zone(self, name: str) -> str:
        link = self._root / "etc/localtime"
        new = link.with_name(".localtime.new")
        new.unlink(missing_ok=True)
        new.symlink_to(Path("/") / ZONES / name)
        new.replace(link)
        return f"the time is that of {name}"

    def _keyboard(self, layout: str) -> None:
        """Name the layout where Debian's console-setup and localectl look for it (keyboard(5))."""
        self._write("etc/default/keyboard", f'XKBMODEL="pc105"\nXKBLAYOUT="{layout}"\n')

    def _wireless(self, wlan: Wlan) -> str:
        done = []
        if wlan.country:
            country = wlan.country.upper()
            self._write("etc/modprobe.d/speakerd-country.conf", f"options cfg80211 ieee80211_regdom={country}\n")
            with contextlib.suppress(OSError):
                # The file is for the next boots. At this one the driver may be there already; without one it fails.
                self._run(["iw", "reg", "set", country], "")
            done.append(f"the wireless country is {country}")
        if wlan.octets:
            file = "etc/NetworkManager/system-connections/speakerd-wifi.nmconnection"
            self._write(file, connection(wlan), 0o600)
            # Any byte may be in it; in a report it must not begin a line.
            shown = "".join(char if char.isprintable() else "�" for char in wlan.octets.decode(errors="replace"))
            kind = ", an open one" if wlan.password is None and wlan.key_mgmt != "owe" else ""
            again = f"for another one, or another password, write {NAME} again"
            done.append(f"the wireless network is {shown}{kind}; {again}")
        return ", ".join(done) or "no wireless network is named"

    def _is_of_the_system(self, name: str) -> bool:
        found = self._numbers(name)
        return found is not None and found[0] < FIRST_USER

    def _numbers(self, name: str) -> tuple[int, int] | None:
        """Return the numbers of a user and of their group (passwd(5)); None where there is no such user."""
        found = re.search(rf"^{re.escape(name)}:[^:]*:(\d+):(\d+):", self._read("etc/passwd"), re.MULTILINE)
        return (int(found[1]), int(found[2])) if found else None

    def _make(self, name: str) -> None:
        """Make a user, or the rest of one that a power cut left half made: useradd would refuse that."""
        for file in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
            # Whoever has left a lock is gone with the power; a process that has its number now would be believed in.
            (self._root / f"etc/{file}.lock").unlink(missing_ok=True)
        numbers = self._numbers(name)
        if numbers is None:
            self._run(["useradd", "--create-home", "--shell", "/bin/bash", name], "")
            return
        if not re.search(rf"^{name}:", self._read("etc/shadow"), re.MULTILINE):
            self._run(["pwconv"], "")
        if not re.search(rf"^[^:]*:[^:]*:{numbers[1]}:", self._read("etc/group"), re.MULTILINE):
            self._run(["groupadd", "--gid", str(numbers[1]), name], "")
        home = self._root / "home" / name
        if not home.is_dir() or home.stat().st_uid != numbers[0]:
            about = ["--mode=0700", f"--owner={name}", f"--group={name}"]
            self._run(["install", "--directory", *about, f"/home/{name}"], "")

    def _user(self, user: User) -> None:
        self._make(user.name)
        known = {line.partition(":")[0] for line in self._read("etc/group").splitlines()}
        for group in [group for group in user.groups if group in known]:
            self._run(["usermod", "--append", "--groups", group, user.name], "")
        if user.password:
            # Not in the arguments, which everybody can see.
            how = ["--encrypted"] if user.password_encrypted else []
            self._run(["chpasswd", *how], f"{user.name}:{user.password}\n")
        if user.passwordless_sudo:
            self._write(f"etc/sudoers.d/010_{user.name}", f"{user.name} ALL=(ALL) NOPASSWD: ALL\n", 0o440)

    def _ssh(self, user: User, ssh: Ssh) -> str:
        allowed = "yes" if ssh.password_authentication else "no"
        self._write(
            "etc/ssh/sshd_config.d/10-speakerd.conf", f"PermitRootLogin no\nPasswordAuthentication {allowed}\n"
        )
        if ssh.authorized_keys:
            directory = f"home/{user.name}/.ssh"
            self._write(f"{directory}/authorized_keys", "".join(f"{key}\n" for key in ssh.authorized_keys), 0o600)
            (self._root / directory).chmod(0o700)
            self._run(["chown", "--recursive", f"{user.name}:", f"/{directory}"], "")
        self._run(["systemctl", "enable", "ssh.service"], "")
        self._run(["systemctl", "start", "--no-block", "ssh.service"], "")
        return f"{user.name} may do so with SSH, {'with a password' if ssh.password_authentication else 'with a key'}"

    def _no_ssh(self) -> str:
        self._run(["systemctl", "disable", "ssh.service"], "")
        self._run(["systemctl", "stop", "--no-block", "ssh.service"], "")
        return "nobody may log in from afar: SSH is off"

    def _journal(self, *, keep: bool) -> None:
        text = "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n" if keep else "[Journal]\nStorage=volatile\n"
        self._write("etc/systemd/journald.conf.d/20-owner.conf", text)
        # journald alone would keep what it has in memory until the next boot.
        services = ["systemd-journald.service", "systemd-journal-flush.service"]
        self._run(["systemctl", "restart", "--no-block", *services], "")

    def _read(self, name: str) -> str:
        try:
            return (self._root / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        write(self._root / name, text.encode(), mode)


def connection(wlan: Wlan) -> str:
    """Return what NetworkManager reads of a wireless network (nm-settings-keyfile(5)).

    The name goes as the numbers of its bytes, for it may hold any; a password's backslashes and blanks are escaped.
    """
    security: list[str] = []
    if wlan.key_mgmt == "owe":
        security = ["", "[wifi-security]", "key-mgmt=owe"]
    elif wlan.password is not None:
        secret = wlan.password.replace("\\", "\\\\")
        bare = secret.lstrip(" ")
        secret = "\\s" * (len(secret) - len(bare)) + bare
        security = ["", "[wifi-security]", f"key-mgmt={wlan.key_mgmt or 'wpa-psk'}", f"psk={secret}"]
    lines = [
        "[connection]",
        "id=speakerd-wifi",
        f"uuid={uuid.uuid5(uuid.NAMESPACE_URL, 'speakerd-wifi')}",
        "type=wifi",
        "",
        "[wifi]",
        "mode=infrastructure",
        f"ssid={''.join(f'{octet};' for octet in wlan.octets)}",
        *(["hidden=true"] if wlan.hidden else []),
        *security,
        "",
        "[ipv4]",
        "method=auto",
        "",
        "[ipv6]",
        "method=auto",
    ]
    return "\n".join(lines) + "\n"
