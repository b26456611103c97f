"""The status as metrics for Prometheus, read by the parsers of its own Python client."""

import dataclasses
import re
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import Metric
from prometheus_client import parser as older
from prometheus_client.openmetrics import parser as openmetrics

from speakerd.state import State
from speakerd.status.metrics import metrics
from speakerd.status.status import Status
from tests.unit.test_status import MOMENTS, NEW, WELL

Parse = Callable[[str], Iterable[Metric]]
as_openmetrics: Parse = openmetrics.text_string_to_metric_families
as_older_text: Parse = older.text_string_to_metric_families


@pytest.fixture(params=list(MOMENTS.values()), ids=list(MOMENTS))
def moment(request: pytest.FixtureRequest) -> Status:
    assert isinstance(request.param, Status)
    return request.param


def samples(status: Status) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = list(as_openmetrics(metrics(status)))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(status: Status, name: str, **labels: str) -> float:
    return samples(status)[name, frozenset(labels.items())]


def test_the_metrics_are_openmetrics(moment: Status) -> None:
    """The parser of Prometheus' own client takes them, each with its help; those that are measured with a unit."""
    text = metrics(moment)
    assert text.endswith("# EOF\n")
    families = list(as_openmetrics(text))
    assert all(family.documentation and family.name.startswith("speakerd_") for family in families)
    for family in families:
        measured = re.search(r"_(seconds|bytes|dollars)$", family.name)
        assert family.unit == (measured[1] if measured else "")


def test_the_node_exporter_can_read_them_from_a_file(moment: Status) -> None:
    """The older format, which it reads, knows no other kinds than these, and finds the same numbers."""
    text = metrics(moment)
    assert set(re.findall(r"^# TYPE \S+ (\S+)$", text, re.MULTILINE)) == {"gauge", "counter"}
    found = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in as_older_text(text)
        for sample in family.samples
    }
    assert found == samples(moment)


def test_exactly_one_state_is_1() -> None:
    """The others are there, and 0, so that a rule can ask for each."""
    states = {state: value(WELL, "speakerd_state", state=state.value) for state in State}
    assert states.pop(State.IDLE) == 1
    assert set(states.values()) == {0}


@pytest.mark.parametrize(
    ("number", "name", "labels"),
    [
        (754.2, "speakerd_state_seconds", {}),
        (0, "speakerd_person_needed", {}),
        (0, "speakerd_muted", {}),
        (1, "speakerd_link_up", {}),
        (200.5, "speakerd_link_seconds", {}),
        (40.25, "speakerd_handle_seconds", {}),
        (1, "speakerd_device_up", {"device": "microphone"}),
        (2, "speakerd_xruns_total", {"device": "loudspeaker"}),
        (1, "speakerd_panel_part_up", {"part": "light"}),
        (12, "speakerd_turns_total", {}),
        (1, "speakerd_interruptions_total", {}),
        (2, "speakerd_stalls_total", {"stall": "silent"}),
        (1, "speakerd_sentences_told_again_total", {}),
        (2, "speakerd_questions_lost_total", {}),
        (3, "speakerd_answers_lost_total", {}),
        (4, "speakerd_link_reconnects_total", {}),
        (5, "speakerd_link_rotations_total", {}),
        (6e6, "speakerd_sent_bytes_total", {}),
        (3.4e6, "speakerd_received_bytes_total", {}),
        (7000, "speakerd_tokens_total", {"direction": "in"}),
        (900, "speakerd_tokens_total", {"direction": "out"}),
        (0.0301, "speakerd_cost_dollars_total", {}),
        (900, "speakerd_today_tokens", {"direction": "out"}),
        (0.0301, "speakerd_today_cost_dollars", {}),
        (0.748, "speakerd_last_turn_first_sound_seconds", {}),
        (0.61, "speakerd_last_turn_first_byte_seconds", {}),
        (49_201.5, "speakerd_uptime_seconds", {}),
        (71_303_168, "speakerd_resident_memory_bytes", {}),
        (1, "speakerd_build_info", {
            "speakerd": "0.1.0", "google_genai": "3.4.0", "python": "3.13.5", "linux": "6.12.47+rpt-rpi-v8"
        }),
    ],
    ids=lambda what: what if isinstance(what, str) else "",
)  # fmt: skip
def test_a_number_is_where_it_is_looked_for(number: float, name: str, labels: dict[str, str]) -> None:
    """Names are an interface: dashboards and alerts hold on to them."""
    assert value(WELL, name, **labels) == number


def test_what_is_not_there_has_no_number() -> None:
    """A length that nobody measured is left out, and is not 0."""
    names = {name for name, _ in samples(NEW)}
    assert not {"speakerd_handle_seconds", "speakerd_last_turn_first_byte_seconds"} & names
    assert value(NEW, "speakerd_person_needed") == 1
    assert value(NEW, "speakerd_device_up", device="microphone") == 0
    assert value(NEW, "speakerd_panel_part_up", part="switch") == 0


def test_odd_versions_do_not_break_the_metrics() -> None:
    """Whoever builds a kernel names it."""
    odd: dict[str, str] = {"Linux": 'a "b" \\new\nd'}
    assert value(dataclasses.replace(WELL, versions=odd), "speakerd_build_info", linux=odd["Linux"]) == 1
