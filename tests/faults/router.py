"""The router between a speaker's network and the rest of the world: slow, lossy or dead, as it is told.

It is a process of its own, in the network namespace that becomes the speaker's, started by
:mod:`tests.faults.network` as ``python -m tests.faults.router DESCRIPTOR``. The descriptor is the world's TUN device
(Linux's ``Documentation/networking/tuntap.rst``); the speaker's it makes itself. One line of JSON on its standard
input changes what it does, one line on its standard output says that it is done. It ends with its standard input.
"""

import contextlib
import fcntl
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from typing import Any

WORLD, SPEAKER = "192.0.2.1", "192.0.2.2"
"""The two ends; the network is kept for examples (RFC 5737) and so is nobody's."""

DEVICE = "speakerd-tun"

QUEUE_S = 0.5
"""What waits longer than this for its turn on a line of limited rate is dropped, as a router does."""

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000  # linux/if_tun.h
_PACKET = 65536


class Way:
    """One direction: packets wait here for their turn and for the length of the line."""

    def __init__(self, out: int, chance: random.Random) -> None:
        self._out = out
        self._chance = chance
        self._rate = self._delay = self._loss = 0.0  # bytes per second, where 0 is no limit; seconds; share
        self._dead = False
        self._free_at = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()

    def change(self, *, rate_kbit: float, delay_ms: float, loss: float) -> None:
        """Be like this from the next packet on."""
        self._rate, self._delay, self._loss = rate_kbit * 125, delay_ms / 1000, loss

    def die(self, dead: bool) -> None:
        """Swallow everything, or nothing any more; what was on its way is gone, too."""
        self._dead = dead
        self._waiting.clear()

    def take(self, packet: bytes) -> None:
        """Let a packet in, or lose it."""
        now = time.monotonic()
        if self._dead or packet[0] >> 4 != 4 or self._chance.random() < self._loss:
            return
        begins = max(now, self._free_at)
        if begins - now > QUEUE_S:
            return
        self._free_at = begins + (len(packet) / self._rate if self._rate else 0.0)
        self._waiting.append((self._free_at + self._delay, packet))

    def let_out(self) -> float | None:
        """Let out what is due; return in how many seconds the next one is, None where nothing waits."""
        while self._waiting:
            left = self._waiting[0][0] - time.monotonic()
            if left > 0:
                return left
            with contextlib.suppress(OSError):  # the device is down or full: lost, as packets are
                os.write(self._out, self._waiting.popleft()[1])
        return None


class Router:
    """Both ways, and the orders."""

    def __init__(self, world: int, speaker: int, seed: int) -> None:
        chance = random.Random(seed)
        self._up, self._down = Way(world, chance), Way(speaker, chance)
        self._ways = {speaker: self._up, world: self._down}

    def run(self) -> None:
        """Forward packets until the orders end."""
        poll = select.poll()
        orders = sys.stdin.fileno()
        for descriptor in (*self._ways, orders):
            poll.register(descriptor, select.POLLIN)
        while True:
            waits = [left for way in self._ways.values() if (left := way.let_out()) is not None]
            for descriptor, _ in poll.poll(min(waits) * 1000 if waits else None):
                if descriptor in self._ways:
                    with contextlib.suppress(BlockingIOError):  # gone again
                        self._ways[descriptor].take(os.read(descriptor, _PACKET))
                elif not (line := os.read(orders, _PACKET)):
                    return
                else:
                    self._obey(json.loads(line))

    def _obey(self, order: dict[str, Any]) -> None:
        match order:
            case {"plugged": bool(plugged)}:
                plug(plugged)
            case {"dead": bool(dead)}:
                self._up.die(dead)
                self._down.die(dead)
            case _:
                self._up.change(**order)
                self._down.change(**order)
        print("done", flush=True)


def open_tun(address: str) -> int:
    """Make a TUN device with an address in the present network namespace, up; return its descriptor.

    The device is gone when the descriptor is closed. Raise OSError where it is not allowed.
    """
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    ip("address", "add", f"{address}/24", "dev", DEVICE)
    ip("link", "set", DEVICE, "up")
    ip("link", "set", "lo", "up")
    return descriptor


def plug(plugged: bool) -> None:
    """Plug the speaker's cable in or out; the kernel tells everybody in this namespace who asked."""
    if plugged:
        ip("link", "set", DEVICE, "up")
        ip("route", "replace", "default", "via", WORLD)
    else:
        ip("link", "set", DEVICE, "down")  # which takes the routes with it


def ip(*words: str) -> None:
    """Run iproute2's ``ip``. Raise subprocess.CalledProcessError where it refuses; it has said why."""
    subprocess.run(["ip", *words], check=True)


def main() -> None:
    """Run between two TUN devices."""
    world, seed = int(sys.argv[1]), int(sys.argv[2])
    speaker = open_tun(SPEAKER)
    plug(plugged=True)
    print("ready", flush=True)
    Router(world, speaker, seed).run()


if __name__ == "__main__":
    main()
