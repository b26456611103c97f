"""The table of everything that was found out, and what one should know about it; a picture shows the same cells."""

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.peers.kitchen import ROOM, SPOKEN
from bench.peers.peer import PEERS, Peer
from bench.peers.trouble import TROUBLES
from bench.report import summary
from bench.results import origin
from bench.results import row as line

Found = Mapping[str, Any]
Told = Mapping[str, Any]

MISSING = "not measured"

PICTURES = {
    "peers-figures": "the figures above as bars, with their spread",
    "peers-troubles": "the troubles and the kitchen above as a grid",
}
"""What is drawn of it, in docs, and what is to be seen there."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of figures: what, in which unit, which percentile of it, and with how many decimals."""

    words: str
    unit: str
    name: str
    statistic: str = "p50"
    decimals: int = 0


ROWS = (
    Row("start to connected and listening", "s", "start_to_ready_s", decimals=1),
    Row("CPU while nobody speaks", "% of a core", "cpu_silence_percent", decimals=1),
    Row("CPU while somebody speaks", "% of a core", "cpu_speech_percent", decimals=1),
    Row("CPU while it answers", "% of a core", "cpu_reply_percent", decimals=1),
    Row("memory (PSS)", "MiB", "pss_mib"),
    Row("sound sent while nobody speaks", "kB/min", "uplink_silence_kb_per_min"),
    Row("microphone to wire, p50", "ms", "microphone_to_wire_ms"),
    Row("microphone to wire, p95", "ms", "microphone_to_wire_ms", "p95"),
    Row("first byte of an answer to its sound", "ms", "reply_to_sound_ms"),
    Row("`interrupted` to silence", "ms", "interrupted_to_silence_ms"),
    Row("first word over an answer to silence", "ms", "word_to_silence_ms"),
)


def peers(found: Found) -> list[Peer]:
    """Return those who took part."""
    return [peer for peer in PEERS if peer.name in found["peers"]]


def samples(found: Found, peer: Peer, name: str) -> list[float]:
    """Return the samples of a figure; none where it was not measured."""
    values: list[float] = found["samples"].get(peer.name, {}).get(name, [])
    return values


def table(found: Found) -> Iterator[list[str]]:
    """Yield the rows of the table, as cells; every one, also those in which speakerd loses."""
    everybody = peers(found)
    yield ["", *(peer.heading(found["versions"][peer.name]) for peer in everybody)]
    for row in ROWS:
        all_ = [samples(found, peer, row.name) for peer in everybody]
        if any(all_):
            yield [f"{row.words}, {row.unit} ({numbers(all_)})", *(figure(values, row) for values in all_)]
    yield from _counted(found, everybody)
    for trouble in TROUBLES:
        ends = [found["troubles"].get(peer.name, {}).get(trouble.name, []) for peer in everybody]
        if any(ends):
            yield [f"{trouble.title}: answers again, from {trouble.since} ({numbers(ends)})", *map(trials, ends)]
    if any(found["kitchen"].values()):
        stays = [found["kitchen"].get(peer.name) for peer in everybody]
        for words, tell in KITCHEN:
            cells = (MISSING if told is None else tell(told) for told in stays)
            yield [f"{found['minutes']:g} minutes in the kitchen: {words} (n = 1)", *cells]


def _counted(found: Found, everybody: Sequence[Peer]) -> Iterator[list[str]]:
    counts = [found["counts"].get(peer.name) for peer in everybody]
    if any(counts):
        n = numbers([[None] * one["conversations"] if one else [] for one in counts])
        yield [f"questions answered ({n})", *(_share(one) if one else MISSING for one in counts)]
        for words, name in COUNTED:
            yield [f"{words} ({n})", *(str(one.get(name, MISSING)) if one else MISSING for one in counts)]


COUNTED = (
    ("microphone overruns in all conversations, times", "microphone overruns"),
    ("messages of sound in which nothing that was said is found, left out above, times", "messages not recognised"),
    ("answers of which the beginning was not to be heard, left out above, times", "answers not heard"),
    ("answers that were not silent before the next one, left out above, times", "answers not silent before the next"),
)
"""What is counted in all conversations, under which name."""


def _share(counts: Told) -> str:
    return f"{counts['answers']} of {counts['questions']}"


def numbers(samples: Sequence[Sequence[Any]]) -> str:
    """Return of how many samples the figures of a row are."""
    known = sorted({len(values) for values in samples if values})
    return "n = " + " to ".join(str(number) for number in dict.fromkeys((known[0], known[-1])))


def figure(values: Sequence[float], row: Row) -> str:
    """Return a figure with its spread: the median, and the least and the most; another percentile goes alone."""
    if not values:
        return MISSING
    told = asdict(summary(values))
    value, low, high = (f"{told[name]:.{row.decimals}f}" for name in (row.statistic, "min", "max"))
    return value if row.statistic != "p50" or low == high else f"{value} ({low} to {high})"


def trials(ends: Sequence[Told]) -> str:
    """Return what came of all trials of a trouble: how many were answered again, and how soon; then, why not."""
    if not ends:
        return MISSING
    soon = [told["again_s"] for told in ends if told["again_s"] is not None]
    median = f", {statistics.median(soon):.1f} s" if soon else ""
    failures = dict.fromkeys(_why_not(told) for told in ends if told["again_s"] is None)
    return "; ".join([f"{len(soon)} of {len(ends)}{median}", *failures])


def _why_not(told: Told) -> str:
    if told["status"] is not None:
        return f"it ended, status {told['status']}"
    dials = {0: "does not connect", 1: "connected once"}.get(told["dials"], "connected several times")
    refused = f", to be refused: {told['refusal']}" if told["refusal"] else ""
    return f"it runs and {dials}{refused}"


def is_void(told: Told) -> str:
    """Return why a stay in the kitchen says nothing about who interrupts itself; nothing where it does."""
    if told["starved"]:
        return f"the air stood still {told['starved']} times"
    # Whoever broke off most of its answers itself spoke little for that very reason, which counts.
    broke_off = 2 * told["interruptions"] > told["answered"] + told["own_turns"]
    if told["spoken_s"] < SPOKEN * told["seconds"] and not broke_off:
        return f"it spoke for {told['spoken_s']:.0f} of {told['seconds']:.0f} s"
    return ""


def interruptions(told: Told) -> str:
    """Return how often a peer interrupted itself; whoever hardly spoke has not shown that it does not."""
    ended = "" if told["status"] is None else f"; it ended, status {told['status']}"
    void = is_void(told)
    if not void:
        return f"{told['interruptions']}{ended}"
    counted = f"{told['interruptions']}, and " if told["interruptions"] else ""
    return f"{counted}void: {void}{ended}"


KITCHEN: tuple[tuple[str, Callable[[Told], str]], ...] = (
    ("interrupts itself, times", interruptions),
    ("answers what nobody asked, times", lambda told: str(told["own_turns"])),
    ("questions answered", lambda told: f"{told['answered']} of {told['asked']}"),
    ("speaks, s", lambda told: f"{told['spoken_s']:.0f}"),
    ("microphone overruns", lambda told: str(told["overruns"])),
)
"""What is told of a stay in the kitchen: raw counts."""


def notes(found: Found) -> Iterator[str]:
    """Yield what one should know about the table, a line each."""
    loads = ", ".join(f"{load:.1f} after the {part}" for part, load in found["loads"].items())
    yield f"{origin(found)} {found['portaudio']}; load {loads}."
    if left := [part for part in ("starts", "talk", "troubles", "kitchen") if part not in found["finished"]]:
        yield f"**Not finished, or not run:** {', '.join(left)}."
    yield (
        "Peers take turns, and another one begins each round. Figures are medians, with the least and the most. n is "
        "the number of samples of each, the least and the most of a row where they differ."
    )
    for peer in peers(found):
        yield f"{peer.title}: {peer.about}."
    if any(found["troubles"].values()):
        patience = max(trouble.patience_s for trouble in TROUBLES)
        yield (
            f"The troubles: {found['at_once']} at a time, of programs that nobody starts anew; how many ended "
            f"with an answer within {TROUBLES[0].patience_s:g} s ({patience:g} s on the dead line), and the median "
            "of the seconds to its first sound. These hold the question, and the silence that ends it, for which "
            "Vision Agents asks for 0.25 s and the others get 0.8 s. The stand-in refuses to resume what it "
            "forgot (1008), as the service does, and what it still holds open (1011), as one user has reported: "
            "hence two rows for the dead line."
        )
        yield (
            "For the stand-in somebody speaks where it is louder than the room for 100 ms. Google's own detector is "
            "another one, so counts of interruptions will differ there. `interrupted` to silence is 0 where it was "
            "silent before the service said so."
        )
    if stays := found["kitchen"]:
        loads = " to ".join(f"{pick(told['load'] for told in stays.values()):.1f}" for pick in (min, max))
        yield (
            f"The kitchen: room {ROOM} of `speakerd/simulate/acoustics.py`, raw counts (load {loads}). Who is silent "
            "is asked. Void: it spoke for less than a third of the time, and did not break off most of its answers "
            "itself."
        )
    for name, voids in found["voids"].items():
        words = re.sub(
            r"(?<!\S)(?:/[^\s/]+)+/", "", " ".join(voids[0].split())
        )  # directories are of this machine only
        yield f"{name}: failed {len(voids)} times: {words[:300]}"


def markdown(found: Found) -> Iterator[str]:
    """Yield the lines of table and notes."""
    heading, *rows = table(found)
    yield line(*heading)
    yield line(*["-"] * len(heading))
    yield from (line(*(cell.replace("|", "\\|") for cell in row)) for row in rows)
    yield ""
    yield from (f"- {note}" for note in notes(found))
    yield from (f"\n![{words}](docs/{file}.svg)" for file, words in PICTURES.items())
