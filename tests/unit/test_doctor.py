"""The doctor's judgement: from what was measured to what is said."""

import datetime as dt
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerd.doctor import (
    clock,
    echo,
    handshake,
    key,
    loudspeaker,
    microphone,
    network,
    pins,
    power,
    room_left,
    unit,
)
from speakerd.doctor.apart import apart
from speakerd.doctor.finding import Finding, Mark, bad, bad_by, note, ok
from speakerd.doctor.recording import Recording
from speakerd.doctor.report import WIDTH, as_json, is_well, lines, summary
from speakerd.doctor.service import Service
from speakerd.errors import HardwareError, LinkError
from speakerd.settings import Settings

RATE = 16_000
NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC).timestamp()
RNG = np.random.default_rng(5)
KITCHEN = RNG.normal(0, 0.003, RATE)  # -50 dB, as a fridge hums


def heard(*channels: NDArray[np.float64], channels_set: int = 1) -> Finding:
    return microphone.judge(np.clip(np.stack(channels), -1, 32767 / 32768), channels_set)


# How it is told.


@given(st.lists(st.text("abcdefghij-/:", min_size=1, max_size=40), min_size=1, max_size=40).map(" ".join))
def test_no_line_is_wider_than_a_terminal(text: str) -> None:
    """Eighty columns are enough for every finding, and nothing of it is lost."""
    told = lines(bad("LOUDSPEAKER", text, text))
    assert all(len(line) <= WIDTH for line in told)
    assert " ".join(told).split() == ["✗", "LOUDSPEAKER", *text.split(), "→", *text.split()]


def test_a_word_that_is_too_long_stays_whole() -> None:
    """A path or a command can still be copied."""
    path = "/a-long-path" * 9
    assert lines(ok("disk", f"see {path}"))[1].strip() == path


def test_what_to_do_stands_below_what_is_wrong() -> None:
    """The eye finds sign, part, cause and cure each in its place."""
    assert lines(bad("microphone", "is overdriven", "turn it down")) == [
        "✗ microphone    is overdriven",
        "                → turn it down",
    ]
    assert lines(ok("disk", "12 GiB left")) == ["✓ disk          12 GiB left"]


def test_the_last_line_counts_what_is_wrong() -> None:
    """Who reads only the end knows whether there is something to do."""
    well, odd, ill = ok("a", "b"), note("a", "b"), bad("a", "b", "c")
    assert summary([well]) == "Nothing is wrong."
    assert summary([well, odd]).startswith("Nothing is wrong;")
    assert summary([ill, odd]).startswith("1 thing to mend")
    assert summary([ill, ill]).startswith("2 things to mend")
    assert is_well([well, odd])
    assert not is_well([well, ill])


def test_another_program_reads_the_same() -> None:
    """The JSON has every part, by words and not by signs."""
    assert '"mark": "bad"' in as_json([bad("key", "none", "get one")])
    assert '"ok": false' in as_json([bad("key", "none", "get one")])


def test_what_an_error_advises_is_its_advice() -> None:
    """Words of the daemon are split into cause and cure; where they have no cure, there is another."""
    assert bad_by("a", HardwareError("it is busy; stop it"), "wait") == bad("a", "it is busy", "stop it")
    assert bad_by("a", HardwareError("it is busy"), "wait") == bad("a", "it is busy", "wait")


# The microphone.


def test_a_microphone_that_hears_a_kitchen_is_well() -> None:
    """The level is said in decibels."""
    found = heard(KITCHEN)
    assert found.mark is Mark.OK
    assert "hears the room at -50 dB" in found.text


@pytest.mark.parametrize("rest", [0.0, 0.1])
def test_silence_that_is_too_perfect_is_no_sound(rest: float) -> None:
    """A muted input gives the same number again and again, be it zero or another."""
    found = heard(np.full(RATE, rest))
    assert found.mark is Mark.BAD
    assert "nothing but silence" in found.text
    assert "un-mute" in found.advice


def test_clipping_is_told_by_how_much_of_it_there_is() -> None:
    """A clap may reach full scale; a voice that does all the time cannot be understood."""
    clap = KITCHEN.copy()
    clap[:80] = 1.0
    assert "overdriven for a moment" in heard(clap).text
    assert heard(clap).mark is Mark.NOTE
    found = heard(RNG.normal(0, 0.9, RATE))
    assert (found.mark, "turn it down" in found.advice) == (Mark.BAD, True)


def test_an_offset_is_told_by_its_size() -> None:
    """A few percent are harmless, a quarter is a loose wire."""
    assert heard(KITCHEN + 0.01).mark is Mark.OK
    assert (heard(KITCHEN + 0.05).mark, "DC offset" in heard(KITCHEN + 0.05).text) == (Mark.NOTE, True)
    assert (heard(KITCHEN - 0.25).mark, "DC offset" in heard(KITCHEN - 0.25).text) == (Mark.BAD, True)


def test_a_dead_channel_is_bad_only_where_it_is_the_one_that_is_used() -> None:
    """One microphone of two may be missing by design; the one that the settings choose must live."""
    dead = np.zeros(RATE)
    assert heard(KITCHEN, dead).mark is Mark.NOTE
    assert "channel 2 is dead" in heard(KITCHEN, dead).text
    found = heard(dead, KITCHEN, channels_set=2)
    assert found.mark is Mark.BAD
    assert "channel 1, the one that is used, is dead; channel 2 is alive" in found.text


def test_a_level_far_from_a_kitchens_is_noted() -> None:
    """Gain that is nearly off, and gain that is far too high, both make people repeat themselves."""
    assert "hardly anything" in heard(RNG.normal(0, 0.0001, RATE)).text
    assert "very loud" in heard(RNG.normal(0, 0.2, RATE)).text


# The loudspeaker.


def room(delay_s: float, gain: float, noise: float = 0.003, length_s: float = 1.4) -> Recording:
    """Return what a microphone hears that begins half a second before the doctor's whistle sounds."""
    sound = RNG.normal(0, noise, round(length_s * RATE))
    whistle, at = echo.sweep(RATE), round((0.5 + delay_s) * RATE)
    sound[at : at + len(whistle)] += gain * whistle
    return Recording(sound[None], began=99.5, gaps=0)


@pytest.mark.parametrize(("delay_s", "gain"), [(0.0, 1.0), (0.025, 0.1), (0.2, 0.03)])
def test_the_echo_is_found_where_it_is(delay_s: float, gain: float) -> None:
    """Its delay is right to a millisecond and its level to a decibel, also when it is as soft as the room."""
    found = echo.find(room(delay_s, gain).mono, RATE)
    assert found is not None
    assert found.at_s == pytest.approx(0.5 + delay_s, abs=0.001)
    assert found.gain_db == pytest.approx(20 * np.log10(gain), abs=1.5)


@pytest.mark.parametrize("seed", range(20))
def test_no_echo_is_found_where_there_is_none(seed: int) -> None:
    """Neither a noise nor a fridge's hum is taken for the doctor's whistle."""
    at = np.arange(RATE) / RATE
    hum = 0.05 * np.sin(2 * np.pi * 50 * at) + 0.02 * np.sin(2 * np.pi * 150 * at)
    noise = np.random.default_rng(seed).normal(0, 0.05, RATE)
    assert echo.find(noise, RATE) is None
    assert echo.find(hum + noise, RATE) is None
    assert echo.find(np.zeros(RATE), RATE) is None


def test_the_loudspeaker_is_told_by_its_echo() -> None:
    """Heard, heard late, not heard, and nobody there to hear it, are different things."""
    found = loudspeaker.judge(room(0.025, 0.1), 100.0)
    assert (found.mark, found.text) == (Mark.OK, "plays, and the microphone hears it 25 ms later, 20 dB softer")
    assert "Bluetooth" in loudspeaker.judge(room(0.4, 0.1), 100.0).advice
    silent = loudspeaker.judge(room(0.0, 0.0), 100.0)
    assert (silent.mark, silent.text) == (Mark.NOTE, "plays, but the microphone does not hear it")
    assert "alsamixer" in silent.advice
    assert loudspeaker.judge(None, 100.0).mark is Mark.NOTE
    assert "too busy" in loudspeaker.judge(replace(room(0.0, 0.5), gaps=1), 100.0).text


# The clock.


def test_a_clock_that_agrees_with_the_server_is_well() -> None:
    """Synchronised and right is all that can be asked for."""
    assert clock.judge(NOW, NOW + 2, synchronised=True).mark is Mark.OK
    assert clock.judge(NOW, None, synchronised=True).mark is Mark.OK
    assert clock.judge(NOW, NOW, synchronised=None).mark is Mark.OK
    assert clock.judge(NOW, NOW, synchronised=False).mark is Mark.NOTE


@pytest.mark.parametrize(
    ("now", "server", "mark", "words"),
    [
        (5 * 86400.0, None, Mark.BAD, "shows 1970-01-06, so it was never set"),
        (5 * 86400.0, NOW, Mark.BAD, "wrong by 20508 days (slow)"),
        (NOW + 3 * 3600, NOW, Mark.BAD, "wrong by 3 hours (fast)"),
        (NOW - 90, NOW, Mark.NOTE, "wrong by 90 seconds (slow)"),
    ],
)
def test_a_wrong_clock_is_told_with_how_wrong_it_is(now: float, server: float | None, mark: Mark, words: str) -> None:
    """Without a server only an impossible year gives it away."""
    found = clock.judge(now, server, synchronised=True)
    assert (found.mark, words in found.text) == (mark, True), found
    assert "set-ntp" in found.advice


def test_the_kernel_says_whether_the_clock_is_kept() -> None:
    """It answers without any right."""
    assert clock.is_synchronised() in (True, False)


# A call apart.


def test_a_call_apart_is_as_any_other() -> None:
    """What it returns comes back."""
    assert apart(20, divmod, 7, 2) == (3, 1)


@pytest.mark.parametrize(("limit", "call", "argument"), [(0.5, time.sleep, 60), (20, os._exit, 3)])
def test_a_call_apart_that_hangs_or_crashes_ends(limit: float, call: Callable[[int], object], argument: int) -> None:
    """Nobody waits longer than the limit, and nothing is left behind."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        apart(limit, call, argument)
    assert time.monotonic() - began < 15
    assert not multiprocessing.active_children()


# Power, heat, room.


@pytest.mark.parametrize(
    ("bits", "mark", "words"),
    [
        (0x0, Mark.OK, "enough voltage"),
        (0x1, Mark.BAD, "too low a voltage right now"),
        (0x50005, Mark.BAD, "too low a voltage right now"),
        (0x4, Mark.BAD, "slowed down right now"),
        (0x50000, Mark.NOTE, "too low at least once"),
        (0x80000, Mark.NOTE, "slowed down at least once"),
    ],
)
def test_the_firmwares_bits_are_told_in_words(bits: int, mark: Mark, words: str) -> None:
    """What is so now is bad, what was so once is worth knowing."""
    found = power.judge(bits, "Raspberry Pi Zero 2 W")
    assert (found.mark, words in found.text) == (mark, True), found


def board(directory: Path, **files: str) -> list[Finding]:
    """Return what is found on a board with these files of the kernel."""
    places = {
        "model": "device-tree/model",
        "throttled": "sys/devices/platform/soc/soc:firmware/get_throttled",
        "temperature": "sys/class/thermal/thermal_zone0/temp",
        "sensor": "sys/class/hwmon/hwmon1/name",
        "alarm": "sys/class/hwmon/hwmon1/in0_lcrit_alarm",
    }
    for name, content in files.items():
        path = directory / places[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return power.examine(directory / "sys", directory / "device-tree")


def test_a_pi_is_asked_for_its_power_and_its_heat(tmp_path: Path) -> None:
    """The firmware's word is taken from where the kernel shows it."""
    found = board(tmp_path, model="Raspberry Pi 4 Model B Rev 1.4\0", throttled="50005\n", temperature="82100\n")
    assert [(finding.name, finding.mark) for finding in found] == [("power", Mark.BAD), ("heat", Mark.BAD)]
    assert found[0].text.startswith("Raspberry Pi 4 Model B Rev 1.4: too low a voltage")
    assert "82 °C" in found[1].text


def test_without_the_firmwares_word_its_alarm_is_asked(tmp_path: Path) -> None:
    """Other kernels have a sensor for it."""
    found = board(tmp_path, model="Raspberry Pi 5", sensor="rpi_volt\n", alarm="1\n")
    assert found[0].mark is Mark.BAD
    assert board(tmp_path, alarm="0\n")[0].mark is Mark.OK


def test_what_is_no_pi_is_no_trouble(tmp_path: Path) -> None:
    """On a laptop nobody knows, and it does not matter."""
    found = board(tmp_path, temperature="45000")
    assert [finding.mark for finding in found] == [Mark.NOTE, Mark.OK]
    assert "no Raspberry Pi" in found[0].text


def test_a_disk_is_told_by_what_the_daemon_needs() -> None:
    """Where the mute cannot be kept something is wrong; where settings cannot be changed it may be meant so."""
    state, etc = Path("/var/lib/speakerd"), Path("/etc/speakerd")
    assert room_left.judge_disk(5000, read_only=[], state=state).text.startswith("4.9 GiB left")
    assert room_left.judge_disk(5000, read_only=[etc], state=state).mark is Mark.NOTE
    read_only = room_left.judge_disk(5000, read_only=[etc, state], state=state)
    assert (read_only.mark, "read-only" in read_only.text) == (Mark.BAD, True)
    assert room_left.judge_disk(100, read_only=[], state=state).mark is Mark.NOTE
    full = room_left.judge_disk(3, read_only=[], state=state)
    assert (full.mark, "make room" in full.advice) == (Mark.BAD, True)


def test_memory_is_told_by_what_is_left(tmp_path: Path) -> None:
    """What the kernel would give counts, not what lies idle."""
    assert [room_left.judge_memory(427, free).mark for free in (200, 40, 10)] == [Mark.OK, Mark.NOTE, Mark.BAD]
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:         437248 kB\nMemFree:           10000 kB\nMemAvailable:     204800 kB\n")
    assert room_left.examine(tmp_path, tmp_path, meminfo)[1] == ok("memory", "200 MiB of 427 MiB left")


# The network.


def test_weak_wifi_is_noted() -> None:
    """The kernel's own table is read, with one line for each radio."""
    table = (
        "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"
        " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"
        " wlan0: 0000   29.  -81.  -256        0      0      0      0      5        0\n"
    )
    (found,) = network.judge_wifi(table)
    assert (found.mark, found.text) == (Mark.NOTE, "wlan0 receives -81 dBm: weak")
    assert network.judge_wifi(table.replace("-81", "-52"))[0].mark is Mark.OK
    assert network.judge_wifi(table[: table.index(" wlan0")]) == []


@pytest.mark.parametrize(
    ("error", "mark", "advice"),
    [
        (LinkError("refused", code=1007, reason="API key not valid."), Mark.BAD, "check the API key"),
        (LinkError("refused", code=1011, reason="Resource has been exhausted (quota)."), Mark.NOTE, "wait"),
        (
            LinkError("refused", code=1008, reason="x is not found for API version v1beta"),
            Mark.BAD,
            "assistant.model",
        ),
        (LinkError("the server answers HTTP 503", code=503), Mark.BAD, "status.cloud.google.com"),
    ],
)
def test_what_the_service_refuses_is_told_by_its_cause(error: LinkError, mark: Mark, advice: str) -> None:
    """A wrong key is mended elsewhere than a used-up quota."""
    found = handshake.judge(error)
    assert (found.mark, advice in found.advice) == (mark, True), found


# Key, unit, pins.


def test_a_key_is_known_by_its_look() -> None:
    """One that was cut off while pasting is noticed; no finding ever holds it."""
    whole, cut = "AIza" + "x" * 35, "AIza" + "x" * 20
    assert key.judge(whole, "here", other=False).mark is Mark.OK
    assert key.judge("AQ." + "x" * 40, "here", other=False).mark is Mark.OK
    assert key.judge(cut, "here", other=False).mark is Mark.NOTE
    assert "sudo" in key.judge(whole, "here", other=True).advice
    assert not any("xxx" in str(key.judge(secret, "here", other=False)) for secret in (whole, cut))


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the key of whoever runs the tests, and later what the doctor took up."""
    for name in ("GEMINI_API_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_key")
async def test_the_key_of_a_service_that_is_down_is_found_where_the_unit_says(tmp_path: Path) -> None:
    """So that a wrong key is noticed although it is what keeps the service down."""
    stored = tmp_path / "key"
    stored.write_text("AIza" + "x" * 35 + "\n")
    service = Service({"LoadState": "loaded", "LoadCredential": f"gemini-api-key:{stored}"})
    found, secret = await key.examine(Settings(), service)
    assert secret == "AIza" + "x" * 35
    assert (found.mark, str(stored) in found.text) == (Mark.OK, True), found


@pytest.mark.usefixtures("no_key")
async def test_a_stored_key_that_cannot_be_decrypted_is_not_taken_for_one(tmp_path: Path) -> None:
    """It is encrypted for another machine, perhaps."""
    stored = tmp_path / "key"
    stored.write_text("Whxqht+dQJax1aZeCGLxmiAAAAABAAAADAAAABAAAAC\nmFuZG9tYnl0ZXM=\n")
    service = Service({"LoadState": "loaded", "LoadCredentialEncrypted": f"gemini-api-key:{stored}"})
    found, secret = await key.examine(Settings(), service)
    assert secret is None
    assert (found.mark, "can decrypt" in found.text) == (Mark.BAD, True), found


@pytest.mark.usefixtures("no_key")
async def test_where_tokens_are_used_no_key_is_missed() -> None:
    """They come from elsewhere, which is said without what is asked for there."""
    by_url = Settings.model_validate({"live": {"token": {"url": "https://tokens.example/secret-path"}}})
    found, secret = await key.examine(by_url, Service())
    assert (found.mark, secret) == (Mark.OK, "")
    assert "tokens.example" in found.text
    assert "secret-path" not in str(found)
    by_program = Settings.model_validate({"live": {"token": {"command": ["ssh", "host", "speakerd", "token"]}}})
    assert await key.examine(by_program, Service()) == (ok("key", "none here: tokens come from the program ssh"), "")


def test_what_the_running_service_holds_is_left_to_it() -> None:
    """It says itself how that is; where it may not be asked, or does not say, the line says how to try."""
    assert Service(says={}).part("microphone").mark is Mark.OK
    assert Service(refused=True).runs
    assert Service(refused=True).part("microphone").advice == "run it with sudo"
    assert "systemctl stop" in Service(UNIT).part("microphone").advice


def test_what_the_running_service_misses_is_told_as_it_tells_it() -> None:
    """It has tried for longer than the doctor may; a microphone that is closed on purpose is no trouble."""
    away = {"use": "away", "trouble": "no microphone at plughw:CARD=Mic; plug it in"}
    says = {"microphone": away, "loudspeaker": {"use": "open", "trouble": None}, "panel": {"led": "GPIO27 is busy"}}
    service = Service(UNIT, says=says)
    found = service.part("microphone")
    assert (found.mark, found.advice) == (Mark.BAD, "plug it in")
    assert "no microphone at plughw:CARD=Mic" in found.text
    assert service.part("loudspeaker").mark is Mark.OK
    assert "GPIO27 is busy" in service.part("panel").text
    muted = Service(UNIT, says={"microphone": {"use": "closed", "trouble": None}}).part("microphone")
    assert (muted.mark, "closed on purpose" in muted.text) == (Mark.OK, True)


UNIT = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NRestarts": "0"}


@pytest.mark.parametrize(
    ("properties", "mark", "words"),
    [
        (UNIT, Mark.OK, "runs, and starts with the machine"),
        (UNIT | {"DropInPaths": "/etc/systemd/system/speakerd.service.d/a.conf"}, Mark.OK, "changed by /etc/systemd"),
        (UNIT | {"UnitFileState": "disabled"}, Mark.NOTE, "will not after a restart"),
        (UNIT | {"NRestarts": "12"}, Mark.NOTE, "started anew 12 times"),
        (UNIT | {"ActiveState": "inactive"}, Mark.NOTE, "is not running"),
        (UNIT | {"ActiveState": "failed", "ExecMainStatus": "78"}, Mark.BAD, "because of its settings or its key"),
        (UNIT | {"ActiveState": "failed", "Result": "watchdog"}, Mark.BAD, "because of: watchdog"),
        ({"LoadState": "not-found"}, Mark.NOTE, "by hand only"),
        ({}, Mark.NOTE, "no systemd"),
    ],
)
def test_the_unit_is_told_as_systemd_sees_it(properties: dict[str, str], mark: Mark, words: str) -> None:
    """Not only whether it runs: also whether it will tomorrow."""
    found = unit.judge(Service(properties, says={} if properties.get("ActiveState") == "active" else None))
    assert (found.mark, words in found.text) == (mark, True), found


def test_a_service_that_does_not_answer_is_bad() -> None:
    """It runs and hangs; one that we may not ask is left in peace."""
    assert "does not answer" in unit.judge(Service(UNIT)).text
    assert unit.judge(Service(UNIT)).mark is Mark.BAD
    assert unit.judge(Service(UNIT, refused=True)).mark is Mark.OK


def test_a_sandbox_that_was_opened_is_noted() -> None:
    """The mark is read from what systemd prints."""
    printed = "  PrivateUsers=  ✗  0.2\n\n→ Overall exposure level for speakerd.service: 1.3 OK 🙂\n"
    assert unit.exposure_in(printed) == 1.3
    assert unit.exposure_in("Failed to connect to bus") is None
    assert unit.judge_sandbox(1.3).mark is Mark.OK
    assert unit.judge_sandbox(6.2).mark is Mark.NOTE


def test_a_pin_that_two_parts_claim_is_bad() -> None:
    """Before anything is opened."""
    settings = Settings.model_validate({"panel": {"mute_button": {"pin": 17}, "led": {"pin": 17}}})
    (found,) = pins.clashing(settings)
    assert (found.mark, "both GPIO 17" in found.text) == (Mark.BAD, True)
