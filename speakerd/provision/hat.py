"""What a board on the pins needs of the firmware, which reads it before any system starts.

config.txt includes a file of ours, so that nobody who wants a line of their own has to share a file with us:
https://www.raspberrypi.com/documentation/computers/config_txt.html#include
"""

import os
import re
from pathlib import Path

from speakerd.boards import firmware_lines
from speakerd.provision.boot import Boot

NAME = "hat.txt"

HEAD = "# Written by speakerd for panel.board. Lines of your own belong into config.txt."

WRITTEN = Path("var/lib/speakerd-provision/hat.txt")
"""Below the root: for which lines it was started anew; a card that forgets them would do so again and again."""

_OVERLAY = re.compile(r"dtoverlay=([\w-]+)")


class Hat:
    """The lines for the board that the settings name."""

    def __init__(self, boot: Boot, root: Path) -> None:
        """Prepare; ``root`` is where the system is."""
        self._boot = boot
        self._written = root / WRITTEN
        self._own = root / "etc" / "speakerd" / "boards"

    def take(self, board: str | None) -> bool:
        """Write the lines for this board, none for None; return whether they count from the next start only.

        Raises:
            OSError: they cannot be written.
            ValueError: this card has nothing to drive the board with; the text says what to do.
        """
        lines = firmware_lines(board, self._own) if board else []
        missing = [name for name in _OVERLAY.findall("\n".join(lines)) if not self._boot.has_overlay(name)]
        if missing:
            raise ValueError(
                f"panel.board: {board} needs the driver {missing[0]}, which the system on this card does not have; "
                "use the card with rpios in its name"
            )
        text = "".join(f"{line}\n" for line in [HEAD, *lines])
        if self._boot.holds(NAME, text) or (not lines and not self._boot.find(NAME)):
            return False
        if self._written.exists() and self._written.read_text(encoding="utf-8") == text:
            raise OSError(f"{NAME} was written, and is not as it was written: the card forgets; use another one")
        self._boot.write(NAME, text)
        self._written.parent.mkdir(parents=True, exist_ok=True)
        self._written.write_text(text, encoding="utf-8")
        os.sync()
        return True
