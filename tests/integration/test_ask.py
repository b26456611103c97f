"""`speakerd ask` and the other commands, as a user runs them."""

import asyncio
import contextlib
import io
import json
import os
import sys
import wave
from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from speakerd.simulate.card import Converter, SimulatedCard
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script
from tests.integration.household import GO_FORWARD, KEY, write_settings


@dataclass
class Finished:
    """A command that has ended."""

    status: int
    out: str
    err: str


async def speakerd(*words: object, **environment: str) -> Finished:
    """Run a command; what it says of a failure must be for people."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "speakerd", *map(str, words),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    finished = Finished(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in finished.err, finished.err
    assert KEY not in finished.out + finished.err
    return finished


@dataclass
class Service:
    """The stand-in, and how commands find it."""

    live: LiveApi
    settings: Path
    environment: dict[str, str]


@contextlib.asynccontextmanager
async def service(
    directory: Path, script: dict[str, object] | None = None, **sections: dict[str, object]
) -> AsyncIterator[Service]:
    options = LiveApiOptions(
        directory / "live", script=Script.model_validate({"thinking": 0.2} | (script or {})), keys=frozenset({KEY})
    )
    async with LiveApi(options) as live:
        merged: dict[str, dict[str, object]] = {"log": {"format": "text"}, **sections}
        settings = write_settings(directory / "speakerd.yaml", live.url, **merged)
        yield Service(live, settings, {"SSL_CERT_FILE": str(live.ca_file), "GEMINI_API_KEY": KEY})


def write_question(path: Path, rate: int = 16_000, channels: int = 1, subtype: str = "PCM_16") -> Path:
    speech = np.frombuffer(GO_FORWARD, "<i2").astype("float32") / 32768
    sound = soxr.resample(speech, 16_000, rate)
    soundfile.write(path, np.column_stack([sound] * channels), rate, subtype=subtype)
    return path


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("q.wav", 16_000, 1, "PCM_16"),
        ("q.wav", 44_100, 2, "FLOAT"),
        ("q.wav", 8_000, 1, "ULAW"),
        ("q.flac", 48_000, 6, "PCM_24"),
        ("q.ogg", 22_050, 1, "VORBIS"),
    ],
)
async def test_a_question_from_any_sound_file_is_answered_into_a_file(
    tmp_path: Path, name: str, rate: int, channels: int, subtype: str
) -> None:
    """Whatever rate, channels and format it has, it is understood as speech, and the answer is saved whole."""
    question, answer = write_question(tmp_path / name, rate, channels, subtype), tmp_path / "answer.wav"
    async with service(tmp_path) as at:
        done = await speakerd("ask", question, "--config", at.settings, "--output", answer, **at.environment)
        assert done.status == 0, done.err
        assert f"{answer}: " in done.out
        (said,) = at.live.answers
    with wave.open(str(answer)) as saved:
        assert (saved.getframerate(), saved.getnchannels(), saved.getsampwidth()) == (24_000, 1, 2)
        assert saved.readframes(saved.getnframes()) == said.pcm


async def test_an_answer_is_played_to_its_end(tmp_path: Path) -> None:
    """Without --output the answer comes out of the loudspeaker, and the command ends when it was heard."""
    question = write_question(tmp_path / "q.wav")
    with SimulatedCard(tmp_path / "card") as card:
        async with service(tmp_path) as at:
            done = await speakerd("ask", question, "--config", at.settings, **at.environment, **card.environment)
            assert (done.status, done.err) == (0, "")
            assert card.played() == at.live.answers[0].pcm


async def test_a_transcript_is_printed_on_request(tmp_path: Path) -> None:
    """--transcript prints what was understood and what was said."""
    question = write_question(tmp_path / "q.wav")
    async with service(tmp_path, {"heard": ["go forward ten meters"]}) as at:
        done = await speakerd(
            "ask", question, "--config", at.settings, "--output", tmp_path / "a.wav", "--transcript", **at.environment
        )
        text = at.live.answers[0].text
    assert "heard: go forward ten meters\n" in done.out
    assert f"said: {text}\n" in done.out


def broken_wav(path: Path) -> Path:
    path.write_bytes(b"RIFF\x10\0\0\0WAVEfmt nonsense")
    return path


def empty_wav(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    return path


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (lambda directory: directory, "is a directory; name a sound file"),
        (lambda directory: directory / "nowhere.wav", "nowhere.wav: No such file or directory"),
        (lambda directory: broken_wav(directory / "broken.wav"), "broken.wav: not a sound file"),
        (lambda directory: empty_wav(directory / "empty.wav"), "empty.wav: holds no sound"),
    ],
)
async def test_what_is_no_sound_is_refused_before_anything_is_sent(
    tmp_path: Path, question: object, words: str
) -> None:
    """A directory, a missing, a broken and an empty file each get their words, and status 1."""
    assert callable(question)
    async with service(tmp_path) as at:
        done = await speakerd(
            "ask", question(tmp_path), "--config", at.settings, "--output", tmp_path / "a.wav", **at.environment
        )
        assert done.status == 1
        assert words in done.err
        assert not at.live.events


async def test_a_question_without_speech_gets_no_answer(tmp_path: Path) -> None:
    """Silence is not answered; one is told so instead of waiting for ever."""
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16_000, "int16"), 16_000)
    async with service(tmp_path) as at:
        done = await speakerd(
            "ask", silence, "--config", at.settings, "--output", tmp_path / "a.wav", **at.environment
        )
    assert done.status == 1
    assert "no answer within 20 s; was there speech in" in done.err


@pytest.mark.parametrize(
    ("sections", "environment", "status", "words"),
    [
        ({}, {"GEMINI_API_KEY": ""}, 78, "no API key in GEMINI_API_KEY: get a key at"),
        ({}, {"GEMINI_API_KEY": "wrong"}, 78, "check the API key"),
        ({"assistant": {"model": "gemini-0-nope"}}, {}, 78, "check assistant.model"),
        ({"live": {"base_url": "https://127.0.0.1:9"}}, {}, 1, "Connection refused"),
        ({"live": {"base_url": "https://name.invalid"}}, {}, 1, "name.invalid"),
        ({}, {"SSL_CERT_FILE": "/nowhere.pem"}, 1, "the network cannot be set up"),
        ({}, {"HTTPS_PROXY": "socks5://127.0.0.1:9"}, 78, "install the Python package python-socks"),
        ({}, {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}, 78, "an authority that nobody here knows"),
    ],
)
async def test_each_refusal_has_its_words(
    tmp_path: Path, sections: dict[str, dict[str, object]], environment: dict[str, str], status: int, words: str
) -> None:
    """No key, a wrong key, an unknown model, no server, no name, a foreign certificate: each says what it is."""
    question = write_question(tmp_path / "q.wav")
    async with service(tmp_path) as at:
        if "live" in sections or sections:
            write_settings(
                at.settings, None if "live" in sections else at.live.url, **sections, log={"format": "text"}
            )
        done = await speakerd(
            "ask", question, "--config", at.settings, "--output", tmp_path / "a.wav",
            **(at.environment | environment),
        )  # fmt: skip
    assert done.status == status
    assert words in done.err


async def test_an_answer_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    """An output that is a directory, or of an unknown kind, is refused with its name."""
    question = write_question(tmp_path / "q.wav")
    async with service(tmp_path) as at:
        for output, words in ((tmp_path, "is a directory"), (tmp_path / "answer.doc", "end its name in .wav")):
            done = await speakerd("ask", question, "--config", at.settings, "--output", output, **at.environment)
            assert done.status == 1
            assert str(output) in done.err
            assert words in done.err
        assert not at.live.answers, "asked before looking"


async def test_a_loudspeaker_that_is_not_there_is_found_out_before_asking(tmp_path: Path) -> None:
    """Nothing is asked in vain: the loudspeaker is tried first."""
    question = write_question(tmp_path / "q.wav")
    async with service(tmp_path, speaker={"device": "nowhere"}) as at:
        done = await speakerd("ask", question, "--config", at.settings, **at.environment)
        assert done.status == 1
        assert "there is no loudspeaker nowhere" in done.err
        assert "speakerd devices" in done.err
        assert "ALSA lib" not in done.err
        assert not at.live.events


async def test_a_loudspeaker_of_another_rate_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """A card that has 48 kHz only is named, with how to let ALSA convert."""
    question = write_question(tmp_path / "q.wav")
    with SimulatedCard(tmp_path / "card", speaker=Converter(rate=48_000)) as card:
        async with service(tmp_path) as at:
            done = await speakerd("ask", question, "--config", at.settings, **at.environment, **card.environment)
            assert done.status == 1
            assert "speaker offers 48000 Hz" in done.err
            assert "plughw:" in done.err


async def test_settings_with_several_mistakes_are_told_all_at_once(tmp_path: Path) -> None:
    """check, run and ask all end with 78 and name each mistake by file and line."""
    file = tmp_path / "speakerd.yaml"
    file.write_text("asistant: {}\nlive:\n  conect_timeout: 3\n  send_ms: fast\n")
    for command in (["check"], ["run"], ["ask", "q.wav"]):
        done = await speakerd(*command, "--config", file, GEMINI_API_KEY=KEY)
        assert done.status == 78
        for line, words in ((1, "assistant"), (3, "connect_timeout"), (4, "send_ms")):
            assert any(f"{file}:{line}:" in told and words in told for told in done.err.splitlines()), done.err


async def test_pins_that_clash_are_found_before_anything_runs(tmp_path: Path) -> None:
    """Check names both settings and the line of the second; the daemon itself would stay up without that part."""
    file = tmp_path / "speakerd.yaml"
    file.write_text("panel:\n  mute_button: {pin: 5}\n  led: {pin: 5}\n")
    done = await speakerd("check", "--config", file)
    assert done.status == 78
    assert f"{file}:3: panel.mute_button.pin and panel.led.pin are both GPIO 5" in done.err


async def test_the_settings_in_force_and_their_schema_can_be_read(tmp_path: Path) -> None:
    """`config` tells where each value comes from; `config --schema` is a JSON schema."""
    file = tmp_path / "speakerd.yaml"
    file.write_text("assistant: {voice: Puck}\n")
    done = await speakerd("config", "--config", file)
    assert (done.status, done.err) == (0, "")
    assert f"voice: Puck  # {file}:1" in done.out
    schema = json.loads((await speakerd("config", "--schema")).out)
    assert "assistant" in schema["properties"]


async def test_devices_are_listed_by_name(tmp_path: Path) -> None:
    """The list holds names that stay the same, and what each can do."""
    with SimulatedCard(tmp_path / "card") as card:
        done = await speakerd("devices", **card.environment)
    assert done.status == 0
    names = {line.split()[0] for line in done.out.splitlines()}
    assert {"mic", "speaker"} <= names
    assert not any(name.startswith(("hw:", "dmix")) or name == "null" for name in names)


async def test_every_command_explains_itself() -> None:
    """--help works everywhere, and no command is a mystery."""
    overview = (await speakerd("--help")).out
    for command in ("run", "check", "config", "devices", "panel", "mute", "ask", "token", "simulate", "demo"):
        assert f"    {command} " in overview
        done = await speakerd(command, "--help")
        assert (done.status, done.err) == (0, "")
        assert "usage: speakerd" in done.out
    assert (await speakerd("fly")).status == 2


def test_a_sound_file_is_mixed_down_and_kept_within_bounds(tmp_path: Path) -> None:
    """Two channels become one, and what is too loud is clipped rather than wrapped around."""
    from speakerd.sound.files import read_sound

    path = tmp_path / "loud.wav"
    soundfile.write(path, np.column_stack([np.full(16_000, 1.9), np.full(16_000, 1.5)]), 16_000, subtype="FLOAT")
    assert set(array("h", read_sound(path))) == {32767}
    assert io.BytesIO(path.read_bytes()).read(4) == b"RIFF"
