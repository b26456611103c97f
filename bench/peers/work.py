"""Scenes in processes of their own: each knows nothing of the one before, ends in time, and takes no other along."""

import gc
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from bench.peers.peer import Peer
from speakerd.errors import SpeakerdError

FAILURES = (SpeakerdError, OSError, LookupError, ValueError)
"""What one peer may do to a scene of its own; the others go on, and it is told."""

END_S = 15.0
"""How long a process may take to end in good order; then it is killed, with all that it has started."""


@dataclass(frozen=True, slots=True)
class Task:
    """A scene to come: ``work`` can be pickled, and is given a directory of its own, which is removed afterwards.

    ``seconds`` are what it takes as a rule; ``deadline_s`` is when it is given up.
    """

    peer: Peer
    title: str
    work: Callable[[Path], Any]
    place: Path
    seconds: float
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing came of a scene."""

    words: str


@dataclass(frozen=True, slots=True)
class _Running:
    task: Task
    process: SpawnProcess
    until: float


def perform(tasks: Iterable[Task], at_once: int) -> Generator[tuple[Task, Any]]:
    """Do so many at a time; yield each as soon as it has ended, with what came of it or a ``Failure``.

    Whoever stops asking ends those that run.
    """
    waiting = deque(tasks)
    running: dict[Connection, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                receiver, one = _begun(waiting.popleft())
                running[receiver] = one
            next_s = min(one.until for one in running.values()) - time.monotonic()
            done = wait(list(running), max(next_s, 0.0))
            late = [receiver for receiver, one in running.items() if one.until <= time.monotonic()]
            for receiver in [each for each in running if each in done or each in late]:
                one = running[receiver]
                came = _received(receiver, one)
                _end(one.process, asked=receiver not in done)
                del running[receiver]
                shutil.rmtree(one.task.place, ignore_errors=True)
                yield one.task, came
    finally:
        for one in running.values():
            one.process.terminate()
        for one in running.values():
            _end(one.process, asked=True)


def _begun(task: Task) -> tuple[Connection, _Running]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_do, args=(task.work, task.place, sender), daemon=True)
    process.start()
    sender.close()
    return receiver, _Running(task, process, time.monotonic() + task.deadline_s)


def _received(receiver: Connection, one: _Running) -> Any:
    if not receiver.poll():
        return Failure(f"it did not end within {one.task.deadline_s:.0f} s")
    try:
        return receiver.recv()
    except EOFError:
        one.process.join(END_S)
        return Failure(f"its process ended with status {one.process.exitcode}")
    finally:
        receiver.close()


def _end(process: SpawnProcess, *, asked: bool) -> None:
    if asked:
        process.terminate()
    process.join(END_S)
    if process.exitcode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join(END_S)


def _do(work: Callable[[Path], Any], place: Path, sender: Connection) -> None:
    """Do it in this process, which is new, and tell what came of it."""
    os.setpgid(0, 0)  # what it starts can be ended with it; and the parent alone decides what Ctrl-C means
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order: there is a peer to be stopped
    gc.disable()  # it would stop the air for longer than a microphone can wait
    for name in ("websockets", "asyncio"):  # clients that vanish are what this is for
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        came = work(place)
    except FAILURES as error:
        came = Failure(str(error) or repr(error))
    sender.send(came)
