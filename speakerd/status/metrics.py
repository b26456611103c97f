"""The status as numbers, in OpenMetrics (https://prometheus.io/docs/specs/om/open_metrics_spec/).

It is also what Prometheus' older text format takes, in which the node exporter reads its files: hence only gauges and
counters.
"""

from speakerd.stalls import Stall
from speakerd.state import State
from speakerd.status.status import Status

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_Sample = tuple[dict[str, str], float | None]
"""Labels and a value; what has none now is left out."""


def metrics(status: Status) -> str:
    """Return the text."""
    topics = (_now, _line, _hardware, _counted, _turn, _process)
    families = [family for topic in topics for family in topic(status)]
    return "".join([*families, "# EOF\n"])


def _now(status: Status) -> list[str]:
    states = [({"state": state.value}, state.value == status.state) for state in State]
    return [
        _gauge("state", "What the speaker is doing: 1 for that, 0 for all else.", *states),
        _gauge("state_seconds", "How long it has been doing that.", _only(status.state_seconds), unit="seconds"),
        _gauge("person_needed", "Whether a person must do something.", _only(status.to_do is not None)),
        _gauge("muted", "Whether it is muted.", _only(status.muted)),
    ]


def _line(status: Status) -> list[str]:
    link = status.link
    return [
        _gauge("link_up", "Whether there is a connection to the Live API.", _only(link.up)),
        _gauge(
            "link_seconds", "How long there has been this connection, or none.", _only(link.seconds), unit="seconds"
        ),
        _gauge(
            "handle_seconds", "How old the newest handle of the conversation is.", _only(link.handle_seconds),
            unit="seconds",
        ),
    ]  # fmt: skip


def _hardware(status: Status) -> list[str]:
    devices = {"microphone": status.microphone, "loudspeaker": status.loudspeaker}
    return [
        _gauge(
            "device_up", "Whether a sound device works, or is closed on purpose.",
            *(({"device": name}, device.use != "away") for name, device in devices.items()),
        ),
        _counter(
            "xruns", "How often sound was lost at a device, or had a gap.",
            *(({"device": name}, device.xruns) for name, device in devices.items()),
        ),
        _gauge(
            "panel_part_up", "Whether a part of the panel works.",
            *(({"part": name}, trouble is None) for name, trouble in status.panel.items()),
        ),
    ]  # fmt: skip


def _counted(status: Status) -> list[str]:
    totals, today = status.totals, status.today
    stalls = [({"stall": stall.name.lower()}, totals.stalls[stall.name.lower()]) for stall in Stall]
    tokens = [({"direction": "in"}, totals.tokens_in), ({"direction": "out"}, totals.tokens_out)]
    tokens_today = [({"direction": "in"}, today.tokens_in), ({"direction": "out"}, today.tokens_out)]
    return [
        _counter("turns", "Turns of the conversation.", _only(totals.turns)),
        _counter("interruptions", "How often somebody spoke over an answer.", _only(totals.interruptions)),
        _counter("stalls", "Questions that came to nothing.", *stalls),
        _counter("sentences_told_again", "Sentences sent once more, after a loss.", _only(totals.told_again)),
        _counter("questions_lost", "Questions that were too old to be sent.", _only(totals.questions_lost)),
        _counter("answers_lost", "Answers that broke off.", _only(totals.answers_lost)),
        _counter("link_reconnects", "Connections that were made after a loss.", _only(totals.reconnects)),
        _counter("link_rotations", "Connections that were replaced in good time.", _only(totals.rotations)),
        _counter("sent_bytes", "Sound of the room that left the house.", _only(totals.bytes_up), unit="bytes"),
        _counter("received_bytes", "Sound of the model that came.", _only(totals.bytes_down), unit="bytes"),
        _counter("tokens", "Tokens that the service counted.", *tokens),
        _counter("cost_dollars", "What they cost, as an estimate.", _only(totals.cost_usd), unit="dollars"),
        _gauge("today_tokens", "Tokens that the service counted today.", *tokens_today),
        _gauge("today_cost_dollars", "What they cost, as an estimate.", _only(today.cost_usd), unit="dollars"),
    ]


def _turn(status: Status) -> list[str]:
    turn = status.last_turn
    if turn is None:
        return []
    lengths = (
        ("heard", "how long somebody was heard.", turn.heard_ms),
        ("first_byte", "from the end of speech to the first byte of the answer.", turn.first_byte_ms),
        ("first_sound", "from the end of speech to the first sound of the answer.", turn.first_sound_ms),
        ("answer", "how much of the answer was played.", turn.answer_ms),
    )
    return [
        _gauge(f"last_turn_{name}_seconds", f"Of the last turn, {text}", _only(_seconds(ms)), unit="seconds")
        for name, text, ms in lengths
    ]


def _process(status: Status) -> list[str]:
    versions = {name.lower().replace("-", "_"): version for name, version in status.versions.items()}
    process = status.process
    return [
        _gauge("build_info", "The versions of what runs, always 1.", (versions, 1)),
        _gauge("uptime_seconds", "How long the process has run.", _only(process.seconds), unit="seconds"),
        _gauge("resident_memory_bytes", "Memory that it holds.", _only(process.memory_bytes), unit="bytes"),
    ]


def _gauge(name: str, text: str, *samples: _Sample, unit: str = "") -> str:
    return _family(name, "gauge", text, samples, unit, "")


def _counter(name: str, text: str, *samples: _Sample, unit: str = "") -> str:
    return _family(name, "counter", text, samples, unit, "_total")


def _family(name: str, kind: str, text: str, samples: tuple[_Sample, ...], unit: str, suffix: str) -> str:
    """Return a metric with its samples; nothing where it has none."""
    name = f"speakerd_{name}"
    lines = [f"{name}{suffix}{_labels(labels)} {_number(value)}" for labels, value in samples if value is not None]
    if not lines:
        return ""
    about = [f"# TYPE {name} {kind}", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {text}"]
    return "".join(f"{line}\n" for line in about + lines)


def _only(value: float | None) -> _Sample:
    return ({}, value)


def _labels(labels: dict[str, str]) -> str:
    escaped = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    inner = ",".join(f'{name}="{value.translate(escaped)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _number(value: float) -> str:
    return str(int(value) if isinstance(value, bool) else value)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
