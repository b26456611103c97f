"""From recordings to figures: pure arithmetic on moments, with every sample identified by what it holds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bench.sound import SAMPLE_BYTES, Sound
from bench.stand_in import Event
from speakerd.errors import SpeakerdError

RECOGNISED = 480
"""Frames at the beginning of an answer by which it is recognised: 20 ms."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """What became of the microphone's sound: the added delay of each message, in seconds, and the frames lost.

    The delay is counted from the moment at which the last sample of the message was at the microphone to the moment
    at which the stand-in has read the message. The 20 ms that it takes to say a period are not in it. The card's way
    to the program, the program, the SDK, TLS, the loopback and the stand-in's parser are.
    """

    delays: tuple[float, ...]
    lost: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: when its first byte was sent, when it was broken off (None: it was not), and what it was."""

    sent_at: float
    interrupted_at: float | None
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Downlink:
    """What became of the answers: delays in seconds, and how often the loudspeaker ran dry within one.

    ``first_sounds``: from the moment before the first byte was sent to the first sample at the loudspeaker.
    ``silences``: from the moment after ``interrupted`` was sent to the last sample of that answer at the loudspeaker,
    0 when it had left before; an answer that was heard to its end is not counted.
    ``unheard``: answers of which the first 20 ms never were at the loudspeaker.
    """

    first_sounds: tuple[float, ...]
    silences: tuple[float, ...]
    torn: int
    unheard: int


def uplink(events: Iterable[Event], heard: bytes, captured: Sound) -> Uplink:
    """Return what became of the microphone's sound.

    Raises:
        SpeakerdError: a message holds sound that never was at the microphone.
    """
    delays, lost, expected = [], 0, 0
    for event in events:
        if event.kind != "audio":
            continue
        pcm = heard[event.detail["total"] - event.detail["bytes"] : event.detail["total"]]
        if not any(pcm):  # from before the first word: it could be any moment
            continue
        frame = captured.find(pcm, expected)
        if frame is None:
            raise SpeakerdError("a program sent sound that never was at its microphone")
        after = frame + len(pcm) // SAMPLE_BYTES
        delays.append(event.at - captured.moment(after - 1))
        lost += frame - expected if expected else 0
        expected = after
    return Uplink(tuple(delays), lost)


def answers(events: Iterable[Event], script: list[bytes]) -> Iterator[Answer]:
    """Yield the answers of a session in order; ``script`` holds what is answered to each turn."""
    sent: dict[int, float] = {}
    interrupted: dict[int, float] = {}
    for event in events:
        match event.kind:
            case "answer_start":
                sent.setdefault(event.detail["turn"], event.at)
            case "interrupted":
                interrupted.setdefault(event.detail["turn"], event.at)
    for turn, sent_at in sent.items():
        yield Answer(sent_at, interrupted.get(turn), script[(turn - 1) % len(script)])


def downlink(said: Iterable[Answer], played: Sound) -> Downlink:
    """Return what became of the answers."""
    first_sounds, silences, torn, unheard, after = [], [], 0, 0, 0
    for answer in said:
        frame = played.find(answer.pcm[: RECOGNISED * SAMPLE_BYTES], after)
        if frame is None:
            unheard += 1
            continue
        after = frame + common_frames(played.pcm[frame * SAMPLE_BYTES :], answer.pcm)
        first_sounds.append(played.moment(frame) - answer.sent_at)
        torn += played.breaks(frame, after - 1)
        is_cut = (after - frame) * SAMPLE_BYTES < len(answer.pcm)
        if answer.interrupted_at is not None and is_cut:
            silences.append(max(0.0, played.moment(after - 1) - answer.interrupted_at))
    return Downlink(tuple(first_sounds), tuple(silences), torn, unheard)


def common_frames(one: bytes, other: bytes) -> int:
    """Return how many frames two sounds have in common from their beginning on."""
    length = min(len(one), len(other)) // SAMPLE_BYTES
    first, second = (np.frombuffer(pcm, np.int16, length) for pcm in (one, other))
    different = np.flatnonzero(first != second)
    return int(different[0]) if len(different) else length
