"""The journal: what speakerd tells its owner, one line for each event, with fields that can be asked for.

A record carries its event and fields in ``extra``, as in ``extra={"event": "link-lost", "code": 1011}``. The journal
gets them as ``SPEAKERD_EVENT=link-lost SPEAKERD_CODE=1011``, the JSON format as keys, plain text leaves them out.
"""

import json
import logging
import os
import sys
import time
from typing import Any

from speakerd.settings import Log

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_PRIORITY = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
"""syslog(3) priorities of our four levels."""


def set_up(settings: Log) -> None:
    """Send what this process logs where the settings say; ``auto`` is the journal under systemd, else text."""
    chosen = settings.format
    if chosen == "auto":
        chosen = "journal" if _stderr_is_journal() else "text"
    root = logging.getLogger()
    root.handlers[:] = [_handler(chosen)]
    root.setLevel(settings.level.upper())
    logging.captureWarnings(True)
    # Libraries tell of each request; at DEBUG websockets also writes the headers, and the key is one of them.
    for library in ("websockets", "google_genai", "httpx2", "httpcore2", "asyncio", "py.warnings"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _handler(chosen: str) -> logging.Handler:
    if chosen == "journal":
        return _Journal()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if chosen == "json" else _Text())
    return handler


def _stderr_is_journal() -> bool:
    """Compare stderr with ``JOURNAL_STREAM``, as sd-daemon(3) tells services to."""
    status = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries beyond its text."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


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


class _Journal(logging.Handler):
    """Hands records to journald with their fields."""

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; one that the journal does not take is shown on stderr, as logging always does."""
        from systemd import journal

        named = {f"SPEAKERD_{name.upper()}": str(value) for name, value in fields(record).items()}
        try:
            journal.send(
                _whole(record),
                PRIORITY=_PRIORITY.get(record.levelno, 5),
                SYSLOG_IDENTIFIER="speakerd",
                LOGGER=record.name,
                **named,
            )
        except OSError:
            self.handleError(record)


def _whole(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text
