"""The sound devices of this machine: by stable name, and why one of them cannot be used."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import alsaaudio

PROC = Path("/proc")
SOUND_NODES = Path("/dev/snd")


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the settings name it; the name stays the same whatever is plugged in beside it."""

    name: str
    microphone: bool
    speaker: bool


def devices() -> list[Device]:
    """Return what can be put under ``microphone.device`` and ``speaker.device``, best first."""
    captures, playbacks = (
        [name for name in alsaaudio.pcms(kind) if _is_useful(name)]
        for kind in (alsaaudio.PCM_CAPTURE, alsaaudio.PCM_PLAYBACK)
    )
    names = dict.fromkeys(captures + playbacks)
    return [Device(name, name in captures, name in playbacks) for name in sorted(names, key=_rank)]


_CONVERTERS = {"jack", "lavrate", "null", "oss", "samplerate", "speex", "speexrate", "upmix", "vdownmix"}
"""ALSA plug-ins that convert or discard; their names lead to no device of their own."""


def _is_useful(name: str) -> bool:
    # What else has a colon is raw (hw:), shared unasked (dmix:) or a loudspeaker layout (surround51:).
    return name not in _CONVERTERS and (":" not in name or name.startswith("plughw:"))


def _rank(name: str) -> tuple[bool, str]:
    return (not name.startswith("plughw:"), name)


def why_not(device: str, reason: str, *, capture: bool) -> str:
    """Say why a device cannot be opened and what to do; ``reason`` is alsa-lib's own word for it."""
    what = "microphone" if capture else "loudspeaker"
    setting = "microphone.device" if capture else "speaker.device"
    listed = f"`speakerd devices` lists what there is; put one of them under {setting}"
    if "busy" in reason:
        node = _node(device, capture=capture)
        who = holders(node, "c" if capture else "p") or owners(node)
        by = f"in use by {', '.join(who)}; stop it" if who else "in use by another program; stop that"
        return f"the {what} {device} is {by}, or choose another device ({listed})"
    if re.search("No such|not found|Unknown|Invalid argument", reason):
        return f"there is no {what} {device} ({reason}); {listed}"
    if "Permission" in reason:
        return f"no right to use the {what} {device}; run: sudo usermod -aG audio $USER, and log in anew"
    return f"the {what} {device} cannot be opened: {reason}"


def holders(node: Path, direction: str) -> list[str]:
    """Return who else has ``node`` open, as in ``mpd (pid 812)``.

    ``node`` is a device file, or a directory in which those of one direction count, "c" for capture, "p" for
    playback. Another user's programs are seen by root only.
    """
    found = []
    for process in PROC.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            opened = [os.readlink(link) for link in (process / "fd").iterdir()]  # noqa: PTH115 - not a real path
            name = (process / "comm").read_text().strip()
        except OSError:
            continue  # it has ended, or is not ours to see
        in_directory = re.compile(rf"{re.escape(str(node))}/pcmC\d+D\d+{direction}")
        if any(path == str(node) or in_directory.fullmatch(path) for path in opened):
            found.append(f"{name} (pid {process.name})")
    return sorted(found)


def owners(node: Path) -> list[str]:
    """Return the numbers of those that the kernel says have a device file open, whoever's programs they are.

    A service that may not see other people's programs learns no more (sound/core/pcm.c in Linux,
    snd_pcm_substream_proc_status_read); each is a thread's number, by which `/proc` finds the program, too.
    """
    match = re.fullmatch(r"pcmC(\d+)D(\d+)([cp])", node.name)
    if match is None:
        return []
    stream = PROC / "asound" / f"card{match[1]}" / f"pcm{match[2]}{match[3]}"
    found = [
        re.search(r"^owner_pid\s*:\s*(\d+)", _text(status), re.MULTILINE) for status in stream.glob("sub*/status")
    ]
    return sorted(f"process {owner[1]} (`cat /proc/{owner[1]}/comm` names it)" for owner in found if owner)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""  # the card has gone


def _node(device: str, *, capture: bool) -> Path:
    """Return the device file behind an ALSA name, or the directory of all where the name does not tell."""
    match = re.search(r"CARD=([^,]+)(?:,DEV=(\d+))?", device)
    card = PROC / "asound" / match[1] if match else None
    if match and card and card.is_symlink():  # named by the card's id, it leads to cardN
        number = card.readlink().name.removeprefix("card")
        return SOUND_NODES / f"pcmC{number}D{match[2] or 0}{'c' if capture else 'p'}"
    return SOUND_NODES
