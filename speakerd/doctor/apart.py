"""A call in a process of its own, which can be ended whatever it hangs in."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def apart(limit: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``call`` returns within ``limit`` seconds.

    A thread would not do: while alsa-lib opens a device, and a sound server does not answer, pyalsaaudio lets no
    other thread of the process run.

    Raises:
        TimeoutError: it has not returned in time, or has crashed.
    """
    context = multiprocessing.get_context("spawn")  # our other threads may hold locks, which a fork would copy
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sending, call, args, kwargs), daemon=True)
    with receiving:
        with sending:  # whose other copy is the child's, so that its end is noticed
            process.start()
        try:
            with contextlib.suppress(EOFError):
                if receiving.poll(limit):
                    result: T = receiving.recv()
                    return result
            raise TimeoutError
        finally:
            process.kill()
            process.join()


def _send(
    sending: Connection, call: Callable[..., object], args: tuple[object, ...], named: dict[str, object]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends us through our parent
    with sending:
        sending.send(call(*args, **named))
