"""The short selection of the fault suite; `make test-faults` runs all of it."""

from pathlib import Path

from tests.faults.scenario import scenarios
from tests.faults.suite import suite


async def test_no_word_is_lost_when_a_connection_is(tmp_path: Path) -> None:
    """Whatever ends the connection, the question is answered once and whole, and so is the one after it."""
    quick = [scenario for scenario in scenarios() if scenario.quick]
    assert quick
    assert not await suite(quick, jobs=len(quick), output=tmp_path / "out")
