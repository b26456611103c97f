"""What each model does, and what it refuses in a setup.

From recordings, measurements and reports of the real service; where they disagree, the recording decides.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from speakerd.simulate.refusals import UnansweredError, invalid_argument, unknown_model


class Words(Enum):
    """Where the transcript of an answer goes, seen from its sound."""

    BEFORE = "in frames of their own, each before the sound that it describes"
    FIRST = "on the first frames of the sound"
    ALONG = "on the frames of the sound that they describe"


@dataclass(frozen=True, slots=True)
class Profile:
    """One model's manners on the wire."""

    model: str
    words: Words
    hears_in_pieces: bool = False
    """Whether the transcript of the user comes a few words at a time."""
    stream_end_ends_turn: bool = True
    """Whether `audioStreamEnd` is the end of an utterance."""
    voice_activity: bool = False
    """Whether the server tells where it heard speech. A recording of 3.8 has it; users report that it does not."""
    blank_before_audio: bool = False
    """Whether a literal ``{}`` comes before almost every frame of sound."""
    thinks_aloud: bool = False
    """Whether a part with the model's thought comes before the sound."""
    handle_at_once: bool = False
    """Whether a handle follows the setup, before anything was said."""
    handle_before_turn_complete: bool = True
    always_transcribes: bool = False
    content_seeds_only: bool = False
    """Whether `clientContent` is accepted before the first turn only."""
    says_twice: bool = False
    """Whether a turn is a short word first, which does not end the interaction, and then the answer."""
    tools_wait: bool = True
    """Whether a function that declares no behaviour is BLOCKING."""
    only_async_tools: bool = False
    go_away_after: float = 540.0
    """Seconds from the opening of a connection to its goAway."""
    cut_after: float = 590.0
    """Seconds to the close: 1008 after a goAway; where there is none, 1011."""
    says_go_away: bool = True


_V38 = Profile(
    model="gemini-3.8-live",
    words=Words.ALONG,
    stream_end_ends_turn=False,
    voice_activity=True,
    blank_before_audio=True,
    handle_at_once=True,
    tools_wait=False,
    # Reported to live for 58 minutes and to end without a warning.
    cut_after=3480.0,
    says_go_away=False,
)
_V38_THINKING = Profile(
    model="gemini-3.8-live-extended-thinking",
    words=Words.ALONG,
    stream_end_ends_turn=False,
    voice_activity=True,
    blank_before_audio=True,
    handle_at_once=True,
    says_twice=True,
    tools_wait=False,
    only_async_tools=True,
    cut_after=3480.0,
    says_go_away=False,
)
_V31 = Profile(
    model="gemini-3.1-flash-live-preview",
    words=Words.FIRST,
    always_transcribes=True,
    content_seeds_only=True,
)
_V25 = Profile(
    model="gemini-2.5-flash-native-audio-preview-12-2025",
    words=Words.BEFORE,
    hears_in_pieces=True,
    thinks_aloud=True,
    handle_before_turn_complete=False,
)

PROFILES: dict[str, Profile] = {profile.model: profile for profile in (_V38, _V38_THINKING, _V31, _V25)} | {
    "gemini-2.5-flash-native-audio-preview-09-2025": _V25,
    "gemini-2.5-flash-native-audio-latest": _V25,
}
"""Every model that the stand-in knows."""


def profile_of(model: str, version: str) -> Profile:
    """Return the profile of ``model``, as named in a setup. Raise RefusedError where there is no such model."""
    try:
        return PROFILES[model.removeprefix("models/")]
    except KeyError as error:
        raise unknown_model(model, version) from error


def check_setup(setup: dict[str, Any], profile: Profile, version: str) -> None:
    """Raise RefusedError, or UnansweredError, for a field that this model does not take."""
    generation = setup.get("generationConfig", {})
    if generation.get("responseModalities", ["AUDIO"]) != ["AUDIO"]:
        raise invalid_argument()
    if profile is _V31:
        _check_31(setup, generation)
    elif profile is _V25:
        _check_25(setup, generation, version)
    else:
        _check_38(setup, generation, profile)


def _check_38(setup: dict[str, Any], generation: dict[str, Any], profile: Profile) -> None:
    thinking = generation.get("thinkingConfig")
    if thinking is not None and (profile is _V38 or len(_thinking_fields(thinking)) != 1):
        raise invalid_argument()
    if "enableAffectiveDialog" in generation:
        raise invalid_argument()
    if setup.get("proactivity", {}).get("proactiveAudio") is False:
        raise invalid_argument()
    if profile.only_async_tools and any(f.get("behavior") == "BLOCKING" for f in functions(setup)):
        raise invalid_argument()


def _check_31(setup: dict[str, Any], generation: dict[str, Any]) -> None:
    if "enableAffectiveDialog" in generation or "proactivity" in setup:
        raise UnansweredError
    if "thinkingBudget" in generation.get("thinkingConfig", {}):
        raise UnansweredError


def _check_25(setup: dict[str, Any], generation: dict[str, Any], version: str) -> None:
    if version != "v1alpha" and ("enableAffectiveDialog" in generation or "proactivity" in setup):
        raise invalid_argument()
    if "thinkingLevel" in generation.get("thinkingConfig", {}):
        raise invalid_argument()


def _thinking_fields(thinking: dict[str, Any]) -> set[str]:
    return thinking.keys() & {"thinkingBudget", "thinkingLevel"}


def functions(setup: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the functions that a setup, or a `contextUpdate`, declares."""
    return [function for tool in setup.get("tools", []) for function in tool.get("functionDeclarations", [])]
