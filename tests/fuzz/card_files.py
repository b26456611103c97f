"""What an owner, or Imager, has written on the card: it is taken in and wiped, or told of and left."""

import contextlib
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from speakerd.provision import preseed
from speakerd.provision.boot import Boot
from speakerd.provision.provision import SETTINGS, UNFORESEEN, Provision, Taken, leave
from speakerd.yaml_file import LOOKS_LIKE_A_KEY
from tests.fuzz import changes
from tests.fuzz.settings_files import NEXT_FILE
from tests.fuzz.target import CORPUS, Attempt, Target

NETWORK = "etc/NetworkManager/system-connections/speakerd-wifi.nmconnection"


class Card:
    """A card with a system on it, as it was flashed; programs of the system are only looked at."""

    def __init__(self, directory: Path) -> None:
        self.fat, self.root = directory / "fat", directory / "root"
        shutil.rmtree(self.fat, ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)
        for path in (self.fat, self.root / "etc/speakerd", self.root / "usr/share/zoneinfo/Europe"):
            path.mkdir(parents=True)
        (self.fat / "start4.elf").touch()
        (self.root / "usr/share/zoneinfo/Europe/Berlin").touch()
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
        (self.root / "etc/group").write_text("root:x:0:\nsudo:x:27:\n")
        (self.root / "etc/speakerd/speakerd.yaml").write_text("{}\n")

    def run(self, command: Sequence[str], told: str) -> None:
        """See that a program gets words, and one line where it reads any."""
        assert all(word.isprintable() for word in command), command
        assert told.count("\n") <= 1, command


def _take(directory: Path, data: bytes) -> None:
    """Put the files of an input on a card, and boot it."""
    card = Card(directory)
    files = [card.fat / name for name in (preseed.NAME, SETTINGS)]
    contents = dict(zip(files, data.split(NEXT_FILE), strict=False))
    for file, content in contents.items():
        file.write_bytes(content)
    boot = Boot(card.fat)
    taken = Provision(boot, card.root, card.run).take_in()
    leave(boot, taken, [])
    _is_fit_for_a_person(taken, boot.said())
    # What was taken in is gone, and what was not is as it was.
    named = any(text.startswith(f"{preseed.NAME}:") for text in taken.mistakes)
    assert files[0].exists() == named, taken
    assert all(file.read_bytes() == contents[file] for file in files if file.exists())
    _is_one_network(card.root / NETWORK)


def _is_fit_for_a_person(taken: Taken, report: str) -> None:
    for text in (*taken.mistakes, *taken.done):
        assert text.isprintable(), text
        assert not LOOKS_LIKE_A_KEY.search(text), text
        assert UNFORESEEN not in text, text
        assert text in report


def _is_one_network(file: Path) -> None:
    """See that no value has become a section, or a name, of its own."""
    if not file.exists():
        return
    lines = file.read_bytes().decode().split("\n")
    heads = [line for line in lines if line.startswith("[")]
    assert [head for head in heads if head != "[wifi-security]"] == ["[connection]", "[wifi]", "[ipv4]", "[ipv6]"], (
        heads
    )
    assert all(line in ("", *heads) or re.match("[a-z-]+=", line) for line in lines), lines


@contextlib.contextmanager
def ready() -> Iterator[Attempt]:
    """Have a directory for the card, in memory: each file is waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield lambda data: _take(Path(name), data)


@cache
def _stock() -> tuple[list[bytes], tuple[bytes, ...]]:
    lines = changes.stock_of(CORPUS / "card")
    words = {word for line in lines for word in line.replace(b"=", b" ").split()}
    return lines, (*changes.ODD_BYTES, b"\xe2\x80\x9c", b"'''", b'"""', b"[[", b"]]", *sorted(words))


def changed(data: bytes, rand: random.Random) -> bytes:
    """Return files with a line, a word or a few bytes of them changed."""
    lines, words = _stock()
    if rand.random() < 0.4:
        return b"\n".join(changes.of_lines(data.split(b"\n"), rand, lines))
    return changes.of_bytes(data, rand, words)


CARD = Target(
    "card",
    ready,
    changed,
)
