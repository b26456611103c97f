"""Microphone and loudspeaker on a desktop's sound server, which is restarted."""

import time
from pathlib import Path

import pytest

from speakerd.settings import Settings
from speakerd.simulate.room import Room
from tests.integration.test_alsa import Ear, Mouth, until

SETTINGS = Settings.model_validate({"microphone": {"device": "mic"}, "speaker": {"device": "speaker"}})

BACK_S = 2.0
"""So long after the server is back, both work again; their pauses between two tries are shorter."""


async def test_a_sound_server_may_be_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each device is told of once each way, and the microphone hears as before."""
    with Room(tmp_path / "room") as room:
        for name, value in room.environment.items():
            monkeypatch.setenv(name, value)
        ear, mouth = Ear(), Mouth()
        async with ear.listening(SETTINGS), mouth.talking(SETTINGS):
            await until(lambda: ear.pcm and ear.reports and mouth.reports, "both devices")
            room.server_gone()
            mouth.say(bytes(24_000))
            await until(lambda: ear.reports[-1] and mouth.reports[-1], "the loss of both")
            ear.pcm.clear()
            room.server_back()
            began = time.monotonic()
            await until(lambda: ear.pcm and not ear.reports[-1] and not mouth.reports[-1], "both devices again")
            assert time.monotonic() - began < BACK_S
        for reports in (ear.reports, mouth.reports):
            assert [bool(report) for report in reports] == [False, True, False]
