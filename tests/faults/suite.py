"""Many scenarios, several at a time, each in a process of its own."""

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults import table
from tests.faults.network import enclosure
from tests.faults.scenario import Scenario
from tests.faults.verdict import Result
from tests.faults.words import Phrases

TRIES = 3
"""A machine that is too busy for the sound card proves nothing: the scenario is played again, so often in all."""


async def suite(wanted: Sequence[Scenario], jobs: int, output: Path) -> int:
    """Run scenarios, the longest first; print a row as each ends; return 1 if one failed."""
    began = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="speakerd-faults-"))
    words = work / "words"
    await asyncio.to_thread(Phrases, words)
    print(table.HEAD, flush=True)
    free = asyncio.Semaphore(jobs)
    ordered = sorted(wanted, key=lambda scenario: -scenario.patience)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_run(scenario, work / str(at), words, free)) for at, scenario in enumerate(ordered)
        ]
    results = [task.result() for task in tasks]
    (output / "faults.json").write_text(json.dumps([asdict(result) for result in results], indent=1))
    print(table.summary(results))
    print(f"{(time.monotonic() - began) / 60:.1f} minutes; all of it is in {output / 'faults.json'}")
    shutil.rmtree(words)
    with contextlib.suppress(OSError):  # what failed is still in it
        work.rmdir()
    return any(result.problems for result in results)


async def _run(scenario: Scenario, directory: Path, words: Path, free: asyncio.Semaphore) -> Result:
    """Run a scenario until the machine is up to it; forget its files if it passed."""
    async with free:
        for attempt in range(1, TRIES + 1):
            result = await _try(scenario, directory / str(attempt), words)
            if not (result.problems and result.xruns):
                break
            print(f"{scenario.name}: the machine was too busy, {result.problems}", flush=True)
    if not result.problems:
        shutil.rmtree(directory)
    print(table.row(result), flush=True)
    return result


async def _try(scenario: Scenario, directory: Path, words: Path) -> Result:
    """Run a scenario in a process of its own."""
    directory.mkdir(parents=True)
    alone = enclosure() if scenario.world and scenario.world.needs_network else []
    process = await asyncio.create_subprocess_exec(
        *alone, sys.executable, "-m", "tests.faults", "--one", scenario.name,
        "--directory", str(directory), "--words", str(words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(scenario.patience + 60):
            printed, _ = await process.communicate()
    except TimeoutError:
        printed = b"it hung"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    (directory / "output").write_bytes(printed)
    return _result(scenario, directory, printed.decode(errors="replace"))


def _result(scenario: Scenario, directory: Path, printed: str) -> Result:
    file = directory / "result.json"
    if file.exists():
        return Result(**json.loads(file.read_text()))
    last = (printed.strip().splitlines() or ["nothing was said"])[-1]
    return Result(scenario.name, scenario.kind.value, [f"the run broke: {last}"], directory=str(directory))
