"""Plays the scenes one after the other, and tells on the console how each went."""

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.vm.guest import package, panel, service
from tests.vm.guest.kitchen import Kitchen

Scene = Callable[[Kitchen], Awaitable[str]]

PATIENCE_S = 180.0
"""How long a scene may take: without a real processor below it, the daemon needs half a minute to start."""


def main() -> int:
    """Return 0 where every scene went well."""
    return asyncio.run(_play(_only()))


def _only() -> list[str]:
    """Return what whoever booted the guest told its kernel: parts of names, of which a scene's must hold one."""
    words = Path("/proc/cmdline").read_text().split()
    return next((word.partition("=")[2] for word in words if word.startswith("scenes.only=")), "").split(",")


async def _play(only: list[str]) -> int:
    everything = (*panel.SCENES, *service.SCENES, *package.SCENES)
    scenes = [scene for scene in everything if any(part in _name(scene) for part in only)]
    _tell("BEGIN", f"{len(scenes)} scenes, {Path('/proc/uptime').read_text().split()[0]} s after the kernel")
    async with Kitchen.furnished() as kitchen:
        results = [await _one(scene, kitchen) for scene in scenes]
    _tell("END", f"{sum(results)} of {len(results)} scenes passed")
    return 0 if all(results) and results else 1


async def _one(scene: Scene, kitchen: Kitchen) -> bool:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_S):
            measured = await scene(kitchen)
    except (AssertionError, OSError, TimeoutError) as error:
        _tell("FAIL", f"{_name(scene)} ({time.monotonic() - began:.0f} s): {type(error).__name__} {error}")
        traceback.print_exc()
        return False
    finally:
        kitchen.tidy_up(_name(scene))
    _tell("PASS", f"{_name(scene)} ({time.monotonic() - began:.0f} s): {measured}")
    return True


def _name(scene: Scene) -> str:
    return f"{scene.__module__.rpartition('.')[2]}.{scene.__name__}"


def _tell(what: str, text: str) -> None:
    print(f"|{what} {text}".replace("\n", " / "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
