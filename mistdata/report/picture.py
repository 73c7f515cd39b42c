"""The picture of a report, for papers: MI, n and dimensions of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.pictures import load_pyplot

_NAMES = {"mi": "I(X;Y), nats", "n": "rows n", "dim_x": "columns of X", "dim_y": "columns of Y"}
_INK = "#1f5f8b"
_LABELS = 4  # below a histogram of whole numbers
_FEW = 12  # edges of MI that are all labelled; of more, powers of ten


def draw(path: Path, facts: Mapping[str, Any]) -> None:
    """Draw histograms of MI, n and dimensions.

    Args:
        path: of the PNG.
        facts: from `collect`.

    Raises:
        MissingExtra: Matplotlib is missing.
    """
    plot = load_pyplot()
    bins = facts["bins"]
    figure, axes = plot.subplots(2, 2, figsize=(7.2, 4.6), layout="constrained")
    for axis, (name, label) in zip(axes.flat, _NAMES.items(), strict=True):
        counts = np.sum(bins["counts"][name], axis=0)
        axis.bar(range(len(counts)), counts, width=1, align="edge", color=_INK, ec="white", lw=0.4)
        axis.set_xticks(*_ticks(name, bins["edges"][name]))
        axis.tick_params(labelsize=8)
        axis.margins(x=0.05 if len(counts) > 2 else 1.0)
        axis.set_xlabel(label)
        axis.set_ylabel("datasets")
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.spines[["top", "right"]].set_visible(False)
    totals = facts["totals"]
    title = f"{totals['name']} {totals['version']}: {totals['datasets']:,} datasets"
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=160, format="png")
    plot.close(figure)


def _ticks(name: str, edges: Sequence[float]) -> tuple[list[float], list[str]]:
    """Places and labels of some bins: amid whole numbers, at round edges of MI."""
    if name == "mi":
        below = [(0.5, f"<{edges[1]:g}")] if edges[0] <= 0 else []
        rest = list(enumerate(edges))[2 * len(below) :]
        shown = [(k, f"{edge:g}") for k, edge in rest if len(edges) < _FEW or _is_power(edge)]
        ticks = [*below, *shown]
    else:
        step = -(-(len(edges) - 1) // _LABELS)
        bins = list(enumerate(pairwise(edges)))[::step]
        ticks = [(k + 0.5, _span(int(low), int(high) - 1)) for k, (low, high) in bins]
    return [place for place, _ in ticks], [label for _, label in ticks]


def _is_power(value: float) -> bool:
    return f"{value:.2e}".startswith("1.00")


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
