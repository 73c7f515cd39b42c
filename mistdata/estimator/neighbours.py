"""A second opinion from nearest neighbours: does the sample hold what the network does not see?

The network knows what it was trained on. Fine patterns of few columns (a checkerboard, a fast
sine, an exclusive or) it may take for independence, and be sure of it. Nearest neighbours need no
training, and in few columns they find rather too little than too much: where they find clearly
more than the network's quantiles allow, these are refuted. In up to three columns of numbers they
err less than the network from some hundred rows on, and the answer is weighed of both.

With ε_i the distance from row i to its k-th nearest neighbour, in the maximum norm over the normal
scores of all columns, and n_x(i), n_y(i) how many other rows are strictly nearer than ε_i on one
side, m rows give

    Î_m = 1/m Σ_i [ψ(k) + ψ(m) - ψ(n_x(i) + 1) - ψ(n_y(i) + 1)]      (nats).

Ties (symbols, counts) are broken by noise of 1e-9 scores; but where the answer is weighed and a
column has an atom or two (no rain, no claim, a limit of detection), ties are kept: of a row with
ε_i = 0, k is how many other rows equal it, and n_x + 1, n_y + 1 how many equal it on one side (Gao
et al.). Rows must be independent: a row and its copy are nearest neighbours on both sides,
whatever X and Y have to do with each other. Other samples of which rows repeat are not asked.

References:
    Estimating mutual information (Kraskov, Stögbauer, Grassberger, 2004), eq. 8, and its
    remark on degenerate data for the noise; https://doi.org/10.1103/PhysRevE.69.066138.
    Estimating mutual information for discrete-continuous mixtures (Gao et al., 2017), for atoms;
    https://arxiv.org/abs/1709.06212
    Of a category and numbers this is the estimate of Mutual information between discrete and
    continuous data sets (Ross, 2014), https://doi.org/10.1371/journal.pone.0087357
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mistdata.estimator.columns import Array
from mistdata.estimator.normal import Normal
from mistdata.estimator.prepare import evenly, hashed_order, prepared, rank
from mistdata.estimator.sample import Sample

COLUMNS = 8  # most columns of X and Y together: in more, neighbours are far and find little
FEWEST = 50  # rows below which they tell nothing
DISTINCT = 0.9  # share of the rows that must differ from each other
ROWS, SUSPECTED = 512, 0.75  # rows compared at first, and the quantile that they must exceed
MORE, REFUTED = 2048, 0.95  # to be asked for more, and what these must exceed,
CLEAR = 3.0  # by so many standard errors
K = 3
# Rows close by have like terms: the error of their mean over that of independent terms. With it
# the intervals of normal classes hold (tests/estimator/test_classes.py).
ALIKE = 1.3
NOISE = 1e-9  # that breaks ties
TREES = 1024  # rows from which on trees are faster than all distances
FEW, LEAST = 3, 100  # most columns, and fewest rows, in which the answer is weighed of both
ALL = 16384  # most rows that neighbours are asked of then
ATOMS, BESIDE = 2, 0.05  # values that may repeat in such a column, and fewest rows beside them
TRUST = 2.0  # so many times the network's spread counts, which knows nothing of other families


def second_opinion(sample: Sample, levels: Sequence[float], quantiles: Array) -> Normal | None:
    """Return what nearest neighbours find, where that refutes the network.

    Args:
        sample: a category counts as one column, however many the network sees.
        levels: of the quantiles.
        quantiles: of the network, (levels,) in nats.

    Returns:
        None where the network is not refuted: always of fewer than 50 rows, more than 8 columns,
        or where more than a tenth of the rows repeat others.
    """
    n = len(sample.x)
    if n < FEWEST or sum(sample.columns) > COLUMNS:
        return None
    values = sample.values
    if len(np.unique(values, axis=0)) < DISTINCT * n:
        return None
    suspected, refuted = np.interp([SUSPECTED, REFUTED], levels, quantiles)
    scores = _Scores(values, sample.x.shape[1])
    value, error = scores.find(ROWS)
    if value - error <= suspected:
        return None
    rows = min(n, MORE)
    value, error = scores.find(rows)
    if value - CLEAR * error <= refuted:
        return None
    return grown(value, error, scores.find(rows // 4)[0])


def weighed(
    sample: Sample, levels: Sequence[float], quantiles: Array, atoms: bool = False
) -> Array | None:
    """Return quantiles between the network's and the neighbours', where columns are few.

    With σ the spread of the network and e that of the neighbours, a share (2σ)² / ((2σ)² + e²) is
    the neighbours' and the rest the network's.

    Args:
        sample: as `join` makes it.
        levels: of the quantiles.
        quantiles: of the network, (levels,) in nats.
        atoms: only where a column has some.

    Returns:
        (levels,), non-decreasing. None of more than 3 columns or fewer than 100 rows, and where
        more than a tenth of the rows of a column repeat others, its two most frequent values and
        their rows aside.
    """
    n, dim_x = sample.x.shape
    if n < LEAST or dim_x + sample.y.shape[1] > FEW:
        return None
    values = sample.values
    kinds = [_ties(column) for column in values.T]
    if "many" in kinds or (atoms and "atoms" not in kinds):
        return None
    scores, rows = _Scores(values, dim_x, ALL, keep="atoms" in kinds), min(n, ALL)
    theirs = grown(*scores.find(rows), scores.find(rows // 4)[0])
    low, high = np.interp([0.05, 0.95], levels, quantiles)
    own = (TRUST * (high - low) / 3.29) ** 2  # a normal distribution has 3.29 σ between them
    share = own / (own + theirs.error**2)
    return np.asarray(share * theirs.quantiles(levels) + (1 - share) * quantiles)


def between(x: Array, y: Array, most: int) -> tuple[float, float]:
    """Return Î of two columns, and its standard error.

    Args:
        x: (n,), of which hardly any value repeats.
        y: (n,), likewise.
        most: rows that are asked.
    """
    scores = _Scores(np.column_stack([x, y]), 1, most)
    return scores.find(most)


def grown(value: float, error: float, quarter: float) -> Normal:
    """Return what neighbours tell: N(Î_m, (s + g)²), g = max(0, Î_m - Î_(m/4)).

    The error of fine patterns in two columns halves from m/4 to m rows: as much again is missing.

    Args:
        value: Î of m rows.
        error: its standard error s.
        quarter: Î of a quarter of them.
    """
    return Normal(value, error + max(0.0, value - quarter))


def _ties(column: Array) -> Literal["few", "atoms", "many"]:
    """Tell numbers that hardly repeat from those that do at one or two values, and from others."""
    n, times = len(column), np.unique(column, return_counts=True)[1]
    if len(times) >= DISTINCT * n:
        return "few"
    atoms = np.sort(times)[-ATOMS:]
    beside = n - int(atoms.sum())
    others = len(times) - len(atoms)
    return "atoms" if beside >= BESIDE * n and others >= DISTINCT * beside else "many"


def ordered_scores(values: Array, most: int) -> tuple[Tensor, Tensor]:
    """Normal scores of some rows, in an order that no reordering of rows or columns changes.

    Args:
        values: (n, columns).
        most: rows, evenly along that order.

    Returns:
        Scores, (min(n, most), columns), and which rows they are.
    """
    cells = torch.from_numpy(values).unsqueeze(0)
    doubled = rank(cells).doubled
    order = hashed_order(doubled)[0]
    rows = order[evenly(len(order), min(most, len(order)), order.device)]
    return prepared(cells, doubled, "rank", torch.float64)[0][rows], rows


class _Scores:
    """Normal scores.

    Args:
        values: (n, dim_x + dim_y).
        dim_x: how many of the columns are X.
        most: rows to keep.
        keep: ties, rather than break them.
    """

    def __init__(self, values: Array, dim_x: int, most: int = MORE, keep: bool = False) -> None:
        scores, _ = ordered_scores(values, most)
        if not keep:
            noise = torch.Generator("cpu").manual_seed(0)
            scores += NOISE * torch.randn(
                scores.shape, generator=noise, dtype=scores.dtype, device="cpu"
            )
        self._keep = keep
        self._x, self._y = scores[:, :dim_x], scores[:, dim_x:]

    def find(self, rows: int) -> tuple[float, float]:
        """Return the estimate from a share of the rows, and its standard error."""
        chosen = evenly(len(self._x), min(rows, len(self._x)), self._x.device)
        x, y = self._x[chosen], self._y[chosen]
        trees = self._keep or len(x) > TREES
        terms = _terms_of_trees(x, y) if trees else _terms(_apart(x), _apart(y))
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
    known = torch.tensor([K, len(x)], dtype=torch.float64, device=x.device).digamma().sum()
    return known - nearer_x.digamma() - nearer_y.digamma()


def _terms_of_trees(x: Tensor, y: Tensor) -> Tensor:
    """The same, (n,), from the normal scores, by trees; ties are kept."""
    points, sides = torch.cat([x, y], dim=1).numpy(), (x.numpy(), y.numpy())
    radius = tree_of(points).query(points, k=[K + 1], p=np.inf)[0][:, 0]
    tied, below = radius == 0, np.nextafter(radius, 0)
    below[tied] = 0
    near = [
        tree_of(side).query_ball_point(side, below, p=np.inf, return_length=True) for side in sides
    ]
    own = np.full(len(points), K + 1)
    if tied.any():
        own[tied] = tree_of(points).query_ball_point(points[tied], 0, p=np.inf, return_length=True)
    # A row is near itself: of ties it is left out, beside others it is the one more of n_x + 1.
    counts = np.stack(
        [own - 1, np.full(len(points), len(points)), *(each - tied for each in near)]
    )
    psi = torch.from_numpy(counts).double().digamma()
    return psi[0] + psi[1] - psi[2] - psi[3]


def tree_of(points: Array) -> Any:
    """Return SciPy's tree of points, (n, columns)."""
    from scipy.spatial import KDTree  # most estimates do without

    return KDTree(points)
