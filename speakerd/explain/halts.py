"""When it did not run, and why: it was stopped, it crashed, or the machine went down; pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from speakerd.explain.cause import Cause, advice_for, cause
from speakerd.explain.conditions import when
from speakerd.explain.entry import Entry
from speakerd.explain.story import GONE, Story, Stretch, lasting

_STUCK_S = 120.0
"""A part that was stuck so long before an end is what ended it; WatchdogSec is shorter."""

_EX_CONFIG = "78"
"""The exit status for mistakes in the settings, or for a key that cannot be used (sysexits.h)."""

_MEMORY = "See what else runs (top), and give the machine fewer things to do."


def halts(story: Story) -> Iterator[Cause]:
    """Yield when it did not run."""
    reboots = list(_reboots(story))
    yield from reboots
    for span, told in lasting(story.entries, lambda entry: entry.event in GONE, _is_up):
        if any(reboot.span.touches(span) for reboot in reboots):
            continue  # it went down with the machine
        before = [one for one in story.entries if 0 <= span.began - one.at <= _STUCK_S]
        name, why, advice = _why(told, before)
        stuck = [entry for entry in before if entry.event in ("watchdog", "settings-refused")]
        yield cause(name, f"It did not run {when(span, story)}: {why}.", advice, [*stuck, *told], span)


def _why(told: Sequence[Entry], before: Sequence[Entry]) -> tuple[str, str, str]:
    """Return name, words and advice for an end of the service."""
    events = {entry.event for entry in told}
    results = {entry.fields.get("unit_result") for entry in told}
    stuck = next((entry for entry in reversed(before) if entry.event == "watchdog"), None)
    if "out-of-memory" in events or "oom-kill" in results:
        return "out-of-memory", "the machine had no memory left, and it was ended", _MEMORY
    if stuck is not None or "watchdog" in results:
        part = f"its part {stuck.fields.get('part', '')}" if stuck else "a part of it"
        return "watchdog", f"{part} was stuck, and it was started anew for that", advice_for("watchdog")
    if any(entry.says(exit_status=_EX_CONFIG) for entry in told):
        return "settings", "its settings, or its key, have mistakes", advice_for("settings-refused")
    if "crashed" in events or results & {"exit-code", "signal", "core-dump", "timeout", "protocol"}:
        return "crashed", "it crashed", advice_for("crashed")
    if "journal-stopped" in events:
        return "shut-down", "the machine was shut down", "Nothing, if that was you."
    return "stopped", "it was stopped, or started anew by hand", advice_for("stopping")


def _reboots(story: Story) -> Iterator[Cause]:
    for before, after in pairwise(story.entries):
        if not (before.boot and after.boot) or before.boot == after.boot:
            continue
        back = next((entry.at for entry in story.entries if _is_up(entry) and entry.at >= after.at), float("inf"))
        span = Stretch("", before.at, back)
        if _said_goodbye(story.entries, before):
            text = f"The machine was started anew, and it did not run {when(span, story)}."
            yield cause("reboot", text, "Nothing, if that was you.", [before, after], span)
        else:
            text = f"The machine went down without a goodbye and came back: it did not run {when(span, story)}."
            advice = (
                'Most often the power was cut, or the supply is too weak: "speakerd doctor" looks for that. '
                'Else the system crashed: "journalctl -b -1 -e" shows its last lines.'
            )
            yield cause("power", text, advice, [before, after], span)


def _said_goodbye(entries: Sequence[Entry], last: Entry) -> bool:
    """Say whether the end of a boot was told by then."""
    for entry in reversed(entries):
        if entry.at <= last.at and entry.boot == last.boot:
            if entry.event in ("stopping", "shutdown", "journal-stopped"):
                return True
            if entry.event == "started":
                return False
    return False


def _is_up(entry: Entry) -> bool:
    return entry.event == "started"
