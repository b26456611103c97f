"""A virtual environment for each peer, made once from pinned packages and kept in the cache."""

import ctypes.util
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.peer import HERE, Peer
from speakerd.errors import SpeakerdError

PORTAUDIO = "portaudio19-dev"
"""Debian's package of what PyAudio is built with, and sounddevice loads."""


def cache() -> Path:
    """Return the directory in which the environments are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speakerd-peers"


def requirements(peer: Peer) -> Path:
    """Return the file with the exact versions of a peer's packages, and their hashes."""
    return HERE / "requirements" / f"{peer.name}.txt"


def place(peer: Peer) -> Path:
    """Return where a peer's environment is; other packages or another Python are another place."""
    key = hashlib.sha256(requirements(peer).read_bytes() + platform.python_version().encode()).hexdigest()[:12]
    return cache() / f"{peer.name}-{key}"


def python(peer: Peer) -> str:
    """Return the Python that runs a peer, after making its environment where there is none.

    Raises:
        SpeakerdError: the packages cannot be installed; the text ends with what pip said.
    """
    if peer.script is None:
        return sys.executable
    if peer.needs_portaudio and ctypes.util.find_library("portaudio") is None:
        raise SpeakerdError(f"{peer.title} needs PortAudio; run: apt-get install -y {PORTAUDIO}")
    directory = place(peer)
    done = directory / "complete"
    if not done.exists():
        print(f"{peer.name}: installing its packages into {directory}", file=sys.stderr, flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(directory))
        # PyAudio has no wheel for Linux, and needs PortAudio's header to be built.
        _run(
            str(directory / "bin/pip"),
            "install",
            "-q",
            "--no-deps",
            "--require-hashes",
            "-r",
            str(requirements(peer)),
        )
        done.touch()
    return str(directory / "bin/python")


def version(peer: Peer) -> str:
    """Return the version of a peer's package in its environment."""
    code = f"import importlib.metadata as m; print(m.version({peer.distribution!r}))"
    done = subprocess.run([python(peer), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SpeakerdError(
            f"{' '.join(command)} failed; what is built needs: apt-get install -y gcc python3-dev libasound2-dev "
            f"{PORTAUDIO}\n{done.stdout[-2000:]}"
        )
