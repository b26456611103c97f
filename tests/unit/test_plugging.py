"""Does the speaker learn that a sound card came?"""

import asyncio

import pytest

from speakerd.host import plugging
from tests.unit.test_network import in_a_network_of_its_own

LISTENS = """
import asyncio, socket
from speakerd.host.plugging import KERNEL, UDEV, tell_of_sound_cards

async def scene():
    told = asyncio.Event()
    listener = asyncio.create_task(tell_of_sound_cards(told.set))
    await asyncio.sleep(0)
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
    kernel.bind((0, 0))
    for group in (KERNEL, UDEV):
        told.clear()
        kernel.sendto(b"add@/devices/usb1\\0ACTION=add\\0SUBSYSTEM=usb\\0", (0, group))
        await asyncio.sleep(0.2)
        assert not told.is_set(), "news of something else"
        kernel.sendto(b"add@/devices/card1\\0ACTION=add\\0SUBSYSTEM=sound\\0", (0, group))
        async with asyncio.timeout(5):
            await told.wait()
    listener.cancel()
    kernel.close()

asyncio.run(scene())
"""


def test_a_card_that_comes_is_news() -> None:
    """Whether the kernel or udev tells of it; news of anything else is none."""
    in_a_network_of_its_own(LISTENS)


async def test_where_the_kernel_may_not_be_asked_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards are then tried from time to time only."""
    monkeypatch.setattr(plugging, "UEVENT", 99)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await plugging.tell_of_sound_cards(lambda: None)
