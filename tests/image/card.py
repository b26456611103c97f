"""A card as somebody flashes it: a copy of the image, and what lies on its FAT partition."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

FAT_AT = 4 << 20
"""Where the first partition begins, in bytes; see image/debian/card."""

SIZE = 4 << 30
"""As large as a small card, and a power of two, as the SD controller of raspi3b wants it."""


PARTITIONS = ("boot", "root-a", "root-b", "state")
"""What the partitions are, in their order."""


@dataclass(frozen=True, slots=True)
class Part:
    """A partition: where in the file it is, in bytes."""

    start: int
    size: int

    def of(self, file: Path) -> bytes:
        """Return what a file has there."""
        with file.open("rb") as opened:
            opened.seek(self.start)
            return opened.read(self.size)


class Card:
    """A file that QEMU takes for a card."""

    def __init__(self, file: Path) -> None:
        """Take a card that was flashed before."""
        self.file = file

    @classmethod
    def flashed(cls, image: Path, file: Path) -> "Card":
        """Write the image to a new card."""
        return cls(image_copy(image, file))

    def copied(self, file: Path) -> "Card":
        """Return a card with the same content."""
        return Card(image_copy(self.file, file))

    def put(self, name: str, text: str) -> None:
        """Put a text file on the FAT partition, as any computer does."""
        with tempfile.NamedTemporaryFile("w", newline="") as source:
            source.write(text)
            source.flush()
            self._mtools("mcopy", "-o", source.name, f"::{name}")

    def delete(self, name: str) -> None:
        """Delete a file of the FAT partition; what was in it stays, as on any computer."""
        self._mtools("mdel", f"::{name}")

    def names(self, directory: str = "") -> list[str]:
        """Return what is in a directory of the FAT partition."""
        return [line.rpartition("/")[2] for line in self._mtools("mdir", "-b", f"::{directory}").splitlines()]

    def read(self, name: str) -> bytes:
        """Return a file of the FAT partition."""
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "file"
            self._mtools("mcopy", f"::{name}", str(target))
            return target.read_bytes()

    def rename(self, label: str) -> None:
        """Give the FAT partition another name, as one does with a memory stick."""
        self._mtools("mlabel", f"::{label}")

    def octets(self, partition: str) -> bytes:
        """Return all of a partition, also what was deleted."""
        return parts(self.file)[partition].of(self.file)

    def wipe(self, partition: str, octets: int | None = None) -> None:
        """Write zeros over a partition, or over its beginning."""
        part = parts(self.file)[partition]
        with self.file.open("r+b") as file:
            file.seek(part.start)
            file.write(bytes(octets or part.size))

    def drop(self, partition: str) -> None:
        """Take a partition out of the table."""
        subprocess.run(["sfdisk", "--quiet", "--delete", self.file, str(PARTITIONS.index(partition) + 1)], check=True)

    def _mtools(self, *words: str) -> str:
        program, *more = words
        command = [program, "-i", f"{self.file}@@{FAT_AT}", *more]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def parts(file: Path) -> dict[str, Part]:
    """Return the partitions of a card, by what they are."""
    told = subprocess.run(["sfdisk", "--json", file], check=True, stdout=subprocess.PIPE).stdout
    table = json.loads(told)["partitiontable"]["partitions"]
    return {
        name: Part(found["start"] * 512, found["size"] * 512) for name, found in zip(PARTITIONS, table, strict=True)
    }


def image_copy(source: Path, target: Path) -> Path:
    """Copy a card without its holes, and let it be as large as a card."""
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", source, target], check=True)
    with target.open("r+b") as file:
        file.truncate(SIZE)
    return target
