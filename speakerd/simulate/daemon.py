"""The real daemon, as a process of its own whose journal is read."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self, TextIO

from speakerd.errors import SpeakerdError
from speakerd.simulate.evidence import Entry

STOP_S = 3.0
"""How long it may take to end; it promises two seconds."""

LAST_LINES = 8
"""Lines of its journal that are shown when it has died."""

LONGEST_LINE = 1 << 20


class Daemon:
    """``speakerd run``, and what it says."""

    def __init__(
        self, process: asyncio.subprocess.Process, file: TextIO, secret: str, tell: Callable[[Entry], None]
    ) -> None:
        self._process = process
        self._file = file
        self._secret = secret
        self._tell = tell
        self._lines: list[str] = []
        self._more = asyncio.Event()
        self._stopping = False

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, settings: Path, environment: dict[str, str], journal: Path, tell: Callable[[Entry], None]
    ) -> AsyncIterator[Self]:
        """Run it for as long as the block runs.

        Its journal goes to the file ``journal`` without the API key, and each entry to ``tell`` once ``read`` runs.
        """
        command = [sys.executable, "-m", "speakerd", "run", "--config", str(settings)]
        with journal.open("w") as file:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
                process_group=0,  # a Ctrl-C is for us; we then end it in good order
            )
            daemon = cls(process, file, environment["GEMINI_API_KEY"].strip(" \n\"'"), tell)
            try:
                yield daemon
            finally:
                await daemon.stop()

    async def read(self) -> None:
        """Read its journal until it ends.

        Raises:
            SpeakerdError: it ended before it was told to; the text holds its last words.
        """
        assert self._process.stderr is not None
        async for raw in self._process.stderr:
            line = raw.decode(errors="replace").rstrip().replace(self._secret, "[key]")
            self._lines.append(line)
            self._file.write(f"{line}\n")
            self._file.flush()
            if entry := _entry(line):
                self._tell(entry)
            self._more.set()
        status = await self._process.wait()
        if not self._stopping:
            raise SpeakerdError(f"the daemon ended by itself, with status {status}:{self._last_words()}")

    async def until(self, what: str, seconds: float, happened: Callable[[], object]) -> None:
        """Wait until something has happened, which its journal tells.

        Raises:
            SpeakerdError: it did not happen in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while not happened():
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError as error:
            raise SpeakerdError(f"waited {seconds:.0f} s in vain: {what}") from error

    async def stop(self) -> None:
        """End it: ask, then insist."""
        self._stopping = True
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _last_words(self) -> str:
        said = [json.loads(line)["message"] if _entry(line) else line for line in self._lines[-LAST_LINES:]]
        return "".join(f"\n  {line}" for line in said) or " it said nothing"


def _entry(line: str) -> Entry | None:
    """Read a line of the journal; None where it is something else, such as a traceback."""
    try:
        fields: Any = json.loads(line)
    except json.JSONDecodeError:
        return None
    if not isinstance(fields, dict) or not {"monotonic", "message"} <= fields.keys():
        return None
    return Entry(float(fields["monotonic"]), str(fields.get("event", "")), fields)
