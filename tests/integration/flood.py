"""A thousand callers of the control socket, in a process of their own: `python -m tests.integration.flood SOCKET`.

They connect as fast as they are let in, say something, and never read. `done` is printed when all have called;
their lines stay open until standard input ends.
"""

import concurrent.futures
import contextlib
import socket
import struct
import sys

CALLERS = 1000
LIES = (b"", b"status\n", b"\0" * 5000, b"mu", b"unmute\n")


def call(line: socket.socket, path: str, number: int) -> None:
    """Connect and say something; some say that they have said all."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 5, 0))
    line.connect(path)  # it waits for its turn, unlike one with a timeout of Python's
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it was turned away
        line.sendall(LIES[number % len(LIES)])
        if number % 3 == 0:
            line.shutdown(socket.SHUT_WR)


def main(path: str) -> None:
    """Let them all call, and say when they have."""
    with contextlib.ExitStack() as lines:
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            callers = [lines.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(CALLERS)]
            calls = [pool.submit(call, line, path, number) for number, line in enumerate(callers)]
            for one in calls:
                one.result()
        print("done", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
