"""The scenes of the panel: what button and light promise. Each returns what it measured, in words."""

import asyncio
import itertools
import subprocess
import time
from statistics import median

from tests.vm.guest.journal import UNIT, Entry
from tests.vm.guest.kitchen import BOUNCE_MS, BUTTON, COLOURS, LIGHT, SINGLE, START_S, Kitchen, systemctl, until
from tests.vm.guest.pins import Trace, Watch

STORMS = 10
"""How often a storm is tried: a host that is busy elsewhere for some hundredths of a second makes presses of one."""

SLACK_S = 0.06
"""How far a flash may be from its length here: emulated, a wake-up may be late by a few hundredths."""

SILENT_MS = BOUNCE_MS + 60
"""From the press to the last sound that the server hears: the bounce, and three periods on their way."""

RESTART_S = 2.0
"""How long the service manager waits before it starts the speaker again (systemd/speakerd.service)."""


async def the_light_pulses_until_the_speaker_is_ready(kitchen: Kitchen) -> str:
    """From the start until there is a connection the light pulses slowly; then it is off."""
    with Watch(LIGHT) as trace:
        await kitchen.start(SINGLE)
        ready = time.monotonic()
        await kitchen.until_state("idle", START_S)
        idle = time.monotonic()
        await asyncio.sleep(3)
    kitchen.keep(trace, "starting")
    lit = [at for at, level in trace.looks if level]
    assert lit, "the light was never on"
    assert max(lit) < idle + 0.5, f"the light was still on {max(lit) - idle:.1f} s after the speaker was ready"
    shares = Trace(looks=[look for look in trace.looks if ready < look[0] < idle]).shares(0.25)
    # Only what is clearly dark or clearly bright counts: a window that the processor cut short proves nothing.
    clear = [share > 0.5 for share in shares if abs(share - 0.5) > 0.2]
    waves = sum(bright and not before for before, bright in itertools.pairwise(clear))
    rounds = (idle - ready) / 3
    assert max(shares) > 0.8, f"its brightest quarter of a second is {max(shares):.2f}"
    assert min(shares) < 0.2, f"its darkest quarter of a second is {min(shares):.2f}"
    assert abs(waves - rounds) <= 2, f"{waves} waves in {idle - ready:.1f} s"
    return f"{waves} waves of 3 s in {idle - ready:.1f} s between {min(shares):.2f} and {max(shares):.2f}, then off"


async def the_light_flashes_twice_while_muted(kitchen: Kitchen) -> str:
    """While the speaker is muted, the light flashes twice every two seconds."""
    await kitchen.at_home()
    kitchen.press()
    await kitchen.until_state("muted")
    return await flashes(kitchen, "muted", on=[0.1], off=[0.15, 1.65])


async def the_light_flashes_once_while_offline(kitchen: Kitchen) -> str:
    """While the server is away, the light flashes once every two seconds."""
    await kitchen.at_home()
    await kitchen.live.go_dark()
    try:
        await kitchen.until_state("offline")
        return await flashes(kitchen, "offline", on=[0.1], off=[1.9])
    finally:
        await kitchen.live.come_back()


async def flashes(kitchen: Kitchen, name: str, *, on: list[float], off: list[float]) -> str:
    """Watch the light for a while, and compare how long it was on and off with what it should be."""
    with Watch(LIGHT) as trace:
        await asyncio.sleep(14)
    kitchen.keep(trace, name)
    told = []
    for level, expected in ((1, on), (0, off)):
        lengths = [length for found, length in trace.runs() if found == level]
        assert len(lengths) >= 4, f"{trace.runs()}"
        for wanted in expected:
            near = [length for length in lengths if min(expected, key=lambda one: abs(one - length)) == wanted]
            assert near, f"it was never {'on' if level else 'off'} for about {wanted} s: {lengths}"
            assert abs(median(near) - wanted) <= SLACK_S, f"{wanted} s is {median(near):.3f} s: {near}"
            told.append(f"{'on' if level else 'off'} {median(near):.3f} s ({min(near):.3f} to {max(near):.3f})")
    return ", ".join(told)


async def a_press_closes_the_microphone(kitchen: Kitchen) -> str:
    """After a press the kernel says that the microphone is closed, nothing is sent, and the disk knows it."""
    await kitchen.at_home()
    silences, opened = [], []
    for _ in range(3):
        pressed = kitchen.press()
        await kitchen.until_state("muted")
        muted = time.monotonic()
        assert kitchen.microphone() == "closed", kitchen.microphone()
        assert kitchen.disk() == "muted"
        await asyncio.sleep(3)
        assert kitchen.octets_since(muted) == 0
        silences.append(round((kitchen.last_sound() - pressed) * 1000))
        kitchen.press()
        await kitchen.until_state("idle")
        opened.append(round(await kitchen.until_sound() * 1000))
        assert kitchen.disk() == "not muted"
        assert "RUNNING" in kitchen.microphone(), kitchen.microphone()
    assert max(silences) <= SILENT_MS, silences
    return (
        f"from the press to the last sound on the wire {silences} ms; 0 bytes in 3 s after; heard again {opened} ms"
    )


async def holding_begins_a_new_conversation(kitchen: Kitchen) -> str:
    """Two seconds on the button, and the speaker begins a conversation that knows nothing of the former."""
    await kitchen.at_home()
    seen, setups = len(kitchen.journal.entries), len(_setups(kitchen))
    down = kitchen.button.down()
    anew = await kitchen.journal.until(after=seen, event="begin-anew")
    kitchen.button.up()
    assert 1.9 < anew.at - down < 4, f"it took {anew.at - down:.2f} s"
    await until(lambda: len(_setups(kitchen)) > setups, "a new session", 30)
    assert _setups(kitchen)[-1] is None, "the new session resumed the old one"
    await kitchen.until_state("idle")
    await kitchen.until_sound()
    assert kitchen.disk() == "not muted"
    return f"{anew.at - down:.2f} s after it went down; the new session has no handle, and hears the room"


def _setups(kitchen: Kitchen) -> list[object]:
    """Return the handle with which each session began."""
    return [event.detail["handle"] for event in kitchen.live.events if event.kind == "setup"]


async def a_killed_speaker_is_still_muted(kitchen: Kitchen) -> str:
    """Killed while muted, the speaker comes back muted, with a closed microphone and the light that says so."""
    await kitchen.at_home()
    kitchen.press()
    await kitchen.until_state("muted")
    pid, killed = await kitchen.pid(), time.monotonic()
    await systemctl("kill", "--signal=KILL", UNIT)
    await until(lambda: any(entry.pid != pid for entry in _muted_since(kitchen, killed)), "MUTED again", START_S)
    again = next(entry for entry in _muted_since(kitchen, killed) if entry.pid != pid)
    assert RESTART_S <= again.at - killed <= RESTART_S + 15, f"{again.at - killed:.1f} s"
    told = await flashes(kitchen, "muted-again", on=[0.1], off=[0.15, 1.65])
    assert kitchen.microphone() == "closed", kitchen.microphone()
    assert kitchen.disk() == "muted"
    assert kitchen.octets_since(killed) == 0
    kitchen.press()
    await kitchen.until_state("idle", START_S)
    await kitchen.until_sound()
    return f"muted again after {again.at - killed:.1f} s; 0 bytes; {told}; a press un-mutes"


def _muted_since(kitchen: Kitchen, at: float) -> list[Entry]:
    return [entry for entry in kitchen.journal.entries if entry.at > at and entry.fields.get("state") == "muted"]


async def bouncing_does_not_mute(kitchen: Kitchen) -> str:
    """Two hundred edges in a second are no press; the press after them is one."""
    seen, still_ms = await _weather_a_storm(kitchen)
    await asyncio.sleep(1)
    new = kitchen.journal.entries[seen:]
    assert not [entry for entry in new if "muted" in entry.fields], [entry.message for entry in new]
    await kitchen.until_sound(5)
    kitchen.press()
    await kitchen.until_state("muted")
    said = [entry.message for entry in new if entry.fields.get("event") == "panel"]
    return f"200 edges in a second, never still for more than {still_ms:.1f} ms; in the journal: {said}"


async def _weather_a_storm(kitchen: Kitchen) -> tuple[int, float]:
    """Make a storm; return how long the journal was before it, and for how many milliseconds the button lay still.

    Where the host held the guest up meanwhile, the button lay still for long enough to count: that was no storm.
    """
    tries: list[float] = []
    while len(tries) < STORMS:
        await kitchen.at_home()
        seen = len(kitchen.journal.entries)
        tries.append(await kitchen.storm())
        if tries[-1] < BOUNCE_MS:
            return seen, tries[-1]
        await asyncio.sleep(2)  # what it counted as presses is over
    raise AssertionError(f"the machine is too busy to make a storm: the button lay still for {tries} ms")


async def a_pin_that_another_program_holds_is_named(kitchen: Kitchen) -> str:
    """Where another program has the button's pin, the speaker runs, names that program, and tries again."""
    await kitchen.stop()  # it holds the pin
    seen = len(kitchen.journal.entries)
    holder = subprocess.Popen(["gpioset", "--chip", "gpiochip0", "--consumer", "greedy-program", f"{BUTTON}=1"])
    try:
        await kitchen.start(SINGLE)
        said = await kitchen.journal.until(after=seen, event="panel", text="greedy-program")
        assert await systemctl("is-active", UNIT) == "active"
        await kitchen.until_state("idle", START_S)
        await asyncio.sleep(said.at + 43 - time.monotonic())  # it tries again after 10 s and after 40 s
        assert holder.poll() is None, "the other program does not hold the pin"
        told = {entry.message for entry in kitchen.journal.entries[seen:] if entry.fields.get("event") == "panel"}
        assert told == {said.message}, told
    finally:
        holder.terminate()
        holder.wait()
    freed = time.monotonic()
    await kitchen.journal.until(90, after=seen, event="panel", part="button", text="works now")
    back = time.monotonic() - freed
    kitchen.press()
    await kitchen.until_state("muted")
    return f'"{said.message}"; the button works {back:.0f} s after it was let go of'


async def missing_rights_are_named(kitchen: Kitchen) -> str:
    """Without rights to the pins the speaker runs all the same, and says which group it lacks."""
    seen = len(kitchen.journal.entries)
    await kitchen.start(SINGLE, user="outsider")
    said = await kitchen.journal.until(after=seen, event="panel", text="gpio")
    assert "group" in said.message, said.message
    assert await systemctl("is-active", UNIT) == "active"
    await kitchen.until_state("idle", START_S)
    await kitchen.until_sound()
    return f'"{said.message}"; sound flows'


async def a_light_hardly_wakes_the_processor(kitchen: Kitchen) -> str:
    """Blinking wakes the daemon 20 times a second at most; a steady light does not: it looks around twice a second.

    What lgpio's own threads do is told and not judged: nobody but lgpio can change it.
    """
    await kitchen.at_home()
    kitchen.press()
    await kitchen.until_state("muted")
    blinking = await kitchen.wakeups()
    await kitchen.start(COLOURS, muted=True)
    await kitchen.until_state("muted", START_S)
    await asyncio.sleep(30)  # the SDK is being loaded
    steady = await kitchen.wakeups()
    told = f"a button, and two flashes every 2 s: {blinking}; no button, and steady red: {steady}"
    assert blinking.loop <= 20, told
    assert steady.loop <= 4, told
    return told


async def no_press_is_lost(kitchen: Kitchen) -> str:
    """While the speaker listens, each of ten presses counts; while it dials, nine presses mute it.

    While it dials, the SDK is loaded, which here holds the event loop up for longer than a press lasts. Presses that
    came meanwhile are then obeyed together, and the journal tells what came of them.
    """
    told = []
    for name, presses, left in (("while it dials", 9, "muted"), ("while it listens", 10, "not muted")):
        if name == "while it dials":
            await kitchen.start(SINGLE)
        else:
            await kitchen.at_home()
        seen = len(kitchen.journal.entries)
        for _ in range(presses):
            kitchen.press()
            await asyncio.sleep(1)
        await asyncio.sleep(4)  # those that came while the event loop was held up are obeyed by then
        await kitchen.until_disk(left)
        changes = [entry for entry in kitchen.journal.entries[seen:] if "muted" in entry.fields]
        told.append(f"{name} {presses} presses made {len(changes)} changes")
    assert told[-1].endswith(" 10 changes"), "; ".join(told)
    return "; ".join(told)


SCENES = (
    the_light_pulses_until_the_speaker_is_ready,
    the_light_flashes_twice_while_muted,
    the_light_flashes_once_while_offline,
    a_press_closes_the_microphone,
    holding_begins_a_new_conversation,
    a_killed_speaker_is_still_muted,
    bouncing_does_not_mute,
    no_press_is_lost,
    a_light_hardly_wakes_the_processor,
    a_pin_that_another_program_holds_is_named,
    missing_rights_are_named,
)
