"""The scenes of the cables: sound cards that go, come back, come late, or belong to somebody else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.vm.guest.cards import LOUDSPEAKER, MICROPHONE, held
from tests.vm.guest.journal import Entry
from tests.vm.guest.kitchen import LIGHT, SINGLE, START_S, STREAMS, Kitchen, until
from tests.vm.guest.panel import flashes
from tests.vm.guest.pins import Watch
from tests.vm.guest.talk import converse

BACK_S = 2.0
"""How soon a device works again that has come back."""

PARTS = {"microphone": MICROPHONE, "loudspeaker": LOUDSPEAKER}


async def a_card_that_comes_back(kitchen: Kitchen) -> str:
    """Both cards go for half a minute and come back: nothing leaves, the light says so, and it goes on by itself."""
    await kitchen.at_home()
    seen, gone = len(kitchen.journal.entries), time.monotonic()
    async with _away(kitchen, *PARTS) as took:
        missing = await kitchen.journal.until(40, after=seen, event="device-missing", device="microphone")
        await kitchen.until_state("error")
        told = await flashes(kitchen, "no-card", on=[0.2], off=[0.2])
        silent = _silence_since(kitchen, missing.at, gone)
        backs = await _plug(kitchen, seen, *PARTS)
    await kitchen.until_state("idle")
    await kitchen.until_sound(20)
    _judge_journal(kitchen, seen, lost=list(PARTS), missing=list(PARTS))
    _judge_times(backs)
    talk = await converse(kitchen, "after-the-cables")
    return f"let go of after {took}; {silent}; ERROR after {missing.at - gone:.1f} s, {told}; {_words(backs)}; {talk}"


async def a_microphone_that_comes_back(kitchen: Kitchen) -> str:
    """Without its microphone for five seconds the speaker sends nothing and shows no listening; then it hears."""
    return await _short_absence(kitchen, "microphone")


async def a_loudspeaker_that_comes_back(kitchen: Kitchen) -> str:
    """While nothing is said the loudspeaker goes, and comes back; the next answer is heard whole."""
    return await _short_absence(kitchen, "loudspeaker")


async def _short_absence(kitchen: Kitchen, part: str) -> str:
    await kitchen.at_home()
    seen, gone = len(kitchen.journal.entries), time.monotonic()
    with Watch(LIGHT) as trace:
        async with _away(kitchen, part) as took:
            lost = await kitchen.journal.until(10, after=seen, event="device-lost", device=part)
            await asyncio.sleep(3)
            later = time.monotonic()
            await asyncio.sleep(3)
            if part == "microphone":
                silent = _silence_since(kitchen, later, gone)
            else:
                silent = f"{kitchen.octets_since(later)} bytes in 3 s without it"
                assert kitchen.octets_since(later) > 0, silent
            backs = await _plug(kitchen, seen, part)
    kitchen.keep(trace, f"no-{part}")
    changes = [entry.message for entry in kitchen.journal.entries[seen:] if entry.fields.get("event") == "state"]
    assert not changes, changes
    assert not [at for at, level in trace.looks if level], "the light shone"
    await kitchen.until_sound(20)
    _judge_journal(kitchen, seen, lost=[part], missing=[])
    _judge_times(backs)
    talk = await converse(kitchen, f"after-no-{part}")
    return f"let go of after {took}; told after {lost.at - gone:.1f} s; {silent}; {_words(backs)}; {talk}"


def _silence_since(kitchen: Kitchen, at: float, gone: float) -> str:
    """See that nothing leaves any more; return when the last sound did."""
    left = kitchen.octets_since(at)
    assert left == 0, f"{left} bytes left without a microphone"
    return f"the last sound on the wire {kitchen.last_sound() - gone:.1f} s after it went"


async def a_card_that_comes_later(kitchen: Kitchen) -> str:
    """Without any card it is ready, says what is missing, and works as soon as there is one."""
    await kitchen.stop()
    async with _away(kitchen, *PARTS):
        seen = len(kitchen.journal.entries)
        await kitchen.start(SINGLE)
        said = await kitchen.journal.until(after=seen, event="device-lost", device="microphone")
        await kitchen.until_state("error", START_S)
        await kitchen.journal.until(START_S, after=seen, event="link-up")  # to load the SDK holds all up
        told = await flashes(kitchen, "no-card-yet", on=[0.2], off=[0.2])
        backs = await _plug(kitchen, seen, *PARTS)
    await kitchen.until_state("idle", START_S)
    await kitchen.until_sound()
    _judge_journal(kitchen, seen, lost=list(PARTS), missing=list(PARTS))
    _judge_times(backs)
    return f'"{said.message}"; light {told}; {_words(backs)}'


async def a_busy_card_is_named_and_taken(kitchen: Kitchen) -> str:
    """While another program has a device, that program is named; soon after it has ended the device is ours."""
    told = []
    for part, (program, device) in {
        "microphone": ("arecord", "plughw:CARD=Mic,DEV=1"),
        "loudspeaker": ("aplay", "plughw:CARD=Speaker,DEV=0"),
    }.items():
        await kitchen.stop()
        sound = "/dev/zero" if program == "aplay" else "/dev/null"
        command = [program, "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-r", "24000", "-c", "1", sound]
        if part == "microphone":
            kitchen.room.be_quiet()
        with held(command, Path("/proc/asound", STREAMS[part], "sub0", "status")) as holder:
            seen = len(kitchen.journal.entries)
            await kitchen.start(SINGLE)
            said = await kitchen.journal.until(after=seen, event="device-lost", device=part)
            assert str(holder.pid) in said.message, said.message
            await kitchen.until_state("error", START_S)
            await kitchen.journal.until(START_S, after=seen, event="link-up")  # to load the SDK holds all up
        freed = time.monotonic()
        back = await kitchen.journal.until(after=seen, event="device-back", device=part)
        assert back.at - freed <= BACK_S, f"{part} after {back.at - freed:.1f} s"
        told.append(f'"{said.message}" works {back.at - freed:.1f} s after it was let go of')
        await kitchen.until_state("idle", START_S)
        await kitchen.until_sound()
    kitchen.room.be_noisy()
    return "; ".join(told)


@contextlib.asynccontextmanager
async def _away(kitchen: Kitchen, *parts: str) -> AsyncIterator[str]:
    """Unplug cards for the block, or until it plugs them in; give how long each was held, in words."""
    kitchen.room.be_quiet()
    try:
        took = await asyncio.gather(*(PARTS[part].unplug() for part in parts))
        yield ", ".join(f"{PARTS[part].name} {seconds:.2f} s" for part, seconds in zip(parts, took, strict=True))
    except BaseException:
        await kitchen.stop()  # or the kernel would wait for it, and we for the kernel
        raise
    finally:
        for part in parts:
            PARTS[part].plug()


async def _plug(kitchen: Kitchen, seen: int, *parts: str) -> dict[str, float]:
    """Plug cards in again; return after how many seconds each part said that it works."""
    came = {part: PARTS[part].plug() for part in parts}
    backs = {}
    for part, at in came.items():
        entry = await kitchen.journal.until(20, after=seen, event="device-back", device=part)
        backs[part] = entry.at - at
    kitchen.room.be_noisy()
    await until(lambda: all(PARTS[part].is_there for part in parts), "the cards", 5)
    return backs


def _judge_journal(kitchen: Kitchen, seen: int, *, lost: list[str], missing: list[str]) -> None:
    """See that each part was told of once each way."""
    told = [entry for entry in kitchen.journal.entries[seen:] if "device" in entry.fields]
    for event, parts in {"device-lost": lost, "device-missing": missing, "device-back": lost}.items():
        of = sorted(_part(entry) for entry in told if entry.fields.get("event") == event)
        assert of == sorted(parts), f"{event}: {[entry.message for entry in told]}"


def _judge_times(backs: dict[str, float]) -> None:
    assert max(backs.values()) <= BACK_S, backs


def _part(entry: Entry) -> str:
    return entry.fields["device"]


def _words(backs: dict[str, float]) -> str:
    return "back after " + ", ".join(f"{seconds:.1f} s ({part})" for part, seconds in backs.items())


SCENES = (
    a_card_that_comes_back,
    a_microphone_that_comes_back,
    a_loudspeaker_that_comes_back,
    a_card_that_comes_later,
    a_busy_card_is_named_and_taken,
)
