"""One question from a sound file, and its answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from speakerd.errors import HardwareError, SpeakerdError
from speakerd.host.threads import PatientThreads
from speakerd.live.events import (
    INPUT_RATE,
    OUTPUT_RATE,
    Audio,
    GenerationComplete,
    Heard,
    Interrupted,
    Said,
    ToolCall,
    TurnComplete,
)
from speakerd.live.session import Caller, Session
from speakerd.settings import Settings
from speakerd.settings import Speaker as SpeakerSettings
from speakerd.sound.alsa import Speaker
from speakerd.sound.files import check_writable, read_sound, write_reply
from speakerd.sound.reply import Reply
from speakerd.sound.volume import Volume, gain

PATIENCE_S = 20.0
"""How long to wait for the answer once the question is out, and then for each next piece of it."""

BYTES_PER_MS = INPUT_RATE * 2 // 1000


@dataclass
class Answer:
    """What came back: S16_LE mono 24 kHz sound, and the words where transcripts were asked for."""

    pcm: bytearray = field(default_factory=bytearray)
    heard: str = ""
    said: str = ""


async def ask(settings: Settings, secret: str, question: Path, output: Path | None) -> Answer:
    """Stream a sound file to the Live API as if it were spoken; play the answer, or write it to ``output``.

    ``secret`` is as ``read_secret`` gives it.

    Raises:
        SpeakerdError: the file is no sound, the service cannot be reached or gives no answer, or the loudspeaker
            or ``output`` fails.
    """
    asyncio.get_running_loop().set_default_executor(PatientThreads())
    pcm = read_sound(question)
    if output:
        check_writable(output)
    answer = Answer()
    async with contextlib.AsyncExitStack() as stack:
        player = None if output else await stack.enter_async_context(_Player.ready(settings.speaker))
        session = await stack.enter_async_context(Caller(settings, secret).dial())
        patience = asyncio.timeout(None)
        try:
            async with patience:
                await _converse(session, pcm, settings.live.send_ms, answer, player, patience)
        except TimeoutError as error:
            raise SpeakerdError(f"no answer within {PATIENCE_S:g} s; was there speech in {question}?") from error
        if player:
            await player.finished()
    if output:
        write_reply(output, bytes(answer.pcm))
    return answer


async def _converse(
    session: Session, pcm: bytes, send_ms: int, answer: Answer, player: "_Player | None", patience: asyncio.Timeout
) -> None:
    trouble = None
    try:
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(_talk(session, pcm, send_ms, patience), name="question")
            await _listen(session, answer, player, patience)
            talking.cancel()
    except* SpeakerdError as failures:
        trouble = failures.exceptions[0]
    if trouble is not None:
        raise trouble from None  # not in the block above: out of that, Python 3.11.2 raises a group again


async def _talk(session: Session, pcm: bytes, send_ms: int, patience: asyncio.Timeout) -> None:
    """Send the question at the pace of speech, then silence: without it the server waits for more words."""
    loop = asyncio.get_running_loop()
    step = send_ms * BYTES_PER_MS
    due, at = loop.time(), 0
    while True:
        await session.send_audio(pcm[at : at + step].ljust(step, b"\0"))
        at += step
        if at - step < len(pcm) <= at:
            patience.reschedule(loop.time() + PATIENCE_S)
        due += send_ms / 1000
        await asyncio.sleep(due - loop.time())


async def _listen(session: Session, answer: Answer, player: "_Player | None", patience: asyncio.Timeout) -> None:
    """Collect the answer until its turn is complete."""
    async for event in session.events():
        match event:
            case Audio(pcm, rate):
                if rate != OUTPUT_RATE:
                    raise SpeakerdError(f"the answer has {rate} Hz and cannot be played")
                answer.pcm += pcm
                if patience.when() is not None:
                    patience.reschedule(asyncio.get_running_loop().time() + PATIENCE_S)
                if player:
                    player.reply.write(pcm)
            case GenerationComplete() if player:
                player.reply.complete()
            case Interrupted():
                answer.pcm.clear()
                if player:
                    player.speaker.drop()
            case ToolCall():
                await session.refuse(event)
            case Heard(text):
                answer.heard += text
            case Said(text):
                answer.said += text
            case TurnComplete(reason):
                if player:
                    player.reply.end_turn()
                if answer.pcm and patience.when() is not None:
                    return
                if reason:
                    raise SpeakerdError(f"the model gives no answer: {reason}")


class _Player:
    """The loudspeaker, for the length of one answer."""

    def __init__(self, settings: SpeakerSettings) -> None:
        self.reply = Reply(settings.prebuffer_ms)
        self.speaker = Speaker(
            settings, self.reply, lambda _playing: None, self._device_changed, Volume(lambda: gain(settings.volume))
        )
        self._device: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trouble: str | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def ready(cls, settings: SpeakerSettings) -> AsyncIterator["_Player"]:
        """Open the loudspeaker, or raise HardwareError before a question is asked in vain."""
        player = cls(settings)
        async with player.speaker.running():
            await player._device
            yield player

    async def finished(self) -> None:
        """Wait until the answer was heard; raise HardwareError where the loudspeaker fails over it."""
        while not await asyncio.to_thread(self.reply.join, 0.5):
            if self._trouble:
                raise HardwareError(self._trouble)

    def _device_changed(self, trouble: str | None) -> None:
        self._trouble = trouble
        if not self._device.done():
            if trouble:
                self._device.set_exception(HardwareError(trouble))
            else:
                self._device.set_result(None)
