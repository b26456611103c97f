"""The page that `speakerd status` prints for people: one part a line, in 80 columns."""

import textwrap
import time

from speakerd.status.status import DeviceStatus, Status
from speakerd.turns import Turn

WIDTH = 80
"""Columns of a terminal that nobody has made wider."""

OWN_VOICE = {
    "cancel": "taken out of what the microphone hears",
    "half-duplex": "while it sounds, only what is much louder is heard",
    "off": "nothing is done about it",
}

_NAME = 13
"""Columns for the name of a part."""

_NO_BREAK = "\N{NO-BREAK SPACE}"

_UNITS = (("days", 86_400), ("h", 3600), ("min", 60))


def render(status: Status, now: float) -> str:
    """Return the page, with times of day as of ``now``, in seconds since 1970."""
    head = f"{status.state.capitalize()} since {_clock(status.state_seconds, now)}"
    lines = [head, ""]
    for name, text in _parts(status, now):
        lines += _wrapped(name, text)
    return "\n".join(lines)


def _parts(status: Status, now: float) -> list[tuple[str, str]]:
    return [
        *([("To do", status.to_do)] if status.to_do else []),
        ("Mute", _mute(status)),
        ("Connection", _connection(status)),
        ("Conversation", _conversation(status)),
        ("Microphone", _device(status.microphone, "lost sound")),
        ("Loudspeaker", _device(status.loudspeaker, "had a gap")),
        ("Own voice", OWN_VOICE[status.own_voice]),
        ("Panel", _panel(status)),
        ("Last turn", _turn(status.last_turn)),
        ("Today", _today(status)),
        ("Counted", f"since {_clock(status.counted_seconds, now)}: {_counts(status)}"),
        ("Versions", ", ".join(_whole(f"{name} {version}") for name, version in status.versions.items())),
        ("Process", _process(status, now)),
    ]


def _mute(status: Status) -> str:
    if not status.muted:
        return "not muted"
    ends = {"button": "until its button is pressed", "switch": "until its switch is moved"}
    return "muted, " + next((ends[part] for part in status.panel if part in ends), "and has no button to end that")


def _connection(status: Status) -> str:
    link = status.link
    if link.up:
        return f"up for {_length(link.seconds)}"
    return f"none for {_length(link.seconds)}" + (f": {link.trouble}" if link.trouble else "")


def _conversation(status: Status) -> str:
    age = status.link.handle_seconds
    if age is None:
        return "new"
    return f"can be resumed, as it was {_length(age)} ago"


def _device(device: DeviceStatus, mishap: str) -> str:
    words = {"open": "open", "closed": "closed on purpose"}.get(device.use, f"away: {device.trouble}")
    often = f", {mishap} {_times(device.xruns)}" if device.xruns else ""
    return f"{device.name}, {words}{often}"


def _panel(status: Status) -> str:
    parts = [f"{name} ({trouble})" if trouble else name for name, trouble in status.panel.items()]
    return ", ".join(parts) or "none"


def _turn(turn: Turn | None) -> str:
    if turn is None:
        return "none yet"
    steps = {
        "heard": turn.heard_ms, "first byte after": turn.first_byte_ms, "first sound after": turn.first_sound_ms,
        "answered for": turn.answer_ms,
    }  # fmt: skip
    lengths = [_whole(f"{step} {ms / 1000:.2f} s") for step, ms in steps.items() if ms]
    tokens = _whole(f"{turn.tokens_in + turn.tokens_out} tokens")
    reason = f" ({turn.reason})" if turn.reason else ""
    return f"{turn.turn}: {', '.join([*lengths, tokens, _dollars(turn.cost_usd)])}{reason}"


def _today(status: Status) -> str:
    day = status.today
    if not day.tokens_in + day.tokens_out:
        return "no tokens"
    return f"{day.tokens_in:,} tokens in, {day.tokens_out:,} out, {_dollars(day.cost_usd)}"


def _counts(status: Status) -> str:
    totals = status.totals
    stalls = ", ".join(f"{count} {name}" for name, count in sorted(totals.stalls.items()))
    counts = [
        _number(totals.turns, "turn"),
        _number(totals.interruptions, "interruption"),
        _number(totals.stalls.total(), "stall") + (f" ({stalls})" if stalls else ""),
        _number(totals.reconnects, "reconnection"),
        _number(totals.rotations, "rotation"),
        f"{_bytes(totals.bytes_up)} of sound up",
        f"{_bytes(totals.bytes_down)} down",
    ]
    return ", ".join(map(_whole, counts))


def _process(status: Status, now: float) -> str:
    process = status.process
    return f"{process.pid}, {_bytes(process.memory_bytes)}, since {_clock(process.seconds, now)}"


def _clock(seconds: float, now: float) -> str:
    """Return when something began, and how long ago that is."""
    began = time.localtime(now - seconds)
    same_day = began[:3] == time.localtime(now)[:3]
    return f"{time.strftime('%H:%M' if same_day else '%Y-%m-%d %H:%M', began)} ({_length(seconds)})"


def _length(seconds: float) -> str:
    """Return how long something has lasted, in two units at most of all that it fills."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _dollars(cost: float) -> str:
    return _whole(f"about ${cost:.3f}")


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _whole(text: str) -> str:
    """Return text that is not broken over two lines."""
    return text.replace(" ", _NO_BREAK)


def _wrapped(name: str, text: str) -> list[str]:
    # Names of devices and commands stay whole, so that they can be copied; a very long one sticks out.
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=f"{name:<{_NAME}} ", subsequent_indent=" " * (_NAME + 1), break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip
    return [line.replace(_NO_BREAK, " ") for line in lines]
