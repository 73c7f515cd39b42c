"""A category beside numbers: nearest neighbours within each class.

A category without an order reaches the network as indicator columns, of which it has seen few, and
three or more classes it takes for less than they tell. Beside few columns of numbers neighbours do
better (`tests/estimator/test_classes.py`), and they answer instead. With N_c the rows of class c,
ε_i the distance from row i to its k-th nearest neighbour in its own class, in the maximum norm
over normal scores, k_i and m_i how many other rows of its class and of all are not farther than
that, n rows give

    Î = 1/n Σ_i [ψ(n) - ψ(N_c(i)) + ψ(k_i) - ψ(m_i)]      (nats).

k is 3, or what the class has. Without ties this is the estimate of Ross; of tied numbers all
are counted that are as far as the k-th. The only row of a class tells nothing and is left out. Of
more than 4,096 rows so many are asked. Rows must be independent: `looks_copied` tells those that
hardly are.

Neighbours find too little in many columns, the more so where some of them have nothing to do with
the classes. Distances in d columns shrink as n^(-1/d); if what is missing does, too, and g is how
much Î grew from a quarter of the rows, r = g / (4^(1/d) - 1) is still missing. The answer is that
of N(Î + r/4, (s + max(g, r/2))²) with Î's standard error s: of normal classes r is too much, of an
exclusive or too little.

References:
    Mutual information between discrete and continuous data sets (Ross, 2014),
    https://doi.org/10.1371/journal.pone.0087357
    Estimating mutual information for discrete-continuous mixtures (Gao et al., 2017), for ties;
    https://arxiv.org/abs/1709.06212
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from mistdata.estimator.columns import Array
from mistdata.estimator.neighbours import (
    ALIKE,
    COLUMNS,
    DISTINCT,
    K,
    ordered_scores,
    tree_of,
)
from mistdata.estimator.normal import Normal
from mistdata.estimator.sample import Sample
from mistdata.estimator.tables import Symbols

FEWEST, FEWEST_EACH = 100, 50  # rows in all, and for each column of numbers
SHARE = 5  # fewest rows of a class, on average
MOST = 4096  # rows that are asked
# Rows look copied where few differ at all, at most so many more than numbers do, and these are
# still so many, both as a share.
ALSO, MANY = 0.1, 0.05
COPIED = (
    "rows repeat, and where their numbers are equal so is their category: if they are copies or"
    " repeated measurements rather than independent, the information is less"
)


def between_classes(sample: Sample, x: Symbols | None, y: Symbols | None) -> Normal | None:
    """Return what neighbours find where one side is a category and the other is not.

    Args:
        sample: a category is one column that was read, or a column of two values.
        x: the values of its side X, where they are few.
        y: those of Y.

    Returns:
        None where no side is a category, or both are; of fewer than 100 rows, 50 for each other
        column, or 5 for each class; and beside more than 7 other columns.
    """
    n, columns = len(sample.x), sample.columns
    sides = ((sample.x, columns[0], x), (sample.y, columns[1], y))
    classes = [_is_category(*side) for side in sides]
    if classes[0] == classes[1]:
        return None
    (_, _, symbols), (numbers, read, _) = sides if classes[0] else sides[::-1]
    assert symbols is not None
    fewest = max(FEWEST, FEWEST_EACH * read, SHARE * symbols.size)
    if n < fewest or read > COLUMNS - 1:
        return None
    alike = np.bincount(symbols.codes)[symbols.codes]  # whatever the classes are called
    scores, rows = ordered_scores(np.column_stack([alike, numbers]), MOST)
    points, codes = scores[:, 1:].numpy(), symbols.codes[rows.numpy()]
    value, error = _find(codes, points)
    return _extrapolated(value, error, _find(codes[::4], points[::4])[0], points.shape[1])


def looks_copied(sample: Sample) -> bool:
    """Whether rows repeat as copies do: a category beside many numbers, equal where these are.

    Args:
        sample: of which neighbours within classes are asked.
    """
    n = len(sample.x)
    whole = len(np.unique(sample.values, axis=0))
    numbers = max(len(np.unique(side, axis=0)) for side in (sample.x, sample.y))
    return MANY * n < numbers and whole <= min((1 + ALSO) * numbers, DISTINCT * n)


def _extrapolated(value: float, error: float, quarter: float, columns: int) -> Normal:
    growth = max(0.0, value - quarter)
    missing = growth / (4 ** (1 / columns) - 1)
    return Normal(value + missing / 4, error + max(growth, missing / 2))


def _is_category(side: Array, read: int, symbols: Symbols | None) -> bool:
    return symbols is not None and read == 1 and (side.shape[1] > 1 or symbols.size == 2)


def _find(codes: npt.NDArray[np.int64], points: Array) -> tuple[float, float]:
    """Return Î, 0 where every row is the only one of its class, and its standard error."""
    found = np.unique(codes, return_inverse=True)[1]
    size = np.bincount(found)[found]
    if (size == 1).all():
        return 0.0, 0.0
    near, radius = np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes))
    for number in np.unique(found[size > 1]):
        rows = np.flatnonzero(found == number)
        radius[rows], near[rows] = _within(points[rows])
    told = size > 1
    all_near = tree_of(points).query_ball_point(
        points[told], radius[told], p=np.inf, return_length=True
    )
    terms = _digamma(near[told]) - _digamma(all_near - 1) - _digamma(size[told])
    terms += _digamma(np.array(len(codes)))
    return float(terms.mean()), ALIKE * float(terms.std()) / len(terms) ** 0.5


def _within(points: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Distance of every row to its k-th nearest, and how many others are not farther."""
    tree = tree_of(points)
    nearest = min(K, len(points) - 1) + 1  # a row is nearest to itself
    radius: Array = tree.query(points, k=[nearest], p=np.inf)[0][:, 0]
    near = tree.query_ball_point(points, radius, p=np.inf, return_length=True)
    return radius, near - 1


def _digamma(counts: npt.NDArray[np.int64]) -> Array:
    psi: Array = torch.from_numpy(counts.astype(np.float64)).digamma().numpy()
    return psi
