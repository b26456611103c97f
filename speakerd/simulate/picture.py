"""One picture of a conversation: sounds, state, light and wire above one time axis."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speakerd.simulate.evidence import Evidence, Sound
from speakerd.simulate.findings import Finding, Findings
from speakerd.simulate.glow import Colour, colour_of, glow, mixed
from speakerd.state import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

WIDTH, DPI = 16.0, 100
"""Inches and dots per inch: 1600 pixels, which a screen shows as they are."""

LEFT, RIGHT = 0.118, 0.982
"""Where lanes begin and end, as shares of the width."""

PIXELS = round(WIDTH * DPI * (RIGHT - LEFT))

MARGIN = 0.018
"""Where titles and names begin, as a share of the width."""

HEAD, GAP, FOOT = 1.5, 0.2, 0.62
"""Inches above, between and below the lanes."""

PAPER, INK, GREY, HAIR = "#fcfbf8", "#23272e", "#858b95", "#e9e7e1"
NIGHT: Colour = (22, 24, 30)
ALARM = "#c8403a"

LETTER_PX = 7.9
"""Width of a letter in what was said; a little more than it is, so that no line is too long."""

FLOW_S = 0.1
"""Sound on the wire is added up over this long."""

AXIS = -0.24
"""Where the axis of a sound is in its lane, which goes from -1 to 1; what is above it is for words."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """A strip of the picture: its name, what is in it, its height in inches, where its middle is, who draws it."""

    name: str
    about: str
    height: float
    middle: float
    draw: Callable[[Axes], None]


def draw(evidence: Evidence, found: Findings, path: Path) -> None:
    """Write the picture, a PNG of 1600 pixels in width."""
    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "agg"}):
        compose(evidence, found).savefig(path)


def compose(evidence: Evidence, found: Findings) -> Figure:
    """Return the picture, ready to be written."""
    return _Picture(evidence, found).compose()


class _Picture:
    """The picture while it is drawn; all its times are seconds since the beginning."""

    def __init__(self, evidence: Evidence, found: Findings) -> None:
        self._evidence = evidence
        self._found = found
        self._zero = evidence.began
        self._span = max(evidence.ended - evidence.began, 1.0)
        self._told = [told - self._zero for told in evidence.interruptions]

    def compose(self) -> Figure:
        """Draw everything."""
        lanes = list(self._lanes())
        body = sum(lane.height for lane in lanes) + GAP * (len(lanes) - 1)
        height = HEAD + body + FOOT
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
        FigureCanvasAgg(figure)
        figure.text(MARGIN, 1 - 0.45 / height, self._title(), size=22, weight="bold", color=INK, va="center")
        figure.text(MARGIN, 1 - 0.83 / height, self._subtitle(), size=11.5, color=GREY, va="center")

        def axes(top: float, tall: float, zorder: int) -> Axes:
            box = (LEFT, (top - tall) / height, RIGHT - LEFT, tall / height)
            new = figure.add_axes(box, facecolor="none", zorder=zorder)
            new.set(xlim=(0, self._span), ylim=(-1, 1), xticks=[], yticks=[])
            new.spines[:].set_visible(False)
            return new

        top = height - HEAD
        self._draw_time(axes(top, body, 0))
        self._draw_interruptions(axes(top + GAP, body + GAP, 2))
        for lane in lanes:
            lane.draw(axes(top, lane.height, 1))
            middle = (top - lane.height * (1 - lane.middle) / 2) / height
            figure.text(MARGIN, middle, lane.name, size=12, weight="bold", color=INK, va="bottom")
            figure.text(MARGIN, middle - 0.03 / height, lane.about, size=9, color=GREY, va="top")
            top -= lane.height + GAP
        return figure

    def _lanes(self) -> Iterator[_Lane]:
        microphone, loudspeaker = self._evidence.microphone, self._evidence.loudspeaker
        if microphone is not None:
            yield _Lane("Microphone", "what it hears", 1.7, AXIS, lambda axes: self._draw_heard(axes, microphone))
        yield _Lane("State", "what it does", 0.44, 0, self._draw_states)
        yield _Lane("Light", "what it shows", 0.34, 0, self._draw_light)
        seen = "sound up, sound down" if self._evidence.wire else "as the daemon tells it"
        yield _Lane("Wire", seen, 1.5, 0.1, self._draw_wire)
        if loudspeaker is not None:
            yield _Lane("Loudspeaker", "what it plays", 2.65, AXIS, lambda axes: self._draw_played(axes, loudspeaker))

    # Sounds.

    def _draw_heard(self, axes: Axes, sound: Sound) -> None:
        self._draw_sound(axes, sound, colour_of(State.LISTENING))
        for at, words in self._evidence.questions:
            began = at - self._zero
            width = len(words) * LETTER_PX / PIXELS * self._span
            aside = [told + 0.08 for told in self._told if began < told < began + width]
            _write(axes, max([began, *aside]), [f"“{words}”"])

    def _draw_played(self, axes: Axes, sound: Sound) -> None:
        heard = [finding for finding in self._found.answers if finding.heard]
        ends = [*(finding.began for finding in heard[1:]), float("inf")][: len(heard)]
        for cut in self._found.cuts:
            words = f"silent {cut.soon}"
            axes.text(cut.silent - self._zero + 0.1, 0.5, words, size=10.5, weight="bold", color=ALARM, va="bottom")
        self._draw_sound(axes, sound, colour_of(State.SPEAKING))
        for finding, end in zip(heard, ends, strict=True):
            self._draw_unsaid(axes, finding, end, sound)
            stop = finding.ended if not finding.whole else min(finding.began + finding.seconds, end)
            letters = max(12, int((stop - finding.began) / self._span * PIXELS / LETTER_PX) - 2)
            lines = textwrap.wrap(f"“{finding.answer.text}”", letters)
            _write(axes, finding.began - self._zero, lines)

    def _draw_sound(self, axes: Axes, sound: Sound, colour: Colour) -> None:
        axes.axhline(AXIS, color=_hex(mixed(colour, (252, 251, 248), 0.5)), lw=0.8)
        self._draw_wave(axes, _samples(sound.pcm), sound.began - self._zero, sound.rate, _peak(sound), _hex(colour))

    def _draw_unsaid(self, axes: Axes, finding: Finding, end: float, sound: Sound) -> None:
        """Draw what was sent and cut off before anybody heard it."""
        if finding.whole:
            return
        rest = _samples(finding.answer.pcm)[round(finding.heard_s * sound.rate) :]
        rest = rest[: max(0, round(min(end - finding.ended, 3600) * sound.rate))]
        began = finding.ended - self._zero
        self._draw_wave(axes, rest, began, sound.rate, _peak(sound), "#c9c7c0")
        axes.text(began + 0.1, -0.99, "sent, but cut off before it was heard", size=9.5, color=GREY, va="bottom")

    def _draw_wave(
        self, axes: Axes, samples: NDArray[np.float64], began: float, rate: int, peak: float, colour: str
    ) -> None:
        """Draw how loud it was: peaks pale, power full."""
        step = max(1, int(self._span * rate / PIXELS))
        samples = samples[: len(samples) // step * step].reshape(-1, step)
        times = began + np.arange(len(samples)) * step / rate
        shown = (times >= 0) & (times <= self._span)
        highest, power = np.abs(samples).max(axis=1, initial=0), np.sqrt((samples**2).mean(axis=1))
        for height, alpha in ((highest, 0.35), (power, 1.0)):
            # A power law as the ear has it: a quiet voice is seen beside a loud one.
            half = 0.58 * (height[shown] / peak) ** 0.6
            axes.fill_between(times[shown], AXIS - half, AXIS + half, color=colour, alpha=alpha, lw=0)

    # State, light and wire.

    def _draw_states(self, axes: Axes) -> None:
        free = 0.0  # in pixels; a name beside its band does not cover another
        for stretch in self._evidence.stretches():
            began, ended = stretch.began - self._zero, min(stretch.ended - self._zero, self._span)
            silent = stretch.state in (State.IDLE, State.STARTING)
            axes.axvspan(began, ended, facecolor="#dddbd4" if silent else _hex(colour_of(stretch.state)), lw=0)
            name, middle = stretch.state.name, (began + ended) / 2
            wide, here = (ended - began) / self._span * PIXELS, middle / self._span * PIXELS
            if wide > 9.5 * len(name) + 8:
                colour = GREY if silent else "white"
                axes.text(middle, -0.06, name, size=10, weight="bold", color=colour, ha="center", va="center")
            elif wide > 10 and here - 3.7 * len(name) > free - 8:
                colour = GREY if silent else _hex(colour_of(stretch.state))
                axes.text(middle, 1.12, name, size=7.5, weight="bold", color=colour, ha="center", va="bottom")
                free = here + 3.4 * len(name) + 6

    def _draw_light(self, axes: Axes) -> None:
        moments = np.linspace(0, self._span, PIXELS)
        row = np.tile(np.array(NIGHT, np.float64), (PIXELS, 1))
        for stretch in self._evidence.stretches():
            began = stretch.began - self._zero
            for place in np.flatnonzero((moments >= began) & (moments < stretch.ended - self._zero)):
                row[place] = glow(stretch.state, float(moments[place]) - began, NIGHT)
        # Brightest in the middle, as a lamp behind frosted glass is.
        fall = np.exp(-(np.linspace(-1, 1, 31) ** 2) * 1.4)[:, None, None]
        night = np.array(NIGHT)
        image = (night + (row[None] - night) * fall) / 255
        axes.imshow(image, extent=(0, self._span, -1, 1), aspect="auto", interpolation="bilinear")

    def _draw_wire(self, axes: Axes) -> None:
        axes.axhline(0, color=GREY, lw=0.8)
        up, down = self._flow("audio"), self._flow("audio_out")
        moments = (np.arange(len(up)) + 0.5) * FLOW_S
        scale = 0.8 / max(float(np.max(up)), float(np.max(down)), 1.0)
        for flow, state, sign in ((up, State.LISTENING, 1), (down, State.SPEAKING, -1)):
            axes.bar(moments, sign * scale * flow, FLOW_S * 0.76, color=_hex(colour_of(state)), lw=0)
        free = 0.0
        for at, words in self._marks():
            axes.plot([at], [0.5], marker="o", ms=5, color=INK, lw=0)
            beside = any(abs(at - told) < 1 for told in self._told)
            width = len(words) * 7 / PIXELS * self._span
            left = min(at + 0.1 if beside else at - width / 2, self._span - width)
            if left > free:
                axes.text(left, 0.6, words, size=9, color=INK, va="bottom")
                free = left + width
        for began, ended, seconds in self._bursts():
            words = f"{seconds:.1f} s of speech\nin {ended - began:.1f} s"
            axes.text(ended + 0.12, -0.75, words, size=9, color=GREY, va="bottom", linespacing=1.3)

    def _flow(self, kind: str) -> NDArray[np.float64]:
        """Return bytes on the wire in each ``FLOW_S``."""
        flow = np.zeros(int(self._span / FLOW_S) + 1)
        for event in self._evidence.wire:
            place = int((event.at - self._zero) / FLOW_S)
            if event.kind == kind and 0 <= place < len(flow):
                flow[place] += event.detail["bytes"]
        return flow

    def _bursts(self) -> Iterator[tuple[float, float, float]]:
        """Yield from when to when an answer was sent in full, and how many seconds of sound it is."""
        began, seconds = 0.0, 0.0
        for event in self._evidence.wire:
            if event.kind == "answer_start":
                began, seconds = event.at - self._zero, event.detail["seconds"]
            elif event.kind == "generation_complete":
                yield began, event.at - self._zero, seconds

    def _marks(self) -> Iterator[tuple[float, str]]:
        """Yield what else was on the wire; from the journal where nobody else saw the wire."""
        names = {"generation_complete": "all is sent", "turn_complete": "turn complete"}
        marks = [(event.at - self._zero, names[event.kind]) for event in self._evidence.wire if event.kind in names]
        if not self._evidence.wire:
            turns = [entry for entry in self._evidence.journal if entry.event == "turn"]
            marks = [(entry.at - self._zero, "turn complete") for entry in turns]
        for at, words in marks:
            if at <= self._span:
                yield at, words

    # What goes across.

    def _draw_time(self, axes: Axes) -> None:
        seconds = range(int(self._span) + 1)
        step = 1 if self._span <= 30 else 5
        axes.set_xticks(list(seconds[::step]))
        axes.tick_params(axis="x", colors=GREY, labelsize=10, length=0, pad=7)
        axes.set_xlabel("seconds", color=GREY, size=10)
        axes.vlines(seconds[::step], -1, 1, color=HAIR, lw=0.8)

    def _draw_interruptions(self, axes: Axes) -> None:
        for told in self._told:
            axes.axvline(told, color=ALARM, lw=1.2)
            axes.text(told, 1.01, "interrupted", size=10, weight="bold", color=ALARM, ha="center", va="bottom")

    def _title(self) -> str:
        if self._found.cuts:
            return f"Interrupted, it is silent {self._found.cuts[0].soon}"
        return "A conversation with speakerd"

    def _subtitle(self) -> str:
        where = "in a room made of software" if self._evidence.loudspeaker else "through real devices"
        return f"{self._span:.0f} seconds of a conversation with the real daemon, {where}"


def _write(axes: Axes, at: float, lines: list[str]) -> None:
    """Write what somebody said, above its sound."""
    axes.text(at, 0.5, "\n".join(lines), size=10.5, style="italic", color=INK, va="bottom", linespacing=1.35)


def _peak(sound: Sound) -> float:
    return float(max(np.abs(_samples(sound.pcm)).max(initial=0), 1.0))


def _samples(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
