"""The doctor: looks at every part of the speaker, each within its time, and says what is wrong and what to do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from speakerd.app import simulated_pins
from speakerd.doctor import (
    handshake,
    key,
    loudspeaker,
    microphone,
    network,
    pins,
    power,
    room_left,
    server,
    unit,
    versions,
)
from speakerd.doctor.apart import apart
from speakerd.doctor.finding import Finding, Mark, bad, note, ok
from speakerd.doctor.report import as_json, is_well, lines, summary
from speakerd.doctor.service import Service, look
from speakerd.errors import LinkError, SettingsError
from speakerd.host.control import DIRECTORY
from speakerd.host.threads import PatientThreads
from speakerd.settings import DEFAULT_FILE, Settings, load

QUICK_S = 4.0
"""For what only asks this machine."""

SOUND_S = 7.0
"""For a device, the few seconds that are recorded from it, and on a small board as many to start a process."""

SESSION_S = 14.0
"""For an open session, with the SDK's import, which takes half of it on a small board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What the doctor is told: where the settings are and where the daemon listens, and how to go about it."""

    file: Path = DEFAULT_FILE
    runtime: Path = DIRECTORY
    quiet: bool = False
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, file: Path | None, runtime: Path | None, *, quiet: bool) -> Self:
        """Return the visit that a command line asks for; None is the usual place."""
        return cls(file=file or DEFAULT_FILE, runtime=runtime or DIRECTORY, quiet=quiet)


def run(visit: Visit, say: Callable[[str], None], *, json: bool) -> int:
    """Examine everything, ``say`` it line by line or as JSON; return the exit status: 1 where something is wrong."""
    logging.getLogger().addHandler(logging.NullHandler())  # what is wrong is told by findings

    def tell(finding: Finding) -> None:
        if not json:
            say("\n".join(lines(finding)))

    findings = asyncio.run(examine(visit, tell))
    say(as_json(findings) if json else f"\n{summary(findings)}")
    return 0 if is_well(findings) else 1


Found = Coroutine[Any, Any, list[Finding]]


async def examine(visit: Visit, tell: Callable[[Finding], None]) -> list[Finding]:
    """Look at everything; return what was found and ``tell`` it as it comes. It takes 20 seconds at the most."""
    asyncio.get_running_loop().set_default_executor(PatientThreads())
    service = await look(visit.runtime)
    settings, findings = await asyncio.to_thread(_settings, visit.file)
    for finding in findings:
        tell(finding)
    is_heard = True
    try:
        async with asyncio.TaskGroup() as group:
            # The parts do not wait for each other; what is told of them keeps its order.
            parts = [group.create_task(part) for part in _parts(visit, service, settings)]
            for part in parts:
                for finding in await part:
                    tell(finding)
                    findings.append(finding)
    except* BrokenPipeError:
        is_heard = False
    if not is_heard:
        raise BrokenPipeError  # whoever we tell has gone
    return findings


def _settings(file: Path) -> tuple[Settings | None, list[Finding]]:
    try:
        settings = load(file)
    except SettingsError as error:
        broken = [bad("settings", problem, "mend it, then run: speakerd check") for problem in error.problems]
        return None, [*broken, note("settings", "what they describe, from key to panel, was not looked at")]
    if file.exists():
        return settings, [ok("settings", f"no mistakes in {file}")]
    return settings, [ok("settings", f"all at their defaults, for there is no {file}")]


def _parts(visit: Visit, service: Service, settings: Settings | None) -> list[Found]:
    here = [
        _limited(unit.NAME, unit.examine(service), QUICK_S),
        _limited(room_left.DISK, asyncio.to_thread(room_left.examine), QUICK_S),
        _limited(power.POWER, asyncio.to_thread(power.examine), QUICK_S),
        _limited(versions.NAME, versions.examine(), QUICK_S),
    ]
    if settings is None:
        return here
    panel = pins.examine(settings, service, simulated_pins(settings))
    return [
        _line(settings, service, visit.clock),
        _sound(settings, service, quiet=visit.quiet),
        _limited(pins.NAME, panel, QUICK_S),
        *here,
    ]


async def _limited(name: str, found: Awaitable[list[Finding]], limit: float) -> list[Finding]:
    try:
        async with asyncio.timeout(limit):
            return await found
    except TimeoutError:
        advice = "try again; where it stays so, see: journalctl -k -n 50, and start the machine anew"
        return [bad(name, "no answer within its time", advice)]


async def _line(settings: Settings, service: Service, now: Callable[[], float]) -> list[Finding]:
    """Look at all that stands between here and an open session; what fails for the same reason is told once."""
    about_key, secret = await key.examine(settings, service)
    async with asyncio.TaskGroup() as group:
        way = group.create_task(_limited(network.DNS, network.examine(settings), network.DNS_S + 1))
        there = group.create_task(_limited(server.NAME, server.examine(settings, now), 2 * server.LIMIT_S + 1))
        session = group.create_task(_session(settings, secret))
    findings = [about_key, *way.result()]
    blocked = _any_bad(way.result())
    findings += [finding for finding in there.result() if not (blocked and finding.name == server.NAME)]
    outcome = session.result()
    if isinstance(outcome, Finding):
        return [*findings, outcome]
    if blocked or _any_bad(there.result()):
        return [*findings, note(handshake.NAME, "not reached, for the reason above")]
    return [*findings, handshake.judge(outcome)]


async def _session(settings: Settings, secret: str | None) -> Finding | LinkError:
    """Return how the handshake is, or why it did not come to one."""
    try:
        async with asyncio.timeout(SESSION_S):
            return await handshake.examine(settings, secret)
    except LinkError as error:
        return error
    except TimeoutError:
        return bad(handshake.NAME, f"no session within {SESSION_S:g} s", "try again when the machine has less to do")


async def _sound(settings: Settings, service: Service, *, quiet: bool) -> list[Finding]:
    """Try one device after the other; those of a running daemon are its own."""
    if service.runs:
        return [service.part(microphone.NAME), service.part(loudspeaker.NAME)]
    ears, mouth = settings.microphone, settings.speaker
    heard = asyncio.to_thread(apart, SOUND_S, microphone.examine, ears)
    found = await _limited(microphone.NAME, heard, SOUND_S + 1)
    played = asyncio.to_thread(apart, SOUND_S, loudspeaker.examine, mouth, ears, quiet=quiet)
    return found + await _limited(loudspeaker.NAME, played, SOUND_S + 1)


def _any_bad(findings: list[Finding]) -> bool:
    return any(finding.mark is Mark.BAD for finding in findings)
