"""The command `python -m tests.image`: boot the card that `image/build` made, and play the scenes."""

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from speakerd import __version__
from tests.image import again, budget, cuts, first, later, login, lost, papers, talk
from tests.image.kitchen import Kitchen

IMAGE = Path(__file__).parents[2] / "dist" / "image" / f"speakerd-{__version__}-debian.img"

Scene = Callable[[Kitchen], Awaitable[str]]


def main() -> int:
    """Return the exit status: 0 where every scene went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--image", type=Path, default=IMAGE, metavar="FILE", help="the card, unpacked")
    parser.add_argument(
        "--only", default="", metavar="NAME,…", help="play scenes that have one of these in their names"
    )
    parser.add_argument("--cuts", type=int, default=20, metavar="N", help="how often the power is cut")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another one cuts at other moments")
    parser.add_argument("--output", type=Path, default=Path("image-out"), metavar="DIR", help="where everything goes")
    arguments = parser.parse_args()
    if not arguments.image.exists():
        parser.error(f"there is no {arguments.image}: make image BASE=debian builds it")
    return asyncio.run(_play(arguments))


async def _play(arguments: argparse.Namespace) -> int:
    parts = arguments.only.split(",")
    scenes = [
        scene
        for module in (papers, first, lost, talk, later, login, budget, again, cuts)
        for scene in module.SCENES
        if any(part in _name(scene) for part in parts)
    ]
    arguments.output.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    # The card takes some gigabytes, which is too much for a /tmp in memory.
    with tempfile.TemporaryDirectory(dir=arguments.output) as directory:
        furnished = Kitchen.furnished(
            arguments.image, Path(directory), arguments.output, cuts=arguments.cuts, seed=arguments.seed
        )
        async with furnished as kitchen:
            results = [await _one(scene, kitchen) for scene in scenes]
    print(f"{sum(results)} of {len(results)} scenes passed, {time.monotonic() - began:.0f} s in all")
    return 0 if all(results) and results else 1


async def _one(scene: Scene, kitchen: Kitchen) -> bool:
    began = time.monotonic()
    try:
        measured = await scene(kitchen)
    except Exception as error:  # noqa: BLE001 - one that goes wrong in a way of its own is no reason to stop
        print(f"FAIL {_name(scene)} ({time.monotonic() - began:.0f} s): {type(error).__name__} {error}", flush=True)
        traceback.print_exc()
        return False
    print(f"PASS {_name(scene)} ({time.monotonic() - began:.0f} s): {measured}", flush=True)
    return True


def _name(scene: Scene) -> str:
    return f"{scene.__module__.rpartition('.')[2]}.{scene.__name__}"


if __name__ == "__main__":
    sys.exit(main())
