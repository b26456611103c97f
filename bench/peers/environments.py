"""A virtual environment for each peer, made once from pinned packages and kept in the cache."""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.peer import HERE, Peer
from bench.results import portaudio
from speakerd.errors import SpeakerdError

HOW_TO_INSTALL = "run: scripts/prerequisites portaudio19-dev"
"""Debian's package of what PyAudio is built with, and sounddevice loads; `make bench-peers` does it."""

BUILD = HERE.parents[1] / "requirements" / "build.txt"
"""What builds the packages that have no wheel."""

INSTALL_S = 1800.0
"""How long pip may take for one step; Vision Agents brings half a gigabyte."""


def cache() -> Path:
    """Return the directory in which the environments are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speakerd-peers"


def requirements(peer: Peer) -> Path:
    """Return the file with the exact versions of a peer's packages, and their hashes."""
    return HERE / "requirements" / f"{peer.name}.txt"


def place(peer: Peer) -> Path:
    """Return where a peer's environment is; other packages or another Python are another place."""
    pins = BUILD.read_bytes() + requirements(peer).read_bytes()
    key = hashlib.sha256(pins + platform.python_version().encode()).hexdigest()[:12]
    return cache() / f"{peer.name}-{key}"


def python(peer: Peer) -> str:
    """Return the Python that runs a peer, after making its environment where there is none.

    Raises:
        SpeakerdError: the packages cannot be installed; the text ends with what pip said.
    """
    if peer.script is None:
        return sys.executable
    if portaudio() is None:
        raise SpeakerdError(f"there is no PortAudio, which PyAudio and sounddevice need; {HOW_TO_INSTALL}")
    directory = place(peer)
    done = directory / "complete"
    if not done.exists():
        print(f"{peer.name}: installing its packages into {directory}", file=sys.stderr, flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(directory))
        pip = (str(directory / "bin/pip"), "install", "-q", "--no-deps", "--require-hashes", "-r")
        # PyAudio has no wheel for Linux. What builds it is pinned as well, so it comes first, and by itself.
        _run(*pip, str(BUILD))
        _run(*pip, str(requirements(peer)), "--no-build-isolation")
        done.touch()
    return str(directory / "bin/python")


def version(peer: Peer) -> str:
    """Return the version of a peer's package in its environment."""
    code = f"import importlib.metadata as m; print(m.version({peer.distribution!r}))"
    done = subprocess.run([python(peer), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired as error:
        raise SpeakerdError(f"{shlex.join(command)} took more than {INSTALL_S:g} s; is there a network?") from error
    if done.returncode:
        raise SpeakerdError(f"{shlex.join(command)} failed; {HOW_TO_INSTALL}\n{done.stdout[-2000:]}")
