"""The journal as its owner asks it: the real journald, and what happens when it is not there."""

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakerd.host.vocabulary import kinds, message_ids
from tests.integration.household import GO_FORWARD, household, until
from tests.integration.real_journal import Journal, journal

SCRIPT = Path(__file__).parents[2] / "scripts" / "catalog.py"


@pytest.fixture
def room() -> Iterator[Journal]:
    with journal() as made:
        yield made


class Program:
    """A program that logs to the journal, line by line."""

    def __init__(self, room: Journal) -> None:
        code = """
            import logging, sys
            from speakerd.host.log import set_up
            from speakerd.settings import Log
            set_up(Log(format="journal"))
            log = logging.getLogger("speakerd.scene")
            for line in sys.stdin:
                exec(line)
                print("done", flush=True)
        """
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by end()
        self.process = subprocess.Popen(
            [*room.prefix, sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, text=True,
        )  # fmt: skip

    def do(self, line: str) -> None:
        """Run a line of Python in it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self, last: str = "", status: int = 0) -> str:
        """End it, perhaps with a last line of Python; return what it wrote to stderr."""
        out, _ = self.process.communicate(last, timeout=10)
        assert (out, self.process.returncode) == ("", status)
        with self._complaints:
            self._complaints.seek(0)
            return self._complaints.read()


def test_an_event_can_be_asked_for_by_its_fields(room: Journal) -> None:
    """It is found by its event, has its id, priority and fields, and none for what was not known."""
    room.start()
    program = Program(room)
    program.do(
        "log.warning('disconnected', extra={'event': 'link-lost', 'code': None, 'next': 'resume', 'age': 1.5})"
    )
    program.do("log.info('connected', extra={'event': 'link-up', 'resumed': True, 'seconds': 0.1})")
    assert program.end() == ""
    (lost,) = room.entries("SPEAKERD_EVENT=link-lost")
    assert (lost["MESSAGE"], lost["PRIORITY"], lost["MESSAGE_ID"]) == (
        "disconnected",
        "4",
        message_ids()["link-lost"],
    )
    assert (lost["SPEAKERD_NEXT"], lost["SPEAKERD_AGE"], lost["LOGGER"]) == ("resume", "1.5", "speakerd.scene")
    assert "SPEAKERD_CODE" not in lost
    assert len(room.entries("SPEAKERD_RESUMED=true", f"MESSAGE_ID={message_ids()['link-up']}")) == 1


def test_a_library_has_no_event(room: Journal) -> None:
    """Its lines are there from WARNING on, without an id of ours."""
    room.start()
    program = Program(room)
    program.do("logging.getLogger('websockets').warning('odd')")
    program.do("logging.getLogger('websockets').info('x-goog-api-key: hunter2')")
    program.end()
    (line,) = room.entries()
    assert line["MESSAGE"] == "odd"
    assert "MESSAGE_ID" not in line


def test_a_traceback_of_a_megabyte_arrives_whole(room: Journal) -> None:
    """What is too long for a datagram goes the long way round, and lines and odd characters stay as they are."""
    room.start()
    program = Program(room)
    program.do("log.error('\\udcff\\n' + 'long ' * 250_000, extra={'event': 'crashed', 'error': 'two\\nlines'})")
    assert program.end() == ""
    (line,) = room.entries()
    assert len(line["MESSAGE"]) > 1_250_000
    assert line["MESSAGE"].startswith("\\udcff\nlong long")
    assert line["SPEAKERD_ERROR"] == "two\nlines"


def test_without_a_journal_lines_go_to_stderr_with_their_level(room: Journal) -> None:
    """The service manager, or whoever reads it, can still tell an error from news; so it is for each line of many."""
    program = Program(room)
    program.do("log.info('news')")
    program.do("log.error('one\\ntwo')")
    assert program.end() == "<6>news\n<3>one\n<3>two\n"


@pytest.mark.parametrize("how", ["die", "vanish"])
def test_a_journal_that_dies_and_returns_costs_no_line(room: Journal, how: str) -> None:
    """Meanwhile the lines go to stderr; once it listens again, they go there again."""
    room.start()
    program = Program(room)
    program.do("log.info('before')")
    assert len(room.entries()) == 1
    getattr(room, how)()
    program.do("log.info('meanwhile')")
    room.start()
    program.do("log.info('after')")
    assert program.end() == "<6>meanwhile\n"
    assert [entry["MESSAGE"] for entry in room.entries()][-1:] == ["after"]


def test_a_crash_is_one_entry(room: Journal) -> None:
    """An exception that nobody caught is told with its traceback in one piece, and what a key in it was is not."""
    room.start()
    program = Program(room)
    assert program.end("raise OSError('https://me:hunter2@proxy:1 AIzaSyA-hunter2')\n", status=1) == ""
    (line,) = room.entries("SPEAKERD_EVENT=crashed", "SPEAKERD_ERROR=OSError", "PRIORITY=3")
    assert "Traceback" in line["MESSAGE"]
    assert "hunter2" not in line["MESSAGE"]


def test_a_line_that_cannot_be_written_harms_nobody(room: Journal) -> None:
    """A library whose text does not go with its arguments is complained of, and the program goes on."""
    room.start()
    program = Program(room)
    program.do("logging.getLogger('odd').warning('%d', 'x')")
    program.do("log.info('after')")
    assert "--- Logging error ---" in program.end()
    assert [entry["MESSAGE"] for entry in room.entries()] == ["after"]


def test_the_catalog_explains_each_event(room: Journal) -> None:
    """`journalctl -x` shows below each line what it means and what to do, with its fields filled in."""
    room.start()
    room.run(sys.executable, "-W", "error", SCRIPT, "/usr/lib/systemd/catalog/speakerd.catalog")
    room.run("journalctl", "--update-catalog")
    program = Program(room)
    for name, kind in kinds().items():
        fields = {"event": name} | dict.fromkeys(kind.fields, "something")
        program.do(f"log.error('a line', extra={fields})")
    program.end()
    shown = room.show("--catalog", "SYSLOG_IDENTIFIER=speakerd")
    assert shown.count("Defined-By: speakerd") == len(kinds())
    assert "Subject: The something went away" in shown
    assert "The something cannot be used; the line says why." in shown
    assert "@" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


PRIORITIES = {"debug": "7", "info": "6", "warning": "4", "error": "3"}


async def test_a_conversation_can_be_read_in_the_journal(room: Journal, tmp_path: Path) -> None:
    """From start to stop each line has its id and the fields of the list; no word that was spoken is in any."""
    room.start()
    log: dict[str, object] = {"format": "journal"}
    script = {"heard": ["go forward ten meters"], "answers": ["a word that gives itself away"], "thinking": 0.2}
    async with household(tmp_path, script, prefix=room.prefix, log=log) as home:
        await home.live.wait_for("setup")
        home.card.speak(GO_FORWARD)
        await until(lambda: len(room.entries("SPEAKERD_EVENT=turn")), "the turn", timeout=30)
        assert (await home.daemon.stop())[0] == 0
        assert home.daemon.lines == []
    entries = room.entries()
    assert {"started", "state", "link-up", "turn", "stopping"} <= {entry["SPEAKERD_EVENT"] for entry in entries}
    for entry in entries:
        kind = kinds()[entry["SPEAKERD_EVENT"]]
        assert entry["MESSAGE_ID"] == kind.id
        assert entry["PRIORITY"] in {PRIORITIES[level] for level in kind.level}
        fields = {name.removeprefix("SPEAKERD_").lower() for name in entry if name.startswith("SPEAKERD_")}
        known = set(kind.fields)
        assert fields - {"event"} <= known
        assert {name for name in known if "at times" not in kind.fields[name]} <= fields
    assert "meters" not in room.show("--output=export")
    assert "gives itself away" not in room.show("--output=export")


def test_what_stops_the_daemon_at_once_is_an_error_in_the_journal(tmp_path: Path) -> None:
    """A mistake in the settings is seen by `journalctl -p err`, although nothing is set up yet."""
    file = tmp_path / "speakerd.yaml"
    file.write_text("speaker: {volume: loud}")
    with (tmp_path / "stderr").open("w+") as stream:
        status = os.fstat(stream.fileno())
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "speakerd", "run", "--config", file],
            stderr=stream, env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"},
        )  # fmt: skip
        stream.seek(0)
        said = stream.read()
    assert done.returncode == os.EX_CONFIG
    assert said.startswith(f"<3>speakerd: {file}:1: ")


def test_under_the_service_manager_lines_go_to_the_journal(room: Journal, tmp_path: Path) -> None:
    """Where stderr leads to the journal anyway, the fields go there too, without anybody setting it."""
    room.start()
    code = """
        import logging, os
        from speakerd.host.log import set_up
        from speakerd.settings import Log
        status = os.fstat(2)
        os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        set_up(Log())
        logging.getLogger("speakerd.scene").info("ready", extra={"event": "started", "version": "1"})
    """
    assert room.run(sys.executable, "-W", "error", "-c", textwrap.dedent(code)) == ""
    assert [entry["MESSAGE"] for entry in room.entries("SPEAKERD_EVENT=started")] == ["ready"]
