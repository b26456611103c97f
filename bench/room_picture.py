"""One picture of a visit: how loud it is in a room, and without the echo, while people talk over the replies."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.room_ear import make_ear
from bench.room_offline import Piece, replay
from bench.room_result import Plan, Result
from bench.room_visit import SHOWN_S
from speakerd.sound.echo import level_db

WIDTH, HEIGHT, DPI = 16.0, 6.0, 100
"""Inches and dots per inch: 1600 pixels, which a screen shows as they are."""

QUIETEST_DB = -90.0

PLAYED, HEARD, CLEANED, TALK, STOP = "#d9c58c", "#9aa1ab", "#1f5fa8", "#2e7d4f", "#c8403a"


def draw(plan: Plan, result: Result, path: Path) -> None:
    """Write the picture, a PNG of 1600 pixels in width.

    What is left without the echo nobody but the daemon has; here an ear hears the same sound anew.
    """
    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "agg"}):
        _compose(plan, result).savefig(path)


def _compose(plan: Plan, result: Result) -> Figure:
    tape = result.tape
    cleaned = [
        Piece(piece.at, heard.pcm)
        for piece, heard in zip(tape.captured, replay(make_ear(plan.mode), tape.played, tape.captured), strict=True)
    ]
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for pieces, name, colour in (
        (tape.played, "played", PLAYED),
        (tape.captured, "heard", HEARD),
        (cleaned, "without the echo", CLEANED),
    ):
        axes.plot(*_levels(pieces, tape.began), label=name, color=colour, linewidth=1)
    marks = [(one.at, f"{one.name} {one.near_db:+g} dB", TALK) for one in result.interruptions]
    marks += [(one.at, one.name, TALK) for one in result.clatters]
    marks += [(one.at + one.noticed_ms / 1e3, "", STOP) for one in result.interruptions if one.noticed_ms is not None]
    end = tape.captured[-1].at if tape.captured else tape.began + SHOWN_S
    for at, name, colour in marks:
        if at < end:
            axes.axvline(at - tape.began, color=colour, linewidth=1)
            axes.text(at - tape.began, 1, f" {name}", size=8, color=colour, rotation=90, va="top", ha="right")
    axes.set(
        title=f"Room {plan.room}, {plan.mode}: talk over the replies (green), and when it was noticed (red)",
        xlabel="seconds", ylabel="dB full scale, of each 20 ms", xlim=(0, end - tape.began), ylim=(QUIETEST_DB, 3),
    )  # fmt: skip
    figure.legend(loc="outside lower right", ncols=3)
    return figure


def _levels(pieces: list[Piece], began: float) -> tuple[list[float], list[float]]:
    """Return when and how loud each period is; a line breaks where there is nothing for a while."""
    times: list[float] = []
    levels: list[float] = []
    for piece in pieces:
        at = piece.at - began
        if times and at - times[-1] > 0.1:
            times.append(times[-1])
            levels.append(np.nan)
        times.append(at)
        levels.append(max(level_db(piece.pcm), QUIETEST_DB))
    return times, levels
