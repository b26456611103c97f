"""Everything that was found out, in a form for a file; and the table that is made of it."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.peers.kitchen import Stay, per_ten_minutes
from bench.peers.peer import PEERS
from bench.peers.trouble import TROUBLES, Outcome, Trouble
from bench.report import summary
from bench.results import machine

Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""Samples by peer and name of the figure."""


MISSING = "not measured: see below"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a figure, which percentile of it, and with how many decimals."""

    words: str
    name: str
    statistic: str = "p50"
    decimals: int = 0


ROWS = (
    Row("start to ready, s", "start_to_ready_s", decimals=1),
    Row("CPU while nobody speaks, % of a core", "cpu_silence_percent", decimals=1),
    Row("CPU while somebody speaks, %", "cpu_speech_percent", decimals=1),
    Row("CPU while it answers, %", "cpu_reply_percent", decimals=1),
    Row("memory (PSS), MiB", "pss_mib"),
    Row("sound sent while nobody speaks, kB/min", "uplink_silence_kb_per_min"),
    Row("microphone to wire, p50, ms", "microphone_to_wire_ms"),
    Row("microphone to wire, p95, ms", "microphone_to_wire_ms", "p95"),
    Row("first byte of an answer to its sound, ms", "reply_to_sound_ms"),
    Row("`interrupted` to silence, ms", "interrupted_to_silence_ms"),
    Row("first word over an answer to silence, ms", "word_to_silence_ms"),
)


def as_json(
    figures: Figures,
    counts: Mapping[str, Mapping[str, int]],
    troubles: Mapping[str, Mapping[str, Outcome]],
    stays: Mapping[str, Stay],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Return everything for a machine to read; ``about`` says how it was found out."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        **about,
        "figures": {
            peer: {name: asdict(summary(values)) for name, values in named.items() if values}
            for peer, named in figures.items()
        },
        "counts": counts,
        "troubles": {
            peer: {name: asdict(outcome) for name, outcome in named.items()} for peer, named in troubles.items()
        },
        "kitchen": {peer: as_told(stay) for peer, stay in stays.items()},
    }


def as_told(stay: Stay) -> dict[str, Any]:
    """Return what came of a stay in the kitchen, with its rate."""
    return asdict(stay) | {"per_ten_minutes": per_ten_minutes(stay) if stay.seconds else None}


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table in Markdown; every row, also those in which speakerd loses."""
    peers = [peer for peer in PEERS if peer.name in found["peers"]]
    names = [peer.name for peer in peers]
    yield _line(["", *(peer.heading(found["versions"][peer.name]) for peer in peers)])
    yield _line(["-"] * (len(peers) + 1))
    for row in ROWS:
        if any(row.name in found["figures"].get(name, {}) for name in names):
            yield _line([row.words, *(figure(found["figures"].get(name, {}).get(row.name), row) for name in names)])
    counted = {name: found["counts"].get(name, {}) for name in names}
    if any(counted.values()):
        yield _line(["questions answered", *(share(one) for one in counted.values())])
        yield _line(["microphone overruns, in a conversation", *(overruns(one) for one in counted.values())])
    for trouble in TROUBLES:
        if any(trouble.name in found["troubles"].get(name, {}) for name in names):
            told = (found["troubles"].get(name, {}).get(trouble.name) for name in names)
            yield _line([f"{trouble.title}: answers again", *(in_words(one, trouble) for one in told)])
    if found["kitchen"]:
        told = (found["kitchen"].get(name) for name in names)
        yield _line(["interrupts itself in the kitchen, in 10 minutes", *map(interruptions, told)])


def figure(told: Mapping[str, float] | None, row: Row) -> str:
    """Return a figure with its spread: the median, and the least and the most; another percentile goes alone."""
    if told is None:
        return MISSING
    value, low, high = (f"{told[name]:.{row.decimals}f}" for name in (row.statistic, "min", "max"))
    return value if row.statistic != "p50" or low == high else f"{value} ({low} to {high})"


def share(counts: Mapping[str, int]) -> str:
    """Return how many questions got an answer."""
    return f"{counts['answers']} of {counts['questions']}" if counts else MISSING


def overruns(counts: Mapping[str, int]) -> str:
    """Return how often sound was lost because nobody read the microphone in time."""
    return f"{counts['microphone overruns'] / counts['conversations']:.1f}" if counts else MISSING


def in_words(told: Mapping[str, Any] | None, trouble: Trouble) -> str:
    """Return what came of a trouble."""
    if told is None or told["void"]:
        return MISSING
    if told["again_s"] is not None:
        return f"yes, {told['again_s']:.1f} s"
    if told["status"] is not None:
        return f"no: it ended, status {told['status']}"
    connected = {0: "and does not connect", 1: "and connected once"}.get(
        told["dials"], f"and connected {told['dials']} times"
    )
    refused = f", to be refused: {told['refusal']}" if told["refusal"] else ""
    return f"no, not in {told['waited_s']:.0f} s: it runs {connected}{refused}"


def interruptions(told: Mapping[str, Any] | None) -> str:
    """Return how often a peer interrupts itself."""
    if told is None or told["void"]:
        return MISSING
    ended = "" if told["status"] is None else f"; it ended, status {told['status']}"
    own = f", and {told['own_turns'] * 600 / told['seconds']:.0f} answers to itself" if told["own_turns"] else ""
    doubt = " (void: see below)" if told["starved"] else ""
    return f"{told['per_ten_minutes']:.0f}{own}{ended}{doubt}"


def notes(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what one should know about the table, a line each."""
    about = found["machine"]
    yield (
        f"{found['date'][:10]}, {about['processor']}, {about['cores']} cores, Linux {about['kernel']}, "
        f"load {about['load']:.1f} at the end; {found['rounds']} conversations with each, in turn; medians, with the "
        f"least and the most{_numbers(found)}. To repeat it: `{found['command']}`."
    )
    for peer in PEERS:
        if peer.name in found["peers"]:
            yield f"{peer.title}: {peer.about}."
    if any(found["troubles"].values()):
        yield (
            "The troubles: one trial each, of a program that nobody starts anew; seconds from the end of the trouble "
            "to the first sound of an answer, 2.2 of which are the question and the model's. The stand-in refuses to "
            "resume what it forgot (1008), as the service does, and what it still holds open (1011), as users report."
        )
    if found["kitchen"]:
        yield f"The kitchen: {found['minutes']:g} minutes each in room C of `speakerd/simulate/acoustics.py`."
    for name, void in found["voids"].items():
        yield f"{name}: {void}"


def _numbers(found: Mapping[str, Any]) -> str:
    """Return of how few samples a delay is, at least."""
    told = [(one["n"], peer, name) for peer, named in found["figures"].items() for name, one in named.items()]
    delays = [one for one in told if one[2].endswith("_ms")]
    if not delays:
        return ""
    number, peer, name = min(delays)
    return f"; each delay of {number} samples or more (fewest: {name} of {peer})"


def markdown(found: Mapping[str, Any]) -> str:
    """Return table and notes."""
    return "\n".join([*table(found), "", *_separated(notes(found))]) + "\n"


def _separated(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"- {line}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
