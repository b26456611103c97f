"""The tokens of today: what they cost, kept over restarts."""

import asyncio
import contextlib
import datetime as dt
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

log = logging.getLogger(__name__)

EVERY_S = 60.0
"""The file is written once in this time at most: cards wear out."""

END_S = 0.5
"""How long the last write may take; the daemon must be able to stop within two seconds."""

MOST = 1e12
"""Nothing that is counted of a day comes near it."""


@dataclass(frozen=True, slots=True)
class Day:
    """What was used on a day of the local calendar; the cost is an estimate, in US dollars."""

    date: str
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


def _today() -> str:
    return dt.datetime.now().astimezone().date().isoformat()


class UsageFile:
    """Counts the tokens of the day; where there is a directory, a file in it outlives the process."""

    def __init__(self, directory: Path | None, today: Callable[[], str] = _today) -> None:
        """Take up what the file in ``directory`` says of today, if anything; None keeps nothing on the disk."""
        self._file = directory and directory / "usage.json"
        self._today = today
        self._changed = asyncio.Event()
        self._lock = threading.Lock()
        self._fails = False
        self._day = self._read()

    @property
    def today(self) -> Day:
        """What was used today, up to now."""
        date = self._today()
        return self._day if self._day.date == date else Day(date)

    def add(self, tokens_in: int, tokens_out: int, cost_usd: float) -> None:
        """Count tokens and what they cost."""
        day = self.today
        self._day = replace(
            day,
            tokens_in=day.tokens_in + tokens_in,
            tokens_out=day.tokens_out + tokens_out,
            cost_usd=day.cost_usd + cost_usd,
        )
        self._changed.set()

    async def run(self) -> NoReturn:
        """Keep the file up to date, and write it a last time at the end."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await asyncio.to_thread(self._write)
                await asyncio.sleep(EVERY_S)
        finally:
            if self._changed.is_set():
                with contextlib.suppress(TimeoutError):  # a disk that hangs costs the last minute's count
                    async with asyncio.timeout(END_S):
                        await asyncio.to_thread(self._write)

    def _read(self) -> Day:
        date = self._today()
        if self._file is None:
            return Day(date)
        try:
            kept = json.loads(self._file.read_text())
            day = Day(str(kept["date"]), int(kept["tokens_in"]), int(kept["tokens_out"]), float(kept["cost_usd"]))
            if not (0 <= day.cost_usd < MOST and 0 <= day.tokens_in < MOST and 0 <= day.tokens_out < MOST):
                raise ValueError("no speaker used that in a day")
        except FileNotFoundError:
            return Day(date)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            log.warning("the tokens of today are counted anew: %s is no use (%s)", self._file, type(error).__name__,
                        extra={"event": "usage-lost"})  # fmt: skip
            return Day(date)
        return day if day.date == date else Day(date)

    def _write(self) -> None:
        """Write the file; tell of a disk that does not take it once, and again when it did meanwhile."""
        if self._file is None:
            return
        unfinished = self._file.with_suffix(".new")
        try:
            with self._lock:
                with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                    json.dump(asdict(self._day), file)
                    file.flush()
                    os.fsync(file.fileno())  # or a power cut may leave a name with nothing behind it
                unfinished.replace(self._file)
        except OSError as error:
            if not self._fails:
                log.warning("a restart will forget the tokens of today: %s: %s", self._file, error.strerror,
                            extra={"event": "usage-lost"})  # fmt: skip
            self._fails = True
        else:
            self._fails = False
