"""The composition root: it turns settings into parts, puts them together, and runs them until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from speakerd.assistant import Assistant
from speakerd.host import service
from speakerd.host.threads import PatientThreads
from speakerd.live.events import INPUT_RATE
from speakerd.live.key import read_key
from speakerd.live.link import Dial, Link
from speakerd.panel.light import SimulatedLight
from speakerd.settings import Settings
from speakerd.sound.alsa import Microphone, Speaker
from speakerd.sound.reply import Reply
from speakerd.state import State

if TYPE_CHECKING:
    from speakerd.live.session import Caller, Session


def run(settings: Settings) -> int:
    """Be the speaker until SIGTERM or SIGINT; return the exit status.

    Raises:
        SettingsError: there is no usable API key.
    """
    return run_until_signal(_speaker(settings, read_key()))


def run_until_signal(main: Coroutine[Any, Any, int | None]) -> int:
    """Run a program's coroutine; SIGTERM and SIGINT cancel it, and it then counts as ended well."""

    async def guarded() -> int:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(PatientThreads())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel if task else loop.stop)
        try:
            return await main or 0
        except asyncio.CancelledError:
            return 0

    return asyncio.run(guarded())


class _StatusLight:
    """A light, and the service manager's line of status beside it."""

    def __init__(self, light: SimulatedLight) -> None:
        self._light = light

    def show(self, state: State) -> None:
        self._light.show(state)
        service.tell(f"STATUS={state.value.capitalize()}")


async def _speaker(settings: Settings, key: str) -> None:
    reply = Reply(settings.speaker.prebuffer_ms)
    light = _StatusLight(SimulatedLight())
    assistant = Assistant(reply, light, settings.microphone.period_ms, transcripts=settings.assistant.transcripts)
    send_bytes = settings.live.send_ms * INPUT_RATE // 1000 * 2
    link = Link(dialler(settings, key), settings.live.retry, send_bytes, assistant)
    speaker = Speaker(settings.speaker, reply, assistant.playing_changed, assistant.speaker_changed)
    microphone = Microphone(settings.microphone, assistant.hear, assistant.microphone_changed)
    assistant.link, assistant.speaker = link, speaker
    async with speaker.running(), microphone.running():
        assistant.started()
        service.tell("READY=1")
        try:
            await link.run()
        finally:
            service.tell("STOPPING=1")


def dialler(settings: Settings, key: str) -> Dial:
    """Return what opens connections; the SDK is imported at the first call, in a thread.

    That import takes seconds on a small board. Light and sound are up before it, and go on during it.
    """
    caller: Caller | None = None

    @contextlib.asynccontextmanager
    async def dial(handle: str | None) -> AsyncIterator[Session]:
        nonlocal caller
        if caller is None:
            caller = await asyncio.get_running_loop().run_in_executor(None, _caller, settings, key)
        async with caller.dial(handle) as session:
            yield session

    return dial


def _caller(settings: Settings, key: str) -> Caller:
    from speakerd.live.session import Caller

    return Caller(settings, key)
