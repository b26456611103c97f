"""The line of status in ``systemctl status``."""

import pytest

from speakerd.host.status_line import status_line
from speakerd.state import State

OUTAGE = "the server cannot be reached: no route"


@pytest.mark.parametrize("state", [State.IDLE, State.LISTENING, State.SPEAKING, State.MUTED, State.CONNECTING])
def test_while_all_is_well_it_is_one_word(state: State) -> None:
    """It says what the light shows, and no more."""
    assert status_line(state, None, None, 0.0) == state.value.capitalize()


@pytest.mark.parametrize(
    ("seconds", "lasting"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (200, "3 min"), (3600 * 23.9, "23 h"), (86_400 * 2, "2 d")],
)
def test_an_outage_says_how_long_and_why(seconds: float, lasting: str) -> None:
    """Whoever looks knows whether to wait or to look at the router."""
    assert status_line(State.OFFLINE, None, OUTAGE, seconds) == f"Offline for {lasting}: {OUTAGE}"


def test_an_outage_behind_a_mute_is_not_hidden() -> None:
    """The light shows the mute, the line also that nothing would be answered."""
    assert status_line(State.MUTED, None, OUTAGE, 5) == f"Muted, and offline for 5 s: {OUTAGE}"


def test_an_error_says_what_to_do() -> None:
    """The first thing to read is what a person must do."""
    assert status_line(State.ERROR, "plug the microphone in", OUTAGE, 5) == "Error: plug the microphone in"


def test_it_is_one_line_whatever_a_server_says() -> None:
    """A line break would end the assignment, and what follows could be taken for another one."""
    assert status_line(State.OFFLINE, None, "gone\nREADY=1", 5) == "Offline for 5 s: gone READY=1"
