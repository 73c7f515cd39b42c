"""The k-nearest-neighbour estimator of Kraskov, Stögbauer and Grassberger, and its bootstrap.

With ε_i the distance from row i to its k-th nearest neighbour in the maximum norm over all columns
of X and Y, and n_x(i), n_y(i) the numbers of other rows strictly nearer than ε_i in X alone and
in Y alone,

    Î = ψ(k) + ψ(n) - 1/n Σ_i [ψ(n_x(i) + 1) + ψ(n_y(i) + 1)].

Every column is divided by its standard deviation first. Ties (symbols, counts, single precision)
would put several rows at the same distance: as the authors do, normal noise of 1e-10 of a standard
deviation is added, which changes no order but that of ties. Î may be negative.

References:
    Estimating mutual information (Kraskov, Stögbauer, Grassberger, 2004), eq. 8, and its
    remark on degenerate data for the noise; https://doi.org/10.1103/PhysRevE.69.066138
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from scipy.special import digamma

from mistdata.baselines.answer import Answer, distribution_answer
from mistdata.distributions.priors import Array

_NOISE = 1e-10
_TREE = 8  # up to so many columns trees are faster
_ROWS = 128

Estimate = Callable[[Array, Array, np.random.Generator], float]


def ksg(*, k: int = 3) -> Estimate:
    """The estimator with k neighbours; the authors recommend 2 to 4.

    Args:
        k: neighbours, at least 1. A small k has less bias, a large k less variance.

    Returns:
        The estimator: x (n, dim_x), y (n, dim_y) and the source of the noise, to nats. It raises
        ValueError unless n > k.

    Raises:
        ValueError: k is not a whole number >= 1.
    """
    _require_whole("k", k)

    def estimate(x: Array, y: Array, rng: np.random.Generator) -> float:
        return float(local_terms(untied(x, rng), untied(y, rng), k).mean())

    return estimate


def ksg_bootstrap(
    *, k: int = 3, resamples: int = 100
) -> Callable[[Array, Array, np.random.Generator], Answer]:
    """The estimator with percentile-bootstrap quantiles.

    Rows are drawn with replacement. A row drawn twice would be its own neighbour at distance 0 in
    X and in Y, which the estimator takes for dependence; so neighbours are counted among distinct
    rows, about 63 % of n, and every row weighs as often as it was drawn.

    Args:
        k: neighbours, at least 1.
        resamples: at least 2.

    Returns:
        The estimator; its number is that of `ksg` on all rows.

    Raises:
        ValueError: k or resamples is no such number.
    """
    _require_whole("k", k)
    _require_whole("resamples", resamples, least=2)

    def estimate(x: Array, y: Array, rng: np.random.Generator) -> Answer:
        x, y = untied(x, rng), untied(y, rng)
        draws = np.array([_resampled(x, y, k, rng) for _ in range(resamples)])
        return distribution_answer(float(local_terms(x, y, k).mean()), draws)

    return estimate


def local_terms(x: Array, y: Array, k: int) -> Array:
    """Return ψ(k) + ψ(n) - ψ(n_x(i) + 1) - ψ(n_y(i) + 1) for every row, (n,); nats.

    Args:
        x: (n, dim_x), without ties.
        y: (n, dim_y), without ties.
        k: neighbours.

    Raises:
        ValueError: n <= k.
    """
    n = len(x)
    if n <= k:
        raise ValueError(f"n must exceed k = {k}, got {n} rows")
    find = nearer_by_tree if x.shape[1] + y.shape[1] <= _TREE else nearer_by_distances
    nearer_x, nearer_y = find(x, y, k)
    return np.asarray(digamma(k) + digamma(n) - digamma(nearer_x + 1) - digamma(nearer_y + 1))


def nearer_by_tree(x: Array, y: Array, k: int) -> tuple[Array, Array]:
    """Return n_x and n_y of every row, (n,) each, by trees: for few columns."""
    joint = np.concatenate([x, y], axis=1)
    distance = KDTree(joint).query(joint, k=[k + 1], p=np.inf)[0][:, 0]
    within = np.nextafter(distance, 0.0)
    counts = [
        KDTree(side).query_ball_point(side, within, p=np.inf, return_length=True) - 1
        for side in (x, y)
    ]
    return counts[0], counts[1]


def nearer_by_distances(x: Array, y: Array, k: int) -> tuple[Array, Array]:
    """Return the same from all distances, some rows at a time: for many columns."""
    counts = []
    for rows in np.array_split(np.arange(len(x)), max(1, len(x) // _ROWS)):
        apart = [cdist(side[rows], side, "chebyshev") for side in (x, y)]
        distance = np.partition(np.maximum(*apart), k, axis=1)[:, k, None]
        counts.append([(side < distance).sum(axis=1) - 1 for side in apart])
    nearer_x, nearer_y = (np.concatenate(side) for side in zip(*counts, strict=True))
    return nearer_x, nearer_y


def untied(x: Array, rng: np.random.Generator) -> Array:
    """Standardise every column and add the noise that breaks ties, (n, dim) to (n, dim)."""
    x = np.asarray(x, np.float64)
    scale = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(scale > 0.0, scale, 1.0)
    return np.asarray(x + _NOISE * rng.standard_normal(x.shape))


def _resampled(x: Array, y: Array, k: int, rng: np.random.Generator) -> float:
    n = len(x)
    times = np.bincount(rng.integers(0, n, n), minlength=n)
    drawn = times > 0
    return float(np.average(local_terms(x[drawn], y[drawn], k), weights=times[drawn]))


def _require_whole(name: str, value: int, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
