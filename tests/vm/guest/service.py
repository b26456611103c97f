"""The scenes of the service: the unit as it is delivered, under a real systemd, on a real kernel."""

import asyncio
import json
import re
import shutil
import time
from pathlib import Path

from speakerd.host.vocabulary import message_ids
from tests.vm.guest.hang import hung, in_driver
from tests.vm.guest.journal import UNIT
from tests.vm.guest.kitchen import (
    CREDENTIAL,
    RUN,
    SINGLE,
    START_S,
    STATE,
    Kitchen,
    output_of,
    systemctl,
    until,
)
from tests.vm.guest.room import LOUD
from tests.vm.guest.talk import QUESTION

ENDED_S = 30.0
"""What is promised."""


async def it_is_ready_and_says_what_it_does(kitchen: Kitchen) -> str:
    """With its key as an encrypted credential it is ready; its status line follows what it does."""
    await kitchen.start(SINGLE)
    words = await systemctl("show", "-p", "ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic", UNIT)
    began, ready = sorted(int(number) for number in re.findall(r"=(\d+)", words))
    await kitchen.until_state("idle", START_S)
    lines = [await systemctl("show", "-P", "StatusText", UNIT)]
    kitchen.press()
    await kitchen.until_state("muted")
    lines.append(await systemctl("show", "-P", "StatusText", UNIT))
    assert "uted" in lines[1], lines
    assert lines[0] != lines[1], lines
    assert all(line and "\n" not in line for line in lines), lines
    return f"READY {(ready - began) / 1e6:.1f} s after its start; STATUS {lines}"


async def without_a_key_it_stops_with_one_line(kitchen: Kitchen) -> str:
    """Without a key it stops, says in one line where to put one, and does not come back by itself."""
    await kitchen.stop()
    away = CREDENTIAL.with_suffix(".away")
    CREDENTIAL.rename(away)
    try:
        said = await _refusal(kitchen)
    finally:
        away.rename(CREDENTIAL)
    assert "systemd-creds" in said, said
    return said


async def bad_settings_stop_it_with_one_line(kitchen: Kitchen) -> str:
    """With a mistake in the settings it stops; one line names file and line, and nothing tries again."""
    await kitchen.stop()
    with kitchen.drop_in_settings("speaker: {prebufer_ms: 80}\n") as file:
        said = await _refusal(kitchen)
    assert f"{file}:1" in said, said
    return said


async def _refusal(kitchen: Kitchen) -> str:
    """Start what cannot be started; return the one line that it said."""
    seen = len(kitchen.journal.entries)
    await output_of("systemctl", "start", UNIT, status=1)
    # The service manager tells of credentials by itself.
    said = [entry.message for entry in kitchen.journal.entries[seen:] if entry.message.startswith("speakerd: ")]
    assert len(said) == 1, said
    for name, value in (("ExecMainStatus", "78"), ("NRestarts", "0"), ("ActiveState", "failed")):
        assert await systemctl("show", "-P", name, UNIT) == value, name
    return said[0]


async def a_reload_keeps_the_mute_and_refuses_mistakes(kitchen: Kitchen) -> str:
    """Told to reload settings with mistakes it keeps the old ones; it takes good ones, and stays muted."""
    await kitchen.at_home()
    pid = await kitchen.pid()
    seen = len(kitchen.journal.entries)
    with kitchen.drop_in_settings("assistant: {voice: 3}\n"):
        await output_of("systemctl", "reload", UNIT, status=1)
        refused = await kitchen.journal.until(after=seen, event="settings-refused")
        await kitchen.until_sound()
    with kitchen.drop_in_settings("assistant: {voice: Puck}\n"):
        kitchen.press()
        await kitchen.until_state("muted")
        at = time.monotonic()
        await kitchen.reload()
        await asyncio.sleep(3)
        assert kitchen.journal.state() == "muted", kitchen.journal.state()
        assert kitchen.microphone() == "closed", kitchen.microphone()
        assert kitchen.octets_since(at) == 0
    await kitchen.reload()
    assert await kitchen.pid() == pid, "it was started anew"
    kitchen.press()
    await kitchen.until_state("idle", START_S)
    await kitchen.until_sound()
    return f"{refused.message!r}; a reload while muted leaves it muted, and 0 bytes leave"


async def the_sandbox_binds(kitchen: Kitchen) -> str:
    """From inside the service what it has no business with fails, and what it needs works."""
    await kitchen.stop()
    probe = Path("/usr/lib/speakerd-probe.py")
    shutil.copy(Path(__file__).with_name("probe.py"), probe)
    seen = len(kitchen.journal.entries)
    try:
        await kitchen.drop_in(more=f"Type=oneshot\nRestart=no\nExecStart=\nExecStart=/usr/bin/python3 {probe}\n")
        await output_of("systemctl", "start", UNIT, status=None)
    finally:
        await kitchen.drop_in()
        probe.unlink()
    said = [entry.message for entry in kitchen.journal.entries[seen:]]
    (RUN / "sandbox.txt").write_text("\n".join(said))
    wrong = [line for line in said if not line.startswith(("ok ", "devices"))]
    assert len(said) > 20, said
    assert not wrong, wrong
    refused, allowed = (sum(f": {word}" in line for line in said) for word in ("no", "yes"))
    return f"{refused} things refused, {allowed} allowed; {said[0]}"


async def each_hang_is_ended(kitchen: Kitchen) -> str:
    """When the event loop hangs, or a thread of the sound, that is noticed, and the service begins anew."""
    told = []
    for part in ("loop", "microphone", "loudspeaker"):
        await kitchen.at_home()
        pid, seen = await kitchen.pid(), len(kitchen.journal.entries)
        if part == "loudspeaker":  # one that has nothing to play cannot hang, for its driver has nothing to do
            kitchen.room.be_quiet()
            await kitchen.room.say(QUESTION.read_bytes())
            await kitchen.journal.until(30, after=seen, state="speaking")
        thread = pid if part == "loop" else kitchen.thread_of(part)
        while part == "loudspeaker" and not in_driver(thread):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.001)  # it is there for some milliseconds at a time
        began = time.monotonic()
        with hung(thread) as look:
            while await kitchen.pid() in (0, pid):
                look()
                assert time.monotonic() - began < ENDED_S, f"it still hangs, {ENDED_S:g} s after its {part} did"
                await asyncio.sleep(0.2)
        took = time.monotonic() - began
        kitchen.room.be_noisy()
        stuck = [entry.message for entry in kitchen.journal.entries[seen:] if entry.fields.get("event") == "watchdog"]
        assert stuck or part == "loop", "what hung was not named"
        told.append(f"{part} after {took:.0f} s {stuck}")
    await kitchen.at_home()
    return "begun anew: " + ", ".join(told)


async def the_journal_answers_questions(kitchen: Kitchen) -> str:
    """Lines can be asked for by their event, carry an id, and `journalctl -x` explains each of them."""
    await kitchen.at_home()
    seen = len(kitchen.journal.entries)
    await kitchen.live.go_dark()
    try:
        await kitchen.journal.until(after=seen, event="link-lost")
    finally:
        await kitchen.live.come_back()
    await kitchen.until_state("idle")
    asked = await output_of("journalctl", "-u", UNIT, "SPEAKERD_EVENT=link-lost", "-o", "json", "-n", "1")
    line = json.loads(asked)
    explained = await output_of("journalctl", "-x", "-u", UNIT, "SPEAKERD_EVENT=link-lost", "-n", "1", "--no-pager")
    (RUN / "explained.txt").write_text(explained)
    assert re.fullmatch("[0-9a-f]{32}", line["MESSAGE_ID"]), line
    assert "░░ Subject:" in explained, explained
    known = await output_of("journalctl", "--list-catalog")
    unknown = [event for event, identity in message_ids().items() if identity not in known]
    assert not unknown, unknown
    return f"{sorted(name for name in line if name.startswith('SPEAKERD_'))}; {explained.splitlines()[1]}"


TELLS = (
    (["status"], r"^Idle since "),
    (["status", "--metrics"], r"^speakerd_\S+ [0-9.]+$"),
    (["doctor"], r"^✓ microphone +in use by the running service"),
    (["explain"], r"^\d\d:\d\d:\d\d .*\n(.*\n)*1\. "),
)
"""What is asked, and what is told: how it is; of the last trouble, when it was and what most likely caused it."""


async def it_tells_of_itself(kitchen: Kitchen) -> str:
    """`speakerd status`, `doctor` and `explain` answer beside the running service, and leave it as it was."""
    await kitchen.at_home()
    told = []
    for words, known in TELLS:
        began = time.monotonic()
        # The doctor rightly finds what a virtual machine lacks.
        said = await output_of("speakerd", *words, status=None if words[0] in ("doctor", "explain") else 0)
        (RUN / f"{'-'.join(words).replace('--', '')}.txt").write_text(said)
        assert re.search(known, said, re.MULTILINE), said
        assert "Traceback" not in said, said
        assert max(map(len, said.splitlines())) <= 80 or "--metrics" in words, said
        told.append(f"{' '.join(words)}: {len(said.splitlines())} lines in {time.monotonic() - began:.0f} s")
    assert kitchen.journal.state() == "idle", kitchen.journal.state()
    await kitchen.until_sound()
    return ", ".join(told)


async def it_stops_within_two_seconds(kitchen: Kitchen) -> str:
    """Told to stop it is gone within two seconds, also when the server is."""
    took = []
    for dark in (False, True):
        await kitchen.at_home()
        if dark:
            await kitchen.live.go_dark()
            await kitchen.until_state("offline")
        began = time.monotonic()
        await kitchen.stop()
        took.append(time.monotonic() - began)
        await kitchen.live.come_back()
        assert await systemctl("show", "-P", "Result", UNIT) == "success"
    assert max(took) < 2, took
    return f"{took[0]:.1f} s with a connection, {took[1]:.1f} s without"


async def no_disk_stops_it(kitchen: Kitchen) -> str:
    """With a state directory that is full, or read-only, it listens, is deaf when told, and says what is not kept."""
    told = []
    owner = await output_of("id", "-u", "speakerd")
    for what, options in (("full", "nr_inodes=1"), ("read-only", "ro")):
        await kitchen.stop()
        shutil.rmtree(STATE, ignore_errors=True)
        STATE.mkdir(exist_ok=True)
        await output_of(
            "mount", "-t", "tmpfs", "-o", f"{options},mode=700,uid={owner},gid={owner}", "disk", str(STATE)
        )
        try:
            seen = len(kitchen.journal.entries)
            await kitchen.start(SINGLE)
            unkept = await kitchen.journal.until(after=seen, event="mute-not-kept")
            await kitchen.until_state("idle", START_S)
            await kitchen.until_sound()
            at = kitchen.press()
            # It is deaf, but does not say that it is muted: after a power cut it would not be.
            await kitchen.until_state("error")
            assert kitchen.microphone() == "closed", kitchen.microphone()
            assert kitchen.octets_since(at + 1) == 0
            told.append(f"{what}: {unkept.message}")
        finally:
            await kitchen.stop()
            await output_of("umount", str(STATE))
    return "; ".join(told)


async def no_journal_stops_it(kitchen: Kitchen) -> str:
    """While the journal is away it goes on; it is heard there again when that is back."""
    await kitchen.at_home()
    await systemctl("stop", "systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald.service")
    try:
        kitchen.press()
        await until(lambda: kitchen.disk() == "muted", "the mute", 30)
        await asyncio.sleep(1)  # it is muted while the button is still down
    finally:
        await systemctl("start", "systemd-journald.socket", "systemd-journald-dev-log.socket")
    pid, seen = await kitchen.pid(), len(kitchen.journal.entries)
    kitchen.press()
    await kitchen.journal.until(after=seen, state="idle")
    assert await kitchen.pid() == pid, "it was started anew"
    return "muted without a journal, un-muted with one"


async def its_ear_works_in_the_sandbox(kitchen: Kitchen) -> str:
    """As it is delivered, with canceller and gate, it hears, and keeps what is only noise."""
    await kitchen.at_home()
    with kitchen.drop_in_settings("echo: {mode: auto}\nlisten: {gate: voice}\n"):
        pid, seen = await kitchen.pid(), len(kitchen.journal.entries)
        await kitchen.reload()
        await kitchen.until_state("idle", 60)
        kitchen.room.be_noisy(LOUD)
        await until(lambda: kitchen.microphone() != "closed", "the microphone", 120)
        began = time.monotonic()
        await asyncio.sleep(20)
        assert await kitchen.pid() == pid, "it was started anew"
        assert kitchen.octets_since(began) == 0
        loaded = {Path(line.split()[-1]).name for line in Path(f"/proc/{pid}/maps").read_text().splitlines()[:-1]}
        parts = [name for name in loaded if "silero" in name or "webrtc" in name]
        assert len(parts) >= 2, sorted(loaded)
        xruns = [entry for entry in kitchen.journal.entries[seen:] if entry.fields.get("event") == "xrun"]
    kitchen.room.be_noisy()
    await kitchen.reload()
    return f"20 s of noise, 0 bytes; {', '.join(sorted(parts))}; {len(xruns)} overruns"


SCENES = (
    it_is_ready_and_says_what_it_does,
    without_a_key_it_stops_with_one_line,
    bad_settings_stop_it_with_one_line,
    a_reload_keeps_the_mute_and_refuses_mistakes,
    the_sandbox_binds,
    its_ear_works_in_the_sandbox,
    each_hang_is_ended,
    the_journal_answers_questions,
    it_tells_of_itself,
    it_stops_within_two_seconds,
    no_disk_stops_it,
    no_journal_stops_it,
)
