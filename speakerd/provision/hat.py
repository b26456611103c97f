"""The board on the pins: what the firmware must be told of it, so that the kernel finds its sound card.

The firmware reads config.txt, and what that includes, before there is a kernel, so what is new counts from the next
start: https://www.raspberrypi.com/documentation/computers/config_txt.html#include
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from speakerd.provision.boot import Boot

CONFIG = "config.txt"
"""The owner's as much as ours: it is read, and never written."""

FILE = "hat.txt"
"""Ours alone."""

INCLUDE = f"include {FILE}"

HEAD = "# Written by the speaker for panel.board; what others write here is lost."


def tell(boot: Boot, board: str | None, lines: Sequence[str]) -> str | None:
    """Let the firmware read the lines of a board; return what was done, or None where it reads them already.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: they would be of no use; nothing was written.
    """
    config = _statements(boot, CONFIG)
    if missing := [name for name in _overlays(lines) if not boot.holds(_directory(boot, config) / f"{name}.dtbo")]:
        raise ValueError(
            f"{board} needs the overlay {', '.join(missing)}, which the system of this card does not have; "
            "flash the image whose name ends in -rpios, which has Raspberry Pi's kernel and overlays"
        )
    ours = [line for line in lines if line not in config]  # an owner may have written them there, and twice is wrong
    if ours and INCLUDE not in config:
        raise ValueError(f"{CONFIG} leaves out what {board} needs; add the line `{INCLUDE}` at its end")
    if ours == _statements(boot, FILE):
        return None
    boot.write(FILE, "\n".join([HEAD, *ours, ""]).encode())
    return f"{FILE} has what the firmware must know of {board}" if ours else f"{FILE} names no board any more"


def _statements(boot: Boot, name: str) -> list[str]:
    lines = [line.strip() for line in boot.text(name).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _overlays(lines: Sequence[str]) -> list[str]:
    """Return the names of the overlays that the lines load; parameters stand behind a comma."""
    return [
        value.partition(",")[0] for key, _, value in (line.partition("=") for line in lines) if key == "dtoverlay"
    ]


def _directory(boot: Boot, config: Sequence[str]) -> PurePosixPath:
    """Return where the firmware takes overlays from: below os_prefix only where there is a README.

    https://www.raspberrypi.com/documentation/computers/config_txt.html#overlay_prefix
    """
    prefixes = [value for key, _, value in (line.partition("=") for line in config) if key == "os_prefix"]
    prefixed = PurePosixPath(f"{prefixes[-1] if prefixes else ''}overlays")
    return prefixed if boot.holds(prefixed / "README") else PurePosixPath("overlays")
