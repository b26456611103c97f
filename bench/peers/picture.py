"""The comparison as a picture: who is quick, busy and big, side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.peers.outcome import ROWS
from bench.peers.peer import PEERS


def draw(found: Mapping[str, Any], file: Path) -> None:
    """Write a PNG with a small chart for each row of figures: the median as a bar, all samples as a line."""
    # It takes a second to load, and only whoever draws needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [
        row for row in ROWS if row.statistic == "p50" and any(row.name in one for one in found["figures"].values())
    ]
    peers = [peer for peer in reversed(PEERS) if peer.name in found["peers"]]
    if not rows:
        return
    figure = Figure(figsize=(8, 1.6 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, row in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows, strict=True):
        for place, peer in enumerate(peers):
            one = found["figures"].get(peer.name, {}).get(row.name)
            if one is not None:
                axes.barh(place, one["p50"], color="tab:blue" if peer.name == "speakerd" else "silver")
                axes.plot([one["min"], one["p95"]], [place, place], color="black", linewidth=1)
        axes.set_yticks(range(len(peers)), [peer.title for peer in peers], fontsize=8)
        axes.set_title(f"{row.words}: the median, and from the least to the 95th percentile", fontsize=8, loc="left")
    figure.suptitle(f"{found['date'][:10]}, {found['machine']['processor']}", fontsize=9)
    figure.savefig(file, dpi=120)
