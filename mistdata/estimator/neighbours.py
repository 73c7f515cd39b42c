"""A second opinion from nearest neighbours: does the sample hold what the network does not see?

The network knows what it was trained on. Fine patterns of few columns (a checkerboard, a fast
sine, an exclusive or) it may take for independence, and be sure of it. Nearest neighbours need no
training, and in few columns they find rather too little than too much: where they find clearly
more than the network's quantiles allow, these are refuted.

With ε_i the distance from row i to its k-th nearest neighbour, in the maximum norm over the normal
scores of all columns, and n_x(i), n_y(i) how many other rows are strictly nearer than ε_i on one
side, m rows give

    Î_m = 1/m Σ_i [ψ(k) + ψ(m) - ψ(n_x(i) + 1) - ψ(n_y(i) + 1)]      (nats).

Ties (symbols, counts) are broken by noise of 1e-9 scores, which changes no other order.

References:
    Estimating mutual information (Kraskov, Stögbauer, Grassberger, 2004), eq. 8, and its
    remark on degenerate data for the noise; https://doi.org/10.1103/PhysRevE.69.066138
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mistdata.estimator.columns import Array
from mistdata.estimator.prepare import chosen_rows, evenly, prepared, rank

COLUMNS = 8  # most columns of X and Y together: in more, neighbours are far and find little
FEWEST = 50  # rows below which they tell nothing
ROWS = 512  # most rows compared at first,
MORE = 2048  # and where they find more than the network by SUSPECT standard errors
SUSPECT, CLEAR = 1.0, 3.0  # and by so many it is refuted
AGAINST = 0.95  # level of the network's quantile that they must exceed
K = 3
ALIKE = 1.3  # rows close by have like terms: error of their mean over that of independent terms
NOISE = 1e-9  # that breaks ties


class Opinion(NamedTuple):
    """What the neighbours of m rows find, in nats.

    Attributes:
        value: Î_m; it may be negative.
        error: its standard error.
        growth: Î_m - Î_(m/4) where positive. The error of fine patterns in two columns halves from
            m/4 to m, so as much again is missing.
    """

    value: float
    error: float
    growth: float

    def raised(self, levels: Sequence[float], quantiles: Array) -> Array:
        """Raise the median and what lies above to quantiles of N(value, (error + growth)²).

        Lower ones stay, so that the interval holds both opinions.

        Args:
            levels: of the quantiles.
            quantiles: of the network, (levels,) in nats.

        Returns:
            (levels,), non-decreasing.
        """
        at = torch.tensor(levels, dtype=torch.float64)
        own = (self.value + (self.error + self.growth) * torch.special.ndtri(at)).numpy()
        return np.where(at.numpy() >= 0.5, np.maximum(quantiles, own), quantiles)


def second_opinion(
    x: Array, y: Array, levels: Sequence[float], quantiles: Array
) -> Opinion | None:
    """Return what nearest neighbours find, where that refutes the network.

    Args:
        x: (n, dim_x), finite.
        y: (n, dim_y).
        levels: of the quantiles.
        quantiles: of the network, (levels,) in nats.

    Returns:
        None where the network is not refuted: always of fewer than 50 rows or more than 8 columns.
    """
    if len(x) < FEWEST or x.shape[1] + y.shape[1] > COLUMNS:
        return None
    sample = _Scores(x, y)
    highest = np.interp(AGAINST, levels, quantiles)
    value, error = sample.find(ROWS)
    if value - SUSPECT * error <= highest:
        return None
    rows = min(len(x), MORE)
    value, error = sample.find(rows)
    if value - CLEAR * error <= highest:
        return None
    return Opinion(value, error, max(0.0, value - sample.find(rows // 4)[0]))


class _Scores:
    """Normal scores without ties, the rows in an order that no reordering changes.

    Args:
        x: (n, dim_x).
        y: (n, dim_y).
    """

    def __init__(self, x: Array, y: Array) -> None:
        values = torch.from_numpy(np.concatenate([x, y], axis=1)).unsqueeze(0)
        doubled = rank(values).doubled
        scores = prepared(values, doubled, "rank", torch.float64)[0]
        kept = chosen_rows(doubled, MORE)
        scores = scores if kept is None else scores[kept[0]]
        noise = torch.Generator().manual_seed(0)
        scores = scores + NOISE * torch.randn(scores.shape, generator=noise, dtype=scores.dtype)
        self._x, self._y = scores[:, : x.shape[1]], scores[:, x.shape[1] :]

    def find(self, rows: int) -> tuple[float, float]:
        """Return the estimate from a share of the rows, and its standard error."""
        chosen = evenly(len(self._x), min(rows, len(self._x)), self._x.device)
        terms = _terms(_apart(self._x[chosen]), _apart(self._y[chosen]))
        return float(terms.mean()), ALIKE * float(terms.std()) / len(terms) ** 0.5


def _apart(scores: Tensor) -> Tensor:
    """Distances of all rows in the maximum norm: (n, columns) to (n, n)."""
    first, *others = scores.unbind(dim=1)
    distances = (first.unsqueeze(1) - first).abs_()
    for column in others:
        torch.maximum(distances, (column.unsqueeze(1) - column).abs_(), out=distances)
    return distances


def _terms(x: Tensor, y: Tensor) -> Tensor:
    """The summands of Î, (n,), from the distances on either side; a row is nearest to itself."""
    radius = torch.maximum(x, y).topk(K + 1, dim=1, largest=False).values[:, K:]
    nearer_x, nearer_y = ((side < radius).sum(dim=1).double() for side in (x, y))
    known = torch.tensor([K, len(x)], dtype=torch.float64).digamma().sum()
    return known - nearer_x.digamma() - nearer_y.digamma()
