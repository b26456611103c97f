"""Plays the scenes one after the other, and tells on the console how each went."""

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from systemd import daemon
from tests.vm.guest import cables, package, panel, power, service, talk
from tests.vm.guest.kitchen import RUN, Kitchen
from tests.vm.guest.recorder import Recorder

Scene = Callable[[Kitchen], Awaitable[str]]

TOLD_LINES = 20
"""How much of the journal is told on the console where a scene fails, for a guest that does not come to its end."""

PATIENCE_S = 240.0
"""How long a scene may take: without a real processor below it, the daemon needs half a minute to start."""


def main() -> int:
    """Return 0 where every scene went well."""
    return asyncio.run(_play(_asked()))


def _asked() -> dict[str, str]:
    """Return what whoever booted the guest told its kernel, by the names behind ``scenes.``."""
    words = (word.partition("=") for word in Path("/proc/cmdline").read_text().split())
    return {name.removeprefix("scenes."): value for name, _, value in words if name.startswith("scenes.")}


async def _play(asked: dict[str, str]) -> int:
    boot = asked.get("boot")
    scenes = _scenes(asked.get("only", "").split(",")) if boot is None else [_act(boot, asked)]
    _tell("BEGIN", f"{len(scenes)} scenes, {Path('/proc/uptime').read_text().split()[0]} s after the kernel")
    async with Kitchen.furnished() as kitchen:
        daemon.notify("READY=1")
        with Recorder(RUN / "light.csv"):
            results = await _all(scenes, kitchen, float(asked.get("limit", "inf")))
        if all(results) and (act := asked.get("act")):
            await power.live(kitchen, act, int(asked["seed"]), _tell)
    if boot is not None:
        await power.keep()
    _tell("END", f"{sum(results)} of {len(results)} scenes passed")
    return 0 if all(results) and results else 1


def _scenes(only: list[str]) -> list[tuple[str, Scene]]:
    """Return the scenes of which the name holds one of these parts."""
    groups = (panel, talk, cables, service, package)
    scenes = [(f"{group.__name__.rpartition('.')[2]}.{scene.__name__}", scene) for group in groups
              for scene in group.SCENES]  # fmt: skip
    return [(name, scene) for name, scene in scenes if any(part in name for part in only)]


def _act(boot: str, asked: dict[str, str]) -> tuple[str, Scene]:
    """Return what is played at one of several boots from the same disk."""
    if boot == "first":
        return "power.set_up", lambda kitchen: power.set_up(kitchen, _tell)
    return f"power.boot_{boot}", lambda kitchen: power.judge(kitchen, asked["expected"], _tell)


async def _all(scenes: list[tuple[str, Scene]], kitchen: Kitchen, limit: float) -> list[bool]:
    """Play scenes until the time is over; say of each whether it went well."""
    began, results = time.monotonic(), []
    for name, scene in scenes:
        if time.monotonic() - began > limit:
            _tell("FAIL", f"{name}: there was no time left for it")
            results.append(False)
        else:
            results.append(await _one(name, scene, kitchen))
    return results


async def _one(name: str, scene: Scene, kitchen: Kitchen) -> bool:
    began, passed = time.monotonic(), False
    try:
        async with asyncio.timeout(PATIENCE_S):
            measured = await scene(kitchen)
    except Exception as error:  # noqa: BLE001 - one that goes wrong in a way of its own is no reason to stop
        _tell("FAIL", f"{name} ({time.monotonic() - began:.0f} s): {type(error).__name__} {error}")
        traceback.print_exc()
        print(*(entry.message for entry in kitchen.journal.entries[-TOLD_LINES:]), sep="\n", flush=True)
        return False
    else:
        passed = True
    finally:
        kitchen.tidy_up(name, began, passed=passed)
    _tell("PASS", f"{name} ({time.monotonic() - began:.0f} s): {measured}")
    return True


def _tell(what: str, text: str) -> None:
    print(f"|{what} {text}".replace("\n", " / "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
