"""`speakerd doctor`: a speaker that is broken in one way at a time, and what the doctor says."""

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alsaaudio
import numpy as np
import pytest

from speakerd.doctor import clock, loudspeaker, microphone, network, server
from speakerd.doctor.doctor import Visit, examine
from speakerd.doctor.finding import Finding, Mark
from speakerd.doctor.service import look
from speakerd.live.events import INPUT_RATE
from speakerd.settings import Microphone, Settings, Speaker
from speakerd.simulate.card import Converter, SimulatedCard
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.sound.alsa import open_pcm
from tests.integration.household import KEY, household, until, write_settings
from tests.unit.test_network import in_a_network_of_its_own

NOISE = np.random.default_rng(5).normal(0, 100, 4 * INPUT_RATE).astype("<i2")
"""Four seconds of a kitchen at night, at -50 dB."""

MICROPHONE = Microphone(device="mic")


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget proxy, key and credentials of whoever runs the tests."""
    for name in ("WSS_PROXY", "SOCKS_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("GEMINI_API_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def air(card: SimulatedCard, loudness: float = 0.25) -> Iterator[None]:
    """Carry what the loudspeaker plays to the microphone, as the air does, a little later and softer."""
    over = threading.Event()

    def carry() -> None:
        done = 0  # bytes
        while not over.wait(0.01):
            new = card.played()[done:]
            new = new[: len(new) // 6 * 6]  # three samples of 24 kHz become two of 16 kHz
            done += len(new)
            played = np.frombuffer(new, "<i2")
            heard = (
                np.interp(np.arange(len(played) * 2 // 3) * 1.5, np.arange(len(played)), played) if new else played
            )
            card.speak((heard * loudness).astype("<i2").tobytes())

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass
class Report:
    """What the program said."""

    status: int
    output: str

    def of(self, name: str) -> list[dict[str, str]]:
        """Return the findings about a part."""
        return [finding for finding in json.loads(self.output)["findings"] if finding["name"] == name]

    def mark(self, name: str) -> str:
        (found,) = self.of(name)
        return found["mark"]

    @property
    def bad(self) -> list[str]:
        return [finding["name"] for finding in json.loads(self.output)["findings"] if finding["mark"] == "bad"]


async def doctor(settings: Path, *words: str, **environment: str) -> Report:
    """Call the doctor as a program of its own; it takes 20 seconds at the most, and writes no error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "speakerd", "doctor", "--config", str(settings), *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ | environment,
    )  # fmt: skip
    try:
        async with asyncio.timeout(40):  # a busy machine is slow to start a program
            said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert complaint.decode() == ""
    return Report(process.returncode or 0, said.decode())


@contextlib.asynccontextmanager
async def live_api(directory: Path) -> AsyncIterator[LiveApi]:
    async with LiveApi(LiveApiOptions(directory / "live", keys=frozenset({KEY}))) as live:
        yield live


async def test_of_a_speaker_that_is_well_all_is_well(card: SimulatedCard, tmp_path: Path) -> None:
    """From the key to the whistle that the microphone hears; a session is set up and costs nothing."""
    async with live_api(tmp_path) as live:
        panel: dict[str, object] = {"pin_factory": "mock", "mute_button": {"pin": 17}, "led": {"pin": 27}}
        settings = write_settings(tmp_path / "speakerd.yaml", live.url, panel=panel)
        with air(card):
            # What was spoken before it listens is heard first.
            card.speak(NOISE[: 2 * INPUT_RATE].tobytes())
            report = await doctor(settings, "--json", SSL_CERT_FILE=str(live.ca_file), GEMINI_API_KEY=KEY)
        assert report.status == 0, report.output
        for name in ("settings", "DNS", "route", "TLS", "Live", "microphone", "loudspeaker", "disk", "versions"):
            assert report.mark(name) == "ok", report.of(name)
        assert "the microphone hears it" in report.of("loudspeaker")[0]["text"]
        assert report.of("panel")[0]["text"] == "button and light can be opened"
        assert KEY not in report.output
        kinds = {event.kind for event in live.events if event.direction == "in"}
        assert not {kind for kind in kinds if "audio" in kind.lower() or "realtime" in kind.lower()}, kinds


async def test_the_report_fits_a_terminal(tmp_path: Path) -> None:
    """Read by a person it has signs, and no line is too long."""
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9")
    report = await doctor(settings, "--quiet")
    assert report.status == 1
    assert all(len(line) <= 80 for line in report.output.splitlines() if str(tmp_path) not in line)
    assert report.output.count("→") >= report.output.count("✗") > 1  # each that is bad has its advice


async def test_a_key_that_is_refused_is_named(card: SimulatedCard, tmp_path: Path) -> None:
    """The service's own word is told, what to do about it, and not the key."""
    async with live_api(tmp_path) as live:
        settings = write_settings(tmp_path / "speakerd.yaml", live.url)
        card.speak(NOISE.tobytes())
        wrong = "AIzaSyWrongWrongWrongWrongWrongWrongWro"
        report = await doctor(settings, "--json", "--quiet", SSL_CERT_FILE=str(live.ca_file), GEMINI_API_KEY=wrong)
    assert (report.status, report.bad) == (1, ["Live"])
    assert "check the API key" in report.of("Live")[0]["advice"]
    assert wrong not in report.output


async def test_without_a_key_the_handshake_is_not_tried(card: SimulatedCard, tmp_path: Path) -> None:
    """The missing key is what is bad, once; the network is looked at all the same."""
    async with live_api(tmp_path) as live:
        settings = write_settings(tmp_path / "speakerd.yaml", live.url)
        card.speak(NOISE.tobytes())
        report = await doctor(settings, "--json", "--quiet", SSL_CERT_FILE=str(live.ca_file))
    assert (report.status, report.bad) == (1, ["key"])
    assert "aistudio.google.com" in report.of("key")[0]["advice"]
    assert report.mark("Live") == "note"
    assert report.mark("TLS") == "ok"


async def test_the_key_of_a_service_is_found_where_systemd_puts_it(card: SimulatedCard, tmp_path: Path) -> None:
    """Called with the service's credentials, the doctor tries that key."""
    (tmp_path / "gemini-api-key").write_text(f"{KEY}\n")
    async with live_api(tmp_path) as live:
        settings = write_settings(tmp_path / "speakerd.yaml", live.url)
        card.speak(NOISE.tobytes())
        credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path), "SSL_CERT_FILE": str(live.ca_file)}
        report = await doctor(settings, "--json", "--quiet", **credentials)
    assert report.mark("Live") == "ok"
    assert "the credential gemini-api-key" in report.of("key")[0]["text"]


async def test_a_name_that_nobody_knows_is_told_once(card: SimulatedCard, tmp_path: Path) -> None:
    """TLS and handshake fail for the same reason, and are not blamed."""
    settings = write_settings(tmp_path / "speakerd.yaml", "https://live.invalid")
    card.speak(NOISE.tobytes())
    report = await doctor(settings, "--json", "--quiet", GEMINI_API_KEY=KEY)
    assert (report.status, report.bad) == (1, ["DNS"])
    assert "live.invalid" in report.of("DNS")[0]["text"]
    assert report.of("TLS") == []
    assert report.of("Live")[0]["text"] == "not reached, for the reason above"


async def test_a_certificate_that_nobody_knows_is_told_with_the_servers_time(tmp_path: Path) -> None:
    """It is not trusted, and yet tells whether our clock is to blame."""
    async with live_api(tmp_path) as live:
        settings = Settings.model_validate({"live": {"base_url": live.url}})
        tls, time_found = await server.examine(settings, time.time)
        assert (tls.name, tls.mark) == ("TLS", Mark.BAD)
        assert "authority that nobody here knows" in tls.text
        assert "the server shows the same time" in time_found.text


@pytest.mark.parametrize(("off_s", "words"), [(-40 * 86400, "40 days (slow)"), (7200, "2 hours (fast)")])
async def test_a_clock_that_is_wrong_is_compared_with_the_servers(
    off_s: float, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However well it believes to be kept."""
    async with live_api(tmp_path) as live:
        monkeypatch.setenv("SSL_CERT_FILE", str(live.ca_file))
        settings = Settings.model_validate({"live": {"base_url": live.url}})
        _, found = await server.examine(settings, lambda: time.time() + off_s)
    assert (found.name, found.mark) == (clock.NAME, Mark.BAD)
    assert words in found.text


async def test_a_proxy_is_looked_up_in_the_servers_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy stands in front, the way leads to it; its password is not told."""
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:secret@127.0.0.1:3128")
    found = await network.examine(Settings())
    assert (found[0].mark, "127.0.0.1" in found[0].text) == (Mark.OK, True)
    assert "secret" not in str(found)


NOWHERE = """
import asyncio
from speakerd.doctor import network
from speakerd.settings import Settings

name, route, *_ = asyncio.run(network.examine(Settings.model_validate({"live": {"base_url": "https://192.0.2.1"}})))
assert name.text == "192.0.2.1 is an address: there is nothing to look up", name
assert route.text == "this machine is in no network that leads to the server", route
assert "is the router on" in route.advice, route
"""


def test_a_machine_without_a_network_is_told_so() -> None:
    """No cable and no Wi-Fi: what to look at is the router, not the server."""
    in_a_network_of_its_own(NOWHERE)


# The microphone.


def examined(card: SimulatedCard, *channels: Any, settings: Microphone = MICROPHONE) -> Finding:
    """Return what the doctor says of a microphone that hears this."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in card.environment.items():
            patch.setenv(name, value)
        # The card's mouth repeats mono for each channel; a channel of its own goes around it.
        if len(channels) == 1:
            card.speak(channels[0].astype("<i2").tobytes())
        (found,) = microphone.examine(settings)
    return found


HEARD: dict[str, tuple[Any, Mark, str]] = {
    "well": (NOISE, Mark.OK, "hears the room at -50 dB"),
    "silent": (np.zeros_like(NOISE), Mark.BAD, "nothing but silence"),
    "clipped": (NOISE.astype(float).clip(-1, 1) * 32767, Mark.BAD, "is overdriven"),
    "offset": (NOISE.astype(float) - 9000, Mark.BAD, "DC offset"),
}


@pytest.mark.parametrize("case", HEARD)
def test_what_a_microphone_gives_is_judged(case: str, card: SimulatedCard) -> None:
    """Through the real sound library, as the daemon hears it."""
    sound, mark, words = HEARD[case]
    found = examined(card, sound)
    assert (found.mark, words in found.text) == (mark, True), found
    assert found.mark is Mark.OK or found.advice


def test_a_dead_channel_of_two_shows_although_one_is_asked_for(tmp_path: Path) -> None:
    """ALSA would mix the two, and half the sound would be missing."""
    with SimulatedCard(tmp_path, microphone=Converter(channels=2)) as card, pytest.MonkeyPatch.context() as patch:
        for name, value in card.environment.items():
            patch.setenv(name, value)
        with (tmp_path / "mic.source").open("wb", buffering=0) as source:
            fed = threading.Thread(target=source.write, args=[np.stack([NOISE, NOISE * 0], 1)[:12500].tobytes()])
            fed.start()
            (found,) = microphone.examine(Microphone(device="plug:mic"))
            fed.join(10)
    assert (found.mark, "channel 2 is dead" in found.text) == (Mark.NOTE, True), found


def test_a_microphone_that_another_program_has_is_busy(card: SimulatedCard) -> None:
    """It is told who is in the way, and what to do."""
    pcm = open_pcm(alsaaudio.PCM_CAPTURE, "mic", INPUT_RATE, 1, 320, 8)
    try:
        (found,) = microphone.examine(MICROPHONE)
    finally:
        pcm.close()
    assert found.mark is Mark.BAD
    assert "in use by another program" in found.text
    assert "stop that" in found.advice


def test_a_microphone_that_is_pulled_out_is_told(card: SimulatedCard) -> None:
    """In the middle of it."""
    card.speak(NOISE.tobytes())
    pull = threading.Timer(0.5, card.unplug)
    pull.start()
    (found,) = microphone.examine(MICROPHONE)
    pull.join()
    assert (found.mark, "the microphone went away" in found.text) == (Mark.BAD, True), found


@pytest.mark.parametrize("quiet", [True, False])
def test_a_loudspeaker_is_tried_by_ear_or_quietly(quiet: bool, card: SimulatedCard) -> None:
    """At night nothing is to be heard; else it is, also where no microphone is there to hear it."""
    (found,) = loudspeaker.examine(Speaker(device="speaker"), Microphone(device="nowhere"), quiet=quiet)
    assert found.text.startswith("opens; nothing was played" if quiet else "plays; whether it is heard")
    assert any(card.played()) is not quiet


async def test_devices_that_are_not_there_are_told_with_their_settings(tmp_path: Path) -> None:
    """Whoever misspelt one learns which line to change."""
    nowhere: dict[str, object] = {"device": "plughw:CARD=Nowhere"}
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9", microphone=nowhere, speaker=nowhere)
    report = await doctor(settings, "--json")
    for name, setting in (("microphone", "microphone.device"), ("loudspeaker", "speaker.device")):
        assert report.mark(name) == "bad"
        assert setting in report.of(name)[0]["advice"]


# The panel, the settings, the service.


@pytest.mark.skipif(Path("/dev/gpiochip0").exists(), reason="this machine has a GPIO chip")
async def test_without_a_gpio_chip_the_panel_is_bad(card: SimulatedCard, tmp_path: Path) -> None:
    """A laptop has no pins, and settings that name some are wrong there."""
    panel: dict[str, object] = {"mute_button": {"pin": 17}, "led": {"pin": 27}}
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9", panel=panel)
    report = await doctor(settings, "--json", "--quiet")
    assert report.mark("panel") == "bad"
    assert "no GPIO chip" in report.of("panel")[0]["text"]
    assert "remove them from panel" in report.of("panel")[0]["advice"]


async def test_broken_settings_are_told_all_at_once(tmp_path: Path) -> None:
    """What they describe is not looked at; the machine is."""
    settings = write_settings(tmp_path / "speakerd.yaml", None, microphone={"channels": 99}, speaker={"devise": "x"})
    report = await doctor(settings, "--json")
    assert report.status == 1
    assert [finding["mark"] for finding in report.of("settings")] == ["bad", "bad", "note"]
    assert report.of("microphone") == report.of("Live") == []
    assert report.mark("disk") == "ok"


async def test_beside_a_running_speaker_nothing_is_disturbed(tmp_path: Path) -> None:
    """Its devices stay its own, its connection stays up, its mute stays as it is."""
    runtime = tmp_path / "run"
    runtime.mkdir()
    panel: dict[str, object] = {"pin_factory": "mock", "led": {"pin": 27}}
    async with household(tmp_path, environment={"RUNTIME_DIRECTORY": str(runtime)}, panel=panel) as home:
        at = await home.daemon.until(event="link-up")
        await until((runtime / "control").exists, "the control socket")
        report = await doctor(
            tmp_path / "speakerd.yaml", "--json", "--runtime", str(runtime),
            SSL_CERT_FILE=str(home.live.ca_file), GEMINI_API_KEY=KEY, **home.card.environment,
        )  # fmt: skip
        assert report.status == 0, report.output
        assert report.mark("Live") == "ok"
        for name in ("microphone", "loudspeaker", "panel"):
            assert report.of(name)[0]["text"] == "in use by the running service; how it is: speakerd status"
        events = {entry.get("event") for entry in home.daemon.journal[at:]}
        assert not events & {"link-lost", "device-lost", "mute", "xrun"}
        assert home.card.played() == b"", "nothing was played"
        assert [event.detail["handle"] for event in home.live.events if event.kind == "setup"] == [None, None]


@pytest.mark.parametrize(
    ("answer", "says"), [(b'{"state": "idle"}\n', {"state": "idle"}), (b"there is only one request: mute\n", {})]
)
async def test_the_daemon_is_asked_how_it_is(answer: bytes, says: dict[str, str], tmp_path: Path) -> None:
    """One of before the status answers as well: it is there, and holds the devices."""

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"status\n"
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(tell, tmp_path / "control"):
        service = await look(tmp_path)
    assert (service.says, service.runs) == (says, True)


async def test_a_daemon_that_hangs_holds_nobody_up(card: SimulatedCard, tmp_path: Path) -> None:
    """Its socket accepts and says nothing; the report is there all the same, and in time."""

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await over.wait()
        writer.close()

    over = asyncio.Event()
    listening = await asyncio.start_unix_server(hang, tmp_path / "control")
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9")
    found: list[Finding] = []
    async with listening:
        async with asyncio.timeout(20):
            await examine(Visit(file=settings, runtime=tmp_path, quiet=True), found.append)
        over.set()
    assert found[-1].name == "versions"


async def test_a_sound_server_that_hangs_holds_nobody_up(card: SimulatedCard, tmp_path: Path) -> None:
    """Whatever the driver does, the rest is told, in time."""
    os.mkfifo(tmp_path / "card" / "mic.sink")  # whoever opens that waits for a reader
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9")
    report = await doctor(settings, "--json", "--quiet")
    assert report.of("microphone")[0]["text"] == "no answer within its time"
    assert (report.mark("loudspeaker"), report.mark("versions")) == ("ok", "ok")


async def test_whoever_reads_only_the_beginning_sees_no_error(tmp_path: Path) -> None:
    """As with `speakerd doctor | head -1`."""
    settings = write_settings(tmp_path / "speakerd.yaml", "https://127.0.0.1:9")
    command = f"{sys.executable} -u -m speakerd doctor --quiet --config {settings} | head -1"
    process = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaint = await process.communicate()
    assert said.decode().startswith("✓ settings")
    assert complaint == b""
