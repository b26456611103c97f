"""A look at all parts of the running speaker at one moment."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from speakerd import __version__
from speakerd.host.log import without_secrets
from speakerd.status.status import DeviceStatus, LinkStatus, ProcessStatus, Status

if TYPE_CHECKING:
    from speakerd.assistant import Assistant
    from speakerd.live.handle import Handle
    from speakerd.live.link import Link
    from speakerd.panel.panel import Panel
    from speakerd.settings import Settings
    from speakerd.sound.alsa import Microphone, Speaker
    from speakerd.sound.ear import Ear, Sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Whom to ask. The two times are those of the monotonic clock: of the process, and of these parts."""

    settings: Settings
    assistant: Assistant
    link: Link
    handle: Handle
    microphone: Microphone[Sound]
    speaker: Speaker
    ear: Ear
    panel: Panel
    started_at: float
    made_at: float


def snapshot(parts: Parts) -> Status:
    """Ask every part how it is."""
    now, assistant = time.monotonic(), parts.assistant
    return Status(
        state=assistant.state.value,
        state_seconds=_since(assistant.since, now),
        to_do=_clean(assistant.trouble),
        muted=assistant.is_muted,
        link=_link(parts.link, parts.handle),
        microphone=_microphone(parts),
        loudspeaker=_loudspeaker(parts),
        own_voice=parts.ear.mode,
        panel=_panel(parts.panel),
        last_turn=assistant.turns.last,
        totals=assistant.turns.totals,
        counted_seconds=_since(parts.made_at, now),
        today=assistant.usage.today,
        versions=versions(),
        process=ProcessStatus(os.getpid(), _since(parts.started_at, now), _memory_bytes()),
    )


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of all that matters; the disk is asked once. It imports nothing of what it names."""
    return {
        "speakerd": __version__,
        "google-genai": _version_of("google-genai"),
        "Python": platform.python_version(),
        "Linux": platform.release(),
    }


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # it may work all the same, and no question ends the speaker
        return "unknown"


def _link(link: Link, handle: Handle) -> LinkStatus:
    up_s, age_s = link.up_s, handle.age_s
    return LinkStatus(
        up=up_s is not None,
        seconds=round(link.down_s if up_s is None else up_s, 3),
        trouble=_clean(link.trouble),
        handle_seconds=age_s and round(age_s, 3),
    )


def _microphone(parts: Parts) -> DeviceStatus:
    name, microphone = parts.settings.microphone.device, parts.microphone
    if microphone.is_closed:
        return DeviceStatus(name, "closed", None, microphone.overruns)
    trouble = _clean(microphone.trouble)
    return DeviceStatus(name, "away" if trouble else "open", trouble, microphone.overruns)


def _loudspeaker(parts: Parts) -> DeviceStatus:
    trouble = _clean(parts.speaker.trouble)
    return DeviceStatus(
        parts.settings.speaker.device, "away" if trouble else "open", trouble, parts.speaker.underruns
    )


def _panel(panel: Panel) -> dict[str, str | None]:
    troubles = panel.troubles
    return {name: _clean(troubles.get(name, troubles.get("pins"))) for name in panel.names}


def _since(at: float, now: float) -> float:
    return round(now - at, 3)


def _clean(words: str | None) -> str | None:
    """Return words on one line, whatever a server or a driver has said, and without secrets."""
    return words and " ".join(without_secrets(words).split())


def _memory_bytes() -> int:
    """Return what the process holds of the machine's memory (proc_pid_statm(5))."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()
