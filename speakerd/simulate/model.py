"""The model's side of a conversation: what is sent from the end of a question to the end of its answer."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from speakerd.simulate import wire
from speakerd.simulate.calls import Calls
from speakerd.simulate.handles import Handles, Memory
from speakerd.simulate.ledger import Answer, Ledger
from speakerd.simulate.profiles import Profile, Words
from speakerd.simulate.refusals import invalid_argument
from speakerd.simulate.script import Do, Script, ToolCall
from speakerd.simulate.voice import RATE, Speech, Voice

TOKENS_PER_SECOND = 25
"""What a second of sound counts, in and out, as Google documents it."""

PRELUDE = "Let me think about that."
"""What an extended-thinking model says before it knows the answer."""


class Outlet(Protocol):
    """Where a model's messages go."""

    number: int

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message."""

    async def happened(self, kind: str, direction: str = "-", **detail: Any) -> None:
        """Write down an event and do what the script wants done at it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, ``text``, that waits for its answer; ``say`` is what to answer to a function's result."""

    number: int
    at: float
    plan: tuple[Do, ...] = ()
    text: str = ""
    is_result: bool = False
    say: str | None = None

    def wants(self, verb: str) -> Any:
        """Return what the plan says about ``verb``, None where it says nothing."""
        return next((getattr(do, verb) for do in self.plan if do.verb == verb), None)

    @property
    def tools(self) -> list[ToolCall]:
        """Return the functions to be called."""
        return [tool for do in self.plan for tool in do.tool_call]


class _SpokenOverError(Exception):
    """Somebody speaks while the model does."""


@dataclass(slots=True)
class _Spoken:
    """How far an answer got."""

    turn: Turn
    speech: Speech = field(default_factory=lambda: Speech("", b""))
    sent: bytearray = field(default_factory=bytearray)
    complete: bool = False
    """Whether generationComplete was sent."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all models of a stand-in share."""

    script: Script
    voice: Voice
    handles: Handles
    ledger: Ledger


class Model:
    """Answer one question after the other, and give way to whoever speaks meanwhile."""

    def __init__(
        self, outlet: Outlet, profile: Profile, setup: dict[str, Any], memory: Memory, around: Surroundings
    ) -> None:
        self.memory = memory
        self.pace = around.script.pace
        self._outlet = outlet
        self._profile = profile
        self._around = around
        self._compression: dict[str, Any] = setup.get("contextWindowCompression", {})
        self._transcribes = profile.always_transcribes or "outputAudioTranscription" in setup
        self._calls = Calls(profile, setup)
        self._turns: asyncio.Queue[Turn] = asyncio.Queue()
        self._spoken: _Spoken | None = None
        # One event for all that can end a wait early; the facts beside it say what it was.
        self._stir = asyncio.Event()
        self._cut = False
        self._stall = 0.0

    @property
    def busy(self) -> bool:
        """Return whether an answer is under way or about to be."""
        return self._spoken is not None or not self._turns.empty()

    async def answer_for_ever(self) -> None:
        """Answer each question in turn."""
        while True:
            turn = await self._turns.get()
            self._cut = False
            self._spoken = spoken = _Spoken(turn)
            try:
                await self._answer(spoken)
            except _SpokenOverError:
                await self._give_way(spoken)
            finally:
                self._spoken = None
            if not self.busy:
                await self._outlet.happened("idle")

    def begin_turn(self, text: str, tokens: int) -> None:
        """Remember a turn of the user's that is over."""
        self.memory = replace(self.memory, turn=self.memory.turn + 1)
        self.heard(text, tokens)

    def ask(self, turn: Turn) -> None:
        """Put a question; it is answered after those before it."""
        self._turns.put_nowait(turn)

    def interrupt(self) -> bool:
        """Break off the answer that is under way; return whether there was one."""
        if self._spoken is None:
            return False
        self._cut = True
        self._stir.set()
        return True

    def pause(self, seconds: float) -> None:
        """Keep the sound of the present answer waiting for a while."""
        self._stall += seconds

    async def results(self, responses: list[dict[str, Any]], *, strict: bool) -> None:
        """Take what the client's functions returned. Raise RefusedError for a call that never was."""
        for response in responses:
            id_: str = response.get("id", "")
            if strict and not self._calls.knows(id_):
                raise invalid_argument()
            call = self._calls.answered(id_, more=response.get("willContinue", False))
            scheduling = response.get("scheduling")
            detail = {"id": id_, "name": response.get("name"), "response": response.get("response")}
            await self._outlet.happened(
                "tool_response", "in", **detail, scheduling=scheduling, cancelled=call is None
            )
            if call is None:
                continue
            self._remember(f"function {call.tool.name}: {response.get('response')}", 10)
            if call.blocking:
                self._stir.set()
            elif scheduling != "SILENT":
                self.ask(Turn(call.turn, time.monotonic(), is_result=True, say=call.tool.say))
                if scheduling == "INTERRUPT":
                    self.interrupt()

    async def give_handle(self) -> None:
        """Send a handle for the conversation so far; while a function runs there is none."""
        if self._calls.any:
            await self._outlet.send({"sessionResumptionUpdate": {"resumable": False}})
            return
        handle = self._around.handles.give(self.memory)
        await self._outlet.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})
        await self._outlet.happened("handle", "out", handle=handle, turn=self.memory.turn)

    def heard(self, text: str, tokens: int) -> None:
        """Remember what the user said or wrote, as context."""
        self._remember(f"user: {text}", tokens)

    async def _answer(self, spoken: _Spoken) -> None:
        turn = spoken.turn
        if turn.wants("no_answer"):
            return
        await self._outlet.send({"sessionResumptionUpdate": {"resumable": False}})
        await self._think(turn)
        if turn.wants("empty_turn"):
            await self._complete(spoken)
            return
        if reason := turn.wants("turn_reason"):
            await self._complete(spoken, turnCompleteReason=reason)
            return
        if turn.tools:
            await self._call(turn)
        speech = await self._speech(turn)
        if turn.wants("transcript_only"):
            await self._transcribe_only(spoken, speech)
            return
        if self._profile.says_twice and not turn.is_result:
            await self._say(_Spoken(turn), await self._spoken_text(PRELUDE), status="IN_PROGRESS")
        await self._say(spoken, speech, status="IDLE")

    async def _think(self, turn: Turn) -> None:
        thinking = self._around.script.thinking
        await self._until(turn.at + thinking * 2 / 3)
        if self._profile.thinks_aloud:
            await self._outlet.send(wire.thought("**Considering the question**\n\nI will answer in a sentence."))
        elif self._profile.blank_before_audio:
            await self._outlet.send({})
            await self._outlet.send(wire.content())
        else:
            await self._outlet.send(wire.content())
        await self._until(turn.at + thinking)

    async def _call(self, turn: Turn) -> None:
        calls = self._calls.make(turn.tools, turn.number)
        messages = [{"id": call.id, "name": call.tool.name, "args": call.tool.args} for call in calls]
        await self._outlet.send({"toolCall": {"functionCalls": messages}})
        for call in calls:
            detail = {"id": call.id, "name": call.tool.name, "args": call.tool.args, "blocking": call.blocking}
            await self._outlet.happened("tool_call", "out", turn=turn.number, **detail)
        while self._calls.blocking:
            await self._stirred(None)

    async def _say(self, spoken: _Spoken, speech: Speech, status: str) -> None:
        """Send an answer: its sound, then generationComplete, then turnComplete when it has been played."""
        spoken.speech = speech
        started = due = time.monotonic()
        await self._outlet.happened(
            "answer_start", "out", turn=spoken.turn.number, text=speech.text, seconds=speech.seconds
        )
        try:
            for pcm, words in self._slices(speech):
                await self._until(due)
                await self._send_slice(spoken, pcm, words)
                due += len(pcm) / 2 / RATE / self.pace + self._stall
                self._stall = 0.0
            await self._outlet.send(wire.content(generationComplete=True))
            spoken.complete = True
            await self._outlet.happened("generation_complete", "out", turn=spoken.turn.number)
            self._remember(f"model: {speech.text}", round(speech.seconds * TOKENS_PER_SECOND))
            if self._profile.handle_before_turn_complete:
                await self.give_handle()
            await self._until(started + speech.seconds)
        finally:
            self._keep(spoken)
        await self._complete(spoken, **self._interaction(status))
        if not self._profile.handle_before_turn_complete:
            await self.give_handle()

    async def _send_slice(self, spoken: _Spoken, pcm: bytes, words: str | None) -> None:
        if self._profile.blank_before_audio:
            await self._outlet.send({})
        if words is not None and self._profile.words is Words.BEFORE:
            await self._outlet.send(wire.content(outputTranscription={"text": words}))
            words = None
        await self._outlet.send(wire.audio(pcm, words))
        spoken.sent += pcm
        await self._outlet.happened(
            "audio_out", "out", turn=spoken.turn.number, bytes=len(pcm), total=len(spoken.sent)
        )

    async def _transcribe_only(self, spoken: _Spoken, speech: Speech) -> None:
        for words in wire.pieces(speech.text):
            await self._outlet.send(wire.content(outputTranscription={"text": words}))
        await self._outlet.send(wire.content(generationComplete=True))
        await self._outlet.happened("generation_complete", "out", turn=spoken.turn.number)
        await self._complete(spoken)

    async def _give_way(self, spoken: _Spoken) -> None:
        """End an answer that somebody spoke over."""
        await self._outlet.send(wire.content(interrupted=True))
        await self._outlet.happened("interrupted", "out", turn=spoken.turn.number, complete=spoken.complete)
        for pcm, _ in list(self._slices(spoken.speech))[: spoken.turn.wants("late_audio") or 0]:
            await self._outlet.send(wire.audio(pcm))
            await self._outlet.happened("audio_out", "out", turn=spoken.turn.number, bytes=len(pcm), late=True)
        if ids := self._calls.cancel_blocking():
            await self._outlet.send({"toolCallCancellation": {"ids": ids}})
            await self._outlet.happened("tool_cancel", "out", ids=ids, turn=spoken.turn.number)
        if not spoken.complete:
            self._remember(
                f"model, interrupted: {spoken.speech.text}", len(spoken.sent) * TOKENS_PER_SECOND // 48_000
            )
        await self._complete(spoken)
        await self.give_handle()

    async def _complete(self, spoken: _Spoken, **fields: Any) -> None:
        used = len(spoken.sent) * TOKENS_PER_SECOND // (2 * RATE)
        await self._outlet.send({**wire.content(turnComplete=True, **fields), "usageMetadata": self._usage(used)})
        await self._outlet.happened("turn_complete", "out", turn=spoken.turn.number)

    def _interaction(self, status: str) -> dict[str, str]:
        return {"interactionStatus": status} if self._profile.says_twice else {}

    def _keep(self, spoken: _Spoken) -> None:
        """Put an answer, whole or cut, into the ledger."""
        interrupted = self._cut or len(spoken.sent) < len(spoken.speech.pcm)
        turn, speech, sent = spoken.turn.number, spoken.speech, bytes(spoken.sent)
        self._around.ledger.answered(Answer(self._outlet.number, turn, speech.pcm, sent, speech.text, interrupted))

    def _remember(self, line: str, tokens: int) -> None:
        memory = replace(self.memory, tokens=self.memory.tokens + tokens, history=(*self.memory.history, line))
        trigger = int(self._compression.get("triggerTokens", 104_857))
        if self._compression and memory.tokens > trigger:
            window = self._compression.get("slidingWindow", {})
            memory = replace(memory, tokens=int(window.get("targetTokens", trigger // 2)))
        self.memory = memory

    def _usage(self, response: int) -> dict[str, Any]:
        prompt = self.memory.tokens
        return {
            "promptTokenCount": prompt,
            "responseTokenCount": response,
            "totalTokenCount": prompt + response,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": prompt}],
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": response}],
        }

    async def _speech(self, turn: Turn) -> Speech:
        if turn.say is not None:
            return await self._spoken_text(turn.say)
        answers = self._around.script.answers
        # What is said to a function's result comes after what was said while it ran.
        usual = answers[(turn.number - 1 + turn.is_result) % len(answers)]
        replies = self._around.script.replies
        answer = next((replies[word] for word in turn.text.split() if word in replies), usual)
        if isinstance(answer, str):
            return await self._spoken_text(answer)
        return await asyncio.to_thread(self._around.voice.play, answer.wav, answer.text)

    async def _spoken_text(self, text: str) -> Speech:
        return await asyncio.to_thread(self._around.voice.say, text)

    def _slices(self, speech: Speech) -> Iterator[tuple[bytes, str | None]]:
        """Cut an answer into the sound of its frames, each with the words that go with it, if any."""
        step = RATE * self._around.script.slice_ms // 1000 * 2
        count = -(-len(speech.pcm) // step)
        pieces = wire.pieces(speech.text) if self._transcribes else []
        words: dict[int, str] = {}
        for number, piece in enumerate(pieces):
            # Early on, or spread over the sound; never past its end, however few frames there are.
            index = min(number, count - 1) if self._profile.words is Words.FIRST else number * count // len(pieces)
            words[index] = words.get(index, "") + piece
        for index in range(count):
            yield speech.pcm[index * step : (index + 1) * step], words.get(index)

    async def _until(self, moment: float) -> None:
        """Wait for a moment. Raise _SpokenOverError if somebody speaks before it, or spoke already."""
        while not self._cut:
            left = moment - time.monotonic()
            if left <= 0:
                return
            await self._stirred(left)
        raise _SpokenOverError

    async def _stirred(self, seconds: float | None) -> None:
        """Wait for whatever may end a wait, at most so long. Raise _SpokenOverError if it is speech."""
        self._stir.clear()
        if not self._cut:
            try:
                async with asyncio.timeout(seconds):
                    await self._stir.wait()
            except TimeoutError:
                return
        if self._cut:
            raise _SpokenOverError
