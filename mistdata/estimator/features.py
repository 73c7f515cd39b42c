"""Moments over rows: what the pair stream sees of a sample, and the Gaussian-copula information.

All are means over rows of the prepared scores z: they do not depend on the order of the rows, and
they are the only place where n costs the pair stream anything.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mistdata.estimator.prepare import Ranks, rank, standardise

CELL_FEATURES = 4
GRAM_CHANNELS = 10  # fixed moments whose noise is of order n^(-1/2)
OTHER_CHANNELS = 13  # partial correlations, distances, gaps of neighbours
DEPARTURES = 16
GLOBAL_FEATURES = 9 + DEPARTURES
# ln of the power means of exponent 0, 1 and 4 of |N(0, 1)|, less that of exponent 2.
HALF_NORMAL = (-(0.5772156649 + math.log(2)) / 2, math.log(2 / math.pi) / 2, math.log(3) / 4)
INFORMATION = 3
MOST_GAPS = 1 << 22  # rows times pairs of X and Y whose gaps are all looked at
SHRINKAGES = (0.01, 0.2)
_CACHED = 1 << 17  # cells of a block of pairs of columns
LEAST_SHRINKAGE = 1e-5  # keeps float32 factors of duplicated columns positive at any n


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


def gram_channels(learned: Tensor) -> Tensor:
    """Outer-product mean of learned features over rows: (batch, n, D, K) → (batch, D, D, K)."""
    columns = learned.permute(0, 3, 2, 1).contiguous()
    return (columns @ columns.mT / columns.shape[-1]).permute(0, 2, 3, 1)


def hermite_moments(scores: Tensor) -> Tensor:
    """Correlations of the first three Hermite polynomials of any two columns.

    Channel 3a + b of pair (j, k) is the correlation of h_a(z_j) and h_b(z_k) with h_0 = z,
    h_1 = z² - 1, h_2 = z³ - 3z, each standardised: the leading block of the expansion of the
    copula density around independence.

    Args:
        scores: (batch, n, D).

    Returns:
        (batch, D, D, 9); channel 0 is the correlation of the scores.
    """
    batch, _, size = scores.shape
    square = scores.square()
    polynomials = [scores, standardise(square), standardise(scores * (square - 3))]
    moments = gram(torch.cat(polynomials, dim=2)).view(batch, 3, size, 3, size)
    return moments.permute(0, 2, 4, 1, 3).reshape(batch, size, size, 9)


def beyond_gauss(moments: Tensor) -> Tensor:
    """Take from correlations of Hermite polynomials what a Gaussian copula would have.

    With the correlation ρ that is ρ² for h_1 with h_1, ρ³ for h_2 with h_2 and 0 for unequal ones.
    What is left is noise of order n^(-1/2) wherever the copula is Gaussian, whatever its ρ.

    Args:
        moments: (batch, D, D, 9) from `hermite_moments`.

    Returns:
        (batch, D, D, 9); channel 0 is ρ as before.
    """
    correlation = moments[..., 0]
    square = correlation * correlation
    gauss = torch.zeros_like(moments)
    gauss[..., 4], gauss[..., 8] = square, square * correlation
    return moments - gauss


def departures(moments: Tensor, gaps: Tensor, n: int, seen: int, dim_x: int) -> Tensor:
    """How far a sample is from a Gaussian copula, over all pairs of columns at once.

    Three times, √e, ½ ln(1 + n e), m and asinh(√n m): e is a mean of the eight squared moments
    that a Gaussian copula does not have, and m one of that of the squares, which is the covariance
    of the radii of rows. The means are over the pairs of X and Y, over those within a side, and
    over the pairs of X and Y with weights ρ², so that few related columns among many are seen.
    Then √g, ½ ln(1 + n g) and two of its parts, with the same weights: under a Gaussian copula the
    gaps of normal scores are half-normal whatever ρ is, and g is the mean square of how much their
    power means differ from that. For a Gaussian sample n e and n g are about 1 at any n.

    Args:
        moments: (batch, D, D, 9) from `beyond_gauss`.
        gaps: (batch, D, D, 8) from `distances`.
        n: rows behind the moments.
        seen: rows behind the gaps.
        dim_x: how many columns are X.

    Returns:
        (batch, 16), symmetric in X and Y; 0 for pairs within sides of one column.
    """
    effects = moments[..., 1:].square().mean(dim=3)
    both = torch.stack([effects, moments[..., 4]], dim=1)
    both = both - torch.diag_embed(both.diagonal(dim1=2, dim2=3))
    across = both[..., :dim_x, dim_x:]
    weights = moments[:, :dim_x, dim_x:, 0].square()
    weights = weights / (weights.sum(dim=(1, 2), keepdim=True) + 1e-6)
    inner = both[..., :dim_x, :dim_x].sum(dim=(2, 3)) + both[..., dim_x:, dim_x:].sum(dim=(2, 3))
    dim_y = moments.shape[1] - dim_x
    means = (
        across.mean(dim=(2, 3)),
        inner / max(1, dim_x * (dim_x - 1) + dim_y * (dim_y - 1)),
        (across * weights.unsqueeze(1)).sum(dim=(2, 3)),
    )
    told = []
    for effect, mean in (each.unbind(1) for each in means):
        told += [*_sizes(effect, n), mean, (n**0.5 * mean).asinh()]
    powers = gaps[:, :dim_x, dim_x:]
    shapes = powers[..., [0, 1, 3]] - powers[..., 2:3] - powers.new_tensor(HALF_NORMAL)
    told += _sizes((shapes.square().mean(dim=3) * weights).sum(dim=(1, 2)), seen)
    told += (shapes[..., [0, 2]] * weights.unsqueeze(3)).sum(dim=(1, 2)).unbind(1)
    return torch.stack(told, dim=1)


def _sizes(effect: Tensor, n: int) -> list[Tensor]:
    """A mean square on its own scale, and in units of its noise."""
    return [(effect + 1e-12).sqrt(), (n * effect).log1p() / 2]


def fixed_moments(
    scores: Tensor, ranks: Ranks, dim_x: int, kept: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Moments that need no learning.

    Args:
        scores: (batch, n, D) prepared scores.
        ranks: of the sample.
        dim_x: how many columns are X.
        kept: (batch, R) positions of the rows whose distances are looked at where all rows of so
            many columns would be too many; None for all.

    Returns:
        Correlations of polynomials and of directions (batch, D, D, 10); partial correlations,
        distances and gaps of neighbours (batch, D, D, 13); the information of a Gaussian copula
        in nats (batch, 3): at each shrinkage, and free of bias; and how far the sample is from
        one (batch, 16).
    """
    n = scores.shape[1]
    radius = (scores.square().mean(dim=2, keepdim=True) + 0.05).rsqrt()
    hermite = beyond_gauss(hermite_moments(scores))
    directions = gram(standardise(scores * radius))
    correlation = hermite[..., 0].contiguous()
    partials, information = [], []
    for shrinkage in SHRINKAGES:
        partial, nats = gaussian_copula(correlation, dim_x, n, shrinkage)
        partials.append(partial)
        information.append(nats)
    information.append(unbiased(information, n, dim_x, scores.shape[2] - dim_x))
    grams = torch.cat([hermite, directions.unsqueeze(-1)], dim=-1)
    if kept is not None and n * dim_x * (scores.shape[2] - dim_x) > MOST_GAPS:
        scores = scores.gather(1, kept.unsqueeze(2).expand(-1, -1, scores.shape[2]))
        ranks = rank(scores)
    apart = distances(scores, correlation, dim_x)
    gaps = [apart, neighbour_gaps(scores, ranks, dim_x)]
    others = torch.cat([torch.stack(partials, dim=-1), *gaps], dim=-1)
    shape = departures(hermite, apart, n, scores.shape[1], dim_x)
    return grams, others, torch.stack(information, dim=-1), shape


def distances(scores: Tensor, correlation: Tensor, dim_x: int) -> Tensor:
    """How closely a column of X and one of Y follow each other, and how sharp that band's edge is.

    With d_i = |z_ij - s z_ik|, s the sign of the correlation: the logarithms of the power means of
    d for exponents 0 (the geometric mean), 1, 2 and 4; of the scores, and of their uniform ranks
    Φ(z), where a band of constant width in the data is one. A Gaussian and a uniform band of the
    same width differ in their ratios.

    Args:
        scores: (batch, n, D) prepared scores.
        correlation: (batch, D, D) of the scores.
        dim_x: how many columns are X.

    Returns:
        (batch, D, D, 8), 0 for pairs within a side.
    """
    # Not 0: symmetric ranks often correlate to exactly 0, where rounding would draw the sign.
    sign = torch.where(correlation < -1e-5, -1.0, 1.0).to(scores.dtype)
    centred = torch.special.ndtr(scores) - 0.5
    gaps = [_power_means(columns, sign, dim_x) for columns in (scores, centred)]
    across = torch.cat(gaps, dim=-1)
    return across_sides(across, across.transpose(1, 2), scores.shape[2])


def _power_means(columns: Tensor, sign: Tensor, dim_x: int) -> Tensor:
    """Logarithms of the power means of the gaps between columns: (batch, dim_x, dim_y, 4)."""
    floor = 1 / columns.shape[1]  # about the gap between neighbouring ranks
    across = sign[:, :dim_x, dim_x:, None]
    columns = columns.mT.contiguous()
    x, y = columns[:, :dim_x].unsqueeze(2), columns[:, dim_x:].unsqueeze(1)
    rows = []
    for part in _blocks(dim_x, y):
        gap = (x[:, part] - across[:, part] * y).abs_() + floor
        square = gap * gap
        powers = [gap.mean(3), square.mean(3).sqrt(), (square * square).mean(3).sqrt().sqrt()]
        rows.append(torch.stack([gap.log().mean(3), *(p.log() for p in powers)], dim=-1))
    return torch.cat(rows, dim=1)


def _blocks(count: int, like: Tensor) -> list[slice]:
    """Divide `count` columns, each to be met with all of `like`, into what a cache holds."""
    step = max(1, _CACHED // like.numel())
    return [slice(first, first + step) for first in range(0, count, step)]


def neighbour_gaps(scores: Tensor, ranks: Ranks, dim_x: int) -> Tensor:
    """How far a column jumps between rows that are neighbours in a column of the other side.

    Let the rows be sorted by column j and e_i = |u_(i+1)k - u_(i)k| with u = Φ(z): the means of
    ln(e + 1/n), e and e². For independent columns e is the gap of two uniform numbers; the more k
    is a function of j, whatever the function, the smaller the gaps, and their logarithm falls like
    the conditional entropy (the mean of e is Chatterjee's correlation). Rows that are equal in
    column j share the mean of their u, as their order is not known.

    Args:
        scores: (batch, n, D) prepared scores.
        ranks: of the sample.
        dim_x: how many columns are X.

    Returns:
        (batch, D, D, 3), 0 for pairs within a side; not symmetric.

    References:
        A new coefficient of correlation (Chatterjee, 2021), JASA 116(536).
    """
    uniform = torch.special.ndtr(scores)
    x, y = uniform[:, :, :dim_x], uniform[:, :, dim_x:]
    ties = ranks.ties
    upper = _jumps(y, ranks.order[:, :, :dim_x], None if ties is None else ties[:, :, :dim_x])
    lower = _jumps(x, ranks.order[:, :, dim_x:], None if ties is None else ties[:, :, dim_x:])
    return across_sides(upper, lower, scores.shape[2])


def _jumps(columns: Tensor, order: Tensor, ties: Tensor | None) -> Tensor:
    """Means of the gaps of `columns` (batch, n, k) along each order: (batch, orders, k, 3)."""
    n, rows = columns.shape[1], []
    columns = columns.mT.contiguous().unsqueeze(1)
    order = order.mT.contiguous().unsqueeze(2)
    for part in _blocks(order.shape[1], columns):
        index = order[:, part].expand(-1, -1, columns.shape[2], -1)
        sorted_by = columns.expand(-1, index.shape[1], -1, -1).gather(3, index)
        if ties is not None:
            sorted_by = _shared(sorted_by, ties[:, :, part])
        gap = sorted_by.diff(dim=3).abs()
        means = [(gap + 1 / n).log().mean(3), gap.mean(3), (gap * gap).mean(3)]
        rows.append(torch.stack(means, dim=-1))
    # Centred and scaled to independence: E ln e = -3/2, E e = 1/3, E e² = 1/6 of uniform numbers.
    middle = columns.new_tensor([-1.5, 1 / 3, 1 / 6])
    spread = columns.new_tensor([1.0, 0.25, 0.2])
    return (torch.cat(rows, dim=1) - middle) / spread


def _shared(columns: Tensor, ties: Tensor) -> Tensor:
    """Give every run of ties its mean: (batch, orders, k, n), with ties (batch, n, orders, 2)."""
    sums = F.pad(columns.double().cumsum(dim=3), (1, 0))
    first, last = ties.permute(3, 0, 2, 1).unsqueeze(3)
    count, shape = last + 1 - first, columns.shape
    total = sums.gather(3, (last + 1).expand(shape)) - sums.gather(3, first.expand(shape))
    return torch.where(count > 1, (total / count).to(columns.dtype), columns)


def across_sides(upper: Tensor, lower: Tensor, size: int) -> Tensor:
    """Fill a tensor over pairs with what is known of pairs of X and Y, and 0 within the sides.

    Args:
        upper: (batch, dim_x, dim_y, c).
        lower: (batch, dim_y, dim_x, c).
        size: dim_x + dim_y.

    Returns:
        (batch, D, D, c).
    """
    batch, dim_x, dim_y, channels = upper.shape
    within_x = upper.new_zeros(batch, dim_x, dim_x, channels)
    within_y = upper.new_zeros(batch, dim_y, dim_y, channels)
    left = torch.cat([within_x, lower], dim=1)
    right = torch.cat([upper, within_y], dim=1)
    return torch.cat([left, right], dim=2)


def gaussian_copula(
    correlation: Tensor, dim_x: int, n: int, shrinkage: float
) -> tuple[Tensor, Tensor]:
    """Partial correlations and information of a Gaussian with this correlation, shrunk to I.

    The information of the shrunk matrix R is ½ (log det R_XX + log det R_YY - log det R).

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


def gaussian_bias(n: int, dim_x: int, dim_y: int) -> float:
    """Bias in nats of the plug-in information of a Gaussian sample, n > dim_x + dim_y.

    ½ [b(dim_x) + b(dim_y) - b(dim_x + dim_y)] with b(p) = Σ_{i=1..p} (ψ((n - i) / 2) - ln(n / 2)):
    the mean of the log-determinant of a Wishart matrix of n - 1 degrees of freedom.

    References:
        Entropy expressions and their estimators for multivariate distributions (Ahmed and
        Gokhale, 1989), IEEE Transactions on Information Theory 35(3).
    """
    steps = torch.arange(1, dim_x + dim_y + 1, dtype=torch.float64)
    sums = (torch.special.digamma((n - steps) / 2) - math.log(n / 2)).cumsum(0)
    return float(sums[dim_x - 1] + sums[dim_y - 1] - sums[-1]) / 2


def unbiased(information: list[Tensor], n: int, dim_x: int, dim_y: int) -> Tensor:
    """Information of a Gaussian copula less its bias, at least 0.

    Args:
        information: (batch,) nats at the weak and at the strong shrinkage.
        n: rows.
        dim_x: columns of X.
        dim_y: columns of Y.

    Returns:
        (batch,); the strongly shrunk one where n ≤ dim_x + dim_y + 2: with hardly a row more than
        columns the bias is large, and with none it is not finite.
    """
    if n <= dim_x + dim_y + 2:
        return information[1]
    return (information[0] - gaussian_bias(n, dim_x, dim_y)).clamp_min(0)


def global_features(information: Tensor, shape: Tensor, n: int, dim_x: int, dim_y: int) -> Tensor:
    """What every pair is told: the size of the sample, its Gaussian-copula information, its shape.

    Args:
        information: (batch, 3) nats.
        shape: (batch, 16), how far from a Gaussian copula.
        n: rows.
        dim_x: columns of X.
        dim_y: columns of Y.

    Returns:
        (batch, 25), symmetric in X and Y.
    """
    size = dim_x + dim_y
    numbers = [
        math.log(n) / 3 - 1.5,
        math.log(size) - 2,
        math.log(n / size) - 3,
        math.log(dim_x * dim_y) / 2 - 1,
        math.log1p(dim_x * dim_y / n),
        abs(math.log(dim_x / dim_y)),
    ]
    fixed = information.new_tensor(numbers).expand(len(information), -1)
    return torch.cat([fixed, information.log1p(), shape], dim=1)
