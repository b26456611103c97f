"""What the stand-in takes from a client, and in which words it refuses the rest."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerd.simulate import refusals, wire
from speakerd.simulate.refusals import RefusedError
from speakerd.simulate.schema import checked

LIMIT = 123


def test_both_spellings_mean_the_same() -> None:
    """Names may be written in either case at every level."""
    snake = {"setup": {"generation_config": {"max_output_tokens": 1, "topP": 0.5}, "tools": [{"google_search": {}}]}}
    camel = {"setup": {"generationConfig": {"maxOutputTokens": 1, "topP": 0.5}, "tools": [{"googleSearch": {}}]}}
    assert checked(snake) == checked(camel) == camel


def test_what_belongs_to_the_user_is_left_alone() -> None:
    """The names in a function's result and in a JSON schema are not ours to spell."""
    response = {"functionResponses": [{"id": "1", "response": {"room_name": {"Kitchen_1": 2}}}]}
    assert checked({"toolResponse": response}) == {"toolResponse": response}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"setup": {"bogusField": 1}}, "Unknown name \"bogusField\" at 'setup': Cannot find field."),
        ({"bogus": {}}, 'Unknown name "bogus": Cannot find field.'),
        (
            {"setup": {"sessionResumption": {"transparent": True}}},
            "Unknown name \"transparent\" at 'setup.session_resumption': Cannot find field.",
        ),
        (
            {"setup": {"tools": [{"functionDeclarations": [{"parameters": {"additionalProperties": False}}]}]}},
            "Unknown name \"additionalProperties\" at 'setup.tools[0].function_declarations[0].parameters': "
            "Cannot find field.",
        ),
    ],
)
def test_unknown_names_are_refused_with_their_place(message: Any, reason: str) -> None:
    """The words are the service's own, with the path in its spelling."""
    with pytest.raises(RefusedError) as refused:
        checked(message)
    assert refused.value.code == 1007
    assert refused.value.reason == f"Invalid JSON payload received. {reason}"[:LIMIT]


@pytest.mark.parametrize(
    "message",
    [
        {"setup": []},
        {"setup": {"model": 1}},
        {"setup": {"generationConfig": {"enableAffectiveDialog": "yes"}}},
        {"setup": {"generationConfig": {"seed": True}}},
        {"clientContent": {"turns": [{"parts": "text"}]}},
    ],
)
def test_wrong_types_are_refused(message: Any) -> None:
    """A field with a value of another type ends the connection."""
    with pytest.raises(RefusedError, match="1007 Invalid value at"):
        checked(message)


NAMES = st.sampled_from(["setup", "model", "tools", "turns", "parts", "data", "x"])
PLAIN = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_any_json_is_taken_or_refused(message: Any) -> None:
    """Nothing that a client sends breaks the stand-in."""
    with contextlib.suppress(RefusedError):  # that is the other thing it may do
        assert isinstance(checked(message), dict)


@given(st.text() | st.binary())
def test_any_frame_is_taken_or_refused(frame: str | bytes) -> None:
    """Nor does any frame."""
    with pytest.raises(RefusedError):
        wire.decode(frame)


@given(st.binary(max_size=40))
def test_sound_survives_the_wire(pcm: bytes) -> None:
    """What the stand-in says can be read back, whatever it is."""
    [part] = wire.audio(pcm)["serverContent"]["modelTurn"]["parts"]
    assert wire.sound(part["inlineData"], "audio") == pcm


def test_bad_base64_is_refused() -> None:
    """Text that is not base64 ends the connection."""
    with pytest.raises(RefusedError, match="Base64 decoding failed"):
        wire.sound({"data": "not base64!"}, "realtime_input.audio")


def test_a_reason_fits_into_its_frame() -> None:
    """A long reason is cut where the service cuts it, and never in the middle of a character."""
    assert refusals.unknown_model("models/gemini-nope-live", "v1beta").reason.endswith("Call ModelService")
    assert refusals.overstayed().reason.endswith("once the session durat")
    assert refusals.cut("é" * 100) == "é" * (LIMIT // 2)
