"""What the server says, in our words: one server message becomes a list of events.

Pure: it awaits nothing, and whatever oddity the message holds, it raises nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the SDK takes a second to import; the types alone are no reason to
    from google.genai import types

INPUT_RATE = 16_000
"""Sample rate of the room's sound, Hz, which the Live API asks for."""

OUTPUT_RATE = 24_000
"""Sample rate of the model's voice, Hz; Vertex leaves it out of the MIME type and means the same."""

MOST_TOKENS = 100_000_000
"""No message counts more of a kind: a conversation holds 131,072 at once (gemini-3.8-live). A number beyond that says
nothing of the bill, and beyond what a float can hold it could not be reckoned with."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of the model's voice: S16_LE, mono, of any length in bytes, even an odd one."""

    pcm: bytes
    rate: int = OUTPUT_RATE


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Somebody spoke over the model: what it said and was not played must not be heard any more."""


@dataclass(frozen=True, slots=True)
class GenerationComplete:
    """The model has sent its whole reply; playing it takes longer."""


@dataclass(frozen=True, slots=True)
class TurnComplete:
    """The model's turn is over; ``reason`` is the server's word where it is not the usual end.

    ``waiting_for_input``: the model takes the speaker for not done yet, and says nothing for that reason.
    """

    reason: str | None = None
    waiting_for_input: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of what the server understood; comes only where transcripts were asked for."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of what the model says, as text; comes only where transcripts were asked for."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a function run and may wait for ever for what it returns."""

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolsCancelled:
    """These calls are no longer wanted; nothing may be sent for them."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The server will hang up in ``seconds``, or soon where it does not say when (None)."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Resumable:
    """With this handle a later connection goes on where this one ends."""

    handle: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that are billed; the prompt holds the whole conversation again.

    A turn may have several of these, and their sum is what was billed, to 3 % (https://discuss.ai.google.dev/t/173248).
    Thoughts are counted as a part of the response. Of both it says how much was text; what is not text is sound.
    """

    prompt: int
    response: int
    total: int
    prompt_text: int = 0
    response_text: int = 0


Event = (
    Audio
    | Interrupted
    | GenerationComplete
    | TurnComplete
    | Heard
    | Said
    | ToolCall
    | ToolsCancelled
    | GoingAway
    | Resumable
    | Usage
)


def events_of(message: types.LiveServerMessage) -> list[Event]:
    """Return what a message says, in the order in which it must be acted on.

    One message may state several facts. An interruption comes first, because the audio beside it is
    already unwanted; the end of the turn comes last, because the audio and the tokens beside it belong to it.
    """
    events: list[Event] = []
    if content := message.server_content:
        events += _content(content)
    if usage := message.usage_metadata:
        events += _usage(usage)
    if message.tool_call:
        calls = message.tool_call.function_calls or []
        events += [ToolCall(c.id, c.name or "", c.args or {}) for c in calls if c.id]
    if message.tool_call_cancellation:
        events.append(ToolsCancelled(tuple(message.tool_call_cancellation.ids or ())))
    update = message.session_resumption_update
    if update and update.resumable and update.new_handle:
        events.append(Resumable(update.new_handle))
    if message.go_away:
        events.append(GoingAway(_seconds(message.go_away.time_left)))
    events.sort(key=lambda event: isinstance(event, TurnComplete))
    return events


def _usage(usage: types.UsageMetadata) -> list[Event]:
    prompt, response = _count(usage.prompt_token_count), _count(usage.response_token_count)
    thoughts, total = _count(usage.thoughts_token_count), _count(usage.total_token_count)
    if not (prompt or response or thoughts or total):
        return []
    prompt_text = min(_text(usage.prompt_tokens_details), prompt)
    response_text = min(_text(usage.response_tokens_details), response) + thoughts
    return [Usage(prompt, response + thoughts, total, prompt_text, response_text)]


def _text(details: list[types.ModalityTokenCount] | None) -> int:
    """Return how many of the tokens are text."""
    return sum(_count(detail.token_count) for detail in details or [] if detail.modality == "TEXT")


def _count(tokens: int | None) -> int:
    """Return a number of tokens; none for one that cannot be one."""
    return tokens if tokens is not None and 0 <= tokens <= MOST_TOKENS else 0


def _content(content: types.LiveServerContent) -> list[Event]:
    events: list[Event] = []
    if content.interrupted:
        events.append(Interrupted())
    if content.input_transcription and content.input_transcription.text:
        events.append(Heard(content.input_transcription.text))
    turn = content.model_turn
    for part in (turn.parts if turn else None) or []:
        blob = part.inline_data
        # A thought is the model talking to itself; it is not for the loudspeaker.
        if blob and blob.data and not part.thought and (blob.mime_type or "audio/pcm").startswith("audio/pcm"):
            events.append(Audio(blob.data, _rate(blob.mime_type)))
    if content.output_transcription and content.output_transcription.text:
        events.append(Said(content.output_transcription.text))
    if content.generation_complete:
        events.append(GenerationComplete())
    if content.turn_complete:
        reason = str(content.turn_complete_reason.value) if content.turn_complete_reason else None
        waiting = bool(content.waiting_for_input) or reason == "NEED_MORE_INPUT"
        events.append(TurnComplete(reason, waiting))
    return events


def _rate(mime_type: str | None) -> int:
    match = re.search(r"rate=(\d{1,6})", mime_type or "")
    return int(match[1]) if match else OUTPUT_RATE


def _seconds(duration: str | None) -> float | None:
    """Read a protobuf duration in JSON, as in ``"9.5s"``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s", duration or "")
    return float(match[1]) if match else None
