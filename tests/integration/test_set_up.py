"""The set-up: real processes, a real terminal; only systemctl is played, and systemd-creds where it has to fail."""

import asyncio
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from speakerd.boards import boards
from speakerd.settings import load
from speakerd.simulate.card import SimulatedCard
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from tests.integration.household import KEY

RECORDS = """#!{python}
import json, os, sys
with open(os.environ["RECORD"], "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
    if "creds" in sys.argv[0]:
        sys.stdin.read()
print(os.environ.get("COMPLAINT", ""), file=sys.stderr)
sys.exit(int(os.environ.get("STATUS", "0")))
"""

STARTS = """
import sys
from pathlib import Path
from speakerd import cli
from speakerd.set_up import set_up, store
etc, booted = Path(sys.argv[1]), Path(sys.argv[2])
plain = store.Store.__init__
store.Store.__init__ = lambda self, file: plain(self, file, etc)
set_up.BOOTED = booted
sys.exit(cli.main(sys.argv[3:]))
"""
"""The command, with another directory in the place of /etc."""


class Machine:
    """A machine to be set up."""

    def __init__(self, directory: Path) -> None:
        self.etc = directory / "etc"
        self.file = self.etc / "speakerd" / "speakerd.yaml"
        self.answers = self.etc / "speakerd" / "speakerd.yaml.d" / "50-setup.yaml"
        self.encrypted = self.etc / "credstore.encrypted" / "gemini-api-key"
        self.plain = self.etc / "credstore" / "gemini-api-key"
        self.drop_in = self.etc / "systemd/system/speakerd.service.d/50-setup.conf"
        self.programs = directory / "bin"
        self.record = directory / "record"
        self.environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}", "RECORD": str(self.record), "HOME": str(directory),
            "GEMINI_API_KEY": "",
        }  # fmt: skip
        self.file.parent.mkdir(parents=True)
        self.file.write_text("# the owner's own\n")
        self.programs.mkdir()
        self.play("systemctl")

    def play(self, program: str) -> None:
        """Let a program do nothing but record that it was called."""
        path = self.programs / program
        path.write_text(RECORDS.format(python=sys.executable))
        path.chmod(0o755)

    def command(self, *words: str) -> list[str]:
        setup = ["setup", "--config", str(self.file), *words]
        return [sys.executable, "-W", "error", "-c", STARTS, str(self.etc), str(self.etc), *setup]

    def run(self, *words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Set up with options."""
        variables = {**os.environ, **self.environment, **environment}
        return subprocess.run(self.command(*words), input=stdin, capture_output=True, text=True, env=variables)

    def called(self) -> list[list[str]]:
        """Return the programs that were called, with their arguments."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return [json.loads(line) for line in lines]

    def files(self) -> dict[str, str]:
        """Return every file and what is in it."""
        return {str(path.relative_to(self.etc)): path.read_text() for path in self.etc.rglob("*") if path.is_file()}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with SimulatedCard(tmp_path / "card") as card:
        machine = Machine(tmp_path)
        machine.environment |= card.environment
        yield machine


def test_options_set_it_up_without_a_question(machine: Machine) -> None:
    """The key is encrypted by systemd-creds, the devices are settings, the service is enabled and started."""
    done = machine.run("--offline", "--key-file", "-", "--microphone", "mic", "--button", "17", stdin=f' "{KEY}"\n')
    assert done.returncode == 0, done.stderr
    opened = ["systemd-creds", "decrypt", "--name=gemini-api-key", str(machine.encrypted), "-"]
    assert subprocess.run(opened, capture_output=True, text=True, check=True).stdout == KEY
    assert machine.encrypted.stat().st_mode & 0o777 == 0o600
    settings = load(machine.file)
    assert (settings.microphone.device, settings.panel.mute_button.pin) == ("mic", 17)
    assert machine.file.read_text() == "# the owner's own\n"
    assert [words[:2] for words in machine.called()] == [
        ["systemctl", "daemon-reload"], ["systemctl", "enable"], ["systemctl", "restart"]
    ]  # fmt: skip
    assert "speakerd doctor" in done.stdout


def test_the_key_is_in_nothing_but_the_credential(machine: Machine) -> None:
    """No argument, no output, no other file."""
    machine.play("systemd-creds")
    done = machine.run("--offline", "--key-file", "-", stdin=KEY, STATUS="1", COMPLAINT="no host key", BOOTED="")
    assert "no host key" in done.stdout
    assert KEY not in done.stdout + done.stderr + machine.record.read_text()
    holders = [name for name, text in machine.files().items() if KEY in text]
    assert holders == ["credstore/gemini-api-key"]


def test_a_machine_that_cannot_encrypt_keeps_the_key_for_root(machine: Machine) -> None:
    """The unit is told where it is; once encrypting works, nothing of that stays."""
    machine.play("systemd-creds")
    machine.run("--offline", "--no-start", "--key-file", "-", stdin=KEY, STATUS="1", COMPLAINT="no host key")
    assert machine.plain.stat().st_mode & 0o777 == 0o600
    assert f"LoadCredential=gemini-api-key:{machine.plain}" in machine.drop_in.read_text()
    (machine.programs / "systemd-creds").unlink()
    machine.run("--offline", "--no-start", "--key-file", "-", stdin=KEY)
    assert machine.encrypted.exists()
    assert not machine.plain.exists()
    assert not machine.drop_in.exists()


def test_a_second_run_changes_only_what_is_answered(machine: Machine) -> None:
    """And the list of what was made knows it all, for whoever purges the package."""
    machine.run("--no-start", "--microphone", "mic", "--light", "27")
    machine.run("--no-start", "--loudspeaker", "speaker", "--board", "button-led")
    made = yaml.safe_load(machine.answers.read_text())
    assert made == {
        "microphone": {"device": "mic"}, "speaker": {"device": "speaker"},
        "panel": {"board": "button-led", "led": {"pin": 27}},
    }  # fmt: skip
    listed = machine.file.with_name("setup.sha256")
    check = ["sha256sum", "--check", "--strict", str(listed)]
    assert subprocess.run(check, capture_output=True, text=True, check=True).stdout == f"{machine.answers}: OK\n"


def test_an_answer_that_cannot_be_changes_nothing(machine: Machine) -> None:
    """The mistake is told as any in the settings; what was there before is still there."""
    machine.run("--no-start", "--board", "button-led")
    before = machine.files()
    done = machine.run("--offline", "--board", "buton-led", "--key-file", "-", stdin=KEY)
    assert done.returncode == os.EX_CONFIG
    assert "did you mean button-led" in done.stderr
    assert machine.files() == before
    assert machine.called() == []


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "no API key in standard input"), ("two words", "not an API key"), ("x" * 10_000_000, "not an API key")],
)
def test_what_is_no_key_is_not_stored(machine: Machine, key: str, words: str) -> None:
    """Nothing is stored, and what was given is not repeated."""
    done = machine.run("--offline", "--key-file", "-", stdin=key)
    assert done.returncode == os.EX_CONFIG
    assert words in done.stderr
    assert not machine.encrypted.exists()
    assert not key or key not in done.stderr


def test_a_file_without_a_key_is_named(machine: Machine) -> None:
    """Where there is none, too."""
    done = machine.run("--key-file", "/nowhere")
    assert (done.returncode, "/nowhere: No such file" in done.stderr) == (1, True), done.stderr


def test_what_a_later_file_says_is_told(machine: Machine) -> None:
    """Settings of the owner that are read later win; the answer would else be lost without a word."""
    own = machine.answers.with_name("90-own.yaml")
    own.parent.mkdir()
    own.write_text("microphone: {device: default}\n")
    done = machine.run("--no-start", "--microphone", "mic")
    assert f"microphone.device stays default, and not mic: {own}:1 says so" in done.stdout


def test_a_service_that_does_not_start_is_told(machine: Machine) -> None:
    """With what systemctl says, where the journal says nothing."""
    machine.play("journalctl")
    done = machine.run("--microphone", "mic", STATUS="1", COMPLAINT="Access denied")
    assert done.returncode == 1
    assert "`systemctl daemon-reload` failed: Access denied" in done.stderr


def test_without_a_terminal_it_does_not_wait(machine: Machine) -> None:
    """It says which options there are."""
    done = machine.run()
    assert (done.returncode, "speakerd setup --help" in done.stderr) == (1, True)


async def test_the_service_is_asked_whether_it_takes_the_key(machine: Machine, tmp_path: Path) -> None:
    """One that it refuses is not stored; one that it takes is, and so is one that cannot be tried."""
    async with LiveApi(LiveApiOptions(tmp_path / "live", keys=frozenset({KEY}))) as live:
        machine.file.write_text(f"live: {{base_url: '{live.url}'}}\n")
        trust = {"SSL_CERT_FILE": str(live.ca_file)}
        refused = await _in_a_thread(machine, "AIzaSyB-not-the-one", trust)
        assert (refused.returncode, "refuses this key" in refused.stderr) == (1, True), refused.stderr
        assert not machine.encrypted.exists()
        taken = await _in_a_thread(machine, KEY, trust)
        assert "The service takes the key." in taken.stdout, taken.stderr
        machine.encrypted.unlink()
    away = await _in_a_thread(machine, KEY, trust)
    assert "could not be tried" in away.stdout, away.stderr
    assert machine.encrypted.exists()


async def _in_a_thread(machine: Machine, key: str, trust: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(lambda: machine.run("--no-start", "--key-file", "-", stdin=key, **trust))


class Terminal:
    """A person at a terminal."""

    def __init__(self, machine: Machine, *words: str) -> None:
        self._pid, self._file = pty.fork()
        if self._pid == 0:
            os.execve(sys.executable, machine.command(*words), {**os.environ, **machine.environment})
        self.text = ""  # since the last answer
        self.seen = ""

    def answer(self, question: str, words: str) -> None:
        """Wait for a question, and answer it."""
        self._read(lambda: re.search(question, self.text) is not None)
        os.write(self._file, f"{words}\n".encode())
        self.text = ""

    def press(self, key: bytes) -> None:
        """Press a key once it sleeps: Python overlooks a Ctrl-C between its question and its wait for an answer."""
        deadline = time.monotonic() + 30
        while Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < deadline, self.text
            time.sleep(0.01)
        os.write(self._file, key)

    def end(self) -> int:
        """Wait for the end; return the exit status."""
        self._read(lambda: False)
        os.close(self._file)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not enough():
            assert select.select([self._file], [], [], deadline - time.monotonic())[0], self.text
            try:
                read = os.read(self._file, 4096)
            except OSError:  # EIO: the other side has ended
                return
            if not read:
                return
            self.text += read.decode()
            self.seen += read.decode()


def test_a_person_is_asked(machine: Machine) -> None:
    """Wrong answers are asked again; Enter keeps what is; the key is not shown."""
    person = Terminal(machine, "--offline")
    person.answer("Key: ", "two words")
    person.answer("(?s)not an API key.*Key: ", KEY)
    person.answer(r"(?s)Which microphone\?.*Enter for default: ", "99")
    person.answer("A number from 1 to", "1")
    person.answer(r"(?s)Which loudspeaker\?.*: ", "")
    person.answer(r"(?s)pins of my own.*Enter for none: ", str(len(boards(machine.file.with_name("boards"))) + 1))
    person.answer("Button at which GPIO", "5")
    person.answer("LED at which GPIO", "")
    assert person.end() == 0, person.text
    assert KEY not in person.seen
    made = yaml.safe_load(machine.answers.read_text())
    assert made["panel"] == {"board": None, "mute_button": {"pin": 5}}
    assert "speaker" not in made
    assert machine.encrypted.exists()


@pytest.mark.parametrize("key", [b"\x03", b"\x04"])
def test_who_leaves_has_changed_nothing(machine: Machine, key: bytes) -> None:
    """Ctrl-C, and Ctrl-D, in the middle of the questions."""
    before = machine.files()
    person = Terminal(machine, "--offline")
    person.answer("Key: ", KEY)
    person._read(lambda: "Which microphone" in person.text and "Enter" in person.text)
    person.press(key)
    assert person.end() == 130, person.text
    assert machine.files() == before
    assert machine.called() == []
