"""A storm of edges, as a worn button makes them: a program of its own, which nothing else in the guest holds up.

It takes the pin, and prints for how many milliseconds the pin lay still at most.
"""

import os
import sys

from tests.vm.guest.pins import Button

EDGES = 200
SECONDS = 1.0


def main() -> int:
    """Make the storm; return 0."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    print(Button(int(sys.argv[1])).bounce(EDGES, SECONDS) * 1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
