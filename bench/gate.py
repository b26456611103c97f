"""Measure the voice gate: recorded speech over the noise of a kitchen, and kitchens in which nobody speaks."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from speakerd.simulate.noises import EVENTS, RATE, STEADY, Events, Sound, busy, cough
from speakerd.sound.voice import Detector, make_detector
from speakerd.sound.voice_gate import GateSettings, VoiceGate

PERIOD_MS = 20
PERIOD = RATE * PERIOD_MS // 1000
PLACES = (Path("/usr/share/pocketsphinx/test/data"), Path("/usr/share/sounds/alsa"))
"""Of the packages pocketsphinx-testdata and alsa-utils."""
SPEECH_DB = -26.0
"""How loud the talk is, relative to full scale."""
BEFORE_S, AFTER_S, BETWEEN_S = 5.0, 3.0, 15.0
SNRS_DB = (30.0, 10.0)
WORD_MS = (200, 550)
"""How long a word is that is cut out of its sentence, to stand alone."""
MARGIN = RATE // 50
"""Frames that are kept on either side of such a word, and faded."""

COUGHS = 360
"""In an hour, to learn what becomes of one."""

Heard = Sequence[float]
"""How likely a voice is in each period of a sound."""


@dataclass(frozen=True, slots=True)
class Talk:
    """Something that somebody said."""

    sound: Sound
    onset: int  # the frame at which the talk begins
    is_word: bool


@dataclass(frozen=True, slots=True)
class Utterance:
    """What somebody says in a noisy room, and what the detector makes of it."""

    is_word: bool
    snr_db: float
    onset_ms: float
    heard: Heard


@dataclass(frozen=True, slots=True)
class Quiet:
    """What the detector makes of where nobody speaks."""

    kitchen: Heard  # without coughs
    coughs: Heard
    silence: Heard


@dataclass(frozen=True, slots=True)
class Passing:
    """The periods that leave between the opening of the gate and its closing; ``opened`` when it was decided."""

    first: int
    opened: int
    last: int


def talks() -> Iterator[Talk]:
    """Yield recorded sentences, all equally loud, and the words in them that stand by themselves."""
    files = sorted(path for place in PLACES for path in place.rglob("*") if path.suffix in {".wav", ".raw"})
    for path in files:
        if path.stem == "Noise":
            continue
        sound = _read(path)
        level = _levels(sound)
        talk_db = 10 * np.log10(np.mean(10 ** (level[level > level.max() - 20] / 10)))
        sound *= np.float32(10 ** ((SPEECH_DB - talk_db) / 20))
        above = level > max(talk_db - 25, np.percentile(level, 5) + 12)
        lasting = np.flatnonzero(np.convolve(above, np.ones(5), "valid") >= 4)
        yield Talk(sound, int(lasting[0]) * 160, is_word=False)
        yield from _words(sound)


def _words(sound: Sound) -> Iterator[Talk]:
    """Yield what stands between two pauses of 80 ms, where it is as short as a word."""
    loud = np.flatnonzero(_levels(sound) > SPEECH_DB - 22)
    for word in np.split(loud, np.flatnonzero(np.diff(loud) > 8) + 1):
        first, last = int(word[0]) * 160, int(word[-1] + 1) * 160
        if WORD_MS[0] <= (last - first) * 1000 // RATE <= WORD_MS[1]:
            start = max(first - MARGIN, 0)
            cut = sound[start : last + MARGIN].copy()
            cut[:160] *= np.linspace(0, 1, 160, dtype=np.float32)
            cut[-160:] *= np.linspace(1, 0, 160, dtype=np.float32)
            yield Talk(cut, first - start, is_word=True)


def utterances(random: np.random.Generator) -> Iterator[Utterance]:
    """Yield each talk in each noise at each ratio, to a detector that hears the kitchen in between."""
    detector = make_detector()
    for talk in talks():
        for make in STEADY.values():
            for snr_db in SNRS_DB:
                listen(detector, busy(BETWEEN_S, random, hurry=1))
                start = round(BEFORE_S * RATE) + int(random.integers(PERIOD * 8))  # chunks meet periods anew
                frames = start + len(talk.sound) + round(AFTER_S * RATE)
                air = make(frames / RATE + 0.1, random)[:frames] * np.float32(10 ** ((SPEECH_DB - snr_db) / 20))
                air[start : start + len(talk.sound)] += talk.sound
                onset_ms = (start + talk.onset) * 1000 / RATE
                yield Utterance(talk.is_word, snr_db, onset_ms, listen(detector, air))


def kitchen(minutes: int, random: np.random.Generator, events: Events) -> Heard:
    """Return what the detector makes of a kitchen in which nobody speaks."""
    detector, heard = make_detector(), list[float]()
    for _ in range(minutes):
        heard += listen(detector, busy(60, random, 1, events))
    return heard


def listen(detector: Detector, air: Sound) -> list[float]:
    """Return what the detector makes of each period of a sound."""
    pcm = np.clip(np.round(air * 32767), -32768, 32767).astype(np.int16).tobytes()
    return [detector.hear(pcm[at : at + 2 * PERIOD]) for at in range(0, len(pcm) - 2 * PERIOD + 1, 2 * PERIOD)]


def passings(heard: Heard, settings: GateSettings) -> list[Passing]:
    """Return what a gate lets through."""
    gate, found, opened, first = VoiceGate(settings, PERIOD_MS), [], 0, 0
    for number, probability in enumerate(heard):
        step = gate.hear(number.to_bytes(4, "little"), probability)
        if step.began:
            opened, first = number, int.from_bytes(step.send[0], "little")
        if step.ended or (gate.is_open and number == len(heard) - 1):
            found.append(Passing(first, opened, number))
    return found


def judge(said: Sequence[Utterance], settings: GateSettings) -> dict[str, float]:
    """Return the shares in percent and the times in milliseconds."""
    lost, noticed, parts = [], [], 0
    for utterance in said:
        through = passings(utterance.heard, settings)
        near = [passing for passing in through if (passing.last + 1) * PERIOD_MS > utterance.onset_ms]
        parts += len(near) > 1
        lost.append(near[0].first * PERIOD_MS - utterance.onset_ms if near else np.inf)
        if near:
            noticed.append((near[0].opened + 1) * PERIOD_MS - utterance.onset_ms)
    return {
        "whole": 100 * float(np.mean(np.array(lost) <= 0)),
        "lost": max(float(np.max(lost)), 0.0),
        "noticed": float(np.median(noticed)),
        "noticed95": float(np.percentile(noticed, 95)),
        "parts": 100 * parts / len(said),
    }


def false_s(heard: Heard, settings: GateSettings) -> float:
    """Return how many seconds leave although nobody speaks."""
    return sum(passing.last - passing.first + 1 for passing in passings(heard, settings)) * PERIOD_MS / 1000


def main() -> int:
    """Measure, print the tables."""
    arguments = _arguments()
    if not all(place.is_dir() for place in PLACES):
        print("bench.gate: install pocketsphinx-testdata and alsa-utils for their recordings", file=sys.stderr)
        return 1
    _tell_cost()
    said = list(utterances(np.random.default_rng([arguments.seed, 0])))
    random = np.random.default_rng([arguments.seed, 1])
    quiet = Quiet(
        kitchen(arguments.hours * 60, random, {name: event for name, event in EVENTS.items() if name != "cough"}),
        kitchen(60, random, {"cough": (cough, COUGHS)}),
        listen(make_detector(), np.zeros(60 * RATE, np.float32)),
    )
    print(f"\n{arguments.hours} h of a kitchen without coughs, 1 h of coughs; talk at {SNRS_DB} dB over noise\n")
    print(
        "| sensitivity | min speech ms | preroll ms | sentences whole % | words whole % | worst loss ms "
        "| noticed p50 / p95 ms | in parts % | false s/h | more for 30 coughs, s | silence s |\n" + "|-" * 11 + "|"
    )
    default = GateSettings()
    for sensitivity in (0.1, 0.3, default.sensitivity, 0.7, 0.9):
        _tell(said, quiet, replace(default, sensitivity=sensitivity))
    for min_speech_ms in (20, 60, 140, 200, 260):
        _tell(said, quiet, replace(default, min_speech_ms=min_speech_ms))
    for preroll_ms in (0, 100, 200, 300):
        _tell(said, quiet, replace(default, preroll_ms=preroll_ms))
    print("\n| hangover ms | sentences in parts %, turns: local |\n|-|-|")
    sentences = [utterance for utterance in said if not utterance.is_word]
    for hangover_ms in (200, 300, 400, 500, 600, 800):
        parts = judge(sentences, replace(default, hangover_ms=hangover_ms, is_local=True))["parts"]
        print(f"| {hangover_ms} | {parts:.1f} |")
    return 0


def _tell(said: Sequence[Utterance], quiet: Quiet, settings: GateSettings) -> None:
    rows = [
        [
            judge([one for one in said if (one.is_word, one.snr_db) == (is_word, snr_db)], settings)
            for snr_db in SNRS_DB
        ]
        for is_word in (False, True)
    ]
    sentences, words = (" / ".join(f"{row['whole']:.1f}" for row in pair) for pair in rows)
    all_of_it = judge(said, settings)
    false = false_s(quiet.kitchen, settings) * 3600_000 / PERIOD_MS / len(quiet.kitchen)
    coughs, silence = false_s(quiet.coughs, settings) / COUGHS, false_s(quiet.silence, settings)
    print(f"| {settings.sensitivity:g} | {settings.min_speech_ms} | {settings.preroll_ms} | {sentences} | {words} "
          f"| {all_of_it['lost']:.0f} | {all_of_it['noticed']:.0f} / {all_of_it['noticed95']:.0f} "
          f"| {all_of_it['parts']:.1f} | {false:.1f} | {coughs * 30:.1f} | {silence:.1f} |")  # fmt: skip


def _tell_cost() -> None:
    """Print what the detector costs; its memory counts only when it is the first one of the process."""
    pcm = (next(talks()).sound * 32767).astype(np.int16).tobytes()
    before = _own_kb()
    detector = make_detector()
    for name, sound in (("speech", pcm), ("silence", bytes(len(pcm)))):
        periods = 20 * [sound[at : at + 2 * PERIOD] for at in range(0, len(sound), 2 * PERIOD)]
        cpu = time.process_time()
        for period in periods:
            detector.hear(period)
        each = (time.process_time() - cpu) / len(periods)
        print(f"{name}: {each * 1e6:.0f} us of the processor for each {PERIOD_MS} ms, {each / PERIOD_MS * 1e5:.2f} %")
    print(f"memory of the detector: {(_own_kb() - before) / 1024:.1f} MiB")


def _own_kb() -> int:
    """Return how much of the memory this process has for itself."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


def _levels(sound: Sound) -> Sound:
    """Return the level of each 10 ms, in dB relative to full scale."""
    blocks = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    return np.asarray(10 * np.log10(np.mean(blocks**2, axis=1) + 1e-10), np.float32)


def _read(path: Path) -> Sound:
    if path.suffix == ".raw":
        return np.asarray(np.frombuffer(path.read_bytes(), "<i2") / 32768, np.float32)
    import soundfile
    import soxr

    sound, rate = soundfile.read(path, dtype="float32")
    return np.asarray(soxr.resample(sound, rate, RATE), np.float32)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    parser.add_argument("--hours", type=int, default=2, help="of kitchen noise (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the noise (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
