"""What a new session asks of the model: the setup message, with only the fields that the model knows.

A field that a model does not know ends the connection (1007), or on gemini-3.1-flash-live-preview leaves the
client waiting for ever (https://github.com/PatterAI/Patter/issues/210).
"""

from typing import Any

from speakerd.settings import Settings

_SPEECH_MODEL = frozenset(
    {
        "response_modalities",
        "speech_config",
        "system_instruction",
        "session_resumption",
        "context_window_compression",
        "realtime_input_config",
        "input_audio_transcription",
        "output_audio_transcription",
    }
)

FIELDS: dict[str, frozenset[str]] = {
    "gemini-3.8-live": _SPEECH_MODEL,
    "gemini-3.8-live-extended-thinking": _SPEECH_MODEL,
    "gemini-3.1-flash-live-preview": _SPEECH_MODEL,
    "gemini-2.5-flash-native-audio-preview-12-2025": _SPEECH_MODEL,
    # It translates and does nothing else: no instructions, no memory.
    "gemini-3.5-live-translate-preview": _SPEECH_MODEL - {"system_instruction", "context_window_compression"},
}
"""Setup fields each model accepts, from Google's model pages; a model not listed is taken for a speech model."""


def setup_of(settings: Settings, handle: str | None) -> dict[str, Any]:
    """Return the session's ``LiveConnectConfig`` as a dictionary.

    ``handle`` resumes the conversation that it stands for; None starts a new one. Either way handles are asked
    for, so that the next connection can resume this one.
    """
    assistant, context = settings.assistant, settings.live.context
    setup: dict[str, Any] = {
        "response_modalities": ["AUDIO"],
        "speech_config": {
            "voice_config": {"prebuilt_voice_config": {"voice_name": assistant.voice}},
            "language_code": assistant.language,
        },
        "system_instruction": assistant.instructions,
        "session_resumption": {"handle": handle} if handle else {},
        "context_window_compression": {
            "trigger_tokens": context.trigger_tokens,
            "sliding_window": {"target_tokens": context.target_tokens},
        },
    }
    if detection := _turn_detection(settings):
        setup["realtime_input_config"] = {"automatic_activity_detection": detection}
    if assistant.transcripts:
        setup |= {"input_audio_transcription": {}, "output_audio_transcription": {}}
    known = FIELDS.get(assistant.model, _SPEECH_MODEL)
    return {field: value for field, value in setup.items() if field in known}


def _turn_detection(settings: Settings) -> dict[str, Any]:
    """Return only what the owner set; the server's own defaults are left to it."""
    if settings.listen.turns == "local":
        return {"disabled": True}
    chosen = settings.live.turn_detection
    start, end = chosen.start_sensitivity, chosen.end_sensitivity
    detection = {
        "start_of_speech_sensitivity": f"START_SENSITIVITY_{start.upper()}" if start else None,
        "end_of_speech_sensitivity": f"END_SENSITIVITY_{end.upper()}" if end else None,
        "silence_duration_ms": chosen.silence_ms,
        "prefix_padding_ms": chosen.prefix_ms,
    }
    return {name: value for name, value in detection.items() if value is not None}
