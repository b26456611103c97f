"""Frames on the wire: what a client's frame holds, and how the service writes its own."""

import base64
import binascii
import json
from typing import Any

from speakerd.simulate import schema
from speakerd.simulate.refusals import invalid_argument, not_json, wrong_value

AUDIO_IN = "audio/pcm;rate=16000"
"""The one way to name the sound that a client sends."""

AUDIO_OUT = "audio/pcm;rate=24000"

_WORDS_IN_A_PIECE = 3

_TO_STANDARD = str.maketrans("-_", "+/")


def decode(frame: str | bytes) -> dict[str, Any]:
    """Return the message in a client's frame, names in `camelCase`.

    Raise RefusedError unless it is a JSON object with exactly one known message in it.
    """
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise not_json() from error
    result = schema.checked(message)
    if len(result) != 1:
        raise invalid_argument()
    return result


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as the service sends it: JSON on several lines, for a binary frame."""
    return json.dumps(message, indent=2).encode() + b"\n"


def sound(blob: dict[str, Any], place: str) -> bytes:
    """Return the bytes in a `Blob`: base64 of either alphabet, padded or not. Raise RefusedError on other text."""
    text: str = blob.get("data", "")
    plain = text.translate(_TO_STANDARD).rstrip("=")
    try:
        return binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise wrong_value(f"{place}.data", "TYPE_BYTES", f'Base64 decoding failed for "{text[:40]}"') from error


def content(**fields: Any) -> dict[str, Any]:
    """Return a `serverContent` message with these fields."""
    return {"serverContent": fields}


def audio(pcm: bytes, transcript: str | None = None) -> dict[str, Any]:
    """Return a piece of the model's voice, with the words in it where they ride on the same frame."""
    data = base64.b64encode(pcm).decode()
    part = {"inlineData": {"mimeType": AUDIO_OUT, "data": data}}
    fields: dict[str, Any] = {"modelTurn": {"parts": [part], "role": "model"}}
    if transcript is not None:
        fields["outputTranscription"] = {"text": transcript}
    return {"serverContent": fields}


def thought(text: str) -> dict[str, Any]:
    """Return a part that the model thinks and does not say."""
    return content(modelTurn={"parts": [{"text": text, "thought": True}]})


def pieces(text: str) -> list[str]:
    """Return a text a few words at a time, each with the blank before it, as transcripts come."""
    words = text.split()
    groups = [words[start : start + _WORDS_IN_A_PIECE] for start in range(0, len(words), _WORDS_IN_A_PIECE)]
    return [(" " if index else "") + " ".join(group) for index, group in enumerate(groups)]
