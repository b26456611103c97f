"""The comparison as two pictures of the table's own cells: figures with their spread, and a grid of troubles."""

import io
import textwrap
from typing import TYPE_CHECKING, Any, Literal

from bench.peers.outcome import MISSING, ROWS, Found, Row, figure, peers, samples, table
from bench.report import summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS, THEIRS, SPREAD, INK = "#1f5fa8", "#9aa1ab", "#30343a", "#16181b"
PAPER = "#ffffff"
"""Opaque, so that it is read as well on a dark page."""

ALL, SOME, NONE, UNKNOWN = "#cfe8d3", "#f6e3ae", "#f2c6bf", "#e4e6e9"

CELL_CHARACTERS = 27
"""What fits into a line of the grid."""


def figures(found: Found) -> bytes:
    """Draw a small chart for each row of figures: a bar for the cell, a line from the least to the most."""
    rows = [row for row in ROWS if any(samples(found, peer, row.name) for peer in peers(found))]
    if not rows:
        return _svg(_paper(6, 1))
    columns = 2
    lines = -(-len(rows) // columns)
    sheet = _paper(11, 0.5 + lines * (0.55 + 0.22 * len(found["peers"])))
    for place, row in enumerate(rows, 1):
        _chart(sheet.add_subplot(lines, columns, place), found, row)
    sheet.suptitle(
        f"{found['date'][:10]}, {found['machine']['processor']}: less is better; lines from the least to the most",
        size=10,
        color=INK,
    )
    return _svg(sheet)


def troubles(found: Found) -> bytes:
    """Draw what came of each trouble, and of the kitchen, as a grid of the table's cells."""
    heading, *rows = table(found)
    first = len([row for row in ROWS if any(samples(found, peer, row.name) for peer in peers(found))])
    rows = rows[first:]
    wrapped = [
        [textwrap.wrap(row[0], 34), *(textwrap.wrap(cell, CELL_CHARACTERS) for cell in row[1:])] for row in rows
    ]
    heights = [max(map(len, cells)) + 0.8 for cells in wrapped]
    width = len(found["peers"])
    sheet = _paper(2.8 + 1.95 * width, 0.55 + 0.16 * sum(heights), layout=None)
    axes = sheet.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1.4, width), ylim=(sum(heights) + 0.2, -2.4))
    axes.axis("off")
    for column, name in enumerate(heading[1:]):
        axes.text(
            column + 0.5, -1.1, "\n".join(textwrap.wrap(name, 20)), ha="center", va="center", size=8, weight="bold"
        )
    top = 0.0
    for row, cells, height in zip(rows, wrapped, heights, strict=True):
        axes.text(-1.37, top + height / 2, "\n".join(cells[0]), va="center", size=7.5, color=INK)
        for column, cell in enumerate(cells[1:]):
            box = (column + 0.02, top + 0.08)
            axes.add_patch(_rectangle(box, 0.96, height - 0.16, _colour(row[0], row[column + 1])))
            text = "\n".join(cell)
            axes.text(column + 0.5, top + height / 2, text, ha="center", va="center", size=7, color=INK)
        top += height
    return _svg(sheet)


def _chart(axes: Any, found: Found, row: Row) -> None:
    everybody = peers(found)
    longest = 0.0
    for place, peer in enumerate(everybody):
        if values := samples(found, peer, row.name):
            shown = float(getattr(summary(values), row.statistic))
            least, most = (min(values), max(values)) if row.statistic == "p50" else (shown, shown)
            axes.barh(place, shown, color=OURS if peer.name == "speakerd" else THEIRS, height=0.7)
            axes.plot([least, most], [place, place], color=SPREAD, linewidth=1, solid_capstyle="butt")
            longest = max(longest, most)
    longest = longest or 1.0
    for place, peer in enumerate(everybody):
        values = samples(found, peer, row.name)
        axes.text(longest * 1.03, place, figure(values, row), va="center", size=7.5, color=INK)
    axes.set_xlim(0, longest * 1.5)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= longest])  # beyond are the figures
    axes.set_yticks(range(len(everybody)), [peer.title for peer in everybody], size=7.5)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{row.words}, {row.unit}".replace("`", ""), size=8.5, loc="left", color=INK)


def _colour(words: str, cell: str) -> str:
    """Return how a cell is painted: by how many of how many, or by whether there is what should not be."""
    if cell == MISSING or "void" in cell:
        return UNKNOWN
    if "in the kitchen: questions" in words:  # who interrupts itself is asked less
        return PAPER
    number, _, rest = cell.partition(" of ")
    if rest:
        whole = rest.split(",")[0].split(";")[0]
        return ALL if number == whole else NONE if number == "0" else SOME
    if "times" in words or "overruns" in words:
        return ALL if cell == "0" else NONE if "interrupts" in words else SOME
    return PAPER


def _paper(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> "Figure":
    # It takes a second to load, and only whoever draws needs it.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(width, height), layout=layout, facecolor=PAPER)
    FigureCanvasSVG(sheet)
    return sheet


def _rectangle(corner: tuple[float, float], width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, facecolor=colour, edgecolor="none")


def _svg(sheet: "Figure") -> bytes:
    """Return the same bytes for the same drawing, whenever and wherever it is drawn."""
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context(
        {**mpl.rcParamsDefault, "backend": "svg", "svg.hashsalt": "speakerd", "svg.fonttype": "path"}
    ):
        sheet.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
