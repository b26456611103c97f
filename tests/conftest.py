"""The simulated hardware that scenes are played on."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from speakerd.simulate.card import SimulatedCard
from speakerd.simulate.room import Room

# A busy machine is slow, and not wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


PROGRAMS = {"systemd-journald": "systemd", "systemd-journal-remote": "systemd-journal-remote"}
"""What of systemd the scenes run, and the package that it is in."""


def pytest_sessionstart() -> None:
    """Refuse to begin where a program is missing: a scene that was left out proves nothing."""
    # A shell that starts the tests in the background lets them ignore it, and all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    missing = [package for program, package in PROGRAMS.items() if not Path("/lib/systemd", program).exists()]
    if missing:
        command = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
        pytest.exit(f"the tests need {' and '.join(missing)}; run: sudo {command}", returncode=1)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedCard]:
    """Put in a simulated sound card that this process, and every process it starts, sees."""
    with SimulatedCard(tmp_path / "card") as card:
        # alsa-lib looks at the variable at each open, so a test in the same process may have a card of its own.
        for name, value in card.environment.items():
            monkeypatch.setenv(name, value)
        yield card


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """Build a simulated room that this process, and every process it starts, is in."""
    with Room(tmp_path / "a room with blanks") as room:
        for name, value in room.environment.items():
            monkeypatch.setenv(name, value)
        yield room
