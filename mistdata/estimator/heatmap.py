"""Pictures of many estimates: a heatmap of all pairs, or intervals against a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.errors import NEEDS_MATPLOTLIB, MissingExtra
from mistdata.estimator.columns import Array

_INK = "#1f5f8b"
_BLANK = "#e4e4e4"
_NUMBERED = 14  # variables up to which the cells carry their number
_LONGEST = 24  # characters of a label
_OPTIMAL = 200  # variables up to which the leaves are put in their best order


def draw_square(path: Path, names: Sequence[str], values: Array, units: str) -> None:
    """Draw a symmetric matrix; variables that tell much of each other stand side by side.

    The shades follow the square root of the information, so that weak pairs differ, too.

    Args:
        path: of the PNG.
        names: of the variables.
        values: (names, names); NaN is drawn grey.
        units: of the values.

    Raises:
        MissingExtra: Matplotlib is missing.
    """
    figure_of, norm_of = _matplotlib()
    order = similar_first(values)
    shown, labels = values[np.ix_(order, order)], [_short(names[i]) for i in order]
    count = len(labels)
    size = min(max(0.2 * count, 0.5 * min(count, _NUMBERED), 2.5), 24.0)
    figure = figure_of(figsize=(size + 2.6, size + 1.6), layout="constrained")
    axis = figure.subplots()
    axis.set_facecolor(_BLANK)
    top = float(np.nanmax(shown)) if np.isfinite(shown).any() else 1.0
    image = axis.imshow(shown, cmap="viridis", norm=norm_of(0.5, vmin=0.0, vmax=top or 1.0))
    font = float(np.clip(72 * 0.72 * size / count, 3.0, 9.0))
    axis.set_xticks(range(count), labels, rotation=90, fontsize=font)
    axis.set_yticks(range(count), labels, fontsize=font)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if count <= _NUMBERED:
        _number(axis, shown, top)
    bar = figure.colorbar(image, ax=axis, shrink=0.7, aspect=30)
    bar_font = float(np.clip(0.8 * size, 8.0, 16.0))
    bar.set_label(f"mutual information, {units}", fontsize=bar_font)
    bar.ax.tick_params(labelsize=bar_font)
    figure.savefig(path, dpi=120, format="png")


def draw_intervals(
    path: Path,
    names: Sequence[str],
    lower: Array,
    median: Array,
    upper: Array,
    *,
    title: str,
    units: str,
) -> None:
    """Draw one interval for every variable, the most informative on top.

    Args:
        path: of the PNG.
        names: of the variables.
        lower: (names,) lower ends.
        median: (names,); a variable with NaN stands at the bottom without a mark.
        upper: (names,) upper ends.
        title: above the picture.
        units: of the values.

    Raises:
        MissingExtra: Matplotlib is missing.
    """
    figure_of, _ = _matplotlib()
    order = np.argsort(np.nan_to_num(median, nan=-1.0), kind="stable")
    place = np.arange(len(order))
    height = min(0.24 * len(order) + 1.2, 60.0)
    figure = figure_of(figsize=(6.4, height), layout="constrained")
    axis = figure.subplots()
    axis.hlines(place, lower[order], upper[order], color=_INK, alpha=0.45, linewidth=4)
    axis.plot(median[order], place, "o", color=_INK, markersize=5, clip_on=False, zorder=3)
    axis.set_yticks(place, [_short(names[i]) for i in order], fontsize=8)
    axis.set_ylim(-0.7, len(order) - 0.3)
    axis.set_xlim(left=0.0)
    axis.set_xlabel(f"mutual information, {units}", fontsize=9)
    axis.set_title(title, fontsize=10, loc="left")
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", color=_BLANK)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=120, format="png")


def similar_first(values: Array) -> list[int]:
    """Return an order of the variables in which strong pairs stand close together.

    Average-linkage clusters of the distances sqrt(exp(-2 I)), which is |sin| of the angle between
    two normal variables of information I; leaves in their best order.

    Args:
        values: (names, names) in nats or bits, symmetric; NaN counts as no information.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(values) < 3:
        return list(range(len(values)))
    distance = np.exp(-np.nan_to_num(values, nan=0.0))
    np.fill_diagonal(distance, 0.0)
    tree = linkage(
        squareform(distance, checks=False), "average", optimal_ordering=len(values) <= _OPTIMAL
    )
    return [int(leaf) for leaf in leaves_list(tree)]


def _number(axis: Any, shown: Array, top: float) -> None:
    """Write the value into every cell, in a shade that can be read."""
    for i, j in np.argwhere(np.isfinite(shown)):
        dark = math.sqrt(max(shown[i, j], 0.0) / (top or 1.0)) < 0.6
        colour = "white" if dark else "black"
        axis.text(j, i, f"{shown[i, j]:.2f}", ha="center", va="center", fontsize=7, color=colour)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _matplotlib() -> tuple[Any, Any]:
    """Return what a picture needs, without pyplot and its global state."""
    try:
        from matplotlib.colors import PowerNorm
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra(NEEDS_MATPLOTLIB) from None
    return Figure, PowerNorm
