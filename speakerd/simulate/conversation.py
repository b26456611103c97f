"""The user's side of a conversation: sound, text and function results, until they make a turn."""

import time
from typing import Any

from speakerd.simulate import ears, wire
from speakerd.simulate.ears import Ears, SpeechEnd, SpeechStart
from speakerd.simulate.handles import Memory
from speakerd.simulate.ledger import Ledger
from speakerd.simulate.model import TOKENS_PER_SECOND, Model, Outlet, Surroundings, Turn
from speakerd.simulate.profiles import Profile
from speakerd.simulate.rate import Rates
from speakerd.simulate.recognise import TurnSound
from speakerd.simulate.refusals import invalid_argument, precondition
from speakerd.simulate.script import Do

_LONGEST_WORD = 4
"""Characters that count as one token of text, roughly."""


class Conversation:
    """Take what a client sends after its setup."""

    def __init__(
        self, outlet: Outlet, profile: Profile, setup: dict[str, Any], memory: Memory, around: Surroundings
    ) -> None:
        self.model = Model(outlet, profile, setup, memory, around)
        self._outlet = outlet
        self._profile = profile
        self._script = around.script
        self._ledger: Ledger = around.ledger
        self._transcribes = profile.always_transcribes or "inputAudioTranscription" in setup
        realtime = setup.get("realtimeInputConfig", {})
        self._interruptible = realtime.get("activityHandling") != "NO_INTERRUPTION"
        detection = realtime.get("automaticActivityDetection", {})
        self._manual: bool = detection.get("disabled", False)
        self._ears = _ears(detection)
        self._activity: int | None = None
        self._seeding: bool = setup.get("historyConfig", {}).get("initialHistoryInClientContent", False)
        self._plan: list[Do] = []
        self._rates = Rates()
        self._turn_sound = TurnSound()
        self._total = 0

    @property
    def turn(self) -> int:
        """Return the number of the user's next, or present, turn."""
        return self.model.memory.turn + 1

    @property
    def busy(self) -> bool:
        """Return whether anybody is speaking or about to."""
        return self.model.busy or self._ears.speaking or self._activity is not None

    def plan(self, do: Do) -> None:
        """Change the answer to the next turn."""
        self._plan.append(do)

    async def take(self, message: dict[str, Any]) -> None:
        """Take one message. Raise RefusedError for what the service hangs up on."""
        match message:
            case {"realtimeInput": realtime}:
                await self._realtime(realtime)
            case {"clientContent": content}:
                await self._content(content)
            case {"toolResponse": response}:
                await self.model.results(response.get("functionResponses", []), strict=self._script.strict)
            case {"contextUpdate": update}:
                await self._outlet.happened("context_update", "in", fields=list(update))
            case _:
                # A second setup.
                raise invalid_argument()

    async def _realtime(self, message: dict[str, Any]) -> None:
        for place, blob in _blobs(message):
            await self._sound(wire.sound(blob, f"realtime_input.{place}"), blob.get("mimeType", ""))
        if "video" in message:
            await self._outlet.happened(
                "video", "in", bytes=len(wire.sound(message["video"], "realtime_input.video"))
            )
        if message.get("audioStreamEnd"):
            await self._stream_end()
        if "activityStart" in message:
            await self._activity_start()
        if "activityEnd" in message:
            await self._activity_end()
        if text := message.get("text"):
            await self._outlet.happened("text", "in", text=text, turn=self.turn)
            self.model.interrupt()
            await self._user_turn(text, len(text) // _LONGEST_WORD)

    async def _sound(self, pcm: bytes, mime: str) -> None:
        if self._script.strict and (mime != wire.AUDIO_IN or len(pcm) % 2):
            raise invalid_argument()
        if not self._script.strict:
            pcm = self._rates.take(pcm, mime)
        self._total += len(pcm)
        self._ledger.hear(self._outlet.number, pcm)
        await self._outlet.happened("audio", "in", bytes=len(pcm), total=self._total)
        self._turn_sound.hear(pcm, speaking=self._ears.speaking or bool(self._activity))
        if self._manual:
            if self._activity is not None:
                self._activity += len(pcm)
            return
        for change in self._ears.hear(pcm):
            match change:
                case SpeechStart(offset):
                    await self._speech_start(offset)
                case SpeechEnd():
                    await self._speech_end(change)

    async def _speech_start(self, offset: float) -> None:
        await self._outlet.happened("speech_start", offset=offset, turn=self.turn)
        if self._profile.voice_activity:
            await self._outlet.send({"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": f"{offset:.3f}s"}})
        if self._interruptible:
            self.model.interrupt()

    async def _speech_end(self, end: SpeechEnd) -> None:
        await self._outlet.happened("speech_end", offset=end.offset, seconds=end.seconds, turn=self.turn)
        text = self._transcript(end.seconds)
        await self._transcribe(text)
        if self._profile.voice_activity:
            await self._outlet.send({"voiceActivity": {"type": "ACTIVITY_END", "audioOffset": f"{end.offset:.3f}s"}})
        await self._user_turn(text, round(end.seconds * TOKENS_PER_SECOND))

    async def _stream_end(self) -> None:
        await self._outlet.happened("audio_stream_end", "in")
        if self._profile.stream_end_ends_turn and (end := self._ears.stop()):
            await self._speech_end(end)

    async def _activity_start(self) -> None:
        if not self._manual:
            raise invalid_argument()
        await self._outlet.happened("activity_start", "in", turn=self.turn)
        self._activity = 0
        if self._interruptible:
            self.model.interrupt()

    async def _activity_end(self) -> None:
        if not self._manual:
            raise invalid_argument()
        if not self._activity:
            raise precondition()
        seconds = self._activity / 2 / ears.RATE
        self._activity = None
        await self._outlet.happened("activity_end", "in", seconds=seconds, turn=self.turn)
        text = self._transcript(seconds)
        await self._transcribe(text)
        await self._user_turn(text, round(seconds * TOKENS_PER_SECOND))

    async def _content(self, content: dict[str, Any]) -> None:
        text = " ".join(
            part["text"] for turn in content.get("turns", []) for part in turn.get("parts", []) if "text" in part
        )
        complete = content.get("turnComplete", False)
        if self._profile.content_seeds_only and self.model.memory.turn and not self._seeding:
            raise invalid_argument()
        if text:
            await self._outlet.happened("text", "in", text=text, turn=self.turn, complete=complete)
        if self._seeding or not complete:
            self.model.heard(text, len(text) // _LONGEST_WORD)
            self._seeding = self._seeding and not complete
            return
        self.model.interrupt()
        await self._user_turn(text, len(text) // _LONGEST_WORD)

    async def _user_turn(self, text: str, tokens: int) -> None:
        """End the user's turn: the model's is next."""
        number, ended = self.turn, time.monotonic()
        self.model.begin_turn(text, tokens)
        await self._outlet.happened("turn", turn=number, text=text, session=self.model.memory.session)
        plan, self._plan = tuple(self._plan), []
        self.model.ask(Turn(number, ended, plan, text=text))

    async def _transcribe(self, text: str) -> None:
        if not self._transcribes:
            return
        for words in wire.pieces(text) if self._profile.hears_in_pieces else [text]:
            await self._outlet.send(wire.content(inputTranscription={"text": words}))

    def _transcript(self, seconds: float) -> str:
        """Return what the user said: the words that the script knows, or what it says was said."""
        if words := self._script.vocabulary.words_in(self._turn_sound.take()):
            return " ".join(words)
        heard = self._script.heard
        return heard[(self.turn - 1) % len(heard)] if heard else f"({seconds:.1f} seconds of speech)"


def _ears(detection: dict[str, Any]) -> Ears:
    sensitivity = "LOW" if str(detection.get("startOfSpeechSensitivity", "")).endswith("LOW") else "HIGH"
    return Ears(end_ms=int(detection.get("silenceDurationMs", ears.END_MS)), sensitivity=sensitivity)


def _blobs(message: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every piece of sound in a realtime message, with its place."""
    blobs = [("audio", message["audio"])] if "audio" in message else []
    chunks = enumerate(message.get("mediaChunks", []))
    return blobs + [
        (f"media_chunks[{i}]", chunk) for i, chunk in chunks if chunk.get("mimeType", "").startswith("audio/")
    ]
