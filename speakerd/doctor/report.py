"""The doctor's report: findings as lines for a terminal, or as JSON for another program."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from speakerd.doctor.finding import Finding, Mark

WIDTH = 80
"""Columns of a terminal that nobody has made wider."""

_SIGNS = {Mark.OK: "✓", Mark.NOTE: "!", Mark.BAD: "✗"}

_NAME = 13
"""Columns for the name of a part."""

_INDENT = " " * (_NAME + 3)


def lines(finding: Finding) -> list[str]:
    """Return a finding as lines: sign, part, cause, and below them what to do."""
    head = f"{_SIGNS[finding.mark]} {finding.name:<{_NAME}} "
    found = _wrapped(finding.text, head, _INDENT)
    if finding.advice:
        found += _wrapped(finding.advice, f"{_INDENT}→ ", f"{_INDENT}  ")
    return found


def summary(findings: Iterable[Finding]) -> str:
    """Return the last line: how many things are wrong."""
    count = Counter(finding.mark for finding in findings)
    if not count[Mark.BAD]:
        return "Nothing is wrong." if not count[Mark.NOTE] else "Nothing is wrong; lines with ! are worth reading."
    return f"{count[Mark.BAD]} thing{'s' * (count[Mark.BAD] > 1)} to mend: the lines with ✗ say how."


def as_json(findings: Sequence[Finding]) -> str:
    """Return all findings as one JSON object."""
    content = [asdict(finding) | {"mark": finding.mark.value} for finding in findings]
    return json.dumps({"ok": is_well(findings), "findings": content}, indent=2, ensure_ascii=False)


def is_well(findings: Iterable[Finding]) -> bool:
    """Say whether nothing is wrong."""
    return all(finding.mark is not Mark.BAD for finding in findings)


def _wrapped(text: str, first: str, others: str) -> list[str]:
    # Names of devices and commands stay whole, so that they can be copied; a very long one sticks out.
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )
