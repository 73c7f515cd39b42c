"""A lower bound from regression: a function of X tells no more of Y than X does.

How one number depends on several is what regression is for, and no family of the training is of
that kind: of y = |x|² + noise in five columns, or of their maximum, the network sees little, and
neighbours find little, as they are far in many columns. But for every function f

    I(f(X); Y) ≤ I(X; Y)      (data processing),

and of the two columns f(x), y neighbours tell the information well. f is kernel ridge regression
of y's normal scores on those of the other side, cross-fitted: each of four folds is predicted from
the other three. The kernels are exp(-D / 2w) and exp(-√(D / w)), D the squared distance under a
metric, scaled so that rows are √2 apart on average. The metric is learned: beginning with the
columns as they are, it is replaced up to three times by the average outer product of the gradients
of the fit, so that columns and directions that do not matter vanish. How often, the kernel and the
ridge are chosen by the error of four folds of 256 rows.

References:
    Elements of Information Theory (Cover, Thomas, 2006), theorem 2.8.1, for data processing.
    Mechanism for feature learning in neural networks and backpropagation-free machine learning
    models (Radhakrishnan et al., 2024), for the metric; https://doi.org/10.1126/science.adi5639
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mistdata.estimator.columns import Array
from mistdata.estimator.neighbours import DISTINCT, LEAST, between, ordered_scores
from mistdata.estimator.normal import deviates
from mistdata.estimator.sample import Sample
from mistdata.estimator.tables import Symbols, tabled

ROWS = 2048  # most rows that are asked
FOLDS = 4
CHOSEN, LEARNED = 256, 512  # rows on which settings are chosen, and a metric is learned
STEPS = 3  # of learning a metric
FLAT = 1e-3  # share of the largest eigenvalue of a metric that every direction keeps
NEAR, TINY = 1e-4, 1e-300  # least distance, and least eigenvalue, to divide by
EXCEEDS = 2.0  # standard errors by which an answer must be exceeded


class Kernel(NamedTuple):
    """exp(-D / 2w), or where it is rough exp(-√(D / w)), and what is added to its diagonal."""

    rough: bool
    width: float
    ridge: float

    def __call__(self, squared: Tensor) -> Tensor:
        """Return the kernel of squared distances."""
        exponent = (squared / self.width).sqrt() if self.rough else squared / (2 * self.width)
        return exponent.neg_().exp_()


KERNELS = (
    Kernel(False, 0.5, 0.03), Kernel(False, 2, 0.001), Kernel(False, 2, 0.03),
    Kernel(False, 8, 0.001), Kernel(False, 8, 0.3),
    Kernel(True, 4, 0.001), Kernel(True, 4, 0.03), Kernel(True, 4, 0.3),
)  # fmt: skip
LEARNING = Kernel(True, 4, 0.03)  # by which a metric is learned


class Bound(NamedTuple):
    """What a regression finds, in nats, and what it misses.

    Attributes:
        value: the information between prediction and number; it may be negative.
        error: its standard error s.
        growth: g, by how much it has grown since a quarter of the rows; at least s, and at most
            half of it.
    """

    value: float
    error: float
    growth: float

    def quantiles(self, levels: Sequence[float]) -> Array:
        """Return quantiles of the information: (levels,).

        As much as it has grown is still missing, by and large: the median is value + g. Below it
        they are those of a normal distribution of deviation s + g, above it of s + 2g.

        Args:
            levels: of the quantiles.
        """
        normal = deviates(levels)
        spread = self.error + self.growth * np.where(normal < 0, 1.0, 2.0)
        return np.asarray(np.maximum(0.0, self.value + self.growth + spread * normal))


def lower_bound(sample: Sample, median: float) -> Bound | None:
    """Return what a regression finds, where that is clearly more than the median.

    Args:
        sample: as `join` makes it.
        median: of the answer so far, in nats.

    Returns:
        None unless one side was read as one column and the other as several; of fewer than 100
        different rows; and where the median is not exceeded by two standard errors.
    """
    if min(sample.columns) > 1 or max(sample.columns) == 1:
        return None
    y, x = (sample.x, sample.y) if sample.columns[0] == 1 else (sample.y, sample.x)
    kept = _independent(x, y)
    if len(kept) < LEAST:
        return None
    x, y = x[kept], y[kept]
    scores, rows = _shuffled(*ordered_scores(np.concatenate([x, y], axis=1), ROWS))
    columns = _in_order(scores[:, : x.shape[1]])
    target = scores[:, -1:] if y.shape[1] == 1 else torch.from_numpy(y)[rows]
    value, error = _found(columns, target)
    if value - EXCEEDS * error <= median:
        return None
    quarter = len(rows) // 4
    growth = value - _found(columns[:quarter], target[:quarter])[0]
    return Bound(value, error, max(error, min(growth, value / 2)))


def _independent(x: Array, y: Array) -> npt.NDArray[np.int64]:
    """Numbers of the rows that are no copies: where a side hardly repeats of itself, of each one.

    Where both sides repeat, so do rows, by chance: all are kept.
    """
    first = np.unique(np.concatenate([x, y], axis=1), axis=0, return_index=True)[1]
    apart = max(len(np.unique(side, axis=0)) for side in (x, y))
    return np.sort(first) if apart >= DISTINCT * len(first) else np.arange(len(x))


def _shuffled(scores: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Deal out equal rows, which lie together and must not fall into one fold together."""
    generator = torch.Generator("cpu").manual_seed(len(rows))
    order = torch.randperm(len(rows), generator=generator, device="cpu")
    return scores[order], rows[order]


def _in_order(columns: Tensor) -> Tensor:
    """The same columns, in an order of their values: sums must not depend on how they came."""
    order = np.lexsort(columns.numpy()[::-1])
    return columns[:, torch.from_numpy(order)]


def _found(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Estimate the information between y and its prediction, and the error of that."""
    mean = y.mean(dim=0)
    if not (y != y[:1]).any():
        return 0.0, 0.0
    prediction = predicted(x, y - mean) + mean
    if y.shape[1] == 1:
        return between(prediction[:, 0].numpy(), y[:, 0].numpy(), ROWS)
    return tabled(_class_of(prediction), _class_of(y))


def _class_of(indicators: Tensor) -> Symbols:
    """Number the likeliest of k categories: (rows, k - 1), the last is what they leave of 1."""
    shares = torch.cat([indicators, 1 - indicators.sum(dim=1, keepdim=True)], dim=1)
    kept, codes = np.unique(shares.argmax(dim=1).numpy(), return_inverse=True)
    return Symbols(codes, len(kept))


def predicted(x: Tensor, y: Tensor) -> Tensor:
    """Predict every fold of y from the others.

    Args:
        x: (n, columns), in an order that has nothing to do with the values.
        y: (n, targets), of mean 0.

    Returns:
        (n, targets)
    """
    steps, kernel = _chosen(x[:CHOSEN], y[:CHOSEN])
    found = torch.empty_like(y)
    for known, asked in _folds(len(y), y.device):
        metric = _metrics(x[known], y[known], steps)[-1]
        rows, others = _placed(metric, x[known], x[asked])
        weights = _solved(kernel(_apart(rows, rows)), y[known], kernel.ridge)
        found[asked] = kernel(_apart(others, rows)) @ weights
    return found


def _chosen(x: Tensor, y: Tensor) -> tuple[int, Kernel]:
    """Choose how often the metric is learned, and the kernel, by the error of the folds."""
    errors = y.new_zeros(STEPS + 1, len(KERNELS))
    for known, asked in _folds(len(y), y.device):
        for steps, metric in enumerate(_metrics(x[known], y[known], STEPS)):
            rows, others = _placed(metric, x[known], x[asked])
            inner, outer = _apart(rows, rows), _apart(others, rows)
            for index, kernel in enumerate(KERNELS):
                weights = _solved(kernel(inner), y[known], kernel.ridge)
                errors[steps, index] += (kernel(outer) @ weights - y[asked]).square().sum()
    best = int(errors.argmin())
    return best // len(KERNELS), KERNELS[best % len(KERNELS)]


def _folds(n: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows that are known, and rows that are asked."""
    rows = torch.arange(n, device=device)
    for asked in rows.tensor_split(FOLDS):
        yield torch.cat([rows[: asked[0]], rows[asked[-1] + 1 :]]), asked


def _metrics(x: Tensor, y: Tensor, steps: int) -> list[Tensor]:
    """Roots R of the metrics R Rᵀ, (columns, columns), from none learned to the last."""
    x, y = x[:LEARNED], y[:LEARNED]
    roots = [torch.eye(x.shape[1], dtype=x.dtype, device=x.device)]
    for _ in range(steps):
        (rows,) = _placed(roots[-1], x)
        squared = _apart(rows, rows)
        kernel = LEARNING(squared)
        steep = kernel / (squared * LEARNING.width).sqrt().clamp_min(NEAR)
        weights = _solved(kernel, y, LEARNING.ridge)
        products = sum(_outer(steep * column, rows) for column in weights.T)
        values, vectors = torch.linalg.eigh(products)
        shares = (values / values[-1].clamp_min(TINY)).clamp_min(FLAT)
        roots.append(roots[-1] @ (vectors * shares.sqrt()))
    return roots


def _outer(slopes: Tensor, rows: Tensor) -> Tensor:
    """Sum of the outer products of gradients: of row i it is Σ_j slopes_ij (rows_i - rows_j)."""
    gradients = slopes.sum(dim=1, keepdim=True) * rows - slopes @ rows
    return gradients.T @ gradients


def _placed(root: Tensor, x: Tensor, *others: Tensor) -> list[Tensor]:
    """Rows under a metric, in units in which those of x are √2 apart, on average."""
    rows = x @ root
    unit = rows.var(dim=0).sum().sqrt().clamp_min(NEAR)  # some rows of rare values are all alike
    return [rows / unit, *(other @ root / unit for other in others)]


def _apart(rows: Tensor, others: Tensor) -> Tensor:
    """Squared distances: (rows, others)."""
    squares = rows.square().sum(dim=1, keepdim=True) + others.square().sum(dim=1)
    return squares.sub_(2 * rows @ others.T).clamp_min_(0)


def _solved(kernel: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Weights of the rows, (rows, targets); the ridge is added in place."""
    kernel.diagonal().add_(ridge)
    return torch.cholesky_solve(y, torch.linalg.cholesky(kernel))
