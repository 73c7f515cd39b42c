"""A split-conformal layer: what the quantiles miss, by size of the sample, is put right.

Trained quantiles may lie a little low or high, or too close together, for some sizes. For every
stratum of n and of the number of columns, and every level τ, held-out datasets give the offset
c_τ of

    q'_τ = q_τ + c_τ min(q_τ, w),

where w is the distance of the outermost quantiles: a quantile moves by a share of the spread; near
0 by a share of itself, so that a quantile of 0, which says that independence is not ruled out,
stays 0. The median, which is the estimate, does not move: a share that is right for a stratum as a
whole helps families that are hard to tell, and costs all others (docs/decisions.md).

Among the N exchangeable held-out datasets of a stratum whose q_τ is above 0, c_τ is the
⌈(N + 1) τ⌉-th smallest of the scores (I - q_τ) / min(q_τ, w), which bounds the share of I ≤ q'_τ
from below by τ for new datasets of the same mixture; below the median both signs are turned. An
offset is cut at ±1/2, and where it is cut nothing is promised.

References:
    Conformalized quantile regression (Romano, Patterson and Candès, 2019), arXiv 1905.03222.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

ROWS = (30, 100, 1_000)  # edges of the strata of n
COLUMNS = (6, 24)  # and of dim_x + dim_y
FEWEST = 200  # datasets that a stratum needs; else nothing moves in it
MEDIAN = 0.5
MOST = 0.5  # largest size of an offset


def stratum(n: int, columns: int) -> tuple[int, int]:
    """Number the stratum of n rows and dim_x + dim_y columns."""
    return sum(n >= edge for edge in ROWS), sum(columns >= edge for edge in COLUMNS)


def no_offsets(levels: int) -> Tensor:
    """The layer that changes nothing: (strata of n, strata of columns, levels) zeros."""
    return torch.zeros(len(ROWS) + 1, len(COLUMNS) + 1, levels)


def calibrated(quantiles: Tensor, offsets: Tensor, middle: int) -> Tensor:
    """Move quantiles by shares of their spread.

    Args:
        quantiles: (batch, levels) in nats, ≥ 0 and non-decreasing.
        offsets: (levels,) above -1.
        middle: index of the median, from which crossing quantiles are put in order.

    Returns:
        (batch, levels), ≥ 0 and non-decreasing.
    """
    width = quantiles[:, -1:] - quantiles[:, :1]
    moved = quantiles + offsets * torch.minimum(quantiles, width)
    upper = moved[:, middle:].cummax(dim=1).values
    lower = moved[:, : middle + 1].flip(1).cummin(dim=1).values.flip(1)
    return torch.cat([lower[:, :-1], upper], dim=1)


def fit_offsets(
    quantiles: np.ndarray,
    mi: np.ndarray,
    n: np.ndarray,
    columns: np.ndarray,
    levels: tuple[float, ...],
) -> Tensor:
    """Find the offsets of every stratum and level from held-out datasets.

    Args:
        quantiles: (datasets, levels) of a network without this layer, in nats.
        mi: (datasets,) true values in nats.
        n: (datasets,) rows.
        columns: (datasets,) dim_x + dim_y.
        levels: of the quantiles.

    Returns:
        (strata of n, strata of columns, levels).
    """
    offsets = no_offsets(len(levels))
    where = np.array([stratum(*each) for each in zip(n.tolist(), columns.tolist(), strict=True)])
    for row in range(offsets.shape[0]):
        for column in range(offsets.shape[1]):
            inside = (where == (row, column)).all(axis=1)
            width = quantiles[inside, -1] - quantiles[inside, 0]
            for number, level in enumerate(levels):
                if level == MEDIAN:
                    continue
                found = _offset(quantiles[inside, number], width, mi[inside], level)
                offsets[row, column, number] = found
    return offsets


def _offset(quantile: np.ndarray, width: np.ndarray, mi: np.ndarray, level: float) -> float:
    """The offset of one level in one stratum; 0 if too few of its quantiles are above 0."""
    reach = np.minimum(quantile, width)
    moves = reach > 0
    if moves.sum() < FEWEST:
        return 0.0
    scores = (mi[moves] - quantile[moves]) / reach[moves]
    sign, share = (1, level) if level >= 0.5 else (-1, 1 - level)
    rank = min(math.ceil((len(scores) + 1) * share), len(scores))
    return float(np.clip(sign * np.sort(sign * scores)[rank - 1], -MOST, MOST))
