"""What a client may send: every message, field by field, in both spellings.

The service reads proto-JSON, where a field is `snake_case` or `camelCase`, as the client likes, at every level.
Names are kept here as `camelCase`, which is how `checked` returns them.
"""

import functools
import re
from typing import Any

from speakerd.simulate.refusals import not_json, unknown_name, wrong_value

# "[]" after a type: a list of them; "{}": a map with any keys. "any" is left as it is, keys and all.
_TYPES: dict[str, dict[str, str]] = {
    "Message": {
        "setup": "Setup",
        "realtimeInput": "RealtimeInput",
        "clientContent": "ClientContent",
        "toolResponse": "ToolResponse",
        "contextUpdate": "ContextUpdate",
    },
    "Setup": {
        "model": "string",
        "generationConfig": "GenerationConfig",
        "systemInstruction": "Content",
        "tools": "Tool[]",
        "realtimeInputConfig": "RealtimeInputConfig",
        "sessionResumption": "SessionResumption",
        "contextWindowCompression": "ContextWindowCompression",
        "inputAudioTranscription": "any",
        "outputAudioTranscription": "any",
        "proactivity": "Proactivity",
        "historyConfig": "HistoryConfig",
        "safetySettings": "any",
        "labels": "any",
        "avatarConfig": "any",
    },
    "GenerationConfig": {
        "responseModalities": "string[]",
        "temperature": "number",
        "topP": "number",
        "topK": "number",
        "maxOutputTokens": "number",
        "candidateCount": "number",
        "presencePenalty": "number",
        "frequencyPenalty": "number",
        "stopSequences": "string[]",
        "seed": "number",
        "mediaResolution": "string",
        "speechConfig": "any",
        "thinkingConfig": "ThinkingConfig",
        "enableAffectiveDialog": "bool",
        "translationConfig": "any",
    },
    "ThinkingConfig": {"includeThoughts": "bool", "thinkingBudget": "number", "thinkingLevel": "string"},
    "Content": {"role": "string", "parts": "Part[]"},
    "Part": {
        "text": "string",
        "thought": "bool",
        "thoughtSignature": "string",
        "inlineData": "Blob",
        "fileData": "any",
        "functionCall": "any",
        "functionResponse": "any",
        "executableCode": "any",
        "codeExecutionResult": "any",
        "videoMetadata": "any",
    },
    "Blob": {"data": "string", "mimeType": "string", "displayName": "string"},
    "Tool": {
        "functionDeclarations": "FunctionDeclaration[]",
        "googleSearch": "any",
        "googleSearchRetrieval": "any",
        "codeExecution": "any",
        "urlContext": "any",
    },
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "behavior": "string",
        "parameters": "Schema",
        "parametersJsonSchema": "any",
        "response": "Schema",
        "responseJsonSchema": "any",
    },
    # No additionalProperties: a client that sends them is hung up on.
    "Schema": {
        "type": "string",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": "string[]",
        "items": "Schema",
        "minItems": "number",
        "maxItems": "number",
        "properties": "Schema{}",
        "minProperties": "number",
        "maxProperties": "number",
        "required": "string[]",
        "minimum": "number",
        "maximum": "number",
        "minLength": "number",
        "maxLength": "number",
        "pattern": "string",
        "example": "any",
        "default": "any",
        "anyOf": "Schema[]",
        "propertyOrdering": "string[]",
    },
    "RealtimeInputConfig": {
        "automaticActivityDetection": "ActivityDetection",
        "activityHandling": "string",
        "turnCoverage": "string",
        "interimTranscriptTimestampEnabled": "bool",
    },
    "ActivityDetection": {
        "disabled": "bool",
        "startOfSpeechSensitivity": "string",
        "endOfSpeechSensitivity": "string",
        "prefixPaddingMs": "number",
        "silenceDurationMs": "number",
    },
    "SessionResumption": {"handle": "string"},
    "ContextWindowCompression": {"triggerTokens": "number", "slidingWindow": "SlidingWindow"},
    "SlidingWindow": {"targetTokens": "number"},
    "Proactivity": {"proactiveAudio": "bool", "proactiveVideo": "bool"},
    "HistoryConfig": {"initialHistoryInClientContent": "bool"},
    "RealtimeInput": {
        "audio": "Blob",
        "video": "Blob",
        "mediaChunks": "Blob[]",
        "text": "string",
        "audioStreamEnd": "bool",
        "activityStart": "any",
        "activityEnd": "any",
    },
    "ClientContent": {"turns": "Content[]", "turnComplete": "bool"},
    "ToolResponse": {"functionResponses": "FunctionResponse[]"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "any",
        "scheduling": "string",
        "willContinue": "bool",
        "parts": "any",
    },
    "ContextUpdate": {"systemInstruction": "Content", "tools": "Tool[]"},
}

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    # proto-JSON writes a 64-bit number as a string.
    "number": (int, float, str),
}

_KIND_NAMES = {"string": "TYPE_STRING", "bool": "TYPE_BOOL", "number": "TYPE_INT32"}


def checked(message: object) -> dict[str, Any]:
    """Return a client's message with every known name as `camelCase`.

    Raise RefusedError for what the service hangs up on: an unknown field, or a value of the wrong type.
    """
    if not isinstance(message, dict):
        raise not_json()
    return _fields(message, "Message", "")


def _fields(message: dict[str, Any], kind: str, place: str) -> dict[str, Any]:
    known = _TYPES[kind]
    result: dict[str, Any] = {}
    for name, value in message.items():
        field = name if name in known else camel(name)
        if field not in known:
            raise unknown_name(name, place)
        # In proto-JSON null is the same as an absent field.
        if value is not None:
            snake = _snake(field)
            result[field] = _value(value, known[field], f"{place}.{snake}" if place else snake)
    return result


def _value(value: object, kind: str, place: str) -> Any:
    if kind == "any":
        return value
    if kind.endswith("[]"):
        items = value if isinstance(value, list) else [value]
        return [_value(item, kind[:-2], f"{place}[{index}]") for index, item in enumerate(items)]
    if kind.endswith("{}"):
        if not isinstance(value, dict):
            raise wrong_value(place, "Map", value)
        return {
            key: _value(item, kind[:-2], f"{place}[{index}].value") for index, (key, item) in enumerate(value.items())
        }
    if kind in _KINDS:
        if not isinstance(value, _KINDS[kind]) or (kind == "number" and isinstance(value, bool)):
            raise wrong_value(place, _KIND_NAMES[kind], value)
        return value
    if not isinstance(value, dict):
        raise wrong_value(place, f"type.googleapis.com/{kind}", value)
    return _fields(value, kind, place)


@functools.lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """Return a name of either spelling as `camelCase`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


@functools.lru_cache(maxsize=1024)
def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda letter: "_" + letter[0].lower(), name)
