"""What was measured of a microphone and a loudspeaker, kept for each pair of them."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speakerd.sound.echo import Mode

log = logging.getLogger(__name__)

STATE = Path("/var/lib/speakerd")
"""Where the service keeps what it must not forget."""

NAME = "calibration.json"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the speaker is to do about its own voice, for this pair."""

    mode: Mode
    delay_ms: int = 0
    """So much later than the devices say it is heard."""
    margin_db: float = 10.0
    """How far a voice must stand above what is left of it."""


class Calibrations:
    """The file that has them."""

    def __init__(self, directory: Path | None) -> None:
        """Take the directory of the file; None for nothing."""
        self._file = directory and directory / NAME

    def of(self, microphone: str, loudspeaker: str) -> Calibration | None:
        """Return what is known of a pair, by the names of the devices."""
        return self._read().get(_key(microphone, loudspeaker))

    def keep(self, microphone: str, loudspeaker: str, calibration: Calibration) -> None:
        """Add a pair, or replace what was known of it; a power cut leaves the file as it was, or as it is to be.

        Raises:
            OSError: it cannot be written.
        """
        assert self._file is not None
        pairs = self._read() | {_key(microphone, loudspeaker): calibration}
        unfinished = self._file.with_suffix(".new")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump({key: asdict(value) for key, value in pairs.items()}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o644)
        unfinished.replace(self._file)

    def _read(self) -> dict[str, Calibration]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            told: dict[str, Any] = json.loads(self._file.read_bytes())
            return {key: _checked(value) for key, value in told.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s is not used: %s; to have it anew: sudo speakerd calibrate", self._file, error,
                        extra={"event": "calibration-lost"})  # fmt: skip
            return {}


def _checked(told: dict[str, Any]) -> Calibration:
    found = Calibration(**told)
    if found.mode not in {"cancel", "half-duplex", "off"} or not 0 <= found.delay_ms <= 3000:
        raise ValueError(f"{found.mode} and {found.delay_ms} ms make no sense")
    return Calibration(found.mode, int(found.delay_ms), min(max(float(found.margin_db), 0.0), 40.0))


def _key(microphone: str, loudspeaker: str) -> str:
    return f"{microphone} hears {loudspeaker}"
