"""Sums over the counts of Poisson, binomial and gamma-Poisson laws, for `counts`."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import digamma, gammainccinv, gammaln, xlogy

from mistdata.distributions.base import MI, ROUNDING
from mistdata.distributions.priors import Array

EPSILON = 2.0**-53
TAIL = 1e-17  # no window of counts leaves more than this probability out


@lru_cache(maxsize=1)
def exponential_poisson() -> tuple[float, float]:
    """Return the mean and the mean square of the pointwise MI of `PoissonExponential`."""
    k = np.arange(2.0, 80.0)  # 2^-80 ln 80 is below rounding
    value = 2.0 * math.log(2.0) - np.euler_gamma - float(np.log(k) @ 2.0**-k)
    deviation = gamma_poisson(1.0, 1.0).pmi_std
    assert deviation is not None
    return value, value * value + deviation * deviation


def gamma_poisson(k: float, scale: float) -> MI:
    """Sum over the counts of a gamma-Poisson pair, out to where `TAIL` of them is left."""
    largest_rate = scale * float(gammainccinv(k, 0.1 * TAIL))
    y = np.arange(window(largest_rate)[-1] + 1.0)
    # the posterior is Gamma(k+y, scale θ/(1+θ))
    shape, posterior_scale = k + y, scale / (1.0 + scale)
    growth = gammaln(shape) - math.lgamma(k) - k * math.log1p(scale)
    log_p = growth - gammaln(y + 1.0) - y * math.log1p(1.0 / scale)
    # of y ln x - x over the posterior, up to what depends on y alone
    mean = y * digamma(shape) - posterior_scale * shape - growth
    variance = y * y * trigamma(shape) + posterior_scale * (posterior_scale * shape - 2.0 * y)
    value, square = mixed(np.exp(log_p), mean, variance)
    error = ROUNDING * (1.0 + value) + TAIL * len(y) + rounding(k + k * scale)
    return MI(value, error, "series", "series_tail", deviation(value, square))


def moments_of_zeros(p: float) -> tuple[float, float]:
    """Return ∫ v ln^j(2v/(1+p)) dv/(1-p) over p < v < 1 for j = 1, 2.

    These are what the zeros add to mean and mean square of the pointwise MI, v = P(0|x).
    """
    if p == 0.0:
        low_first = low_second = 0.0
    else:
        low = math.log(2.0 * p / (1.0 + p))
        low_first = p * p * (0.5 * low - 0.25)
        low_second = p * p * (0.5 * low * low - 0.5 * low + 0.25)
    high = math.log(2.0 / (1.0 + p))
    first = 0.5 * high - 0.25 - low_first
    second = 0.5 * high * high - 0.5 * high + 0.25 - low_second
    return first / (1.0 - p), second / (1.0 - p)


def mixed(weight: Array, mean: Array, variance: Array) -> tuple[float, float]:
    """Return mean and mean square of a mixture, from the moments of its components."""
    weight = weight / weight.sum()
    return float(weight @ mean), float(weight @ (variance + mean * mean))


def deviation(value: float, square: float) -> float:
    return math.sqrt(max(square - value * value, 0.0))


def with_moments(value: float, square: float) -> MI:
    return MI.closed_form(max(value, 0.0), deviation(value, square), special=True)


def series(mi: MI, size: float) -> MI:
    """Declare a sum over windows to be a series, of laws whose counts are of a given size."""
    error = mi.error + 100.0 * TAIL + rounding(size)
    return MI(mi.value, error, "series", "series_tail", mi.pmi_std)


def rounding(size: float) -> float:
    """Bound what the rounding of ln k!, k about `size`, does to a mutual information."""
    return 8.0 * EPSILON * size * math.log(2.0 + size)


def window(mean: float) -> Array:
    """Return the counts of a Poisson law, but for tails of total probability below `TAIL`.

    By Bernstein's inequality the upper tail is below exp(-40), and the lower below exp(-40.5).
    """
    width = 9.0 * math.sqrt(mean)
    return np.arange(max(0.0, math.floor(mean - width)), math.ceil(mean + width + 27.0) + 1.0)


def log_poisson(k: Array, mean: float) -> Array:
    """Return ln(e^-mean mean^k/k!), and -inf where k < 0."""
    count = np.maximum(k, 0.0)
    return np.where(k < 0.0, -np.inf, xlogy(count, mean) - mean - gammaln(count + 1.0))


def shifted(rows: Array, columns: Array, mean: float) -> Array:
    """Return the matrix of p(row - column), from one evaluation of each difference."""
    differences = np.arange(rows[0] - columns[-1], rows[-1] - columns[0] + 1.0)
    place = np.subtract.outer(np.arange(len(rows)), np.arange(len(columns))) + len(columns) - 1
    return np.asarray(masses(differences, mean)[place], np.float64)


def masses(k: Array, mean: float) -> Array:
    return np.asarray(np.exp(log_poisson(k, mean)), np.float64)


def trigamma(z: Array) -> Array:
    """Return ψ'(z), z > 0, five times as fast as SciPy's: six steps up, then Stirling's series."""
    total = np.zeros_like(z)
    for step in range(6):
        total += 1.0 / np.square(z + step)
    inverse = 1.0 / (z + 6.0)
    square = inverse * inverse
    tail = 1 / 6 - square * (1 / 30 - square * (1 / 42 - square * (1 / 30 - square * (5 / 66))))
    return np.asarray(total + inverse + square * (0.5 + inverse * tail), np.float64)
