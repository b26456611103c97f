"""Print how many KiB the ear takes in a process that is otherwise the daemon; nothing was loaded before it."""

import sys
import time
from pathlib import Path

from bench.child import kib
from bench.room_ear import make_ear
from speakerd import app

SECONDS = 2
"""What is allocated at the first sound counts, too."""


def main() -> int:
    """Load it, let it hear a little, print the difference in resident memory."""
    assert app.__name__ in sys.modules  # what it has loaded, the daemon has anyway
    before = _rss()
    ear = make_ear("cancel")
    listen, now = ear.begin(), time.monotonic()
    for period in range(50 * SECONDS):
        ear.played(bytes(960), now + period / 50)
        listen(bytes(640), now + period / 50)
    print(_rss() - before)
    return 0


def _rss() -> int:
    return kib("VmRSS", Path("/proc/self/status").read_text())


if __name__ == "__main__":
    sys.exit(main())
