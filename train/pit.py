"""Histograms of the probability integral transform, from the comparisons in `docs/results/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def panels_of(documents: dict[str, dict[str, Any]], estimator: str) -> dict[str, list[float]]:
    """Collect the histograms of an estimator: one of every split of every comparison.

    Args:
        documents: comparisons by the name of their table.
        estimator: its name.
    """
    panels = {}
    for table, document in documents.items():
        entries = [each for each in document.get("strata", []) if "pit" in each]
        splits = [each for each in entries if each["by"] == "split"]
        for each in splits or entries:
            shares = each["pit"].get(estimator)
            if shares is not None:
                panels[f"{table}: {each['name']}, {each['datasets']:,}"] = shares
    return panels


def draw_pit(panels: dict[str, list[float]], path: Path) -> None:
    """Draw histograms side by side; the dashed line is what honest quantiles give.

    Without any histogram no file is written.

    Args:
        panels: shares of equal bins of (0, 1), by title.
        path: of the PNG.
    """
    if not panels:
        return
    across = 4
    down = -(-len(panels) // across)
    figure = Figure(figsize=(2.6 * across, 2.1 * down), dpi=110, layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False, sharex=True).flat)
    for place, (title, shares) in zip(axes, panels.items(), strict=False):
        bins = len(shares)
        edges = np.linspace(0, 1, bins + 1)
        place.stairs(np.array(shares) * bins, edges, fill=True, color="C0", alpha=0.7)
        place.axhline(1, color="black", linewidth=0.8, linestyle="--")
        place.set_title(title, fontsize=8)
        place.tick_params(labelsize=7)
        place.set_ylim(0, max(2.0, 1.05 * bins * max(shares)))
        place.spines[["top", "right"]].set_visible(False)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    figure.supxlabel("F(I)", fontsize=9)
    figure.supylabel("density", fontsize=9)
    figure.savefig(path)
