"""Pictures of what is sampled: one dataset, and the gallery of all families.

What they show is chosen for the eye: a coordinate with few distinct values is spread over the gaps
between them, so that rows do not hide each other, and rows far out in a tail fall off the panel.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.families import FAMILIES, GROUPS
from mistdata.distributions.priors import Array
from mistdata.errors import NEEDS_MATPLOTLIB, MissingExtra

_COLUMNS = 8
_GALLERY_ROWS = 500
_GALLERY_DRAWS = 32
_GALLERY_RANK = 3
_GALLERY_NATS = 0.7  # enough to see, and not so much that a line is all there is
_HEADING, _TITLE, _PANEL = 0.45, 0.45, 1.45  # heights in the gallery, inches
_PANELS = 4  # coordinates of a side in the picture of one sample
_INK = "#1f5f8b"
_STEP_X, _STEP_Y = 0.7548776662466927, 0.5698402909980532  # of the R2 low-discrepancy sequence


def draw_gallery(path: Path, seed: int = 0) -> None:
    """Draw one panel per family: of 32 members drawn, one whose MI is near 0.7 nats.

    A panel shows the coordinates of X and of Y that depend on each other most, or, where X needs
    two coordinates and Y has one, the plane of X with Y as colour.

    Raises:
        MissingExtra: Matplotlib is missing.
    """
    pyplot = load_pyplot()
    rows = [math.ceil(len(names) / _COLUMNS) for names in GROUPS.values()]
    heights = [_HEADING + count * (_TITLE + _PANEL) for count in rows]
    figure = pyplot.figure(figsize=(1.15 * _PANEL * _COLUMNS, sum(heights)))
    bands = figure.subfigures(len(rows), 1, height_ratios=heights)
    for band, height, count, group in zip(bands, heights, rows, GROUPS.items(), strict=True):
        title, names = group
        band.suptitle(
            title, fontsize=12, fontweight="bold", x=0.01, y=1 - 0.22 / height, ha="left"
        )
        axes = band.subplots(count, _COLUMNS, squeeze=False).ravel()
        band.subplots_adjust(0.01, 0.02 / height, 0.99, 1 - (_HEADING + _TITLE) / height)
        band.subplots_adjust(wspace=0.08, hspace=_TITLE / _PANEL)
        for name, axis in zip(names, axes, strict=False):
            _draw_family(axis, name, seed)
        for axis in axes[len(names) :]:
            axis.set_axis_off()
    figure.savefig(path, dpi=90, format="png")
    pyplot.close(figure)


def draw_sample(path: Path, member: JointDistribution, x: Array, y: Array, title: str) -> None:
    """Draw one dataset: every coordinate of X against every one of Y, the first four of each.

    Raises:
        MissingExtra: Matplotlib is missing.
    """
    pyplot = load_pyplot()
    across, down = min(_PANELS, member.dim_x), min(_PANELS, member.dim_y)
    panel = 3.6 if across == down == 1 else 2.2
    figure, axes = pyplot.subplots(
        down,
        across,
        figsize=(max(panel * across + 0.6, 5.0), panel * down + 0.9),
        squeeze=False,
        sharex="col",
        sharey="row",
        layout="constrained",
    )
    for j, row in enumerate(axes):
        for i, axis in enumerate(row):
            _scatter(axis, x[:, i], y[:, j], size=5.0)
            axis.tick_params(labelsize=7)
    for i, axis in enumerate(axes[-1]):
        axis.set_xlabel(_name("x", i, x[:, i]), fontsize=8)
    for j, axis in enumerate(axes[:, 0]):
        axis.set_ylabel(_name("y", j, y[:, j]), fontsize=8)
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=100, format="png")
    pyplot.close(figure)


def panel(x: Array, y: Array) -> tuple[list[float | None], list[float | None]]:
    """Return the coordinates of X and Y that depend most, as they are drawn, on [0, 1].

    Args:
        x: (n, dim_x).
        y: (n, dim_y).

    Returns:
        Two lists of n positions; None where a row falls off the panel.
    """
    one, other = _strongest_pair(x, y)
    return _placed(one, _STEP_X), _placed(other, _STEP_Y)


def _placed(values: Array, step: float) -> list[float | None]:
    low, high = _view(values)
    places = _spread(values, step)
    if _scale(values) == "log":
        low, high, places = math.log(low), math.log(high), np.log(places)
    shares = (places - low) / (high - low)
    return [round(float(share), 4) if 0 <= share <= 1 else None for share in shares]


def _draw_family(axis: Any, name: str, seed: int) -> None:
    member, mi = _member_to_show(FAMILIES[name], seed)
    x, y = member.sample(_GALLERY_ROWS, np.random.default_rng(seed))
    if (member.dim_x, member.dim_y) == (2, 1):
        what = "x1, x2, colour y"
        _scatter(axis, x[:, 0], x[:, 1], size=6.0, color=None, c=_ranks(y)[:, 0], alpha=0.9)
    else:
        what = f"{member.dim_x} × {member.dim_y}"
        _scatter(axis, *_strongest_pair(x, y), size=3.0)
    axis.minorticks_off()
    axis.set(xticks=[], yticks=[])
    axis.set_title(f"{name}\n{what}, {mi:.2f} nats{_scales(axis)}", fontsize=8)


def _scales(axis: Any) -> str:
    logarithmic = [side for side in "xy" if getattr(axis, f"get_{side}scale")() == "log"]
    return f", log {', '.join(logarithmic)}" if logarithmic else ""


def _member_to_show(family: type[JointDistribution], seed: int) -> tuple[JointDistribution, float]:
    """Draw members and return the fourth nearest to 0.7 nats, with its MI.

    Where the family tells less than that, the nearest is its noiseless limit, which hides what
    makes it a family of its own.
    """
    rng = np.random.default_rng(seed)
    dims = family.shape.nearest(1, 1)
    members = [family.draw(*dims, rng) for _ in range(_GALLERY_DRAWS)]
    drawn = [(member, member.mutual_information().value) for member in members]
    return sorted(drawn, key=lambda each: abs(each[1] - _GALLERY_NATS))[_GALLERY_RANK]


def _ranks(side: Array) -> Array:
    ranks: Array = np.argsort(np.argsort(side, axis=0), axis=0).astype(float)
    return ranks


def _strongest_pair(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the columns of X and Y with the largest absolute rank correlation."""
    ranks = [_ranks(side) for side in (x, y)]
    standard = [(r - r.mean(axis=0)) / (r.std(axis=0) + 1e-12) for r in ranks]
    correlation = np.abs(standard[0].T @ standard[1])
    i, j = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    return x[:, i], y[:, j]


def _scatter(axis: Any, x: Array, y: Array, size: float, **style: Any) -> None:
    style = {"color": _INK, "alpha": 0.5, "linewidths": 0} | style
    axis.scatter(_spread(x, _STEP_X), _spread(y, _STEP_Y), s=size, **style)
    axis.set(xscale=_scale(x), yscale=_scale(y), xlim=_view(x), ylim=_view(y))


def _name(letter: str, position: int, values: Array) -> str:
    return f"{letter}{position + 1}" + (", spread" if _is_discrete(values) else "")


def _is_discrete(values: Array) -> bool:
    """Tell whether a column takes few distinct values."""
    return 1 < len(np.unique(values)) <= len(values) / 4


def _scale(values: Array) -> str:
    """Choose logarithms for a positive column whose quartiles differ by an order of magnitude."""
    first, third = np.quantile(values, [0.25, 0.75])
    long = bool(values.min() > 0.0 and third > 8.0 * first)
    return "log" if long and not _is_discrete(values) else "linear"


def _gap(values: Array) -> float:
    return float(np.diff(np.unique(values)).min())


def _spread(values: Array, step: float) -> Array:
    """Spread a discrete column evenly over three fifths of its least gap.

    The positions are those of a low-discrepancy sequence: the same every time, and no random
    numbers that the sample may have been drawn with.
    """
    if not _is_discrete(values):
        return values
    positions = np.arange(1, len(values) + 1) * step % 1.0
    spread: Array = values + 0.6 * _gap(values) * (positions - 0.5)
    return spread


def _view(values: Array) -> tuple[float, float]:
    """Return the ends of an axis: the inner 98 %, of a continuous column within Tukey's fences.

    The fences lie 1.5 interquartile ranges outside the quartiles.
    """
    if _scale(values) == "log":
        low, high = _within_fences(np.log(values))
        return math.exp(low), math.exp(high)
    if _is_discrete(values):
        low, high = np.quantile(values, [0.01, 0.99])
        return float(low - 0.7 * _gap(values)), float(high + 0.7 * _gap(values))
    return _within_fences(values)


def _within_fences(values: Array) -> tuple[float, float]:
    low, first, third, high = np.quantile(values, [0.01, 0.25, 0.75, 0.99])
    reach = 1.5 * (third - first)
    if reach > 0.0:
        low, high = max(low, first - reach), min(high, third + reach)
    margin = 0.08 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def load_pyplot() -> Any:
    """Import pyplot, set to draw into files.

    Raises:
        MissingExtra: Matplotlib is missing.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingExtra(NEEDS_MATPLOTLIB) from None
    matplotlib.use("agg")
    import matplotlib.pyplot as pyplot

    return pyplot
