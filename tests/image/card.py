"""A card as somebody flashes it: a copy of the image, and what lies on its FAT partition."""

import subprocess
import tempfile
from pathlib import Path

FAT_AT = 4 << 20
"""Where the first partition begins, in bytes; see image/debian/card."""

SIZE = 4 << 30
"""As large as a small card, and a power of two, as the SD controller of raspi3b wants it."""


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

    def make(self, directory: str) -> None:
        """Make a directory on the FAT partition."""
        self._mtools("mmd", f"::{directory}")

    def names(self, directory: str = "") -> list[str]:
        """Return what is in a directory of the FAT partition."""
        return [line.rpartition("/")[2] for line in self._mtools("mdir", "-b", f"::{directory}").splitlines()]

    def read(self, name: str) -> bytes:
        """Return a file of the FAT partition."""
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "file"
            self._mtools("mcopy", f"::{name}", str(target))
            return target.read_bytes()

    def octets_of_fat(self) -> bytes:
        """Return all of the FAT partition, also what was deleted."""
        with self.file.open("rb") as file:
            file.seek(FAT_AT)
            return file.read(512 << 20)

    def _mtools(self, *words: str) -> str:
        program, *more = words
        command = [program, "-i", f"{self.file}@@{FAT_AT}", *more]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def image_copy(source: Path, target: Path) -> Path:
    """Copy a card without its holes, and let it be as large as a card."""
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", source, target], check=True)
    with target.open("r+b") as file:
        file.truncate(SIZE)
    return target
