"""Microphone and Speaker on the real ALSA library, with a simulated card below it."""

import asyncio
import contextlib
import ctypes
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import alsaaudio
import pytest

from speakerd.errors import HardwareError
from speakerd.live.events import INPUT_RATE, OUTPUT_RATE
from speakerd.settings import Settings
from speakerd.simulate.card import Converter, SimulatedCard
from speakerd.sound import alsa, devices
from speakerd.sound.alsa import Microphone, Speaker, open_pcm
from speakerd.sound.devices import holders, why_not
from speakerd.sound.reply import Reply
from speakerd.sound.volume import Volume

SETTINGS = Settings.model_validate({"microphone": {"device": "mic"}, "speaker": {"device": "speaker"}})


def ramp(rate: int, seconds: float, step: int = 7) -> bytes:
    """Return sound in which every sample of two seconds is different from its neighbours: position is content."""
    return array("h", ((n * step) % 30000 + 1 for n in range(int(rate * seconds)))).tobytes()


@contextlib.contextmanager
def card_in(
    directory: Path, *, microphone: Converter | None = None, speaker: Converter | None = None
) -> Iterator[SimulatedCard]:
    with (
        SimulatedCard(directory, microphone=microphone, speaker=speaker) as card,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in card.environment.items():
            patch.setenv(name, value)
        yield card


def hears_all() -> Callable[[bytes, float], bytes]:
    """Return an ear that takes sound as it comes."""
    return lambda pcm, _captured_at: pcm


@dataclass
class Ear:
    """What a Microphone delivers."""

    pcm: bytearray = field(default_factory=bytearray)
    reports: list[str | None] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def listening(self, settings: Settings = SETTINGS) -> AsyncIterator[Microphone[bytes]]:
        microphone = Microphone(settings.microphone, hears_all, self.pcm.extend, self.reports.append)
        async with microphone.running():
            yield microphone


@dataclass
class Mouth:
    """What a Speaker is given and says of itself."""

    reply: Reply = field(default_factory=lambda: Reply(80))
    playing: list[tuple[bool, float]] = field(default_factory=list)
    reports: list[str | None] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def talking(self, settings: Settings = SETTINGS) -> AsyncIterator[Speaker]:
        def note(playing: bool) -> None:
            self.playing.append((playing, time.monotonic()))

        speaker = Speaker(settings.speaker, self.reply, note, self.reports.append, Volume(lambda: 1.0))
        async with speaker.running():
            yield speaker

    def say(self, pcm: bytes) -> None:
        assert self.reply.write(pcm)
        self.reply.complete()

    async def silent(self) -> None:
        assert await asyncio.to_thread(self.reply.join, 10)


async def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is so, for ten seconds at the most."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


def freeze_python(seconds: float) -> None:
    """Let no Python thread run for a while, as a busy machine may."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


async def test_the_microphone_hears_every_sample(card: SimulatedCard) -> None:
    """What is said into the microphone arrives complete and in order."""
    said, ear = ramp(INPUT_RATE, 0.7), Ear()
    card.speak(said)
    async with ear.listening():
        await until(lambda: said in ear.pcm, "the spoken words")
        await until(lambda: ear.reports, "the report")
    assert ear.reports == [None]


async def test_of_several_channels_the_first_is_heard(tmp_path: Path) -> None:
    """A microphone array with raw access works: its first microphone is used."""
    said, ear = ramp(INPUT_RATE, 0.4), Ear()
    settings = Settings.model_validate({"microphone": {"device": "mic", "channels": 2}})
    with card_in(tmp_path, microphone=Converter(channels=2)) as card:
        card.speak(said)
        async with ear.listening(settings):
            await until(lambda: said in ear.pcm, "the spoken words")


async def test_a_reply_is_played_to_the_last_sample(card: SimulatedCard) -> None:
    """The loudspeaker plays exactly the reply, and counts as sounding from its first sample to its last."""
    said, mouth = ramp(OUTPUT_RATE, 0.73), Mouth()
    async with mouth.talking():
        mouth.say(said)
        await mouth.silent()
        await until(lambda: len(mouth.playing) == 2, "the end of playing")
    assert card.played() == said
    (began, began_at), (ended, ended_at) = mouth.playing
    assert (began, ended) == (True, False)
    last = card.moment_played(len(said) // 2 - 1)
    assert began_at < card.moment_played(len(said) // 4)
    assert ended_at >= last - 0.005  # the card's clock is not ours to the microsecond


async def test_replies_that_follow_each_other_are_played_without_a_gap(card: SimulatedCard) -> None:
    """Sound that arrives while the last of the former is still sounding goes on seamlessly."""
    first, second, mouth = ramp(OUTPUT_RATE, 0.4), ramp(OUTPUT_RATE, 0.4, step=11), Mouth()
    async with mouth.talking():
        mouth.say(first)
        await until(lambda: mouth.playing, "the start")
        mouth.say(second)
        await mouth.silent()
    assert card.played() == first + second
    assert [event.kind for event in card.timeline("speaker")].count("start") == 1


async def test_an_interruption_silences_the_device_at_once(card: SimulatedCard) -> None:
    """Of five seconds, nothing is heard beyond what had left the loudspeaker when the interruption came."""
    mouth = Mouth()
    async with mouth.talking() as speaker:
        mouth.say(ramp(OUTPUT_RATE, 5))
        await until(lambda: len(card.played()) > OUTPUT_RATE // 2, "a quarter of a second of it")
        assert speaker.drop() > 3000
        await mouth.silent()
        played = len(card.played())
        await asyncio.sleep(0.3)  # were it to go on, it would by now
        assert len(card.played()) == played < 3 * OUTPUT_RATE
        stop = card.timeline("speaker")[-1]
        assert (stop.kind, stop.frame) == ("stop", played // 2)


async def test_interrupted_at_any_moment_the_next_reply_is_heard_whole(card: SimulatedCard) -> None:
    """Thirty interruptions at thirty moments leave nothing of the old reply in front of the new one."""
    mouth, old = Mouth(), ramp(OUTPUT_RATE, 2, step=3)
    async with mouth.talking() as speaker:
        for moment in range(30):
            mouth.say(old)
            await asyncio.sleep(moment * 0.0037)
            speaker.drop()
            mouth.reply.end_turn()
        await mouth.silent()
        before, new = len(card.played()), ramp(OUTPUT_RATE, 0.3, step=13)
        mouth.say(new)
        await mouth.silent()
    assert card.played()[before:] == new


async def test_an_underrun_costs_a_pause_and_no_sound(card: SimulatedCard) -> None:
    """When the machine was busy for too long, the reply goes on where it was."""
    said, mouth = ramp(OUTPUT_RATE, 1.0), Mouth()
    async with mouth.talking() as speaker:
        mouth.say(said)
        await until(lambda: card.played(), "the start")
        freeze_python(0.4)
        await mouth.silent()
    assert speaker.underruns >= 1
    assert card.played() == said


async def test_an_overrun_costs_its_own_length_and_no_more(card: SimulatedCard) -> None:
    """When the machine was busy for too long, listening goes on with what is said now."""
    ear = Ear()
    async with ear.listening() as microphone:
        await until(lambda: ear.pcm, "the first sound")
        freeze_python(0.4)
        await until(lambda: microphone.overruns, "the overrun")
        said = ramp(INPUT_RATE, 0.3)
        card.speak(said)
        await until(lambda: said in ear.pcm, "what is said after it")
        await until(lambda: ear.reports, "the report")
    assert ear.reports == [None]


async def test_a_card_that_is_unplugged_comes_back_with_its_plug(card: SimulatedCard) -> None:
    """Both devices tell once that they are gone, once that they are back, and then work as before."""
    ear, mouth, said = Ear(), Mouth(), ramp(OUTPUT_RATE, 0.2, step=13)
    async with ear.listening(), mouth.talking():
        mouth.say(ramp(OUTPUT_RATE, 3))
        await until(lambda: card.played() and ear.reports and mouth.reports, "sound")
        card.unplug()
        await until(lambda: len(ear.reports) >= 2 and len(mouth.reports) >= 2, "the loss of both")
        card.replug()
        mouth.reply.write(ramp(OUTPUT_RATE, 3))  # said to a loudspeaker that is not there
        await until(lambda: ear.reports[-1] is None and mouth.reports[-1] is None, "their return")
        before = len(card.played())
        mouth.reply.end_turn()
        mouth.say(said)
        await until(lambda: card.played().endswith(said), "the next reply")
        assert card.played()[before:] == said, "old answers are not told later"
        card.speak(said)
        await until(lambda: said in ear.pcm, "the next words")
    assert "the microphone went away: No such device" in (ear.reports[1] or "")
    assert "the loudspeaker went away: No such device" in (mouth.reports[1] or "")


async def test_a_loudspeaker_that_goes_in_a_silence_costs_no_answer(card: SimulatedCard) -> None:
    """While nothing is said it is unplugged and plugged in again; then it plays the next answer whole."""
    mouth, said = Mouth(), ramp(OUTPUT_RATE, 0.5, step=13)
    async with mouth.talking() as speaker:
        mouth.say(ramp(OUTPUT_RATE, 0.2))
        await mouth.silent()
        mouth.reply.end_turn()
        speaker.try_again()  # news of another card
        card.unplug()
        speaker.try_again()
        await until(lambda: mouth.reports[-1] is not None, "the loss")
        card.replug()
        speaker.try_again()
        await until(lambda: mouth.reports[-1] is None, "its return")
        before = len(card.played())
        mouth.say(said)
        await mouth.silent()
        assert card.played()[before:] == said
    assert any("there is no loudspeaker speaker" in (report or "") for report in mouth.reports)


async def test_a_microphone_is_closed_and_opened_at_a_word(card: SimulatedCard) -> None:
    """Closed, the device stops and nothing is heard; open again, it goes on; however often, and however fast."""
    ear = Ear()
    async with ear.listening() as microphone:
        for _ in range(3):
            await until(lambda: ear.pcm, "sound")
            await microphone.close()
            assert card.timeline("mic")[-1].kind == "stop"
            await asyncio.sleep(0.05)  # what was on its way to the loop
            ear.pcm.clear()
            await asyncio.sleep(0.2)
            assert not ear.pcm
            microphone.open()
        for _ in range(30):
            await microphone.close()
            microphone.open()
        await microphone.close()
        await asyncio.sleep(0.05)
        ear.pcm.clear()
        await asyncio.sleep(0.2)
        assert not ear.pcm


async def test_a_microphone_that_is_open_for_the_kernel_is_not_closed(
    card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever alsa-lib says, the kernel has the last word."""
    ear = Ear()
    async with ear.listening() as microphone:
        await until(lambda: ear.pcm, "sound")
        monkeypatch.setattr(alsa, "why_open", lambda substream: f"{substream} is open")
        with pytest.raises(HardwareError, match=r"Substream\(card=-1, device=0, number=0\) is open"):
            await microphone.close()


async def test_a_microphone_that_hangs_in_its_driver_is_not_closed(
    card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the thread does not come back from the device, nobody may say that it is closed."""
    monkeypatch.setattr(alsa, "CLOSE_S", 0.2)
    ear = Ear()
    async with ear.listening() as microphone:
        await until(lambda: ear.pcm, "sound")
        microphone._is_closed.set = lambda: None  # type: ignore[method-assign] # the driver holds it
        with pytest.raises(HardwareError, match="does not let go of it"):
            await microphone.close()


async def test_a_device_that_is_not_there_is_waited_for(card: SimulatedCard) -> None:
    """A speaker that boots before its card starts to listen when the card is there."""
    card.unplug()
    ear = Ear()
    async with ear.listening():
        await until(lambda: ear.reports, "the report")
        assert "there is no microphone mic (No such device" in (ear.reports[0] or "")
        card.replug()
        await until(lambda: ear.pcm, "sound")


def test_two_devices_that_are_missing_at_once_are_survived() -> None:
    """Both threads give alsa-lib the same function for its errors, however they race: it keeps no other one alive."""
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "0\n"), done


RACE = """
import sys, threading
from speakerd.sound import alsa

def hush(ready, handlers):
    ready.wait()
    handlers.append(alsa._hush_alsa())

sys.setswitchinterval(1e-6)
lost = 0
for _ in range(300):
    alsa._handler.cache_clear()
    ready, handlers = threading.Barrier(2), []
    threads = [threading.Thread(target=hush, args=[ready, handlers]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost += handlers[0] is not handlers[1]
print(lost)
"""


@pytest.mark.parametrize("converter", [Converter(rate=48_000), Converter(channels=2)])
async def test_a_device_that_offers_something_else_is_refused_with_the_way_out(
    tmp_path: Path, converter: Converter
) -> None:
    """ALSA silently gives 48 kHz or stereo instead of what was asked; played so, a voice would be a chipmunk's."""
    with card_in(tmp_path, speaker=converter):
        with pytest.raises(HardwareError, match=r"speaker offers .* instead of 24000 Hz.*plughw:"):
            open_pcm(alsaaudio.PCM_PLAYBACK, "speaker", OUTPUT_RATE, 1, 480, 8)
        open_pcm(alsaaudio.PCM_PLAYBACK, "plug:speaker", OUTPUT_RATE, 1, 480, 8).close()


async def test_a_busy_device_says_so(card: SimulatedCard) -> None:
    """While another program has the microphone, ours says that it is in use, and takes it when it is free."""
    hold = "import alsaaudio; p = alsaaudio.PCM(alsaaudio.PCM_CAPTURE, device='mic', rate=16000, channels=1); input()"
    ear = Ear()
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE) as other:
        try:
            await until(lambda: holders_of_lock(card), "the other program")
            async with ear.listening():
                await until(lambda: ear.reports, "the report")
                assert "the microphone mic is in use by another program; stop that" in (ear.reports[0] or "")
                other.communicate(b"\n")
                await until(lambda: ear.pcm, "sound")
        finally:
            other.kill()


def holders_of_lock(card: SimulatedCard) -> list[str]:
    return holders(card._path("mic", "timeline"), "c")


def test_who_holds_a_device_is_named(tmp_path: Path) -> None:
    """The program that keeps a device file open is found by name and number."""
    node = tmp_path / "pcmC0D0c"
    node.touch()
    assert holders(node, "c") == []
    with node.open() as file, subprocess.Popen(["sleep", "30"], stdin=file) as other:
        file.close()
        try:
            assert holders(node, "c") == holders(tmp_path, "c") == [f"sleep (pid {other.pid})"]
            assert holders(tmp_path, "p") == []
        finally:
            other.kill()


def test_who_holds_a_device_is_told_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its sandbox, where it cannot see other programs, the speaker still says which one is in the way."""
    asound = tmp_path / "asound"
    (stream := asound / "card2" / "pcm1c" / "sub0").mkdir(parents=True)
    (asound / "Device").symlink_to("card2")
    (stream / "status").write_text("state: RUNNING\nowner_pid   : 812\ntrigger_time: 1.0\n")
    monkeypatch.setattr(devices, "PROC", tmp_path)
    said = why_not("plughw:CARD=Device,DEV=1", "Device or resource busy", capture=True)
    assert "is in use by process 812 (`cat /proc/812/comm` names it); stop it" in said
    (stream / "status").write_text("closed\n")
    assert "another program" in why_not("plughw:CARD=Device,DEV=1", "Device or resource busy", capture=True)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Device or resource busy [mic]", "in use by another program"),
        ("No such file or directory [mic]", "there is no microphone mic"),
        ("Permission denied [mic]", "usermod -aG audio"),
        ("Broken configuration [mic]", "cannot be opened: Broken configuration"),
    ],
)
def test_each_reason_has_its_advice(reason: str, words: str) -> None:
    """ALSA's own words are turned into what to do."""
    assert words in why_not("mic", reason, capture=True)


def test_a_device_that_dies_by_racing_is_given_up() -> None:
    """A dead device that returns sound, or nothing, without waiting is closed, not streamed."""
    pace = alsa._Pace()
    for _ in range(24):
        assert not pace.is_real(320)
    with pytest.raises(HardwareError, match="faster than time"):
        pace.is_real(320)
    pace = alsa._Pace()
    for _ in range(99):
        pace.is_real(0)
    with pytest.raises(HardwareError, match="faster than time"):
        pace.is_real(0)


async def test_threads_end_with_their_devices(card: SimulatedCard) -> None:
    """Nothing runs on when microphone and speaker are put away, not even in the middle of a reply."""
    before = set(threading.enumerate())
    ear, mouth = Ear(), Mouth()
    async with ear.listening(), mouth.talking():
        mouth.say(ramp(OUTPUT_RATE, 5))
        await until(lambda: card.played() and ear.pcm, "sound")
    assert {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio")} <= before
