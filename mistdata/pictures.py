"""Pictures of what is sampled: one dataset, and the gallery of all families."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError

_GALLERY_ROWS = 500
_INK = "#1f5f8b"


def draw_gallery(path: Path, seed: int = 0) -> None:
    """Draw one small scatter per family: the two coordinates that depend on each other most.

    Raises:
        MistdataError: Matplotlib is missing.
    """
    pyplot = _pyplot()
    columns = 8
    rows = math.ceil(len(FAMILIES) / columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(2.1 * columns, 2.25 * rows))
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, family) in zip(axes.flat, FAMILIES.items(), strict=False):
        rng = np.random.default_rng(seed)
        member = family.draw(*family.shape.nearest(1, 1), rng)
        x, y = member.sample(_GALLERY_ROWS, rng)
        _scatter(axis, *_strongest_pair(x, y), size=3.0)
        axis.set_title(f"{name}\n{_dims(member)}  {_nats(member)}", fontsize=7)
    _save(pyplot, figure, path)


def draw_sample(path: Path, member: JointDistribution, x: Array, y: Array, title: str) -> None:
    """Draw one dataset: every coordinate of X against every one of Y, the first four of each.

    Raises:
        MistdataError: Matplotlib is missing.
    """
    pyplot = _pyplot()
    across, down = min(4, member.dim_x), min(4, member.dim_y)
    size = (2.2 * across + 0.6, 2.2 * down + 0.9)
    figure, axes = pyplot.subplots(down, across, figsize=size, squeeze=False)
    for j, row in enumerate(axes):
        for i, axis in enumerate(row):
            _scatter(axis, x[:, i], y[:, j], size=4.0)
            axis.set_axis_on()
            axis.tick_params(labelsize=6)
            axis.set_xlabel(f"x{i + 1}" if j == down - 1 else "", fontsize=8)
            axis.set_ylabel(f"y{j + 1}" if i == 0 else "", fontsize=8)
    figure.suptitle(title, fontsize=9)
    _save(pyplot, figure, path)


def _strongest_pair(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the columns of X and Y with the largest absolute rank correlation."""
    ranks = [np.argsort(np.argsort(side, axis=0), axis=0).astype(float) for side in (x, y)]
    standard = [(r - r.mean(axis=0)) / r.std(axis=0) for r in ranks]
    correlation = np.abs(standard[0].T @ standard[1])
    i, j = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    return x[:, i], y[:, j]


def _scatter(axis: Any, x: Array, y: Array, size: float) -> None:
    """Scatter within the inner 98 % of either axis, so that heavy tails do not hide the rest."""
    axis.set_axis_on()
    axis.scatter(x, y, s=size, color=_INK, alpha=0.5, linewidths=0)
    for set_limits, values in ((axis.set_xlim, x), (axis.set_ylim, y)):
        low, high = np.quantile(values, [0.01, 0.99])
        margin = 0.12 * (high - low) or 1.0
        set_limits(low - margin, high + margin)
    axis.set_xticks([])
    axis.set_yticks([])


def _dims(member: JointDistribution) -> str:
    return f"{member.dim_x}×{member.dim_y}"


def _nats(member: JointDistribution) -> str:
    return f"{member.mutual_information().value:.2f} nats"


def _save(pyplot: Any, figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise MistdataError("pictures need the extra mistdata[report]; install it") from None
    matplotlib.use("agg")
    import matplotlib.pyplot as pyplot

    return pyplot
