"""A split-conformal layer: what the quantiles miss, by size of the sample, is put right.

Trained quantiles may be a little too narrow for some sizes. For every stratum of n and of the
number of columns, and every level τ, held-out datasets give the factor f by which the distance of
the quantile from the median must grow (or shrink) so that a share τ of the true values lies below

    q'_τ = m + f_τ (q_τ - m),

and a quantile of 0 stays 0: it says that independence is not ruled out.

For N exchangeable held-out datasets in a stratum, f_τ is the ⌈(N + 1) τ⌉-th smallest of the scores
(I - m) / (q_τ - m), which bounds the share from below by τ for new datasets of the same mixture
(and likewise below the median, with both signs turned).

References:
    Conformalized quantile regression (Romano, Patterson and Candès, 2019), arXiv 1905.03222.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

ROWS = (100, 1_000)  # edges of the strata of n
COLUMNS = (6, 24)  # and of dim_x + dim_y
FEWEST = 200  # datasets that a stratum needs; else its factors are 1
RANGE = (0.5, 2.0)  # of the factors
_TINY = 1e-6  # nats


def stratum(n: int, columns: int) -> tuple[int, int]:
    """Number the stratum of n rows and dim_x + dim_y columns."""
    return sum(n >= edge for edge in ROWS), sum(columns >= edge for edge in COLUMNS)


def no_factors(levels: int) -> Tensor:
    """The layer that changes nothing: (strata of n, strata of columns, levels) ones."""
    return torch.ones(len(ROWS) + 1, len(COLUMNS) + 1, levels)


def calibrated(quantiles: Tensor, factors: Tensor, middle: int) -> Tensor:
    """Move quantiles away from their median, or towards it.

    Args:
        quantiles: (batch, levels) in nats, ≥ 0 and non-decreasing.
        factors: (levels,) ≥ 0.
        middle: index of the median.

    Returns:
        (batch, levels), ≥ 0 and non-decreasing.
    """
    median = quantiles[:, middle : middle + 1]
    moved = (median + factors * (quantiles - median)).clamp_min(0)
    moved = moved.where(quantiles > 0, torch.zeros_like(moved))
    upper = moved[:, middle:].cummax(dim=1).values
    lower = moved[:, : middle + 1].flip(1).cummin(dim=1).values.flip(1)
    return torch.cat([lower[:, :-1], upper], dim=1)


def fit_factors(
    quantiles: np.ndarray,
    mi: np.ndarray,
    n: np.ndarray,
    columns: np.ndarray,
    levels: tuple[float, ...],
) -> Tensor:
    """Find the factors of every stratum and level from held-out datasets.

    Args:
        quantiles: (datasets, levels) of a network without this layer, in nats.
        mi: (datasets,) true values in nats.
        n: (datasets,) rows.
        columns: (datasets,) dim_x + dim_y.
        levels: of the quantiles, 0.5 among them.

    Returns:
        (strata of n, strata of columns, levels).
    """
    factors = no_factors(len(levels))
    where = np.array([stratum(*each) for each in zip(n.tolist(), columns.tolist(), strict=True)])
    for row in range(factors.shape[0]):
        for column in range(factors.shape[1]):
            inside = (where == (row, column)).all(axis=1)
            if inside.sum() >= FEWEST:
                found = [
                    _factor(quantiles[inside], mi[inside], number, levels)
                    for number in range(len(levels))
                ]
                factors[row, column] = torch.tensor(found)
    return factors


def _factor(
    quantiles: np.ndarray, mi: np.ndarray, number: int, levels: tuple[float, ...]
) -> float:
    """The factor of one level in one stratum."""
    level, median = levels[number], quantiles[:, levels.index(0.5)]
    if level == 0.5:
        return 1.0
    above = level > 0.5
    reach = quantiles[:, number] - median if above else median - quantiles[:, number]
    miss = mi - median if above else median - mi
    scores = miss / (reach + _TINY)
    if not above:
        scores = np.where(quantiles[:, number] > 0, scores, -np.inf)  # 0 stays, and covers
    scores = np.sort(scores)
    share = level if above else 1 - level
    rank = min(math.ceil((len(scores) + 1) * share), len(scores))
    return float(np.clip(scores[rank - 1], *RANGE))
