"""Gaussian mutual information of a sample, on the data as they are or on normal scores of ranks.

With S the sample covariance of n rows of (X, Y),

    Î = ½ ln(|S_x| |S_y| / |S|) = -½ Σ_i ln(1 - ρ̂_i²),

ρ̂_i the sample's canonical correlations. If the rows are normal, (n-1) S is Wishart and
E ln|S| = ln|Σ| + Σ_{i=1}^{d} ψ((n-i)/2) - d ln((n-1)/2), so that Î exceeds I on average by

    b = ½ [Ψ(dim_x) + Ψ(dim_y) - Ψ(dim_x + dim_y)],   Ψ(d) = Σ_{i=1}^{d} ψ((n-i)/2),

whatever Σ is: Î - b is unbiased, and therefore negative at times. ψ is the digamma function.

References:
    Pattern Recognition and Machine Learning (Bishop, 2006), eq. B.81, for E ln|W|.
    A statistical framework for neuroimaging data analysis based on mutual information estimated
    via a Gaussian copula (Ince et al., 2017), for the normal scores and their bias;
    https://doi.org/10.1002/hbm.23471
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from mistdata.distributions.priors import Array

_RANK = 1e-9  # singular values below this share of the largest count as nothing
_ONE = 1e-14  # squared canonical correlations this near to 1 are 1 but for rounding


def cca() -> Callable[[Array, Array], float]:
    """Gaussian mutual information of the data, freed of its bias.

    Columns are standardised, which changes nothing but rounding. Columns that others of the same
    side determine linearly are left out: the dimensions in b are ranks.

    Returns:
        The estimator: x (n, dim_x), y (n, dim_y) to nats. It raises ValueError unless
        n > dim_x + dim_y (below, some canonical correlation is always 1), or where one is 1.
    """
    return gaussian_information


def gaussian_copula() -> Callable[[Array, Array], float]:
    """The same on normal scores, Φ⁻¹(rank / (n+1)) of every column; ties get their mean rank.

    It measures the information of the Gaussian copula with the sample's rank correlations, a lower
    bound of I where the margins are continuous; b is exact for normal scores only as n grows.

    Returns:
        The estimator, see `cca`.
    """

    def estimate(x: Array, y: Array) -> float:
        return gaussian_information(normal_scores(x), normal_scores(y))

    return estimate


def normal_scores(x: Array) -> Array:
    """Replace every value by Φ⁻¹(rank / (n+1)) of its column, (n, dim) to (n, dim)."""
    return np.asarray(ndtri(rankdata(x, axis=0) / (len(x) + 1)))


def gaussian_information(x: Array, y: Array) -> float:
    """Return Î - b, see the module; nats.

    Args:
        x: (n, dim_x).
        y: (n, dim_y).

    Raises:
        ValueError: n does not exceed the ranks of both sides together, or a canonical correlation
            is 1.
    """
    n, bases = len(x), [_basis(side) for side in (x, y)]
    dims = [basis.shape[1] for basis in bases]
    if sum(dims) >= n:
        raise ValueError(f"n must exceed the ranks of x and y together, {sum(dims)}; got {n} rows")
    rest = 1.0 - np.linalg.svd(bases[0].T @ bases[1], compute_uv=False) ** 2
    if rest.size and rest.min() < _ONE:
        raise ValueError("a canonical correlation is 1: the information would be infinite")
    return float(-0.5 * np.log(rest).sum()) - gaussian_bias(n, *dims)


def gaussian_bias(n: int, dim_x: int, dim_y: int) -> float:
    """Return b, see the module; nats. Needs n > dim_x + dim_y."""
    terms = digamma((n - np.arange(1, dim_x + dim_y + 1)) / 2.0)
    return float(0.5 * (terms[:dim_y].sum() - terms[dim_x:].sum()))


def _basis(x: Array) -> Array:
    """Return an orthonormal basis of the centred columns, (n, rank)."""
    centred = np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64)
    scale = np.sqrt((centred**2).mean(axis=0))
    centred = centred[:, scale > 0.0] / scale[scale > 0.0]
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left[:, singular > _RANK * singular.max(initial=0.0)])
