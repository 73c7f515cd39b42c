"""The probability integral transform F(I) of the label: uniform where quantiles are honest.

A predicted distribution is known by its quantiles alone: between two of them F is interpolated;
beyond the outermost, and where several quantiles are equal to the label (an atom at I = 0), F(I)
may be anything in an interval, over which the dataset counts evenly. That is the mean of the
randomised transform, without its randomness (Czado, Gneiting and Held 2009, Biometrics 65(4)).
"""

from __future__ import annotations

import numpy as np

from mistdata.distributions.priors import Array

BINS = 20


def pit_interval(levels: Array, quantiles: Array, mi: Array) -> tuple[Array, Array]:
    """Return F(I-) and F(I) of every dataset.

    Args:
        levels: (levels,), increasing.
        quantiles: (datasets, levels), non-decreasing, nats.
        mi: (datasets,), nats.

    Returns:
        Two arrays (datasets,), equal where the label lies strictly between two quantiles.
    """
    count = len(levels)
    below = (quantiles < mi[:, None]).sum(axis=1)
    upto = (quantiles <= mi[:, None]).sum(axis=1)
    padded = np.concatenate([[0.0], levels, [1.0]])
    low = np.where((below == upto) | (below == 0), padded[below], padded[below + 1])
    high = np.where((below == upto) | (upto == count), padded[upto + 1], padded[upto])
    between = np.flatnonzero((below == upto) & (below > 0) & (below < count))
    left, right = quantiles[between, below[between] - 1], quantiles[between, below[between]]
    share = (mi[between] - left) / (right - left)
    low[between] += share * (high[between] - low[between])
    high[between] = low[between]
    return low, high


def pit_histogram(low: Array, high: Array, bins: int = BINS) -> list[float] | None:
    """Return the share of the datasets in every bin of (0, 1); flat is honest.

    Args:
        low: F(I-) of every dataset; NaN where the estimator gives no quantiles.
        high: F(I).
        bins: of equal width.

    Returns:
        As many shares, which add up to 1; None where no dataset has quantiles.
    """
    known = ~np.isnan(low)
    if not known.any():
        return None
    low, high = low[known, None], high[known, None]
    edges = np.linspace(0.0, 1.0, bins + 1)
    overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    width = high - low
    point = np.minimum((low * bins).astype(np.int64), bins - 1) == np.arange(bins)
    spread = np.maximum(overlap, 0.0) / np.where(width > 0.0, width, 1.0)
    shares = np.where(width > 0.0, spread, point)
    return [float(share) for share in shares.mean(axis=0)]
