"""The simulated hardware that scenes are played on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from speakerd.simulate.card import SimulatedCard
from speakerd.simulate.room import Room

# A busy machine is slow, and not wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


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
