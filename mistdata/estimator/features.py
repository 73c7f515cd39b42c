"""What the network sees of a sample: normal scores of ranks and their second moments.

Let r_ij be the rank of cell i in column j (mid-ranks for ties). The normal score

    z_ij = Φ⁻¹((r_ij + ½) / n),   standardised per column,

is the maximal invariant of a column under strictly increasing maps, and mutual information does
not change under them, so nothing is lost. All moments are means over rows: they do not depend on
the order of the rows, and they are the only place where n costs anything.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MIN_ROWS = 8
FIXED_CHANNELS = 9
GLOBAL_FEATURES = 7
SHRINKAGES = (0.01, 0.2)
LEAST_SHRINKAGE = 1e-5  # keeps float32 factors of duplicated columns positive at any n
_TINY = 1e-6


def check_shape(values: Tensor, dim_x: int) -> None:
    """Refuse a batch whose shape cannot be split into n ≥ 8 rows of X and Y.

    Args:
        values: the batch, to have shape (batch, n, dim_x + dim_y).
        dim_x: how many leading columns are X.

    Raises:
        ValueError: on a wrong number of axes, n < 8, or no column left for X or Y.
    """
    if values.ndim != 3:
        raise ValueError(f"values must be (batch, n, dim_x + dim_y), got {tuple(values.shape)}")
    if values.shape[1] < MIN_ROWS:
        raise ValueError(f"n must be at least {MIN_ROWS}, got {values.shape[1]}")
    if not 1 <= dim_x < values.shape[2]:
        raise ValueError(f"dim_x must lie in 1..{values.shape[2] - 1}, got {dim_x}")


def check_cells(values: Tensor) -> None:
    """Refuse cells that are not finite and columns that hold one value only.

    Args:
        values: (batch, n, columns).

    Raises:
        ValueError: naming the first offending dataset and column.
    """
    for what, bad in (
        ("NaN or infinite cells", ~values.isfinite().all(dim=1)),
        ("one constant value", (values == values[:, :1]).all(dim=1)),
    ):
        if bad.any():
            batch, column = bad.nonzero()[0].tolist()
            raise ValueError(f"column {column} of dataset {batch} has {what}")


def mid_ranks(values: Tensor) -> Tensor:
    """Ranks 0..n-1 along the rows; equal values share the mean of their ranks.

    Args:
        values: (batch, n, columns).

    Returns:
        float64 tensor of the same shape.
    """
    ordered, order = values.sort(dim=1)
    n = values.shape[1]
    position = torch.arange(n, device=values.device).view(1, n, 1).expand_as(ordered)
    differs = ordered[:, 1:] != ordered[:, :-1]
    if differs.all():
        ranks = position.to(torch.float64)
    else:
        edge = torch.ones_like(differs[:, :1])
        first = position.where(torch.cat([edge, differs], 1), 0).cummax(dim=1).values
        last = position.where(torch.cat([differs, edge], 1), n - 1)
        last = last.flip(1).cummin(dim=1).values.flip(1)
        ranks = (first + last).to(torch.float64) / 2
    return torch.empty_like(ranks).scatter_(1, order, ranks)


def normal_scores(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Standardised normal scores of the ranks of every column.

    Args:
        values: (batch, n, columns).
        dtype: of the answer.

    Returns:
        (batch, n, columns) with mean 0 and mean square 1 per column (0 in a constant column).
    """
    u = (mid_ranks(values) + 0.5) / values.shape[1]
    return standardise(torch.special.ndtri(u).to(dtype))


def standardise(columns: Tensor) -> Tensor:
    """Centre the rows (axis 1) and divide by their standard deviation, where there is any."""
    centred = columns - columns.mean(dim=1, keepdim=True)
    return centred * (centred.square().mean(dim=1, keepdim=True) + _TINY).rsqrt()


def side_mean(columns: Tensor, dim_x: int, axis: int) -> tuple[Tensor, Tensor]:
    """For every column: the mean over the columns of its own side, and over the other side.

    Args:
        columns: tensor with the columns (X, then Y) on `axis`.
        dim_x: how many of them are X.
        axis: of the columns.

    Returns:
        Two tensors of the shape of `columns`, constant within each side.
    """
    size = columns.shape[axis]
    x = columns.narrow(axis, 0, dim_x).mean(dim=axis, keepdim=True)
    y = columns.narrow(axis, dim_x, size - dim_x).mean(dim=axis, keepdim=True)
    spread_x = [-1] * columns.ndim
    spread_y = [-1] * columns.ndim
    spread_x[axis], spread_y[axis] = dim_x, size - dim_x
    own = torch.cat([x.expand(spread_x), y.expand(spread_y)], dim=axis)
    other = torch.cat([y.expand(spread_x), x.expand(spread_y)], dim=axis)
    return own, other


def cell_features(scores: Tensor, dim_x: int) -> Tensor:
    """What is known of one cell: its score, and how far out its row lies on either side.

    Args:
        scores: (batch, n, columns).
        dim_x: how many columns are X.

    Returns:
        (batch, n, columns, 4).
    """
    own, other = side_mean(scores.square(), dim_x, axis=2)
    radii = [(radius + 0.05).log() for radius in (own, other)]
    return torch.stack([scores, scores.square() - 1, *radii], dim=-1)


def gram(columns: Tensor) -> Tensor:
    """Second moments (1/n) Σ_i c_ij c_ik: (batch, n, D) → (batch, D, D)."""
    return columns.mT @ columns / columns.shape[1]


def fixed_moments(scores: Tensor, dim_x: int) -> tuple[Tensor, Tensor]:
    """Moments that need no learning: of scores, squares, directions; precisions; gaps.

    The Gaussian-copula information of the shrunk correlation matrix R is
    ½ (log det R_XX + log det R_YY - log det R); it starts the readout.

    Args:
        scores: (batch, n, D) normal scores.
        dim_x: how many columns are X.

    Returns:
        Pair channels (batch, D, D, 9), and the Gaussian-copula information in nats at each
        shrinkage (batch, 2).
    """
    radius = (scores.square().mean(dim=2, keepdim=True) + 0.05).rsqrt()
    correlation = gram(scores)
    channels = [
        correlation,
        gram(standardise(scores.square())),
        gram(standardise(scores * radius)),
    ]
    information = []
    for shrinkage in SHRINKAGES:
        partial, nats = gaussian_copula(correlation, dim_x, scores.shape[1], shrinkage)
        channels.append(partial)
        information.append(nats)
    fixed = torch.cat([torch.stack(channels, dim=-1), distances(scores, correlation)], dim=-1)
    return fixed, torch.stack(information, dim=-1)


def distances(scores: Tensor, correlation: Tensor) -> Tensor:
    """How closely two columns follow each other, and how sharp the edge of that band is.

    With d_i = |z_ij - s z_ik|, s the sign of the correlation: the logarithms of the power means of
    d for exponents 0 (the geometric mean), 1, 2 and 4. A Gaussian and a uniform band of the same
    width differ in their ratios.

    Args:
        scores: (batch, n, D) normal scores.
        correlation: (batch, D, D) of the scores.

    Returns:
        (batch, D, D, 4).
    """
    floor = 1 / scores.shape[1]  # about the gap between neighbouring scores
    # Not 0: symmetric ranks often correlate to exactly 0, where rounding would draw the sign.
    sign = torch.where(correlation < -1e-5, -1.0, 1.0).to(scores.dtype)
    rows = []
    for j in range(scores.shape[2]):
        gap = (scores[:, :, j : j + 1] - sign[:, j : j + 1] * scores).abs_().add_(floor)
        square = gap.square()
        means = [gap.mean(dim=1).log(), square.mean(dim=1).log() / 2]
        fourth = square.square_().mean(dim=1).log() / 4
        rows.append(torch.stack([gap.log_().mean(dim=1), *means, fourth], dim=-1))
    return torch.stack(rows, dim=1)


def gaussian_copula(
    correlation: Tensor, dim_x: int, n: int, shrinkage: float
) -> tuple[Tensor, Tensor]:
    """Partial correlations and information of a Gaussian with this correlation, shrunk to I.

    Args:
        correlation: (batch, D, D).
        dim_x: how many columns are X.
        n: rows behind the correlation; the weight of I is s D / (n + s D), at least 1e-5.
        shrinkage: s.

    Returns:
        (batch, D, D) partial correlations (log conditional variance on the diagonal) and (batch,)
        nats.
    """
    size = correlation.shape[1]
    weight = max(shrinkage * size / (n + shrinkage * size), LEAST_SHRINKAGE)
    eye = torch.eye(size, dtype=correlation.dtype, device=correlation.device)
    shrunk = (1 - weight) * correlation + weight * eye
    factor = torch.linalg.cholesky(shrunk)
    precision = torch.cholesky_inverse(factor)
    scale = precision.diagonal(dim1=1, dim2=2)
    partial = -precision * (scale.unsqueeze(1) * scale.unsqueeze(2)).rsqrt()
    partial = partial * (1 - eye) - torch.diag_embed(scale.log())
    # The leading block of the factor is the factor of R_XX: only R_YY needs another.
    factor_y = torch.linalg.cholesky(shrunk[:, dim_x:, dim_x:])
    return partial, log_diagonal(factor_y) - log_diagonal(factor[:, dim_x:, dim_x:])


def log_diagonal(factor: Tensor) -> Tensor:
    """Σ_j log L_jj = ½ log det of L Lᵀ."""
    return factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)


def global_features(information: Tensor, n: int, dim_x: int, dim_y: int) -> Tensor:
    """What every pair is told: the size of the sample and its Gaussian-copula information.

    Args:
        information: (batch, 2) nats.
        n: rows.
        dim_x: columns of X.
        dim_y: columns of Y.

    Returns:
        (batch, 7), symmetric in X and Y.
    """
    size = dim_x + dim_y
    numbers = [
        math.log(n) / 3 - 1.5,
        math.log(size) - 2,
        math.log(n / size) - 3,
        math.log(dim_x * dim_y) / 2 - 1,
        math.log1p(dim_x * dim_y / n),
    ]
    fixed = information.new_tensor(numbers).expand(len(information), -1)
    return torch.cat([fixed, information.log1p()], dim=1)
