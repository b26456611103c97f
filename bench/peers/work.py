"""What the processes of a comparison do, one scene each; a process that is spawned finds it by this module's name."""

import gc
import logging
import shutil
import signal
import sys
from pathlib import Path

from bench.peers import kitchen, talk, trouble
from bench.peers.peer import Peer
from bench.peers.trouble import Outcome, Trouble
from bench.track import Track
from speakerd.errors import SpeakerdError

FAILURES = (SpeakerdError, OSError, LookupError, ValueError)
"""What one peer may do to a scene of its own; the others go on, and it is told."""


def started(peer: Peer, directory: Path) -> talk.Talk | str:
    """Start a peer; return what came of it, or why nothing did."""
    try:
        return talk.start(peer, directory)
    except FAILURES as error:
        return repr(error)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def conversed(peer: Peer, track: Track, directory: Path) -> talk.Talk | str:
    """Hold a conversation; return what came of it, or why nothing did."""
    try:
        return talk.converse(peer, track, directory)
    except FAILURES as error:
        return repr(error)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def endured(task: tuple[Peer, Trouble, Path]) -> tuple[Peer, Trouble, Outcome]:
    """Let something go wrong; return with whom, what, and what came of it."""
    try:
        return task[0], task[1], trouble.endure(*task)
    except FAILURES as error:
        return task[0], task[1], Outcome(None, 0.0, 0, None, void=repr(error))
    finally:
        shutil.rmtree(task[2], ignore_errors=True)


def stayed(task: tuple[Peer, float, tuple[Path, ...], Path]) -> tuple[Peer, kitchen.Stay]:
    """Stay in the kitchen; return with whom, and what came of it."""
    try:
        return task[0], kitchen.stay(*task)
    except FAILURES as error:
        return task[0], kitchen.Stay(0.0, 0, 0, 0, 0, None, void=repr(error))
    finally:
        shutil.rmtree(task[3], ignore_errors=True)


def begin() -> None:
    """Leave it to the parent when to end, and end in good order then: there is a peer to be stopped."""
    gc.disable()  # it would stop the air for longer than a microphone can wait
    for name in ("websockets", "asyncio"):  # clients that vanish are what this is for
        logging.getLogger(name).setLevel(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
