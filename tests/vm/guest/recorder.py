"""What the light did, from beginning to end, for whoever looks at the run later."""

import contextlib
import os
import threading
import time
from pathlib import Path

from tests.vm.guest.pins import PINS

LAMPS = {"single": 27, "red": 5, "green": 6, "blue": 13}
"""The pins of every light that a scene uses."""

LOOK_S = 0.05
"""How often they are looked at: a flash lasts a tenth of a second, and the processor is slow."""


class Recorder:
    """Writes each change of the light to a file, in a thread of its own, for as long as the block runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._record, name="recorder")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _record(self) -> None:
        last: list[int] = []
        with contextlib.ExitStack() as stack:
            files = []
            for pin in LAMPS.values():
                files.append(os.open(PINS / f"sim_gpio{pin}" / "value", os.O_RDONLY))
                stack.callback(os.close, files[-1])
            table = stack.enter_context(self._file.open("w"))
            print("seconds", *LAMPS, sep=",", file=table)
            while not self._over.wait(LOOK_S):
                levels = [int(os.pread(file, 8, 0)) for file in files]
                if levels != last:
                    print(f"{time.monotonic():.3f}", *levels, sep=",", file=table)
                    last = levels
