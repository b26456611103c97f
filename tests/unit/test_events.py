"""What the server says becomes events, in order, whatever its shape."""

import base64
import json
import warnings
from typing import Any

import pytest
from google.genai import _live_converters, types
from hypothesis import given
from hypothesis import strategies as st

from speakerd.live.events import (
    Audio,
    Event,
    GenerationComplete,
    GoingAway,
    Heard,
    Interrupted,
    Resumable,
    Said,
    ToolCall,
    ToolsCancelled,
    TurnComplete,
    Usage,
    events_of,
)

PCM = base64.b64encode(b"\x01\x00\xfe\xff").decode()
SOUND = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": PCM}}


def parse(wire: dict[str, Any]) -> types.LiveServerMessage:
    """Parse a message as the SDK's receive loop does."""
    converted = _live_converters._LiveServerMessage_from_mldev(wire)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK warns of enum values that it does not know, and keeps them
        return types.LiveServerMessage._from_response(response=converted, kwargs={})


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        ("{}", []),
        ('{"serverContent":{}}', []),
        ('{"setupComplete":{"sessionId":"x"}}', []),
        ('{"serverContent":{"modelTurn":{"parts":[{"text":"**Acknowledging**","thought":true}]}}}', []),
        ('{"serverContent":{"inputTranscription":{"text":" Hello"}}}', [Heard(" Hello")]),
        ('{"serverContent":{"interimInputTranscription":{"text":"And so"}}}', []),
        ('{"serverContent":{"outputTranscription":{"text":"It is"}}}', [Said("It is")]),
        ('{"serverContent":{"outputTranscription":{}}}', []),
        ('{"serverContent":{"outputTranscription":{"finished":true}}}', []),
        ('{"serverContent":{"generationComplete":true}}', [GenerationComplete()]),
        ('{"serverContent":{"interrupted":true}}', [Interrupted()]),
        ('{"serverContent":{"turnComplete":true,"interactionStatus":"IDLE"}}', [TurnComplete()]),
        ('{"serverContent":{"turnComplete":true,"interactionStatus":"NEVER_SEEN"}}', [TurnComplete()]),
        (
            '{"serverContent":{"turnComplete":true,"turnCompleteReason":"NEED_MORE_INPUT","waitingForInput":true}}',
            [TurnComplete("NEED_MORE_INPUT", waiting_for_input=True)],
        ),
        (
            '{"serverContent":{"turnComplete":true,"turnCompleteReason":"NEVER_SEEN"}}',
            [TurnComplete("NEVER_SEEN")],
        ),
        (
            '{"toolCall":{"functionCalls":[{"id":"fc_1","name":"f","args":{"city":"London"}},{"id":"fc_2","name":"g"}]}}',
            [ToolCall("fc_1", "f", {"city": "London"}), ToolCall("fc_2", "g", {})],
        ),
        ('{"toolCall":{"functionCalls":[{"name":"no_id"}]}}', []),
        ('{"toolCallCancellation":{"ids":["fc_1"]}}', [ToolsCancelled(("fc_1",))]),
        ('{"sessionResumptionUpdate":{"newHandle":"h","resumable":true}}', [Resumable("h")]),
        ('{"sessionResumptionUpdate":{"newHandle":"h","resumable":"true"}}', [Resumable("h")]),
        ('{"sessionResumptionUpdate":{"newHandle":"h","resumable":false}}', []),
        ('{"sessionResumptionUpdate":{"newHandle":"","resumable":true}}', []),
        ('{"sessionResumptionUpdate":{}}', []),
        ('{"goAway":{"timeLeft":"50s"}}', [GoingAway(50.0)]),
        ('{"goAway":{"timeLeft":"9.5s"}}', [GoingAway(9.5)]),
        ('{"goAway":{}}', [GoingAway(None)]),
        ('{"goAway":{"timeLeft":"soon"}}', [GoingAway(None)]),
        ('{"voiceActivity":{"type":"ACTIVITY_START","audioOffset":"1.880s"}}', []),
        ('{"voiceActivity":{"type":"NEVER_SEEN"}}', []),
        ('{"voiceActivityDetectionSignal":{"vadSignalType":"VAD_SIGNAL_TYPE_SOS"}}', []),
        ('{"usageMetadata":{}}', []),
        (
            '{"usageMetadata":{"promptTokenCount":626,"responseTokenCount":63,"totalTokenCount":689}}',
            [Usage(626, 63, 689)],
        ),
        (
            '{"usageMetadata":{"promptTokenCount":626,"responseTokenCount":63,"totalTokenCount":689,'
            '"promptTokensDetails":[{"modality":"TEXT","tokenCount":312},{"modality":"AUDIO","tokenCount":287}],'
            '"responseTokensDetails":[{"modality":"AUDIO","tokenCount":63}],"thoughtsTokenCount":40}}',
            [Usage(626, 103, 689, prompt_text=312, response_text=40)],
        ),
        (
            '{"usageMetadata":{"promptTokenCount":5,"promptTokensDetails":[{"modality":"SMELL","tokenCount":5},{}]}}',
            [Usage(5, 0, 0)],
        ),
        (
            '{"serverContent":{"turnComplete":true,"groundingMetadata":{}},"usageMetadata":{"totalTokenCount":9}}',
            [Usage(0, 0, 9), TurnComplete()],
        ),
    ],
)
def test_each_known_message_says_what_it_says(wire: str, events: list[Event]) -> None:
    """Every shape seen on the real service, in its SDKs' tests or in reports has its meaning, if any."""
    assert events_of(parse(json.loads(wire))) == events


@pytest.mark.parametrize("count", [-5, 10**9, 10**400], ids=["less than none", "too many", "beyond a float"])
def test_a_number_of_tokens_that_cannot_be_one_is_not_counted(count: int) -> None:
    """A server that miscounts does not end the speaker, or make yesterday's bill smaller."""
    details = [{"modality": "TEXT", "tokenCount": count}, {"modality": "TEXT", "tokenCount": 2}]
    usage = {"promptTokenCount": 5, "promptTokensDetails": details, "responseTokenCount": count}
    assert events_of(parse({"usageMetadata": usage})) == [Usage(5, 0, 0, prompt_text=2)]
    assert events_of(parse({"usageMetadata": {"totalTokenCount": count}})) == []


def test_sound_is_taken_from_every_part_but_thoughts_and_code() -> None:
    """The model's voice is heard whole; what it thinks and runs is not for the loudspeaker."""
    parts = [SOUND, {"text": "aside"}, {"executableCode": {"code": "1"}}, {**SOUND, "thought": True}, SOUND]
    assert events_of(parse({"serverContent": {"modelTurn": {"parts": parts}}})) == [Audio(b"\x01\x00\xfe\xff")] * 2


@pytest.mark.parametrize(("mime", "rate"), [("audio/pcm", 24_000), ("audio/pcm;rate=16000", 16_000)])
def test_the_rate_is_24_khz_where_it_is_not_said(mime: str, rate: int) -> None:
    """A service that leaves the rate out means the usual one."""
    parts = [{"inlineData": {"mimeType": mime, "data": PCM}}]
    assert events_of(parse({"serverContent": {"modelTurn": {"parts": parts}}})) == [Audio(b"\x01\x00\xfe\xff", rate)]


def test_an_interruption_comes_before_the_sound_beside_it_and_the_end_of_the_turn_after() -> None:
    """Sound beside an interruption is already unwanted; sound beside the end of a turn is not."""
    content = {
        "turnComplete": True,
        "generationComplete": True,
        "interrupted": True,
        "modelTurn": {"parts": [SOUND]},
        "outputTranscription": {"text": "so"},
    }
    message = {"serverContent": content, "usageMetadata": {"totalTokenCount": 9}}
    kinds = [type(event) for event in events_of(parse(message))]
    assert kinds == [Interrupted, Audio, Said, GenerationComplete, Usage, TurnComplete]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["modelTurn", "turnComplete", "interrupted", "generationComplete", "inputTranscription", "outputTranscription"]
)


@given(st.dictionaries(KEYS, JSON))
def test_no_message_that_the_sdk_can_parse_makes_us_stumble(content: dict[str, Any]) -> None:
    """Whatever a server sends, it is at worst not understood."""
    try:
        message = parse({"serverContent": content})
    except (TypeError, ValueError, AttributeError):
        return  # the SDK refuses it; the session skips such frames
    assert isinstance(events_of(message), list)
