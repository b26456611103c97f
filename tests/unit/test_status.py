"""The status, as JSON and as a page for people."""

import dataclasses
import importlib.metadata
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

import speakerd
from speakerd.app import dialler
from speakerd.assistant import Assistant
from speakerd.errors import SpeakerdError
from speakerd.host.mute_file import MuteFile
from speakerd.host.usage_file import Day
from speakerd.live.handle import Handle
from speakerd.live.link import Link
from speakerd.mute import Mute
from speakerd.panel.panel import Panel
from speakerd.settings import Settings
from speakerd.sound.alsa import Microphone, Speaker
from speakerd.sound.ear import Ear
from speakerd.sound.level import LevelDetector
from speakerd.sound.reply import Reply
from speakerd.sound.volume import Volume
from speakerd.status.page import render
from speakerd.status.snapshot import Parts, snapshot, versions
from speakerd.status.status import DeviceStatus, LinkStatus, ProcessStatus, Status
from speakerd.turns import Totals, Turn

NOW = time.mktime((2026, 5, 3, 19, 42, 0, 0, 0, -1))

TURN = Turn(
    turn=12, reason=None, heard_ms=2100, first_byte_ms=610, first_sound_ms=748, answer_ms=4300, interruptions=0,
    tokens_in=612, tokens_out=77, cost_usd=0.00212, xruns=0,
)  # fmt: skip

WELL = Status(
    state="idle",
    state_seconds=754.2,
    to_do=None,
    muted=False,
    link=LinkStatus(up=True, seconds=200.5, trouble=None, handle_seconds=40.25),
    microphone=DeviceStatus("plughw:CARD=Device", "open", None, 0),
    loudspeaker=DeviceStatus("plughw:CARD=Device", "open", None, 2),
    own_voice="cancel",
    panel={"button": None, "light": None},
    last_turn=TURN,
    totals=Totals(12, 1, Counter(silent=2, empty=1), 7000, 900, 0.0301, 1, 2, 3, 4, 5, 6_000_000, 3_400_000),
    counted_seconds=49_200.0,
    today=Day("2026-05-03", 7000, 900, 0.0301),
    versions={"speakerd": "0.1.0", "google-genai": "3.4.0", "Python": "3.13.5", "Linux": "6.12.47+rpt-rpi-v8"},
    process=ProcessStatus(712, 49_201.5, 71_303_168),
)

AWAY = DeviceStatus(
    "plughw:CARD=Device", "away",
    "there is no microphone plughw:CARD=Device (No such device); `speakerd devices` lists what there is", 0,
)  # fmt: skip

NEW = dataclasses.replace(
    WELL,
    state="error",
    state_seconds=172_900.0,
    to_do="the key is refused; store another one: sudo systemd-creds encrypt --name=gemini-api-key - "
    "/etc/credstore.encrypted/gemini-api-key; then: sudo systemctl restart speakerd",
    muted=True,
    link=LinkStatus(up=False, seconds=7_300.0, trouble='refused: "API key\\ not valid"', handle_seconds=None),
    microphone=AWAY,
    panel={"switch": "GPIO 17 is in use by another program", "light": None},
    last_turn=None,
    totals=Totals(),
    today=Day("2026-05-03"),
)

MOMENTS = {"all is well": WELL, "all is new and broken": NEW}


@pytest.fixture(params=list(MOMENTS.values()), ids=list(MOMENTS))
def moment(request: pytest.FixtureRequest) -> Status:
    assert isinstance(request.param, Status)
    return request.param


def test_what_the_daemon_says_is_what_the_command_reads(moment: Status) -> None:
    """Nothing is lost between the two, and it is one line."""
    text = moment.as_json()
    assert "\n" not in text
    assert Status.of(text) == moment


async def test_what_others_have_said_is_on_one_line_and_without_secrets() -> None:
    """A server may answer with whatever it likes, and with what it was sent."""
    settings, reply = Settings(), Reply(80)
    assistant = Assistant(reply, settings)
    handle = Handle(None, settings.assistant.model)
    link = Link(dialler(settings, ""), {}, settings.live, handle, assistant)
    link.trouble = "no quota\nfor AIzaS3cret, or\tanybody"
    ear = Ear(LevelDetector)
    microphone = Microphone(settings.microphone, ear.begin, assistant.hear, assistant.microphone_changed)
    mute = Mute(MuteFile(None), microphone, assistant, muted=False)
    parts = Parts(
        settings=settings, assistant=assistant, link=link, handle=handle, microphone=microphone,
        speaker=Speaker(
            settings.speaker, reply, assistant.playing_changed, assistant.speaker_changed, Volume(lambda: 1.0)
        ),
        ear=ear, panel=Panel(settings.panel, settings.quiet_hours, mute.gesture, mute.switched),
        started_at=0.0, made_at=0.0,
    )  # fmt: skip
    assert snapshot(parts).link.trouble == "no quota for (a secret), or anybody"


@pytest.mark.parametrize("text", ["{}", "[]", "3", "no JSON", '{"link": 3}', WELL.as_json()[:-1] + ', "more": 1}'])
def test_a_daemon_of_another_version_is_not_taken_for_ours(text: str) -> None:
    """The command says what helps, instead of breaking."""
    with pytest.raises(SpeakerdError, match="systemctl restart speakerd"):
        Status.of(text)


def test_the_page_fits_a_terminal(moment: Status) -> None:
    """No line is longer than 80 columns, and none is empty but the one below the first."""
    lines = render(moment, NOW).splitlines()
    assert max(map(len, lines)) <= 80
    assert [number for number, line in enumerate(lines) if not line.strip()] == [1]


def test_the_page_says_what_is() -> None:
    """Each part has its line, with times of day and lengths that people read."""
    page = " ".join(render(WELL, NOW).split())
    for part in (
        "Idle since 19:29 (12 min)",
        "Mute not muted",
        "Connection up for 3 min",
        "Conversation can be resumed, as it was 40 s ago",
        "Microphone plughw:CARD=Device, open",
        "Loudspeaker plughw:CARD=Device, open, had a gap twice",
        "Own voice taken out of what the microphone hears",
        "Panel button, light",
        "12: heard 2.10 s, first byte after 0.61 s, first sound after 0.75 s, answered for 4.30 s, 689 tokens, "
        "about $0.002",
        "Today 7,000 tokens in, 900 out, about $0.030",
        "since 06:02 (13 h): 12 turns, 1 interruption, 3 stalls (1 empty, 2 silent), 4 reconnections, 5 rotations, "
        "6.0 MB of sound up, 3.4 MB down",
        "speakerd 0.1.0, google-genai 3.4.0, Python 3.13.5, Linux 6.12.47+rpt-rpi-v8",
        "Process 712, 71.3 MB, since 06:01 (13 h)",
    ):
        assert part in page


def test_the_page_says_first_what_a_person_must_do() -> None:
    """Below the state comes what helps; then what is wrong with each part."""
    page = " ".join(render(NEW, NOW).split())
    assert page.startswith("Error since 2026-05-01 19:40 (2 days) To do the key is refused; store another one")
    for part in (
        "Mute muted, until its switch is moved",
        'Connection none for 2 h: refused: "API key\\ not valid"',
        "Conversation new",
        "Microphone plughw:CARD=Device, away: there is no microphone",
        "Panel switch (GPIO 17 is in use by another program), light",
        "Last turn none yet",
        "Today no tokens",
    ):
        assert part in page


@pytest.mark.parametrize(
    ("panel", "ends"),
    [({"button": None}, "until its button is pressed"), ({"light": None}, "and has no button to end that")],
)
def test_the_page_says_what_ends_a_mute(panel: dict[str, str | None], ends: str) -> None:
    """It is the button, or the switch, or nothing."""
    assert f"muted, {ends}" in render(dataclasses.replace(WELL, muted=True, panel=panel), NOW)


def test_a_turn_that_broke_off_is_told_with_its_reason() -> None:
    """What did not happen is left out."""
    turn = dataclasses.replace(TURN, reason="connection lost", first_byte_ms=None, first_sound_ms=None)
    page = " ".join(render(dataclasses.replace(WELL, last_turn=turn), NOW).split())
    assert "12: heard 2.10 s, answered for 4.30 s, 689 tokens, about $0.002 (connection lost)" in page


# What it costs.


def test_the_versions_are_known_without_loading_what_they_are_of() -> None:
    """The SDK takes seconds to import on a small board."""
    script = (
        "import json, sys; from speakerd.status.snapshot import versions; "
        "print(json.dumps([versions(), 'google' in sys.modules]))"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    said: tuple[dict[str, str], Any] = json.loads(printed)
    assert said[1] is False
    assert said[0] == versions()
    assert said[0]["speakerd"] == speakerd.__version__
    assert said[0]["google-genai"] == importlib.metadata.version("google-genai")


def test_the_command_loads_nothing_heavy() -> None:
    """A scrape every minute must not cost a small board a second each."""
    script = (
        "import sys; from speakerd.host import control; from speakerd.status import page, scrape; "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert not {"pydantic", "yaml", "google", "alsaaudio", "gpiozero", "systemd"} & set(printed.split())
