"""The table of a run of the fault suite, for people; and the numbers below it."""

import math
from collections.abc import Iterable, Sequence

from tests.faults.verdict import Result

HEAD = (
    f"{'scenario':52} {'recovered':>9} {'lost':>5} {'twice':>5} {'dials':>5} {'back-off':>8} "
    f"{'memory, MiB':>15}  verdict"
)


def row(result: Result) -> str:
    """Return a result as a line of the table."""
    recovered = "-" if result.recovered is None else f"{result.recovered:.2f} s"
    before, after = (kib / 1024 for kib in result.rss_kib)
    verdict = "; ".join(result.problems) or "ok"
    if not result.problems and result.lost:
        verdict = f"ok (lost as designed: {'; '.join(sorted(set(result.excused.values())))})"
    return (
        f"{result.name:52} {recovered:>9} {len(result.lost):5} {len(result.repeated):5} {result.dials:5} "
        f"{result.backoff:6.1f} s {before:6.1f} → {after:6.1f}  {verdict}"
    )


def summary(results: Sequence[Result]) -> str:
    """Return recovery by kind, the gaps of planned replacements, and where to look at what failed."""
    lines = ["", f"{'recovery':32} {'n':>4} {'p50':>8} {'p95':>8} {'max':>8}"]
    for kind in sorted({result.kind for result in results}):
        seconds = [result.recovered for result in results if result.kind == kind and result.recovered is not None]
        lines += _percentiles(kind, seconds)
    lines += _percentiles("gap of a planned replacement", [gap for result in results for gap in result.rotations])
    failed = [result for result in results if result.problems]
    lines += ["", f"{len(results) - len(failed)} of {len(results)} scenarios passed"]
    lines += [f"look at {result.directory}: {result.name}" for result in failed]
    return "\n".join(lines)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that is not below ``share`` of all (nearest rank); there must be one."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _percentiles(name: str, seconds: Sequence[float]) -> list[str]:
    if not seconds:
        return []
    p50, p95 = percentile(seconds, 0.5), percentile(seconds, 0.95)
    return [f"{name:32} {len(seconds):4} {p50:6.2f} s {p95:6.2f} s {max(seconds):6.2f} s"]
