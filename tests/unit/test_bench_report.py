"""The table and the file of figures."""

import json

import pytest

from bench import report
from bench.programs import Program
from bench.report import ROWS, Row, Target, as_json, summary, table, verdict


def samples(speakerd: float, control: float) -> report.Samples:
    return {row.name: {Program.SPEAKERD: [speakerd], Program.CONTROL: [control]} for row in ROWS}


COUNTS = {"messages": {Program.SPEAKERD: 5000, Program.CONTROL: 5001}}


def test_a_summary_holds_the_usual_percentiles() -> None:
    """Half of the numbers from 0 to 100 are below 50, and 95 of 100 below 95."""
    assert summary(range(101)) == report.Summary(101, 50.0, 95.0, 99.0, 0, 100)


@pytest.mark.parametrize(
    ("target", "speakerd", "control", "met"),
    [
        (Target(12), 12.0, 1.0, True),
        (Target(12), 12.1, 99.0, False),
        (Target(1.25, "ratio"), 5.0, 4.0, True),
        (Target(1.25, "ratio"), 5.1, 4.0, False),
        (Target(8, "difference"), 60.0, 52.0, True),
        (Target(8, "difference"), 60.1, 52.0, False),
    ],
)
def test_a_target_is_a_limit_a_ratio_or_a_difference(
    target: Target, speakerd: float, control: float, *, met: bool
) -> None:
    """Each kind of target allows exactly what it says."""
    assert target.is_met(speakerd, control) is met


def test_the_table_fits_a_terminal_and_hides_nothing() -> None:
    """Every row is there, also when all are lost, in 80 columns."""
    lines = list(table(samples(1234.5, 1.0), COUNTS))
    assert len(lines) == 1 + len(ROWS) + len(COUNTS)
    assert max(map(len, lines)) <= 80
    assert sum("MISSED" in line for line in lines) == sum(row.target is not None for row in ROWS)


def test_a_row_without_a_target_is_not_judged() -> None:
    """Neither met nor missed."""
    row = Row("CPU", "cpu_reply_percent")
    assert verdict(row, samples(99.0, 1.0)) == ""


def test_the_file_says_what_was_measured_on_what() -> None:
    """Figures without their machine and versions mean nothing to the next reader."""
    content = json.loads(json.dumps(as_json(samples(1.0, 2.0), COUNTS, rounds=2)))
    assert content["figures"]["pss_mib"]["control"]["p50"] == 2.0
    assert content["figures"]["pss_mib"]["speakerd"]["n"] == 1
    assert content["versions"]["google-genai"]
    assert content["machine"]["cores"] >= 1
    assert content["counts"]["messages"]["control"] == 5001
