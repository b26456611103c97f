"""A long outage, in a hurry: the daemon's own clock runs faster than the world's."""

import asyncio
import itertools
import os
from pathlib import Path

from tests.faults.clock import Clock
from tests.integration.household import household

HOURS = float(os.environ.get("HOURS", "0.5"))
SPEED = 240


async def test_a_night_without_a_server_ends_within_seconds(tmp_path: Path) -> None:
    """It dials more and more rarely, says little, and is back at once when the server is."""
    clock = Clock(tmp_path)
    async with household(tmp_path, environment=clock.environment) as home:
        up = await home.daemon.until(event="link-up")
        await home.live.go_dark()
        clock.run_at(SPEED)
        await asyncio.sleep(HOURS * 3600 / SPEED)
        clock.run_at(1)
        await home.live.come_back()
        back = await home.daemon.until(event="link-up", after=up, timeout=5)
        refused = [entry for entry in home.daemon.journal[:back] if entry.get("event") == "link-refused"]
    pauses = [later["monotonic"] - now["monotonic"] for now, later in itertools.pairwise(refused)]
    assert min(pauses) >= 1
    assert 25 <= max(pauses) <= 60
    assert len([entry for entry in refused if entry["level"] != "debug"]) <= 2
