"""What is written to stderr, and what is not."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from speakerd.host import log as log_module
from speakerd.host.log import set_up
from speakerd.settings import Log

log = logging.getLogger("speakerd.scene")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was."""
    root, ours, hook = logging.getLogger(), logging.getLogger("speakerd"), sys.excepthook
    handlers, levels = list(root.handlers), (root.level, ours.level)
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(False)
    sys.excepthook = hook


def told(
    capsys: pytest.CaptureFixture[str],
) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_text_is_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """A time, the level where it matters, the text; fields are for programs."""
    set_up(Log(format="text"))
    log.info("all is well", extra={"event": "state", "state": "idle"})
    log.warning("not quite")
    first, second = capsys.readouterr().err.splitlines()
    assert first[8:] == " all is well"
    assert second[8:] == " warning: not quite"


def test_json_has_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, with what the record carries."""
    set_up(Log(format="json"))
    log.info("lost", extra={"event": "link-lost", "code": None, "age": 1.5})
    (line,) = told(capsys)
    assert (line["level"], line["message"], line["code"], line["age"]) == ("info", "lost", None, 1.5)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_libraries_are_heard_from_warning_on(
    level: Literal["debug", "info", "warning", "error"], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever level is asked for: below it they write headers, and the key is one of them."""
    set_up(Log(format="text", level=level))
    for library in ("websockets.client", "google_genai.live", "httpx2", "httpcore2.connection", "another.one"):
        logging.getLogger(library).info("x-goog-api-key: hunter2")
        logging.getLogger(library).debug("x-goog-api-key: hunter2")
    log.error("ours")
    assert len(capsys.readouterr().err.splitlines()) == 1
    logging.getLogger("another.one").warning("odd")
    assert ("odd" in capsys.readouterr().err) is (level != "error")


def test_a_flood_is_ten_lines_and_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    """The lines that were left out are counted at the latest at the end, for each device by itself."""
    set_up(Log(format="json"))
    for count in range(25):
        log.warning("gap", extra={"event": "xrun", "device": "loudspeaker", "count": count})
    log.warning("lost", extra={"event": "xrun", "device": "microphone", "count": 1})
    assert [line["device"] for line in told(capsys)] == ["loudspeaker"] * 10 + ["microphone"]
    set_up(Log(format="json"))
    (line,) = told(capsys)
    assert (line["event"], line["of"], line["count"]) == ("suppressed", "xrun", 15)
    assert line["message"] == "xrun loudspeaker: 15 more lines within a minute are left out"


def test_a_minute_that_is_over_is_told_of_without_another_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood that ends is counted soon, also where nothing is logged after it."""
    monkeypatch.setattr("speakerd.host.rate_limit.MINUTE_S", 0.2)
    set_up(Log(format="json"))
    for _ in range(12):
        log.warning("gap", extra={"event": "xrun"})
    (limited,) = logging.getLogger().handlers
    assert isinstance(limited, log_module._Limited)
    assert limited._timer is not None
    limited._timer.join(10)
    assert [line["event"] for line in told(capsys)] == ["xrun"] * 10 + ["suppressed"]
    assert limited._timer is None


@pytest.mark.parametrize(
    ("level", "event"),
    [
        (logging.ERROR, "self-check"),
        (logging.INFO, "mute"),
        (logging.INFO, "turn"),
        (logging.INFO, "transcript-said"),
        (logging.DEBUG, "light"),
    ],
)
def test_some_lines_are_never_left_out(level: int, event: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors, the mute, turns, words that the owner wants, and what is told to whoever looks for a mistake."""
    set_up(Log(format="json", level="debug" if level == logging.DEBUG else "info"))
    for _ in range(30):
        log.log(level, "again", extra={"event": event})
    assert len(told(capsys)) == 30


def test_lines_of_a_library_are_limited_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """One of them warns of each write to a dead socket."""
    set_up(Log(format="json"))
    for _ in range(30):
        logging.getLogger("asyncio").warning("socket.send() raised exception.")
    assert len(told(capsys)) == 10


@pytest.mark.parametrize(
    "secret",
    [
        "AIzaSyA-hunter2",
        "AQ.Ab8RN6hunter2hunter2",
        "auth_tokens/hunter2",
        "wss://example.org/?access_token=hunter2&alt=ws",
        "http://me:hunter2@proxy.example:3128",
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_looks_like_a_secret_is_not_written(
    secret: str, form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither from a text, nor from a field, nor from a traceback of a library."""
    set_up(Log(format=form))
    log.warning("in a text: %s", secret, extra={"event": "link-lost", "advice": secret})
    try:
        raise OSError(secret)
    except OSError:
        logging.getLogger("library").exception("failed")
    written = capsys.readouterr().err
    assert "(a secret)" in written
    assert "Traceback" in written
    assert "hunter2" not in written


def test_stderr_need_not_be_there() -> None:
    """A program that was started without one does its work."""
    code = (
        "import logging, os; os.close(2); from speakerd.host.log import set_up; from speakerd.settings import Log;"
        "set_up(Log()); logging.getLogger('speakerd').error('x'); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "alive\n"
