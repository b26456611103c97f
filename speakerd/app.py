"""The composition root: it turns settings into parts, puts them together, and runs them until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from urllib.parse import urlsplit

from speakerd import __version__
from speakerd.assistant import Assistant
from speakerd.errors import Cause, Cure, HardwareError, LinkError, SettingsError, SpeakerdError
from speakerd.host import card, service
from speakerd.host.clock import Clock, local_time
from speakerd.host.control import Control
from speakerd.host.log import set_up as set_up_log
from speakerd.host.memory import keep_out_of_core_files
from speakerd.host.mute_file import MuteFile
from speakerd.host.network import Reachability
from speakerd.host.plugging import tell_of_sound_cards
from speakerd.host.status_line import StatusLine, status_line
from speakerd.host.threads import PatientThreads
from speakerd.host.usage_file import UsageFile
from speakerd.host.watchdog import Watchdog
from speakerd.live.handle import Handle
from speakerd.live.key import read_secret
from speakerd.live.link import Cures, Dial, Link
from speakerd.mute import Mute
from speakerd.panel.panel import Panel
from speakerd.settings import Settings
from speakerd.sound.alsa import THREADS, Microphone, Speaker
from speakerd.sound.calibration import Calibration, Calibrations
from speakerd.sound.ear import Ear
from speakerd.sound.level import LevelDetector
from speakerd.sound.reply import Reply
from speakerd.sound.voice import Detector, make_detector
from speakerd.sound.volume import Volume, factor_at
from speakerd.status.snapshot import Parts, snapshot, versions

log = logging.getLogger(__name__)

Load: TypeAlias = Callable[[], Settings]
"""Reads the settings from the disk."""

_Task: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

if TYPE_CHECKING:
    from gpiozero.pins.mock import MockFactory

    from speakerd.live.session import Caller, Session
    from speakerd.sound.echo import Echo, Measured, Mode


def run(load: Load) -> int:
    """Be the speaker until SIGTERM or SIGINT; return the exit status. SIGHUP has the settings read again.

    Raises:
        SettingsError: the settings have mistakes, or there is no usable API key, where one is needed.
    """
    keep_out_of_core_files()
    faulthandler.enable()  # when the watchdog ends us, the journal gets to know where each thread was
    settings, secret = _read(load)
    return run_until_signal(_speaker(settings, secret, load))


def _read(load: Load) -> tuple[Settings, str]:
    """Return the settings and the secret that they need; log from now on as they say."""
    settings = load()
    try:
        secret = read_secret(settings)
    except SettingsError:
        if _mistakes() is None:
            raise
        secret = ""  # nobody reads the journal of a card: light and voice must say it, and so the speaker goes on
    set_up_log(settings.log)
    return settings, secret


def _mistakes() -> list[str] | None:
    """Return what the owner must mend on the card that this speaker was started from, if it is one."""
    return card.mistakes(_directory("SPEAKERD_CARD") or card.DIRECTORY)


def _tell_of_card() -> str | None:
    """Tell what is to be mended on the card; return it in a few words."""
    mistakes = _mistakes()
    if not mistakes:
        return None
    log.error("what is written on the card has mistakes:\n%s", "\n".join(mistakes),
              extra={"event": "card-mistakes"})  # fmt: skip
    return f"read {card.REPORT} on the card: there is something to mend"


def run_until_signal(main: Coroutine[Any, Any, int | None]) -> int:
    """Run a program's coroutine; SIGTERM and SIGINT cancel it, and it then counts as ended well."""
    failed: list[BaseException] = []

    async def guarded() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.set_default_executor(PatientThreads())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)

        def thread_died(died: threading.ExceptHookArgs) -> None:
            """End the process: a speaker without one of its threads would look alive and be deaf or dumb."""
            failed.append(died.exc_value or SystemError())
            loop.call_soon_threadsafe(task.cancel)

        threading.excepthook = thread_died
        try:
            return await main or 0
        except asyncio.CancelledError:
            if failed:
                raise failed[0] from None
            return 0

    return asyncio.run(guarded())


class _Reload(Exception):  # noqa: N818 - it is no error
    """Ends a life of the speaker, for one with other settings."""

    def __init__(self, settings: Settings, secret: str) -> None:
        super().__init__()
        self.settings = settings
        self.secret = secret


_News: TypeAlias = Callable[[], Coroutine[Any, Any, _Reload]]


@dataclass
class _Memory:
    """What a reload leaves as it is."""

    mute_file: MuteFile
    muted: bool
    handle: Handle
    usage: UsageFile
    pins: MockFactory | None
    started_at: float


async def _speaker(settings: Settings, secret: str, load: Load) -> NoReturn:
    """Be the speaker with these settings, and then with those that are read at each SIGHUP."""
    hangup = asyncio.Event()
    if not os.isatty(0):  # else it says that the terminal was closed, and ends us as it ends everybody there
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    mute_file = MuteFile(_directory("STATE_DIRECTORY"))
    usage = UsageFile(_directory("STATE_DIRECTORY"))
    memory = _Memory(
        mute_file, mute_file.read(), _handle(settings), usage, simulated_pins(settings), time.monotonic()
    )  # fmt: skip
    ready = partial(
        log.info, "speakerd %s is ready", __version__, extra={"event": "started", "version": __version__}
    )  # fmt: skip
    while True:
        try:
            await _life(settings, secret, memory, ready, partial(_news, load, hangup))
        except _Reload as reload:
            if settings.assistant.model != reload.settings.assistant.model:
                memory.handle = _handle(reload.settings)
            settings, secret = reload.settings, reload.secret
        _let_go()
        # What was frozen at the first connection was part of that life.
        gc.unfreeze()
        gc.collect()
        ready = partial(log.info, "the new settings are in force", extra={"event": "reloaded"})


def _handle(settings: Settings) -> Handle:
    kept = _directory("STATE_DIRECTORY")
    return Handle(kept and kept / "handle.json", settings.assistant.model)


async def _news(load: Load, hangup: asyncio.Event) -> _Reload:
    """Wait for settings that are new and have no mistakes; of others tell the mistakes."""
    while True:
        await hangup.wait()
        hangup.clear()
        # The time is for services of Type=notify-reload (sd_notify(3)).
        service.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            return _Reload(*await asyncio.to_thread(_read, load))
        except SettingsError as error:
            log.error("the settings stay as they were, for the new ones have mistakes:\n%s", error,
                      extra={"event": "settings-refused"})  # fmt: skip
        service.tell("READY=1")


async def _life(settings: Settings, secret: str, memory: _Memory, ready: Callable[[], None], news: _News) -> None:
    """Put the parts together and run them until there is news.

    Raises:
        _Reload: there are other settings.
    """
    settings, known = calibrated(settings)
    # A switch is the fact itself; until it was read, nobody knows.
    muted = memory.muted or settings.panel.mute_switch.pin is not None
    reply = Reply(settings.speaker.prebuffer_ms)
    assistant = Assistant(reply, settings, muted=muted, usage=memory.usage)
    link = Link(dialler(settings, secret), _cures(settings), settings.live, memory.handle, assistant)
    ear = Ear(*_listening(settings, known))
    volume = Volume(lambda: factor_at(local_time(), settings.speaker.volume, settings.quiet_hours))
    speaker = Speaker(
        settings.speaker, reply, assistant.playing_changed, assistant.speaker_changed, volume=volume, witness=ear
    )  # fmt: skip
    microphone = Microphone(
        settings.microphone, ear.begin, assistant.hear, assistant.microphone_changed, closed=muted
    )
    mute = Mute(memory.mute_file, microphone, assistant, muted=muted)
    panel = Panel(settings.panel, settings.quiet_hours, mute.gesture, mute.switched, factory=memory.pins)
    line = StatusLine(
        panel.light, lambda: status_line(assistant.state, assistant.trouble, link.trouble, link.down_s)
    )  # fmt: skip
    assistant.link, assistant.speaker, assistant.light = link, speaker, line
    assistant.turns.xruns = lambda: microphone.overruns + speaker.underruns
    parts = Parts(
        settings=settings, assistant=assistant, link=link, handle=memory.handle, microphone=microphone,
        speaker=speaker, ear=ear, panel=panel, started_at=memory.started_at, made_at=time.monotonic(),
    )  # fmt: skip
    control = _control(parts, mute)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(ear.close)
        for running in (panel.running, speaker.running, microphone.running, control.listening):
            await stack.enter_async_context(running())
        if muted:
            _tell_how_to_unmute(settings, memory)
        assistant.started()
        if trouble := _tell_of_card():
            assistant.card_has_mistakes(trouble)
        ready()
        service.tell("READY=1")
        await _work(parts, mute, memory, news, [line.keep_up, control.run])


def calibrated(settings: Settings) -> tuple[Settings, Calibration | None]:
    """Return the settings with what was measured of these devices, where the owner has not decided; and that."""
    kept = Calibrations(_directory("STATE_DIRECTORY"))
    known = kept.of(settings.microphone.device, settings.speaker.device)
    if known is None or settings.echo.mode != "auto":
        return settings, known
    echo = settings.echo.model_copy(update={"margin_db": known.margin_db})
    return settings.model_copy(update={"echo": echo}), known


def _listening(
    settings: Settings, known: Calibration | None
) -> tuple[Callable[[], Detector], Callable[[], Echo] | None]:
    """Return what makes the parts of the ear, in the microphone's thread: they take long to load."""
    wanted = settings.echo

    def make_echo() -> Echo:
        from speakerd.sound.canceller import make_canceller
        from speakerd.sound.echo import Echo

        make = partial(
            make_canceller,
            high_pass=wanted.high_pass,
            noise_suppression=wanted.noise_suppression,
            auto_gain=wanted.auto_gain,
        )
        return Echo(wanted.mode, wanted.margin_db, make, _tell_of_echo, known=known)

    return make_detector if settings.listen.gate == "voice" else LevelDetector, (
        None if wanted.mode == "off" else make_echo
    )


ECHO_WORDS = {
    "cancel": "it is taken out of what the microphone hears",
    "half-duplex": "it cannot be taken out, so nothing but what is much louder is heard while it speaks",
    "off": "the microphone does not hear it, so nothing is done",
}


def _tell_of_echo(mode: Mode, measured: Measured) -> None:
    log.info(
        "our own voice: %s (it comes back at %.0f dB, of which %.0f dB are taken out)",
        ECHO_WORDS[mode],
        measured.return_db,
        measured.erle_db,
        extra={
            "event": "echo",
            "mode": mode,
            "return_db": round(measured.return_db, 1),
            "erle_db": round(measured.erle_db, 1),
        },
    )


async def _work(parts: Parts, mute: Mute, memory: _Memory, news: _News, others: Iterable[_Task]) -> None:
    """Run what the parts do, beside the others, until there is news; then fall silent.

    Raises:
        _Reload: the news.
    """
    end = None
    microphone, speaker, link = parts.microphone, parts.speaker, parts.link
    watchdog = Watchdog({
        "microphone": microphone.why_stuck, "loudspeaker": speaker.why_stuck, "mute": mute.why_stuck,
        "link": link.why_stuck,
    })  # fmt: skip

    def card_changed() -> None:
        microphone.try_again()
        speaker.try_again()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(tell_of_sound_cards(card_changed), name="sound cards")
            for task in (mute.run, link.run, microphone.attend, watchdog.run, memory.usage.run, *others):
                group.create_task(task(), name=task.__qualname__)
            try:
                reload = await news()
                memory.muted = await mute.rests()
            except asyncio.CancelledError:
                log.info("stopping", extra={"event": "stopping"})
                service.tell("STOPPING=1")
                raise
            finally:  # silence first; hanging up takes its time
                speaker.drop()
            raise reload
    except* (SpeakerdError, _Reload) as ends:
        end = ends.exceptions[0]
    if end is not None:
        raise end from None  # not in the block above: out of that, Python 3.11.2 raises a group again


def _tell_how_to_unmute(settings: Settings, memory: _Memory) -> None:
    """Tell where a mute that was there before can be ended no more."""
    if settings.panel.mute_button.pin is settings.panel.mute_switch.pin is None:
        log.warning(
            "muted, and there is no button to end that; set panel.mute_button.pin, or remove %s, and start anew",
            memory.mute_file,
            extra={"event": "panel", "part": "button"},
        )  # fmt: skip


def _control(parts: Parts, mute: Mute) -> Control:
    """Return the socket at which other programs may ask how these parts are, and for the mute."""

    async def muted() -> str | None:
        if not {"button", "switch"} & set(parts.panel.names) and not parts.assistant.is_muted:
            raise SpeakerdError(
                "not muted: there is neither a button nor a switch to un-mute with; "
                "to have it hear nothing: sudo systemctl stop speakerd"
            )
        return await mute.mute()

    async def status() -> str:
        await asyncio.to_thread(versions)  # a card takes its time when it is asked first
        return snapshot(parts).as_json()

    return Control(_directory("RUNTIME_DIRECTORY"), muted, status)


def _let_go() -> None:
    """See that no device is still held by a life that is over.

    Raises:
        HardwareError: a driver has not come back; only the end of the process ends that.
    """
    for thread in threading.enumerate():
        if thread.name in THREADS:
            raise HardwareError(f"the driver of the {thread.name} does not let go of it, so all begins anew")


def _directory(variable: str) -> Path | None:
    """Return a directory that the service manager made for us (systemd.exec(5)); by hand there is none."""
    directory = os.environ.get(variable)
    return Path(directory) if directory else None


def simulated_pins(settings: Settings) -> MockFactory | None:
    """Return pins that exist only in software, where the settings ask for them."""
    if settings.panel.pin_factory != "mock":
        return None
    from speakerd.simulate.panel import pins

    return pins(_directory("SPEAKERD_PINS"))


def _cures(settings: Settings) -> Cures:
    server = urlsplit(settings.live.base_url or "https://generativelanguage.googleapis.com")
    network = Reachability(server.hostname or "", server.port or 443, secure=True)
    return {Cure.NETWORK: network.returns, Cure.CLOCK: Clock().until_set}


def dialler(settings: Settings, secret: str) -> Dial:
    """Return what opens connections; the SDK is imported at the first call, in a thread.

    That import takes seconds on a small board. Light and sound are up before it, and go on during it.
    """
    caller: Caller | None = None
    settled = False

    @contextlib.asynccontextmanager
    async def dial(handle: str | None) -> AsyncIterator[Session]:
        nonlocal caller, settled
        if not secret and not settings.live.token.given:
            raise LinkError(
                "there is no API key", advice=f"put your API key into {card.KEY} on the card", cause=Cause.NO_KEY
            )
        if caller is None:
            caller = await asyncio.get_running_loop().run_in_executor(None, _caller, settings, secret)
        try:
            async with caller.dial(handle) as session:
                if not settled:
                    gc.freeze()
                    settled = True
                yield session
        finally:
            # A connection that has ended is a cycle of objects, which Python looks for the more rarely, the more
            # objects there are. Without those that stay for ever, it takes less than a millisecond.
            if settled:
                gc.collect()

    return dial


def _caller(settings: Settings, secret: str) -> Caller:
    from speakerd.live.session import Caller

    return Caller(settings, secret)
