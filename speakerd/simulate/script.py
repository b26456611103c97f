"""What the stand-in is told to do: its answers, its pace, and when it misbehaves. Data, not code."""

from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from speakerd import yaml_file
from speakerd.errors import SettingsError
from speakerd.mistakes import mistakes
from speakerd.simulate.profiles import PROFILES
from speakerd.simulate.recognise import Vocabulary

Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]

EventName = Literal[
    "open",
    "setup",
    "resumed",
    "audio",
    "audio_stream_end",
    "activity_start",
    "activity_end",
    "text",
    "tool_response",
    "speech_start",
    "speech_end",
    "turn",
    "answer_start",
    "audio_out",
    "generation_complete",
    "interrupted",
    "turn_complete",
    "tool_call",
    "tool_cancel",
    "handle",
    "go_away",
    "idle",
]
"""What a fault can wait for. `turn`: the user's turn is over and its answer is next. `idle`: nothing is going on."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wav(_Part):
    """An answer from a sound file; a relative path starts at the script's own directory."""

    wav: Path
    text: str = ""


# The tags keep a mistake in one kind from being told as a mistake in both.
Answer = Annotated[
    Annotated[str, Tag("text")] | Annotated[Wav, Tag("file")],
    Discriminator(lambda given: "text" if isinstance(given, str) else "file"),
]


class Close(_Part):
    """A WebSocket close frame. Only the codes that may be sent on the wire (RFC 6455, section 7.4)."""

    code: Annotated[int, Field(ge=1000, le=4999)]
    reason: Annotated[str, Field(max_length=123)] = ""

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        if self.code in {1004, 1005, 1006} or 1015 <= self.code < 3000:
            raise ValueError(f"{self.code} cannot be sent in a close frame; for a lost line use drop or reset")
        return self


class ToolCall(_Part):
    """A function that the model calls instead of answering, or while it goes on talking."""

    name: str
    args: dict[str, Any] = {}
    behavior: Literal["BLOCKING", "NON_BLOCKING"] | None = None
    """None: as the client declared the function, and without a declaration as the model does by default."""
    say: str | None = None
    """What the model says to the result; None: its next answer."""


class When(_Part):
    """The moment of a fault: the ``count``-th such event on that connection and in that turn, and then some."""

    event: EventName | None = None
    connection: Annotated[int, Field(ge=1)] | None = None
    turn: Annotated[int, Field(ge=1)] | None = None
    count: Annotated[int, Field(ge=1)] = 1
    after: Seconds = 0.0
    after_seconds: Seconds | None = None
    """Short for the event `open` and as many seconds after it."""
    times: Annotated[int, Field(ge=1)] | Literal["always"] = 1

    @model_validator(mode="after")
    def _one_moment(self) -> Self:
        if self.after_seconds is not None and (self.event is not None or self.after):
            raise ValueError("after_seconds counts from the opening: give it alone, or give event and after")
        return self

    @property
    def delay(self) -> float:
        """Return how many seconds pass between the event and the fault."""
        return self.after if self.after_seconds is None else self.after_seconds


def _http_status(status: int) -> int:
    try:
        return HTTPStatus(status)
    except ValueError as error:
        raise ValueError(f"there is no HTTP status {status}") from error


Frame = str | dict[str, Any]


class Do(_Part):
    """What goes wrong: exactly one of these."""

    # Before there is a WebSocket.
    http: Annotated[int, Field(ge=300, le=599), AfterValidator(_http_status)] | None = None
    stall_handshake: Seconds | None = None
    # At the setup.
    no_setup_complete: Literal[True] | None = None
    # The answer to the next turn.
    no_answer: Literal[True] | None = None
    empty_turn: Literal[True] | None = None
    transcript_only: Literal[True] | None = None
    turn_reason: str | None = None
    tool_call: Annotated[
        list[ToolCall], BeforeValidator(lambda given: given if isinstance(given, list) else [given])
    ] = []
    late_audio: Annotated[int, Field(ge=1, le=1000)] | None = None
    # At any time.
    close: (
        Annotated[Close, BeforeValidator(lambda given: {"code": given} if isinstance(given, int) else given)] | None
    ) = None
    reset: Literal[True] | None = None
    drop: Literal[True] | None = None
    refuse: Seconds | None = None
    stop_reading: Seconds | None = None
    freeze: Seconds | None = None
    no_pong: Literal[True] | None = None
    late_pong: Seconds | None = None
    send: Frame | list[Frame] | None = None
    send_bytes_size: Annotated[int, Field(ge=2, le=1 << 28)] | None = None
    flood: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    go_away: Seconds | None = None
    phantom_interrupted: Literal[True] | None = None
    forget_handles: Literal[True] | None = None
    let_go: Literal[True] | None = None
    pause: Seconds | None = None
    pace: Annotated[float, Field(gt=0, le=1000)] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("says exactly one thing to do; write one fault for each")
        return self

    @property
    def verb(self) -> str:
        """Return the name of the one thing that is to be done."""
        return next(iter(self.model_fields_set))


HANDSHAKE = frozenset({"http", "stall_handshake"})
"""What can be done before there is a WebSocket, and only then."""

NEXT_ANSWER = frozenset({"no_answer", "empty_turn", "transcript_only", "turn_reason", "tool_call", "late_audio"})
"""What changes the answer to the next turn."""

_USUAL_MOMENT: dict[str, EventName] = {
    **dict.fromkeys(HANDSHAKE, "open"),
    **dict.fromkeys(NEXT_ANSWER, "turn"),
    "no_setup_complete": "setup",
}


class Fault(_Part):
    """One way to misbehave, and when."""

    when: When = When()
    do: Do

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        verb = self.do.verb
        if self.when.event is None and self.when.after_seconds is None and verb not in _USUAL_MOMENT:
            raise ValueError(f"{verb} needs a moment: say when, for example when: {{event: answer_start}}")
        if verb in HANDSHAKE and (self.event != "open" or self.when.delay):
            raise ValueError(f"{verb} comes before the connection is open: leave out when, or say event: open")
        if verb == "no_setup_complete" and (self.event != "setup" or self.when.delay):
            raise ValueError("no_setup_complete belongs to the event setup")
        return self

    @property
    def event(self) -> EventName:
        """Return the event that this fault waits for."""
        return self.when.event or ("open" if self.when.after_seconds is not None else _USUAL_MOMENT[self.do.verb])


ANSWERS: tuple[str, ...] = (
    "It is a quarter past seven. The sun comes up in twenty minutes, and the kettle is still warm.",
    "For pancakes, whisk two eggs with a cup of milk and a cup of flour, and let it rest for ten minutes.",
    "I have set a timer for nine minutes. I will tell you when the pasta is done.",
    "Tomorrow will be cloudy with a little rain in the afternoon, so take the umbrella that hangs by the door.",
    "Half a litre is about two cups.",
    "Milk, butter, onions and a loaf of bread are on your shopping list. Shall I add coffee?",
    "Here is one. Why did the tomato turn red? Because it saw the salad dressing.",
    "Roast it at one hundred and eighty degrees for an hour, then let it rest under foil before you carve it.",
)
"""What a kitchen may hear: each of 3 to 9 seconds, and none sounds like another."""


class Script(_Part):
    """Everything the stand-in is told."""

    profile: str | None = None
    """The model to behave as, whatever model the client asks for; None: the one it asks for."""
    answers: Annotated[tuple[Answer, ...], Field(min_length=1)] = ANSWERS
    """One for each turn, from the top again after the last."""
    heard: tuple[str, ...] = ()
    """What the transcript of the user's turn says; without it, how long the speech was."""
    words: dict[str, Path] = {}
    """Recordings that it recognises in the user's turn, sample by sample: 16 kHz mono, WAV or raw. Where it does, the
    transcript is their names."""
    replies: dict[str, Answer] = {}
    """The answer to a turn with this word in it; to other turns the next of ``answers``."""
    pace: Annotated[float, Field(gt=0, le=1000)] = 4.0
    """How many times faster than real time an answer is sent."""
    thinking: Seconds = 0.6
    """From the end of the user's turn to the first sound of the answer."""
    slice_ms: Annotated[int, Field(ge=1, le=10_000)] = 40
    """How much sound goes into one frame."""
    clock: Annotated[float, Field(gt=0, le=100_000)] = 1.0
    """How many times faster than in life connections and handles grow old: goAway, the last cut, expiry."""
    strict: bool = True
    """Whether to hang up on an odd MIME type, half a sample, or the result of a call that never was."""
    faults: tuple[Fault, ...] = ()

    @field_validator("profile")
    @classmethod
    def _known(cls, profile: str | None) -> str | None:
        if profile is not None and profile not in PROFILES:
            raise ValueError(f"expected one of {', '.join(PROFILES)}")
        return profile

    @model_validator(mode="after")
    def _replies_to_known_words(self) -> Self:
        if unknown := sorted(self.replies.keys() - self.words.keys()):
            raise ValueError(f"replies: {unknown[0]} is not one of words")
        return self

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Return the recordings of ``words``. Raise SpeakerdError, at the first use, where one cannot be read."""
        return Vocabulary.read(self.words)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the script in a YAML file. Raise SettingsError, which lists every mistake with its line."""
        document = yaml_file.read(file)
        if problems := document.problems or mistakes(document, cls):
            raise SettingsError([str(problem) for problem in sorted(problems)])
        script = cls.model_validate(document.content)
        here = file.parent
        return script.model_copy(
            update={
                "answers": tuple(_beside(here, answer) for answer in script.answers),
                "replies": {word: _beside(here, answer) for word, answer in script.replies.items()},
                "words": {word: here / recording for word, recording in script.words.items()},
            }
        )


def _beside(directory: Path, answer: str | Wav) -> str | Wav:
    """Return an answer whose file, if it has one, is looked for in this directory."""
    return answer if isinstance(answer, str) else answer.model_copy(update={"wav": directory / answer.wav})
