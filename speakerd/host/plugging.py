"""Sound cards that come and go: the kernel's news of them."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import NoReturn

KERNEL, UDEV = 1, 2
"""Who tells: the kernel at once, udev when it has given the device its group (multicast groups of
NETLINK_KOBJECTUEVENT; lib/kobject_uevent.c in Linux, monitor.c in systemd)."""

UEVENT = 15
"""NETLINK_KOBJECTUEVENT (linux/netlink.h)."""

_OF_SOUND = b"\0SUBSYSTEM=sound\0"


async def tell_of_sound_cards(tell: Callable[[], None]) -> NoReturn:
    """Call ``tell`` whenever a sound card has come or gone, for ever; never where the kernel may not be asked."""
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, UEVENT)
        kernel.bind((0, KERNEL | UDEV))
    except OSError:
        await asyncio.Event().wait()
        raise AssertionError from None  # that wait has no end
    with kernel:
        loop = asyncio.get_running_loop()
        while True:
            news = _OF_SOUND
            with contextlib.suppress(OSError):  # ENOBUFS: more news than fits may be of anything
                news = await loop.sock_recv(kernel, 65536)
            if _OF_SOUND in news:
                tell()
