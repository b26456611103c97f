"""The journal: what speakerd tells its owner, one line for each event, with fields that can be asked for.

A record carries its event and fields in ``extra``, as in ``extra={"event": "link-lost", "code": 1011}``. The journal
gets them as ``SPEAKERD_EVENT=link-lost SPEAKERD_CODE=1011`` with the event's MESSAGE_ID, the JSON format as keys,
plain text leaves them out. ``events.yaml`` lists all events with their fields.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from speakerd.host.rate_limit import RateLimit
from speakerd.host.vocabulary import message_ids
from speakerd.yaml_file import LOOKS_LIKE_A_KEY

if TYPE_CHECKING:
    from types import TracebackType

    from speakerd.settings import Log

log = logging.getLogger(__name__)

JOURNAL = Path("/run/systemd/journal/socket")
"""Where journald listens and libsystemd sends to (systemd-journald.service(8))."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
"""syslog(3) priorities of our levels."""

_ALWAYS_TOLD = frozenset({"mute", "turn", "transcript-heard", "transcript-said"})
"""The promise, and what comes no faster than people talk."""

_Kind: TypeAlias = tuple[str, ...]
"""An event, or the logger of a line without one, and what it is about: a loose wire must not hide another."""

_SECRETS = re.compile(rf"{LOOKS_LIKE_A_KEY.pattern}|(?<=access_token=)[^\s&\"']+|(?<=://)[^\s/@]+(?=@)")
"""Keys, tokens, and a name with its password in the URL of a proxy."""


def set_up(settings: Log) -> None:
    """Send what this process logs where the settings say; ``auto`` is the journal under systemd, else text.

    It may be called again, with other settings. An exception that nobody catches is logged as well.
    """
    chosen = settings.format
    if chosen == "auto":
        chosen = "journal" if stderr_is_journal() else "text"
    level: int = getattr(logging, settings.level.upper())
    root, handler = logging.getLogger(), _handler(chosen)
    if level > logging.DEBUG:  # who asks for that wants all of it
        handler = _Limited(handler)
    before, root.handlers[:] = list(root.handlers), [handler]
    for old in before:
        old.close()
    # Libraries tell of each request; at DEBUG websockets also writes the headers, and the key is one of them.
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("speakerd").setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _crashed


def stderr_is_journal() -> bool:
    """Compare stderr with ``JOURNAL_STREAM``, as sd-daemon(3) tells services to."""
    try:
        status = os.fstat(2)
    except OSError:
        return False  # somebody started us without one
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries beyond its text."""
    named = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: without_secrets(value) if isinstance(value, str) else value for name, value in named.items()}


def _handler(chosen: str) -> logging.Handler:
    match chosen:
        case "journal":
            return _Journal()
        case "json":
            return _stderr(_Json())
    return _stderr(_Text())


def _stderr(formatter: logging.Formatter) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    return handler


class _Limited(logging.Handler):
    """Hands lines on, but those that are too many, and says how many these were when their minute is over."""

    def __init__(self, out: logging.Handler) -> None:
        super().__init__()
        self._out = out
        self._limit: RateLimit[_Kind] = RateLimit()
        self._timer: threading.Timer | None = None  # runs while lines are left out

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line on, or count it."""
        # An error waits for a person.
        is_told = record.levelno >= logging.ERROR or _event(record) in _ALWAYS_TOLD
        if is_told or self._limit.admits(_kind(record)):
            self._out.handle(record)
        elif self._timer is None:
            self._wait()

    def close(self) -> None:
        """Tell what was left out so far."""
        self._tell(all_of_them=True)
        self._out.close()
        super().close()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (seconds := self._limit.next_in()) is not None:
            self._timer = threading.Timer(seconds, self._tell)
            self._timer.daemon = True
            self._timer.start()

    def _tell(self, *, all_of_them: bool = False) -> None:
        self.acquire()
        try:
            for kind, count in self._limit.take(all_of_them=all_of_them).items():
                self._out.handle(_left_out(kind, count))
            self._wait()
        finally:
            self.release()


def _event(record: logging.LogRecord) -> str | None:
    return getattr(record, "event", None)


def _kind(record: logging.LogRecord) -> _Kind:
    about = vars(record)
    return (
        _event(record) or record.name,
        *(str(about[name]) for name in ("part", "device", "state") if name in about),
    )


def _left_out(kind: _Kind, count: int) -> logging.LogRecord:
    text = "%s: %d more lines within a minute are left out"
    return log.makeRecord(
        log.name, logging.WARNING, __file__, 0, text, (" ".join(kind), count), None,
        extra={"event": "suppressed", "of": kind[0], "count": count},
    )  # fmt: skip


class _Text(logging.Formatter):
    """A time, the level where it matters, and the text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        mark = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{clock} {mark}{_whole(record)}"


class _Json(logging.Formatter):
    """One JSON object a line; ``monotonic`` is in seconds, so that other logs of this machine can be laid beside."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        about = {"time": record.created, "monotonic": time.monotonic(), "level": record.levelname.lower()}
        return json.dumps(about | {"message": _whole(record)} | fields(record), default=str)


class _Prefixed(logging.Formatter):
    """The text, with the level in front of each line as ``<3>``, which service managers read (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        mark = f"<{_priority(record)}>"
        return "\n".join(mark + line for line in _whole(record).splitlines())


class _Journal(logging.Handler):
    """Hands records to journald with their fields; while it does not listen, their text goes to stderr."""

    def __init__(self) -> None:
        super().__init__()
        from systemd import journal

        self._send = journal.sendv
        self._stderr = _stderr(_Prefixed())

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        try:
            lines = _native(record)
        except (TypeError, ValueError):  # a library's text does not go with its arguments
            self.handleError(record)
            return
        if not self._is_sent(lines):
            self._stderr.handle(record)

    def _is_sent(self, lines: list[bytes]) -> bool:
        with contextlib.suppress(OSError):  # journald has died; the next line tries again
            # To libsystemd, a journal that is not there is no error: the line would be lost.
            if JOURNAL.exists():
                self._send(*lines)
                return True
        return False


def _native(record: logging.LogRecord) -> list[bytes]:
    """Return the fields of a record as journald takes them (systemd.journal-fields(7))."""
    lines = {
        "MESSAGE": _whole(record),
        "PRIORITY": _priority(record),
        "SYSLOG_IDENTIFIER": "speakerd",
        "LOGGER": record.name,
        "MESSAGE_ID": message_ids().get(_event(record) or ""),
    }
    lines |= {f"SPEAKERD_{name.upper()}": value for name, value in fields(record).items()}
    return [
        f"{name}={str(value).lower() if isinstance(value, bool) else value}".encode(errors="backslashreplace")
        for name, value in lines.items()
        if value is not None
    ]


def _priority(record: logging.LogRecord) -> int:
    return _PRIORITY.get(record.levelno, 5)


def _whole(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return without_secrets(text)


def without_secrets(text: str) -> str:
    """No line is meant to hold a secret; this is the last place to see that none does."""
    return _SECRETS.sub("(a secret)", text)


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    log.error(
        "this should not have happened: %s: %s",
        kind.__name__,
        error,
        exc_info=(kind, error, trace),
        extra={"event": "crashed", "error": kind.__name__},
    )
