"""A network of a speaker's own, which can be slow, lossy, dead or unplugged.

The speaker's network namespace and this process's are joined by two TUN devices, with :mod:`tests.faults.router`
between them. Both ends are the kernel's own TCP, so what is lost is really sent again, later and later; and nothing
of it needs a kernel with ``netem``, which many are built without. It does need a process in a namespace of its own::

    subprocess.run([*enclosure(), sys.executable, "-m", "whatever uses Network"])
"""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self

from speakerd.errors import SpeakerdError
from tests.faults import router

ROOT = Path(__file__).parents[2]


def enclosure() -> list[str]:
    """Return the argv that starts a program in an empty network of its own, with all rights over it, and only it.

    Raise SpeakerdError, whose text says what to do, where this machine does not allow it.
    """
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    argv = ["unshare", *user, "--net", "--"]
    for program, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            raise SpeakerdError(f"{program} is missing; run: apt-get install {package}")
    tried = subprocess.run([*argv, "true"], stderr=subprocess.PIPE, text=True, check=False)
    if tried.returncode:
        raise SpeakerdError(
            f"a network of its own is refused here ({tried.stderr.strip()}). Run it as root; in a container, start "
            "that with --cap-add=SYS_ADMIN --cap-add=NET_ADMIN --device=/dev/net/tun; or allow everybody namespaces: "
            "sysctl -w user.max_user_namespaces=1000 kernel.apparmor_restrict_unprivileged_userns=0"
        )
    return argv


class Network:
    """``async with Network() as net:``; the stand-in listens at ``net.host``, and ``net.prefix`` starts the daemon.

    Whatever crashes, nothing is left over: devices and namespaces end with the processes that hold them. Losses are
    drawn from ``seed``. Raise SpeakerdError, whose text says what to do, where it is not allowed.
    """

    host = router.WORLD
    """The address of this process, as the speaker sees it."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._stack = contextlib.ExitStack()
        self._router: subprocess.Popen[str]

    async def __aenter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            world = _world()
            stack.callback(os.close, world)
            self._router = subprocess.Popen(
                ["unshare", "--net", "--", sys.executable, "-m", "tests.faults.router", str(world), str(self._seed)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=(world,), cwd=ROOT,
            )  # fmt: skip
            stack.enter_context(self._router)  # which closes its pipes at the end, and waits for it
            self._answer("ready")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def prefix(self) -> Sequence[str]:
        """The argv that starts a program behind the router; the program keeps the process id of its start."""
        return ("nsenter", f"--net=/proc/{self._router.pid}/ns/net", "--")

    def impair(self, *, rate_kbit: float = 0.0, delay_ms: float = 0.0, loss: float = 0.0) -> None:
        """Limit the rate, in kbit/s, delay by so many ms, and lose this share of packets, from 0 to 1: each way.

        What is not given is not impaired. Where the rate is limited, half a second of packets waits; more are lost.
        """
        self._order(rate_kbit=rate_kbit, delay_ms=delay_ms, loss=loss)

    def black_hole(self, dead: bool) -> None:
        """Swallow every packet, both ways, without a word to anybody; or no longer."""
        self._order(dead=dead)

    def unplug(self) -> None:
        """Pull the speaker's cable: its link goes down, with its routes."""
        self._order(plugged=False)

    def plug(self) -> None:
        """Plug the cable in: link, address and default route return, and the kernel tells."""
        self._order(plugged=True)

    def _order(self, **order: float) -> None:
        assert self._router.stdin is not None
        self._router.stdin.write(json.dumps(order) + "\n")
        self._router.stdin.flush()
        self._answer("done")

    def _answer(self, expected: str) -> None:
        """Wait until the router has done what it was told: some milliseconds, in which nobody else need run."""
        assert self._router.stdout is not None
        if self._router.stdout.readline().strip() != expected:
            raise SpeakerdError("the router between the networks has failed; what it said is above")


def _world() -> int:
    """Make the device on this side."""
    try:
        return router.open_tun(router.WORLD)
    except FileNotFoundError as error:
        raise SpeakerdError("/dev/net/tun is missing: modprobe tun; in a container --device=/dev/net/tun") from error
    except PermissionError as error:
        raise SpeakerdError(
            f"a TUN device is refused ({error.strerror}): start this in a network of its own, with enclosure(); "
            "where /dev/net/tun itself is closed to this user: chmod 666 /dev/net/tun, as udev does"
        ) from error
    except OSError as error:
        raise SpeakerdError(
            f"no TUN device ({error.strerror}): is there another Network in this namespace? Start each in its own, "
            "with enclosure()"
        ) from error


def in_a_network_of_its_own(scene: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Make a scene that uses Network run as a process of its own, in an enclosure; for the top level of a module."""
    program = f"import asyncio, {scene.__module__} as module; asyncio.run(module.{scene.__name__}.__wrapped__())"

    @functools.wraps(scene)
    def enclosed() -> None:
        done = subprocess.run(
            [*enclosure(), sys.executable, "-W", "error", "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 0, done.stderr

    return enclosed
