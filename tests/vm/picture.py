"""A picture of a run: over time what the speaker did, what its light did and what was on the wire, for each scene."""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speakerd.simulate.glow import colour_of
from speakerd.state import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

WIDTH, ROW, DPI = 16.0, 0.78, 100
"""Inches of the picture and of a scene, and dots per inch."""

LEFT, RIGHT = 0.02, 0.985
PIXELS = round(WIDTH * DPI * (RIGHT - LEFT))

NIGHT, LAMP = np.array([0.09, 0.1, 0.12]), np.array([1.0, 0.86, 0.55])
"""A dark room, and a single LED."""

LIGHT, STATE, WIRE = (0.0, 0.34), (0.36, 0.6), 0.62
"""Where in its row, from below, each of them is."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What the guest left behind."""

    story: dict[str, Any]
    at: NDArray[np.float64]
    """When the light changed, in seconds."""
    levels: NDArray[np.float64]
    """To what: for each change the level of the single LED, and of the red, green and blue one."""


def draw(directory: Path) -> Path | None:
    """Write ``light.png`` beside what the guest left behind; None where it left nothing to draw."""
    story, light = directory / "story.json", directory / "light.csv"
    if not (story.exists() and light.exists()):
        return None
    with light.open() as file:
        rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    run = _Run(json.loads(story.read_text()), rows[:, 0], rows[:, 1:])
    scenes = run.story["scenes"]
    height = ROW * len(scenes) + 0.6
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="#fcfbf8")
    FigureCanvasAgg(figure)
    span = max(scene["ended"] - scene["began"] for scene in scenes)
    for number, scene in enumerate(scenes):
        top = height - 0.25 - ROW * number
        axes = figure.add_axes((LEFT, (top - ROW + 0.2) / height, RIGHT - LEFT, (ROW - 0.2) / height))
        _draw_scene(axes, run, scene, span, last=scene is scenes[-1])
    figure.savefig(directory / "light.png")
    return directory / "light.png"


def _draw_scene(axes: Axes, run: _Run, scene: dict[str, Any], span: float, *, last: bool) -> None:
    began, ended = scene["began"], scene["ended"]
    axes.set(xlim=(0, span), ylim=(0, 1), yticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", labelsize=8, length=0, labelbottom=last)
    mark = "" if scene["passed"] else "FAILED  "
    name = f"{mark}{scene['name'].replace('_', ' ')}"
    if last:
        axes.set_xlabel("seconds; from above: sound to the speaker, sound from it, its state, its light", size=8)
    axes.text(0, 1.03, name, size=8.5, color="#23272e" if scene["passed"] else "#c8403a", va="bottom")
    edges = np.linspace(began, ended, max(2, round(PIXELS * (ended - began) / span)) + 1)
    image = _seen(run, edges)[None]
    axes.imshow(image, extent=(0, ended - began, *LIGHT), aspect="auto", interpolation="nearest")
    changes = [*run.story["states"], [float("inf"), "idle"]]
    for (at, state), (until, _) in itertools.pairwise(changes):
        if at < ended and until > began:
            colour = tuple(part / 255 for part in colour_of(State(state)))
            axes.axvspan(max(at, began) - began, min(until, ended) - began, *STATE, facecolor=colour, lw=0)
    for sound, paint, base in (("up", "#34a860", WIRE), ("down", "#366ede", WIRE + 0.19)):
        flow = {int(second): octets for second, octets in run.story[sound].items() if began <= int(second) < ended}
        most = max([*flow.values(), 1])
        axes.bar([second - began for second in flow], [0.17 * octets / most for octets in flow.values()], 1.0, base,
                 align="edge", color=paint, lw=0)  # fmt: skip
    axes.set(xlim=(0, span), ylim=(0, 1))


def _seen(run: _Run, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colour, red, green and blue, that the light has on average between each two moments."""
    lasted = np.diff(run.at, append=max(edges[-1], run.at[-1]) + 1)
    shone = np.vstack([np.zeros(4), np.cumsum(run.levels * lasted[:, None], axis=0)])
    moments = np.append(run.at, run.at[-1] + lasted[-1])
    shares = np.stack([np.diff(np.interp(edges, moments, column)) for column in shone.T], axis=1)
    shares = np.clip(shares / np.diff(edges)[:, None], 0, 1)
    single, colours = shares[:, :1] * LAMP, shares[:, 1:]
    seen: NDArray[np.float64] = np.clip(NIGHT + single + colours, 0, 1)
    return seen
