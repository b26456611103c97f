"""The lines and the table of a soak, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tests.faults.table import percentile

if TYPE_CHECKING:
    from tests.faults.life import Minute
    from tests.faults.soak import Round

HEAD = f"{'minute':>7} {'asked':>6} {'answered':>8} {'too old':>7} {'lost':>5} {'twice':>5} {'wrong':>5}    held"


def line(minutes: Sequence[Minute], rounds: Sequence[Round]) -> str:
    """Return how it stands after the last minute."""
    now, before = minutes[-1], minutes[-2] if len(minutes) > 1 else None
    share = (now.cpu_s - before.cpu_s) / (now.minute - before.minute) / 60 if before else now.cpu_s / now.minute / 60
    return (
        f"{now.minute:7.1f} {len(rounds):6} {sum(this.answered is not None for this in rounds):8} "
        f"{sum(this.excused for this in rounds):7} {sum(len(this.lost) for this in rounds):5} "
        f"{sum(len(this.twice) for this in rounds):5} {sum(bool(this.problems) for this in rounds):5}    "
        f"{now.rss_kib / 1024:.1f} MiB, {now.threads} threads, {now.descriptors} descriptors, {share:.1%} CPU"
    )


def table(rounds: Sequence[Round], rotations: Sequence[float]) -> str:
    """Return what went wrong how often, and how fast it was over."""
    lines = ["", f"{'went wrong':40} {'n':>4} {'connection lost':>15} {'recovered p50':>13} {'p95':>8} {'max':>8}"]
    for name, times in sorted(Counter(this.misdeed for this in rounds).items()):
        seconds = [this.recovered for this in rounds if this.misdeed == name and this.recovered is not None]
        lines.append(f"{name:40} {times:4} {len(seconds):15} {_percentiles(seconds)}")
    answered = [this.answered for this in rounds if this.answered is not None]
    gaps = list(rotations)
    lines += ["", f"{'gap of a planned replacement':40} {len(gaps):4} {'':15} {_percentiles(gaps)}"]
    lines += [f"{'end of question to answer':40} {len(answered):4} {'':15} {_percentiles(answered)}"]
    return "\n".join(lines)


def summary(hours: float, seed: int, minutes: Sequence[Minute], journal_lines: int) -> str:
    """Return the rest in one line."""
    cpu = minutes[-1].cpu_s / minutes[-1].minute / 60 if minutes else 0.0
    lines = journal_lines / hours if hours else 0.0
    return f"\n{hours:.2f} hours with seed {seed}; {lines:.0f} journal lines an hour; {cpu:.1%} CPU"


def complaints(rounds: Iterable[Round]) -> list[str]:
    """Return a line for each round that was not as it should be."""
    found = []
    for this in rounds:
        wrong = list(this.problems)
        wrong += [f"lost: {' '.join(this.lost)}"] if this.lost else []
        wrong += [f"said twice: {' '.join(this.twice)}"] if this.twice else []
        if wrong:
            lasted = f" for {this.seconds:.1f} s" if this.seconds else ""
            found.append(
                f"round {this.number}, {this.misdeed}{lasted}, {this.moment or 'at no moment'}, "
                f"monotonic {this.at:.1f}: {'; '.join(wrong)}"
            )
    return found


def _percentiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{'-':>13} {'-':>8} {'-':>8}"
    p50, p95 = percentile(seconds, 0.5), percentile(seconds, 0.95)
    return f"{p50:11.2f} s {p95:6.2f} s {max(seconds):6.2f} s"
