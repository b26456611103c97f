"""What a new session asks of the model."""

import pytest
from google.genai import types

from speakerd.live.setup import FIELDS, setup_of
from speakerd.settings import Settings


def settings(**sections: object) -> Settings:
    return Settings.model_validate(sections)


@pytest.mark.parametrize("model", [*FIELDS, "gemini-9-never-seen"])
def test_the_sdk_accepts_the_setup_for_every_model(model: str) -> None:
    """What we send parses as the SDK's own configuration."""
    setup = setup_of(settings(assistant={"model": model, "transcripts": True}), handle="h")
    config = types.LiveConnectConfig.model_validate(setup)
    assert config.response_modalities == ["AUDIO"]
    assert config.session_resumption is not None
    assert config.session_resumption.handle == "h"


@pytest.mark.parametrize(("model", "fields"), FIELDS.items())
def test_a_model_gets_no_field_that_it_does_not_know(model: str, fields: frozenset[str]) -> None:
    """An unknown field would end the connection."""
    assert set(setup_of(settings(assistant={"model": model, "transcripts": True}), None)) <= fields


def test_transcripts_are_asked_for_only_where_the_owner_wants_them() -> None:
    """By default nobody writes down what is said in a kitchen."""
    assert not any("transcription" in field for field in setup_of(Settings(), None))
    assert "input_audio_transcription" in setup_of(settings(assistant={"transcripts": True}), None)


def test_what_the_owner_leaves_open_is_left_to_the_server() -> None:
    """Turn detection is sent only as far as it was set."""
    assert "realtime_input_config" not in setup_of(Settings(), None)
    live = {"turn_detection": {"start_sensitivity": "low", "silence_ms": 500}}
    detection = setup_of(settings(live=live), None)["realtime_input_config"]["automatic_activity_detection"]
    assert detection == {"start_of_speech_sensitivity": "START_SENSITIVITY_LOW", "silence_duration_ms": 500}


def test_every_session_can_be_resumed_and_forgets_in_good_time() -> None:
    """Handles are asked for, and the context is compressed, which also lifts the limit of 15 minutes."""
    setup = setup_of(Settings(), None)
    assert setup["session_resumption"] == {}
    assert setup["context_window_compression"]["trigger_tokens"] == 25000
