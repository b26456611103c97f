"""The composition root: it turns settings into parts, puts them together, and runs them until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from speakerd.assistant import Assistant, Light
from speakerd.errors import Cure, SpeakerdError
from speakerd.host import service
from speakerd.host.clock import Clock
from speakerd.host.control import open_to_requests
from speakerd.host.mute_file import MuteFile
from speakerd.host.network import Reachability
from speakerd.host.threads import PatientThreads
from speakerd.live.handle import Handle
from speakerd.live.key import read_secret
from speakerd.live.link import Cures, Dial, Link
from speakerd.mute import Mute
from speakerd.panel.panel import Panel
from speakerd.settings import Settings
from speakerd.sound.alsa import Microphone, Speaker
from speakerd.sound.reply import Reply
from speakerd.state import State

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from gpiozero.pins.mock import MockFactory

    from speakerd.live.session import Caller, Session


def run(settings: Settings) -> int:
    """Be the speaker until SIGTERM or SIGINT; return the exit status.

    Raises:
        SettingsError: there is no usable API key, where one is needed.
    """
    return run_until_signal(_speaker(settings, read_secret(settings)))


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


class _StatusLight:
    """A light, and the service manager's line of status beside it."""

    def __init__(self, light: Light) -> None:
        self._light = light

    def show(self, state: State) -> None:
        self._light.show(state)
        service.tell(f"STATUS={state.value.capitalize()}")


async def _speaker(settings: Settings, secret: str) -> None:
    kept, mute_file = _directory("STATE_DIRECTORY"), MuteFile(_directory("STATE_DIRECTORY"))
    # A switch is the fact itself; until it was read, nobody knows.
    muted = mute_file.read() or settings.panel.mute_switch.pin is not None
    reply = Reply(settings.speaker.prebuffer_ms)
    assistant = Assistant(reply, settings, muted=muted)
    handle = Handle(kept and kept / "handle.json", settings.assistant.model)
    link = Link(dialler(settings, secret), _cures(settings), settings.live, handle, assistant)
    speaker = Speaker(settings.speaker, reply, assistant.playing_changed, assistant.speaker_changed)
    microphone = Microphone(settings.microphone, assistant.hear, assistant.microphone_changed, closed=muted)
    mute = Mute(mute_file, microphone, assistant, muted=muted)
    panel = Panel(settings.panel, settings.quiet_hours, mute.gesture, mute.switched, factory=simulated_pins(settings))
    assistant.link, assistant.speaker, assistant.light = link, speaker, _StatusLight(panel.light)
    async with (
        panel.running(),
        speaker.running(),
        microphone.running(),
        open_to_requests(_directory("RUNTIME_DIRECTORY"), mute.mute),
    ):
        if muted and settings.panel.mute_button.pin is settings.panel.mute_switch.pin is None:
            log.warning(
                "muted, and there is no button to end that; set panel.mute_button.pin, or remove %s, and start anew",
                mute_file,
                extra={"event": "panel", "part": "button"},
            )  # fmt: skip
        assistant.started()
        service.tell("READY=1")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(mute.run(), name="mute")
                group.create_task(link.run(), name="link")
                try:
                    await asyncio.Event().wait()
                finally:  # silence first; hanging up takes its time
                    service.tell("STOPPING=1")
                    speaker.drop()
        except* SpeakerdError as failures:
            raise failures.exceptions[0] from None


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
