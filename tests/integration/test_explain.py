"""What the owner is told when asking why: real journal files, read by the real journalctl."""

import asyncio
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from speakerd.errors import SpeakerdError
from speakerd.explain.explain import Explanation, explain
from speakerd.explain.reading import Journal
from speakerd.explain.report import as_json, as_text
from speakerd.host.vocabulary import message_ids
from tests.integration.household import GO_FORWARD, PAUSE, household

REMOTE = Path("/lib/systemd/systemd-journal-remote")

T = 1_750_000_000.0
"""The moment that the scenes ask about, in seconds since 1970."""

OOM, EXIT, RESULT, STOPPED = (
    "fe6faa94e7774663a0da52717891d8ef",
    "98e322203f7a4ed290d09fe03c09fe15",
    "d9b373ed55a64feb8242e02dbe79a49c",
    "d93fb3c9c24d451a97cea615ce59c00b",
)
"""MESSAGE_IDs of systemd: out of memory, a process ended, a unit failed, the journal stopped."""

WARNING, INFO = 4, 6


class Diary:
    """A journal that a scene writes, in the format for export (https://systemd.io/JOURNAL_EXPORT_FORMATS/)."""

    def __init__(self, directory: Path) -> None:
        self.boot = "1" * 32
        self._directory = directory
        self._entries: list[tuple[float, bytes]] = []

    def tell(self, at: float, event: str = "", text: str = "", priority: int = INFO, **fields: object) -> None:
        """Let speakerd tell something so many seconds after the moment."""
        named = {"SPEAKERD_EVENT": event, "MESSAGE_ID": message_ids()[event]} if event else {}
        named |= {f"SPEAKERD_{name.upper()}": str(value) for name, value in fields.items()}
        self.write(at, SYSLOG_IDENTIFIER="speakerd", MESSAGE=text or event, PRIORITY=str(priority), **named)

    def state(self, at: float, state: str) -> None:
        """Let the light show something else."""
        self.tell(at, "state", state, state=state)

    def systemd(self, at: float, number: str, text: str, **fields: str) -> None:
        """Let systemd tell something of the unit."""
        self.write(at, MESSAGE_ID=number, UNIT="speakerd.service", MESSAGE=text, PRIORITY="4", **fields)

    def turn(self, at: float = 0.0, turn: int = 7, then: str = "idle", **fields: object) -> None:
        """Have a conversation of six seconds, in which somebody begins to speak at ``at``."""
        known: dict[str, object] = {
            "heard_ms": 2000, "first_byte_ms": 900, "first_sound_ms": 1000, "answer_ms": 3000, "interruptions": 0,
            "tokens_in": 50, "tokens_out": 75, "cost_usd": 0.001, "xruns": 0,
        }  # fmt: skip
        known |= fields
        sound = at + 2 + float(str(known["first_sound_ms"])) / 1000
        end = sound + float(str(known["answer_ms"])) / 1000
        for when, state in ((at, "listening"), (at + 2.2, "thinking"), (sound, "speaking"), (end, then)):
            self.state(when, state)
        self.tell(end + 0.1, "turn", f"turn {turn}: heard", INFO, turn=turn, **known)

    def write(self, at: float, **fields: str | bytes) -> None:
        """Write an entry as it is."""
        stamp = round((T + at) * 1e6)
        head = {
            "__REALTIME_TIMESTAMP": str(stamp),
            "__MONOTONIC_TIMESTAMP": str(stamp - 10**15),
            "_BOOT_ID": self.boot,
        }
        lines = [_field(name, value) for name, value in (head | fields).items()]
        self._entries.append((at, b"".join(lines) + b"\n"))

    def journal(self) -> Journal:
        """Return it as a file of systemd's."""
        file = self._directory / "system.journal"
        content = b"".join(entry for _, entry in sorted(self._entries, key=lambda one: one[0]))
        subprocess.run([REMOTE, f"--output={file}", "-"], input=content, check=True, capture_output=True)
        return Journal([file])


def _field(name: str, value: str | bytes) -> bytes:
    if isinstance(value, str) and "\n" not in value:
        return f"{name}={value}\n".encode()
    raw = value.encode() if isinstance(value, str) else value
    return f"{name}\n".encode() + struct.pack("<Q", len(raw)) + raw + b"\n"


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path)


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the owner's clock, which is not the journal's."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def asked(diary: Diary, at: float = 0.0) -> Explanation:
    """Ask for a moment so many seconds after T."""
    return explain(diary.journal(), f"@{T + at:.0f}")


def names(explanation: Explanation) -> list[str]:
    return [cause.name for cause in explanation.causes]


def of(explanation: Explanation, name: str) -> str:
    """Return what is said of a cause."""
    return next(cause.text for cause in explanation.causes if cause.name == name)


def told(explanation: Explanation) -> str:
    text = as_text(explanation)
    assert max(len(line) for line in text.splitlines()) <= 80, text
    return text


def said(explanation: Explanation) -> str:
    """Return the text as one line."""
    return " ".join(told(explanation).split())


def test_a_turn_as_it_should_be(diary: Diary) -> None:
    """Nothing is wrong with it; the picture shows where the time went."""
    diary.turn()
    shown = told(asked(diary))
    assert "Turn 7, Sun 2025-06-15 17:06:40" in shown
    assert re.search(r"17:06:40 heard +2\.0 s ▒+\n", shown)
    assert re.search(r"17:06:42 waiting +0\.9 s +░+\n", shown)
    assert re.search(r"17:06:43 speaking +3\.0 s +█+\n", shown)
    assert "Nothing went wrong" in shown


def test_it_was_muted(diary: Diary) -> None:
    """Who was muted two hours ago and was never un-muted is told so, though nothing was written since."""
    diary.tell(-7200, "mute", "muted: the microphone is closed", muted="true", seconds=0.1)
    diary.state(-7200, "muted")
    found = asked(diary)
    assert names(found) == ["muted"]
    assert "It was muted since 15:06:40" in told(found)
    assert "nothing else ends a mute" in told(found)
    assert "15:06:40  muted: the microphone is closed" in told(found)


def test_it_was_muted_when_it_started(diary: Diary) -> None:
    """A mute that outlasted a restart has no line of its own; the state tells it."""
    diary.tell(-100, "started", "ready", version="1")
    diary.state(-100, "muted")
    diary.tell(-99, "link-up", "connected", resumed="false", seconds=1)
    assert names(asked(diary)) == ["muted"]


def test_a_mute_that_was_over_is_not_blamed(diary: Diary) -> None:
    """It is worth a line beside, and no more."""
    diary.tell(-100, "mute", "muted", muted="true")
    diary.state(-100, "muted")
    diary.tell(-60, "mute", "not muted", muted="false")
    diary.turn()
    found = asked(diary)
    assert (names(found), [cause.name for cause in found.nearby]) == ([], ["muted"])


@pytest.mark.parametrize(
    ("fields", "why", "do"),
    [
        ({"code": 1011, "next": "resume", "age": 60}, "the service hung up (code 1011)", "dials again"),
        ({"code": 1006, "next": "resume", "age": 60}, "the line was cut", "dials again"),
        ({"code": 503, "next": "resume", "age": 60}, "the service answered HTTP 503", "dials again"),
        ({"next": "resume", "age": 60}, "the service could not be reached", "other devices have network"),
        ({"code": 1011, "next": "wait", "age": 60}, "the service had too much of us", "quota"),
        ({"code": 1008, "next": "person", "advice": "check the key"}, "a person must act", "Check the key."),
    ],
)  # fmt: skip
def test_there_was_no_connection(diary: Diary, fields: dict[str, object], why: str, do: str) -> None:
    """It is told from when to when, why, and what to do."""
    diary.tell(-20, "link-lost", "disconnected: so it was", WARNING, **fields)
    diary.state(-20, "offline")
    diary.tell(20, "link-up", "connected", resumed="true", seconds=40)
    diary.state(20, "idle")
    found = asked(diary)
    assert names(found) == ["no-connection"]
    assert f"from 17:06:20 to 17:07:00 (40.0 s): {why}." in of(found, "no-connection")
    assert do in found.causes[0].advice
    assert "17:06:20  disconnected: so it was" in told(found)


def test_an_outage_that_lasts_is_known_from_before(diary: Diary) -> None:
    """It began an hour ago, and each cause was told once."""
    diary.tell(-3600, "link-lost", "disconnected", WARNING, code=1006, next="resume", age=3)
    diary.tell(-3590, "link-refused", "cannot connect: no DNS server answers", WARNING, next="resume")
    diary.state(-3600, "offline")
    diary.tell(2, "question-lost", "too old", WARNING)
    found = asked(diary)
    assert names(found) == ["no-connection", "question-lost"]
    assert "since 16:06:40" in of(found, "no-connection")
    assert "cannot connect: no DNS server answers" in told(found)


@pytest.mark.parametrize("device", ["microphone", "loudspeaker"])
def test_a_device_was_away(diary: Diary, device: str) -> None:
    """It is told which, and from when to when."""
    diary.tell(-8, "device-lost", "it went away", WARNING, device=device)
    diary.tell(2, "device-missing", "it does not come back", 3, device=device)
    diary.state(2, "error")
    diary.tell(30, "device-back", "it works again", device=device)
    diary.state(30, "idle")
    found = asked(diary)
    assert names(found) == [device]
    assert "from 17:06:32 to 17:07:10" in of(found, device)
    assert "Plug it in" in told(found)


@pytest.mark.parametrize(
    ("stall", "cause"),
    [("silent", "stall-silent"), ("empty", "stall-empty"), ("phantom", "stall-phantom"), ("rejected", "refused")],
)
def test_the_model_did_not_answer(diary: Diary, stall: str, cause: str) -> None:
    """The connection was there; each way in which a question comes to nothing has its own words."""
    diary.state(0, "listening")
    diary.state(2, "thinking")
    diary.tell(7, "stall", "it came to nothing", WARNING, stall=stall, remedy="nothing", count=1)
    diary.state(7, "idle")
    found = asked(diary)
    assert names(found) == [cause]
    assert "A question without an answer, Sun 2025-06-15 17:06:40" in told(found)
    assert "17:06:47 stall" in told(found)


def test_the_service_refused_the_turn(diary: Diary) -> None:
    """Its own word for it is told."""
    diary.turn(reason="RESPONSE_REJECTED")
    found = asked(diary)
    assert names(found) == ["refused"]
    assert "RESPONSE_REJECTED" in told(found)


def test_somebody_spoke_over_the_answer(diary: Diary) -> None:
    """An answer that was cut off names who cut it."""
    diary.turn(interruptions=1)
    diary.tell(6, "interrupted", "interrupted; 1200 ms of the reply stay unsaid", dropped_ms=1200)
    found = asked(diary)
    assert names(found) == ["interrupted"]
    assert "1.2 s of it were not played" in told(found)


def test_who_speaks_over_the_answer_asks_the_next_question(diary: Diary) -> None:
    """The two turns touch, and are told apart."""
    diary.turn(-4, turn=7, then="listening", answer_ms=1000, interruptions=1)
    diary.tell(-0.1, "interrupted", "interrupted", dropped_ms=1200)
    diary.turn(0, turn=8)
    before, after = asked(diary, -2), asked(diary, 1)
    assert ("Turn 7" in told(before), "Turn 8" in told(after)) == (True, True)
    assert (names(before), names(after)) == (["interrupted"], [])


def test_an_answer_ended_by_the_button_is_explained(diary: Diary) -> None:
    """Somebody held it: the conversation begins anew."""
    diary.turn(reason="begun anew")
    diary.tell(5, "begin-anew", "the conversation begins anew, as the button asks")
    assert names(asked(diary)) == ["begin-anew"]


def test_the_connection_broke_in_the_middle_of_an_answer(diary: Diary) -> None:
    """The loss comes first, for it is why; then what it did."""
    diary.turn(then="offline", reason="connection lost", answer_ms=1500)
    diary.tell(4.5, "link-lost", "disconnected", WARNING, code=1006, next="resume", age=60)
    diary.tell(4.5, "answer-lost", "the rest of it is lost", WARNING)
    diary.tell(9, "link-up", "connected", resumed="true", seconds=4.5)
    diary.state(9, "idle")
    assert names(asked(diary)) == ["no-connection", "answer-lost"]


def test_the_service_was_slow(diary: Diary) -> None:
    """The wait for the first byte is the service's."""
    diary.turn(first_byte_ms=4200, first_sound_ms=4300)
    found = asked(diary)
    assert names(found) == ["slow-service"]
    assert "took 4.2 s" in told(found)
    assert re.search(r"waiting +4\.2 s", told(found))


def test_the_sound_waited(diary: Diary) -> None:
    """The answer was there, and was not played at once."""
    diary.turn(first_byte_ms=800, first_sound_ms=2800)
    found = asked(diary)
    assert names(found) == ["slow-buffering"]
    assert "2.0 s later" in told(found)


def test_the_connection_cost_the_time(diary: Diary) -> None:
    """A question that was told again on a new connection is the network's delay, and not the service's."""
    diary.turn(first_byte_ms=4200, first_sound_ms=4300)
    diary.tell(3, "link-rotated", "connection replaced", resumed="true", seconds=0.3, occasion="at the last moment")
    diary.tell(3.1, "told-again", "told again: 2.0 s", seconds=2.0)
    found = asked(diary)
    assert names(found) == ["slow-network"]
    assert "17:06:43  told again: 2.0 s" in told(found)
    assert re.search(r"17:06:43 told-again +▲", told(found))


def test_the_machine_was_too_busy(diary: Diary) -> None:
    """Gaps in the sound are counted."""
    diary.turn(xruns=3)
    diary.tell(4, "xrun", "some sound was lost", WARNING, device="loudspeaker", count=12)
    found = asked(diary)
    assert names(found) == ["gaps"]
    assert "3 times" in told(found)


def test_the_new_settings_had_mistakes(diary: Diary) -> None:
    """Who wonders why nothing changed is told."""
    diary.tell(-30, "settings-refused", "speakerd.yaml:3: no such setting", 3)
    diary.state(-200, "idle")
    found = asked(diary)
    assert names(found) == ["settings-refused"]
    assert "speakerd.yaml:3: no such setting" in told(found)


def test_a_reload_that_was_refused_is_no_end(diary: Diary) -> None:
    """Systemd tells of the end of `speakerd check` as it tells of the daemon's."""
    diary.state(-200, "idle")
    diary.tell(-30, "settings-refused", "speakerd.yaml:3: no such setting", 3)
    diary.systemd(-29, EXIT, "speakerd.service: Control process exited", EXIT_STATUS="78", COMMAND="ExecReload")
    found = asked(diary)
    assert names(found)[0] == "settings-refused"
    assert "did not run" not in told(found)


@pytest.mark.parametrize(
    ("number", "fields", "cause", "words"),
    [
        (RESULT, {"UNIT_RESULT": "watchdog"}, "watchdog", "was stuck"),
        (OOM, {}, "out-of-memory", "no memory left"),
        (RESULT, {"UNIT_RESULT": "oom-kill"}, "out-of-memory", "no memory left"),
        (RESULT, {"UNIT_RESULT": "signal"}, "crashed", "it crashed"),
        (EXIT, {"EXIT_STATUS": "78"}, "settings", "its settings, or its key, have mistakes"),
        (STOPPED, {}, "shut-down", "the machine was shut down"),
    ],
)
def test_the_service_did_not_run(diary: Diary, number: str, fields: dict[str, str], cause: str, words: str) -> None:
    """The messages of systemd say why."""
    diary.state(-60, "idle")
    diary.systemd(-5, number, "speakerd.service: as systemd says it", **fields)
    diary.tell(8, "started", "speakerd is ready", version="1")
    diary.state(8, "connecting")
    diary.tell(9, "link-up", "connected", resumed="true", seconds=1)
    diary.state(9, "idle")
    found = asked(diary)
    assert names(found) == [cause]
    assert "from 17:06:35 to 17:06:48 (13.0 s): " in of(found, cause)
    assert words in of(found, cause)
    assert "speakerd.service: as systemd says it" in told(found)
    assert re.search(r"17:06:35 off +13\.0 s", told(found))


def test_a_stuck_part_is_named(diary: Diary) -> None:
    """The daemon tells which, and systemd ends it."""
    diary.state(-60, "idle")
    diary.tell(-9, "watchdog", "the microphone makes no progress", 3, part="microphone")
    diary.systemd(-5, RESULT, "Failed with result 'watchdog'", UNIT_RESULT="watchdog")
    diary.tell(8, "started", "ready", version="1")
    found = asked(diary)
    assert names(found)[0] == "watchdog"
    assert "its part microphone was stuck" in said(found)


def test_a_part_that_was_stuck_and_went_on_is_told(diary: Diary) -> None:
    """Nothing had to be started anew for it."""
    diary.turn()
    diary.tell(4, "watchdog", "the loudspeaker makes no progress", 3, part="loudspeaker")
    found = asked(diary)
    assert names(found) == ["stuck"]
    assert "loudspeaker was stuck" in said(found)


def test_somebody_stopped_it(diary: Diary) -> None:
    """It says how to have it back, also hours later."""
    diary.tell(-9000, "started", "ready", version="1")
    diary.tell(-7200, "stopping", "stopping")
    found = asked(diary)
    assert names(found) == ["stopped"]
    assert "systemctl start speakerd" in told(found)


def test_a_stopped_speaker_is_off(diary: Diary) -> None:
    """What is still told on the way out is not taken for life."""
    diary.state(-60, "speaking")
    diary.tell(-5, "stopping", "stopping")
    diary.state(-4.9, "idle")
    found = asked(diary)
    assert names(found) == ["stopped"]
    assert re.search(r"17:06:35 off ", told(found))
    assert "idle" not in told(found)


@pytest.mark.parametrize(("goodbye", "cause"), [(False, "power"), (True, "reboot")])
def test_the_machine_went_down(diary: Diary, *, goodbye: bool, cause: str) -> None:
    """A machine that goes down in good order says so; a cut of the power leaves a journal that just ends."""
    diary.tell(-900, "started", "ready", version="1")
    diary.tell(-899, "link-up", "connected", resumed="true", seconds=1)
    diary.tell(-91, "link-lost", "disconnected", WARNING, code=1006, next="resume", age=3)
    diary.state(-91, "offline")
    if goodbye:
        diary.tell(-50, "stopping", "stopping")
        diary.write(-49, MESSAGE_ID=STOPPED, MESSAGE="Journal stopped", PRIORITY="6")
    diary.boot = "2" * 32
    diary.tell(30, "started", "ready", version="1")
    diary.state(30, "connecting")
    diary.tell(31, "link-up", "connected", resumed="true", seconds=1)
    found = asked(diary)
    assert names(found) == [cause, "no-connection"]
    assert "17:07:10" in of(found, cause)
    assert ("to 17:05:50" if goodbye else "to 17:07:10") in of(found, "no-connection")
    assert " off " in told(found)


def test_two_at_once_are_ranked(diary: Diary) -> None:
    """The mute hides the outage, and the outage the lost question."""
    diary.tell(-30, "link-lost", "disconnected", WARNING, code=1006, next="resume", age=60)
    diary.state(-30, "offline")
    diary.tell(-20, "question-lost", "too old", WARNING)
    diary.tell(-10, "mute", "muted", muted="true", seconds=0.1)
    diary.state(-10, "muted")
    found = asked(diary)
    assert names(found) == ["muted", "no-connection", "question-lost"]
    shown = told(found)
    assert shown.index("1. It was muted") < shown.index("2. There was no connection") < shown.index("3. ")


def test_the_turn_that_is_meant_is_the_one_at_that_time(diary: Diary) -> None:
    """Trouble of another turn is told beside, not as its cause."""
    diary.turn(turn=7)
    diary.turn(40, turn=8, first_byte_ms=5000, first_sound_ms=5100)
    diary.turn(100, turn=9)
    diary.tell(106, "interrupted", "interrupted", dropped_ms=5)
    first, second, third = (asked(diary, at) for at in (1, 43, 102))
    assert [told(one).split(",")[0] for one in (first, second, third)] == ["Turn 7", "Turn 8", "Turn 9"]
    assert [names(one) for one in (first, second, third)] == [[], ["slow-service"], ["interrupted"]]


def test_a_turn_close_by_does_not_hide_what_was_wrong(diary: Diary) -> None:
    """Between two good turns the microphone was away, and that is what is asked about."""
    diary.turn(-30, turn=7)
    diary.tell(-8, "device-lost", "it went away", WARNING, device="microphone")
    diary.tell(8, "device-back", "it works again", device="microphone")
    diary.turn(30, turn=8)
    assert names(asked(diary)) == ["microphone"]


def test_the_minute_that_is_named_counts_more_than_the_one_before(diary: Diary) -> None:
    """A mute that had just ended comes after the outage that had not."""
    diary.tell(-100, "mute", "muted", muted="true", seconds=0.1)
    diary.tell(-90, "link-lost", "disconnected", WARNING, code=1006, next="resume", age=60)
    diary.tell(-30, "mute", "not muted", muted="false", seconds=0.1)
    diary.state(-30, "offline")
    assert names(asked(diary)) == ["no-connection", "muted"]


def test_nobody_was_heard(diary: Diary) -> None:
    """It stood ready, and heard no word: that is about the microphone, or the distance."""
    diary.state(-7200, "idle")
    diary.tell(-200, "link-rotated", "replaced", resumed="true", seconds=0.1, occasion="in a silence")
    found = asked(diary)
    assert names(found) == ["unheard"]
    assert "looks at the microphone" in told(found)


def test_any_other_warning_is_told(diary: Diary) -> None:
    """What has no rule of its own is told with what its event says."""
    diary.turn()
    diary.tell(3, "message-skipped", "a piece of the reply has 16000 Hz and cannot be played", WARNING)
    found = asked(diary)
    assert names(found) == ["other"]
    assert "look for a newer version of speakerd" in said(found)


def test_without_a_time_it_is_the_last_turn_or_trouble(diary: Diary) -> None:
    """The last one counts, whatever is told after it."""
    diary.turn(turn=7)
    diary.turn(1000, turn=8)
    diary.state(2000, "idle")
    assert "Turn 8" in told(explain(diary.journal()))
    diary.tell(3000, "mute", "muted", muted="true", seconds=0.1)
    assert names(explain(diary.journal())) == ["muted"]


def test_nothing_was_told(diary: Diary) -> None:
    """It says where it looked, and what the journal holds."""
    diary.turn()
    with pytest.raises(SpeakerdError) as failure:
        asked(diary, -86400)
    assert "nothing from Sat 2025-06-14 17:01:40 to Sat 2025-06-14 17:11:40" in str(failure.value)
    assert "begins Sun 2025-06-15 17:06:40 and ends Sun 2025-06-15 17:06:46" in str(failure.value)


def test_a_journal_without_us(diary: Diary) -> None:
    """Somebody else's lines are not taken for ours."""
    diary.write(0, MESSAGE="link-lost", SYSLOG_IDENTIFIER="other", PRIORITY="3")
    with pytest.raises(SpeakerdError, match="nothing of a turn"):
        explain(diary.journal())
    with pytest.raises(SpeakerdError, match="told nothing from"):
        asked(diary)


def test_odd_lines_do_no_harm(diary: Diary) -> None:
    """Bytes that are no text, fields that are missing, repeated or no numbers, and a colour code for the terminal."""
    diary.turn(turn=7)
    diary.tell(100, "turn", turn=8, heard_ms="nan", first_byte_ms="soon", first_sound_ms="inf", answer_ms="1e300")
    diary.write(
        3, SYSLOG_IDENTIFIER="speakerd", SPEAKERD_EVENT="xrun", MESSAGE=b"\xff\xfe\x1b[31mred", PRIORITY=b"\xff"
    )
    diary.write(3, SYSLOG_IDENTIFIER="speakerd", SPEAKERD_EVENT="stall")
    diary.write(3, SYSLOG_IDENTIFIER="speakerd", MESSAGE="x" * 10_000, PRIORITY="3")
    diary.write(
        3, SYSLOG_IDENTIFIER="speakerd", SPEAKERD_EVENT="message-skipped", MESSAGE=b"\xff\x1b[31mred", PRIORITY="4"
    )
    shown = told(asked(diary))
    assert "Turn 7" in shown
    assert "\x1b" not in shown
    assert "red" in shown
    assert "Turn 8" in told(asked(diary, 103))


def test_what_is_read_twice_is_told_once(diary: Diary) -> None:
    """The same file given twice changes nothing."""
    diary.turn()
    diary.tell(4, "answer-lost", "lost", WARNING)
    (file,) = diary.journal().files
    copy = file.with_name("copy.journal")
    shutil.copy(file, copy)
    found = explain(Journal([file, copy]), f"@{T:.0f}")
    assert names(found) == ["answer-lost"]
    assert "times" not in of(found, "answer-lost")


def test_no_spoken_word_is_shown(diary: Diary) -> None:
    """Transcripts are in the journal where the owner wants them there, and are no cause of anything."""
    diary.turn()
    diary.tell(1, "transcript-heard", "heard: open the safe", WARNING)
    diary.tell(2, "transcript-said", "said: it is open", WARNING)
    found = asked(diary)
    assert "safe" not in told(found) + as_json(found)
    assert names(found) == []


def test_other_programs_read_it_too(diary: Diary) -> None:
    """The same as JSON; what has no end yet has none there."""
    diary.tell(-10, "mute", "muted", muted="true", seconds=0.1)
    content = json.loads(as_json(asked(diary)))
    (cause,) = content["causes"]
    assert (cause["cause"], cause["since"], cause["until"]) == ("muted", T - 10, None)
    assert cause["evidence"] == [{"time": T - 10, "event": "mute", "text": "muted"}]


@pytest.mark.parametrize(("encoding", "bar"), [("ascii", "#"), ("utf-8", "█")])
def test_a_plain_terminal_gets_plain_signs(diary: Diary, encoding: str, bar: str) -> None:
    """Nothing is lost but the shades, and nothing fails over a word in another language."""
    diary.turn()
    diary.tell(4, "answer-lost", "verloren: schön…", WARNING)
    (file,) = diary.journal().files
    done = run(f"--file={file}", f"@{T + 4:.0f}", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"speaking +3\.0 s +{bar}+\n", done.stdout), done.stdout
    assert done.stdout.isascii() is (encoding == "ascii")


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-W", "error", "-m", "speakerd", "explain", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_a_time_is_said_as_journalctl_takes_it(diary: Diary) -> None:
    """With a minus or a space in it, in one word or two; yesterday, too."""
    (file,) = diary.journal().files
    for words in (
        ["-5min"],
        ["10min", "ago"],
        ["10min ago"],
        ["2025-06-15 17:06"],
        ["yesterday", "00:01"],
        ["today"],
    ):
        done = run("--file", file, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "speakerd: speakerd told nothing from" in done.stderr
    assert "Sun 2025-06-15 17:01:00 to Sun 2025-06-15 17:11:00" in run("--file", file, "2025-06-15 17:06").stderr


def test_a_time_that_is_none_is_refused() -> None:
    """So is one that is still to come."""
    done = run("half", "past", "eight")
    assert (done.returncode, '"half past eight" is no time' in done.stderr) == (1, True)
    done = run("tomorrow")
    assert (done.returncode, "is still to come" in done.stderr) == (1, True)


def test_a_directory_of_journals_is_read(diary: Diary) -> None:
    """As journalctl takes it; the exit status says that it went well."""
    diary.turn()
    (file,) = diary.journal().files
    done = run("--directory", file.parent, "2025-06-15 17:06:41", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["turn"]["turn"] == "7"


@contextmanager
def path_with(directory: Path, **programs: str) -> Iterator[str]:
    """Make a PATH on which there are these programs and nothing else."""
    directory.mkdir()
    for name, script in programs.items():
        (directory / name.replace("_", "-")).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name.replace("_", "-")).chmod(0o755)
    yield str(directory)


def test_without_systemd_it_says_so(tmp_path: Path) -> None:
    """There is nothing else to read."""
    with path_with(tmp_path / "bin") as path:
        done = run(PATH=path)
    assert done.returncode == 1
    assert "there is no journalctl here" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may read nothing")
def test_without_rights_it_says_how_to_get_them(diary: Diary, tmp_path: Path) -> None:
    """Whoever may not read the journal is told of sudo and of the group."""
    diary.turn()
    (file,) = diary.journal().files
    file.chmod(0o600)
    nobody = 'exec /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/journalctl "$@"'
    with path_with(tmp_path / "bin", journalctl=nobody) as path:
        done = run("--file", file, PATH=path)
    assert done.returncode == 1
    assert "sudo" in done.stderr
    assert "systemd-journal" in done.stderr


async def test_the_real_daemon_is_understood(diary: Diary, tmp_path: Path) -> None:
    """A turn that was answered, then an answer that breaks off: told from the daemon's own lines."""
    cut = {"when": {"event": "audio_out", "turn": 2, "count": 50}, "do": {"reset": True}}
    script = {"thinking": 0.3, "pace": 2, "faults": [cut]}
    async with household(tmp_path, script, log={"level": "info"}) as home:
        await home.live.wait_for("handle")
        home.card.speak(GO_FORWARD + PAUSE)
        first = await home.daemon.until(event="turn", timeout=30)
        home.card.speak(GO_FORWARD + PAUSE)
        await home.daemon.until(event="answer-lost", timeout=30)
        await home.daemon.until(event="turn", after=first, timeout=30)
        await home.daemon.stop()
        entries = list(home.daemon.journal)
    begun = entries[0]["time"]
    for entry in entries:
        _as_journal(diary, entry, begun)
    journal = await asyncio.to_thread(diary.journal)
    good, broken = (
        explain(journal, f"@{T + entry['time'] - begun - 1:.3f}") for entry in entries if entry.get("event") == "turn"
    )
    assert set(names(good)) <= {"gaps"}  # which a machine that is busy with other tests may well leave
    assert re.search(r"Turn 1, (.*\n)+.*heard +\d.*\n.*waiting +\d.*\n.*buffering +\d.*\n.*speaking +\d", told(good))
    assert names(broken)[0] == "answer-lost"
    assert "Turn 2" in told(broken)
    assert re.search(r"answer-lost +▲", told(broken))


def _as_journal(diary: Diary, entry: dict[str, Any], begun: float) -> None:
    """Write a line of the JSON log as the journal has it."""
    levels = {"debug": 7, "info": INFO, "warning": WARNING, "error": 3}
    about = {
        name: value for name, value in entry.items() if name not in ("time", "monotonic", "level", "message", "event")
    }
    fields = {name: str(value).lower() if isinstance(value, bool) else value for name, value in about.items()}
    known = {name: value for name, value in fields.items() if value is not None}
    diary.tell(entry["time"] - begun, entry.get("event", ""), entry["message"], levels[entry["level"]], **known)
