"""What the documentation tells of the benches is what they found."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import report, room_report
from bench.peers import outcome, picture
from bench.results import KEPT, about, load, save
from bench.tables import CHECKOUT, PLOTS, TABLES, documents
from speakerd.errors import SpeakerdError
from tests.unit.test_bench_peers import found

ROOMS = ("A", "B")


def a_checkout(directory: Path) -> Path:
    """Return a copy of the pages, without what was drawn."""
    for name in {page for table in TABLES for page in table.pages}:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text((CHECKOUT / name).read_text())
    return directory


def a_room(room: str, mode: str) -> dict[str, Any]:
    return {
        **about("bench.room", "bench-room"),
        "room": room,
        "mode": mode,
        "void": "too slow" if room == "B" else "",
        "figures": {row.name: 30.0 for row in room_report.ROWS},
        "targets": {row.name: "MISSED" if row.name == "coughs_stopped" else "met" for row in room_report.ROWS},
    }


def a_bench() -> dict[str, Any]:
    told = {"n": 7, "p50": 1.0, "p95": 2.0, "p99": 3.0, "min": 0.5, "max": 4.0}
    return {
        **about("bench", "bench"),
        "figures": {row.name: {"speakerd": told, "control": told | {"p50": 9.0}} for row in report.ROWS},
        "targets": [{"figure": "pss_mib", "statistic": "p50", "target": "≤ +8", "met": "met"}],
    }


def kept(directory: Path) -> Path:
    """Return a directory with results of every kind."""
    directory.mkdir()
    save(directory / "peers.json", found())
    save(directory / "bench.json", a_bench())
    for room in ROOMS:
        for mode in ("cancel", "half-duplex", "off"):
            save(directory / f"room-{room}-{mode}.json", a_room(room, mode))
    return directory


def test_the_documentation_says_what_the_results_say() -> None:
    """Whoever copies a run to bench/results runs `make tables`, too; and nobody edits a table by hand."""
    for file, content in documents(KEPT, CHECKOUT).items():
        assert file.read_bytes() == content, f"{file.relative_to(CHECKOUT)}: run make tables"


def test_every_table_is_made_where_there_are_results(tmp_path: Path) -> None:
    """All else stays as it was; a second time changes nothing."""
    results, checkout = kept(tmp_path / "results"), a_checkout(tmp_path / "checkout")
    written = documents(results, checkout)
    readme = written[checkout / "README.md"].decode()
    assert "| memory (PSS), MiB (n = 1 to 2) | 62 (61 to 63) | 47 |" in readme
    assert "| minutes of answers in each | 30 | 30 | 30 |" in readme
    assert readme.startswith("# speakerd\n")
    bench = written[checkout / "bench/README.md"].decode()
    assert "| memory, PSS (MiB), p50, n = 7 | 1.0 | 9.0 | ≤ +8 | met |" in bench
    assert "| … stopped it | 30 | 30 | ≤ 0 | missed in A B |" in bench
    assert "Void: too slow." in bench
    for file, content in written.items():
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    assert documents(results, checkout) == written


def test_a_table_without_results_is_left_alone(tmp_path: Path) -> None:
    """Half of what one needs is not enough for it."""
    checkout = a_checkout(tmp_path / "checkout")
    (results := tmp_path / "results").mkdir()
    save(results / "room-A-cancel.json", a_room("A", "cancel"))
    written = documents(results, checkout)
    assert written[checkout / "README.md"] == (checkout / "README.md").read_bytes()
    assert "| … stopped it | 30 |" in written[checkout / "bench/README.md"].decode()
    assert set(written) == {checkout / "README.md", checkout / "bench/README.md"}


def test_a_page_without_marks_is_told(tmp_path: Path) -> None:
    """And what they look like."""
    checkout = a_checkout(tmp_path / "checkout")
    (checkout / "README.md").write_text("nothing\n")
    with pytest.raises(SpeakerdError, match=r"README.md has no lines <!-- peers: "):
        documents(tmp_path, checkout)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"date": ', "peers.json is damaged: Expecting value: line 1"),
        ("[]", "peers.json is damaged: it holds no object"),
        ('{"peers": 3}', "peers.json: not what make bench-peers writes"),
        ("\xff", "peers.json is damaged"),
    ],
)
def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path, text: str, words: str) -> None:
    """Which file, what is wrong with it, where it comes from; no traceback, and nothing is written."""
    checkout = a_checkout(tmp_path / "checkout")
    (tmp_path / "peers.json").write_bytes(text.encode("latin-1"))
    done = subprocess.run(
        [sys.executable, "-m", "bench.tables", "--results", str(tmp_path), "--checkout", str(checkout)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "copy it from a run again" in done.stderr
    assert "Traceback" not in done.stderr
    assert (checkout / "README.md").read_text() == (CHECKOUT / "README.md").read_text()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(SpeakerdError, match=r"peers.json cannot be read: No such file"):
        load(tmp_path / "peers.json")


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.file)
def test_a_picture_is_the_same_whenever_it_is_drawn(plot: Any) -> None:
    """So that a difference is one of the results."""
    assert plot.draw([found()]) == plot.draw([found()])


def test_a_picture_shows_the_cells_of_the_table() -> None:
    """What is drawn is what the table says: each of its cells is written in one of the two pictures."""
    shown = {re.sub(r"\s", "", text) for draw in (picture.figures, picture.troubles) for text in texts(draw(found()))}
    for row in list(outcome.table(found()))[1:]:
        assert {re.sub(r"\s", "", cell) for cell in row[1:]} <= shown


def texts(svg: bytes) -> list[str]:
    """Return what is written in a picture; each text follows a comment that spells it out."""
    return re.findall(r"<!-- (.*?) -->", svg.decode(), re.DOTALL)
