"""How a sample is prepared before the network sees it: ranks, soft ranks, or standard units.

Let r_ij be the rank of cell i in column j, from 0 (mid-ranks for ties). Each preparation gives
*scores* z_ij with mean 0 and mean square 1 per column:

    rank     z = Φ⁻¹((r + ½) / n)                      invariant under increasing maps, no gradient
    soft     z = Φ⁻¹((1/n) Σ_k Φ((x_i - x_k) / h))     h = n^(-1/5) robust standard deviations
    affine   z = 3 asinh(t / 3), t = (x - mean) / sd   invariant under x → a x + b, a > 0

Ranks are the maximal invariant of a column under strictly increasing maps, and mutual information
does not change under them, so nothing is lost. The other two let gradients reach the inputs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

MIN_ROWS = 8
PREPARATIONS = ("rank", "soft", "affine")
SOFT_POINTS = 1024  # most points that stand for a column's distribution in a soft rank
_TINY = 1e-6
_BLOCK = 1 << 22  # cells of a block of the soft rank


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


class Ranks(NamedTuple):
    """The order of every column.

    Attributes:
        doubled: (batch, n, columns) int64, twice the ranks 0..n-1; equal values share the mean of
            their ranks, and twice a mid-rank is a whole number.
        order: (batch, n, columns) positions that sort each column.
        ties: (batch, n, columns, 2) first and last place of the run of equal values around each
            place of the sorted column; None where no two values are equal.
    """

    doubled: Tensor
    order: Tensor
    ties: Tensor | None


def rank(values: Tensor) -> Ranks:
    """Rank the rows of every column of (batch, n, columns)."""
    ordered, order = values.detach().sort(dim=1)
    n = values.shape[1]
    position = torch.arange(n, device=values.device).view(1, n, 1).expand_as(ordered)
    differs = ordered[:, 1:] != ordered[:, :-1]
    if differs.all():
        ranks, ties = 2 * position, None
    else:
        edge = torch.ones_like(differs[:, :1])
        first = position.where(torch.cat([edge, differs], 1), 0).cummax(dim=1).values
        last = position.where(torch.cat([differs, edge], 1), n - 1)
        last = last.flip(1).cummin(dim=1).values.flip(1)
        ranks, ties = first + last, torch.stack([first, last], dim=-1)
    return Ranks(torch.empty_like(order).scatter_(1, order, ranks), order, ties)


def scores_of_ranks(doubled: Tensor, dtype: torch.dtype) -> Tensor:
    """Standardised normal scores of ranks.

    Args:
        doubled: (batch, n, columns), twice the mid-ranks.
        dtype: of the answer.

    Returns:
        (batch, n, columns) with mean 0 and mean square 1 per column (0 in a constant column).
    """
    n = doubled.shape[1]
    levels = torch.arange(1, 2 * n, device=doubled.device, dtype=torch.float64) / (2 * n)
    table = torch.special.ndtri(levels).to(dtype)
    return standardise(table[doubled])


def prepared(values: Tensor, doubled: Tensor, prep: str, dtype: torch.dtype) -> Tensor:
    """Scores of a sample.

    Args:
        values: (batch, n, columns), finite.
        doubled: twice its mid-ranks.
        prep: 'rank', 'soft' or 'affine'.
        dtype: of the answer.

    Returns:
        (batch, n, columns).

    Raises:
        ValueError: on another preparation.
    """
    if prep == "rank":
        return scores_of_ranks(doubled, dtype)
    if prep == "soft":
        return standardise(torch.special.ndtri(soft_uniform(values)).to(dtype))
    if prep == "affine":
        centred = values.double() - values.double().mean(dim=1, keepdim=True)
        reach = centred.abs().amax(dim=1, keepdim=True)
        units = standardise(centred / reach.where(reach > 0, 1.0))
        return standardise(3 * torch.asinh(units / 3)).to(dtype)
    raise ValueError(f"prep must be one of {', '.join(PREPARATIONS)}, got {prep!r}")


def soft_uniform(values: Tensor) -> Tensor:
    """Smoothed distribution function of every column at its own cells, differentiable.

    u_i = ½/n + (1 - 1/n) (1/n) Σ_k Φ((x_i - x_k) / h). Beyond 1,024 rows the x_k are 1,024 evenly
    spaced order statistics, so that the cost is linear in n.

    Args:
        values: (batch, n, columns).

    Returns:
        (batch, n, columns) float64 in (0, 1).
    """
    x = values.double()
    batch, n, columns = x.shape
    ordered = x.sort(dim=1).values
    points = ordered
    if n > SOFT_POINTS:
        at = torch.linspace(0, n - 1, SOFT_POINTS, device=x.device).round().long()
        points = ordered[:, at]
    inverse = 1 / (n**-0.2 * _robust_deviation(x, ordered))
    rows = max(1, _BLOCK // (batch * columns * points.shape[1]))
    parts = []
    for block in torch.split(x, rows, dim=1):
        gaps = (block.unsqueeze(2) - points.unsqueeze(1)) * inverse.unsqueeze(1)
        parts.append(torch.special.ndtr(gaps).mean(dim=2))
    edge = 0.5 / n
    return edge + (1 - 2 * edge) * torch.cat(parts, dim=1)


def _robust_deviation(x: Tensor, ordered: Tensor) -> Tensor:
    """Quartile range / 1.349, which may be 0, and a hundredth of the mean deviation."""
    n = x.shape[1]
    low, high = math.floor(0.25 * (n - 1)), math.ceil(0.75 * (n - 1))
    spread = (ordered[:, high : high + 1] - ordered[:, low : low + 1]) / 1.349
    return (
        spread + 0.01 * (x - x.mean(dim=1, keepdim=True)).abs().mean(dim=1, keepdim=True) + 1e-300
    )


def standardise(columns: Tensor) -> Tensor:
    """Centre the rows (axis 1) and divide by their standard deviation, where there is any."""
    centred = columns - columns.mean(dim=1, keepdim=True)
    return centred * (centred.square().mean(dim=1, keepdim=True) + _TINY).rsqrt()


def hashed_order(doubled: Tensor) -> Tensor:
    """Order the rows by a hash of their ranks: an arbitrary order that no reordering changes.

    The hash of a row is the sum over its columns of a mixed multiple of the rank, in whole
    numbers, so it does not depend on the order of rows or columns, nor on which side is X. Equal
    rows stand together. Rows of equal hash that differ, as (a, b) and (b, a) among symbols, are
    ordered by a second sum, in which every column has a weight: the sum over all rows of what it
    holds there times the hash of the row. Only between columns that can be exchanged for each
    other in the whole table their position decides.

    Args:
        doubled: (batch, n, columns), twice the mid-ranks.

    Returns:
        (batch, n) positions.
    """
    cells = _mixed(doubled + 1)
    hashes = cells.sum(dim=2, keepdim=True)
    told = (cells * _mixed(hashes)).sum(dim=1, keepdim=True)
    weights = 2 * (told + told.argsort(dim=2, stable=True).argsort(dim=2)) + 1
    first = (cells * weights).sum(dim=2).argsort(dim=1, stable=True)
    keys = hashes.squeeze(2).gather(1, first)
    return first.gather(1, keys.argsort(dim=1, stable=True))


def _mixed(numbers: Tensor) -> Tensor:
    """Scatter whole numbers over all of int64; sums and products wrap around."""
    mixed = numbers * 0x9E3779B97F4A7C1
    mixed = (mixed ^ (mixed >> 29)) * 0x2545F4914F6CDD1
    return mixed ^ (mixed >> 32)


def chosen_rows(doubled: Tensor, count: int) -> Tensor | None:
    """Choose rows evenly in the order of their hash, so that of equal rows a share is taken.

    Args:
        doubled: (batch, n, columns), twice the mid-ranks.
        count: how many.

    Returns:
        (batch, count) positions, or None for all rows if there are no more than that.
    """
    n = doubled.shape[1]
    if n <= count:
        return None
    return hashed_order(doubled)[:, evenly(n, count, doubled.device)]


def evenly(n: int, count: int, device: torch.device) -> Tensor:
    """Return `count` positions among 0..n-1, as evenly as whole numbers allow."""
    return torch.arange(count, device=device) * n // count
