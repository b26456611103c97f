"""What the kernel says about the microphone: whether it is closed, as it must be while the speaker is muted."""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Substream:
    """A stream of a sound card, by its numbers; -1 is what ALSA says where no card stands behind a device."""

    card: int
    device: int
    number: int

    def status(self, proc: Path) -> Path:
        """Return the file in which the kernel says what the stream does."""
        return proc / "asound" / f"card{self.card}" / f"pcm{self.device}c" / f"sub{self.number}" / "status"


def why_open(substream: Substream | None, proc: Path = PROC) -> str | None:
    """Return why the microphone is not known to be closed, in words; None where it is closed as far as can be told.

    The kernel names the owner of an open stream (sound/core/pcm.c, snd_pcm_substream_proc_status_read). One that
    another program has open is that program's microphone, and not ours.
    """
    if held := _held(proc):
        return f"this process still holds {held}"
    if substream is None:
        return None
    file = substream.status(proc)
    try:
        status = file.read_text()
    except OSError:
        return None  # there is no card behind the device, it has gone, or the kernel does not tell
    owner = re.search(r"owner_pid\s*:\s*(\d+)", status)
    if owner and (proc / "self" / "task" / owner[1]).exists():
        return f"{file} says that this process has it open"
    return None


def _held(proc: Path) -> str | None:
    """Return the capture device that this process has open, if there is one."""
    for link in (proc / "self" / "fd").glob("*"):
        with contextlib.suppress(OSError):  # closed while we looked
            if re.fullmatch(r"/dev/snd/pcmC\d+D\d+c", target := os.readlink(link)):  # noqa: PTH115 - not a real path
                return target
    return None
