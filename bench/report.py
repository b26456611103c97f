"""The figures of both programs side by side, with what they should be: as a table, and as JSON."""

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from bench.programs import Program
from bench.results import about, origin, rounded
from bench.results import row as line

PACKAGES = ("speakerd", "google-genai", "websockets", "pydantic", "pyalsaaudio")
"""What the figures depend on, besides Python and the machine."""

Samples = Mapping[str, Mapping[Program, Sequence[float]]]
"""By name and program; the name ends in the unit."""

Statistic = Literal["p50", "p95", "p99", "max"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is left of many samples."""

    n: int
    p50: float
    p95: float
    p99: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Target:
    """What speakerd may need at most: so much, so many times the control's, or so much more than the control."""

    limit: float
    against: Literal["nothing", "ratio", "difference"] = "nothing"

    def __str__(self) -> str:
        """Return it as the table shows it."""
        match self.against:
            case "ratio":
                return f"≤ {self.limit:g}x"
            case "difference":
                return f"≤ +{self.limit:g}"
            case _:
                return f"≤ {self.limit:g}"

    def is_met(self, speakerd: float, control: float) -> bool:
        """Return whether it is."""
        allowed = {"nothing": self.limit, "ratio": self.limit * control, "difference": self.limit + control}
        return speakerd <= allowed[self.against]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a statistic of the samples of one name."""

    words: str
    name: str
    statistic: Statistic = "p50"
    target: Target | None = None


CPU = Target(1.25, "ratio")
MEMORY = Target(8, "difference")

ROWS = (
    Row("microphone to wire, added (ms)", "microphone_to_wire_ms", "p50", Target(12)),
    Row("", "microphone_to_wire_ms", "p95", Target(25)),
    Row("", "microphone_to_wire_ms", "p99"),
    # 30 ms, and the 80 ms of sound that speakerd gathers before it begins.
    Row("first reply byte to sound (ms)", "reply_to_sound_ms", "p50", Target(30 + 80)),
    Row("", "reply_to_sound_ms", "p95"),
    Row("interrupted to silence (ms)", "interrupted_to_silence_ms", "p50"),
    Row("", "interrupted_to_silence_ms", "p95", Target(40)),
    Row("CPU, silence sent (% of a core)", "cpu_silence_percent", "p50", CPU),
    Row("CPU, speech sent (% of a core)", "cpu_speech_percent", "p50", CPU),
    Row("CPU, reply played (% of a core)", "cpu_reply_percent"),
    Row("memory, peak RSS (MiB)", "peak_rss_mib", "p50", MEMORY),
    Row("memory, PSS (MiB)", "pss_mib", "p50", MEMORY),
    Row("start to READY | 1st message (ms)", "start_to_ready_ms"),
    Row("start to connected (ms)", "start_to_connected_ms"),
)


def summary(samples: Sequence[float]) -> Summary:
    """Return what is left of samples, of which there is at least one; percentiles are interpolated."""
    p50, p95, p99 = (float(value) for value in np.percentile(samples, (50, 95, 99)))
    return Summary(len(samples), p50, p95, p99, min(samples), max(samples))


def table(samples: Samples, counts: Mapping[str, Mapping[Program, int]]) -> Iterator[str]:
    """Yield the lines of the table: all rows, also those in which speakerd loses."""
    yield f"{'':<33}{'':>4}{'speakerd':>10}{'control':>9}{'ratio':>7}{'target':>9}"
    for row in ROWS:
        ours, theirs = _values(row, samples)
        target = str(row.target) if row.target else ""
        ratio = f"{ours / theirs:.2f}" if theirs > 0 else "-"
        figures = f"{row.statistic:>4}{ours:>10.1f}{theirs:>9.1f}{ratio:>7}{target:>9}"
        yield f"{row.words:<33}{figures}  {verdict(row, samples)}".rstrip()
    for words, both in counts.items():
        yield f"{words:<37}{both[Program.SPEAKERD]:>10}{both[Program.CONTROL]:>9}"


def verdict(row: Row, samples: Samples) -> str:
    """Return whether a row's target is met; nothing where it has none."""
    if row.target is None:
        return ""
    return "met" if row.target.is_met(*_values(row, samples)) else "MISSED"


def as_json(samples: Samples, counts: Mapping[str, Mapping[Program, int]], rounds: int) -> dict[str, Any]:
    """Return everything for a machine to read."""
    return {
        **about("bench", "bench"),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "rounds": rounds,
        "figures": {
            name: {program: asdict(summary(values)) for program, values in both.items()}
            for name, both in samples.items()
        },
        "samples": {
            name: {program: rounded(name, list(values)) for program, values in both.items()}
            for name, both in samples.items()
            if name.endswith("_ms")
        },
        "targets": [
            {"figure": row.name, "statistic": row.statistic, "target": str(row.target), "met": verdict(row, samples)}
            for row in ROWS
            if row.target
        ],
        "counts": counts,
    }


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table that is made of ``as_json``."""
    yield line("figure", "speakerd", "bare loop", "goal", "")
    yield line("-", "-", "-", "-", "-")
    met = {(one["figure"], one["statistic"]): one for one in found["targets"]}
    words = ""
    for row in ROWS:
        words = row.words or words
        ours, theirs = (found["figures"][row.name][program] for program in Program)
        target = met.get((row.name, row.statistic), {"target": "", "met": ""})
        figures = (f"{told[row.statistic]:.1f}" for told in (ours, theirs))
        yield line(f"{words}, {row.statistic}, n = {ours['n']}", *figures, target["target"], target["met"].lower())
    yield from ("", origin(found))


def _values(row: Row, samples: Samples) -> tuple[float, float]:
    both = samples[row.name]
    ours, theirs = (getattr(summary(both[program]), row.statistic) for program in Program)
    return ours, theirs
