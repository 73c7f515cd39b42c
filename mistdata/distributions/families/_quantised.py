"""Integrals over one normal variable, and quantile bins of normal variables, for `quantised`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from mistdata.distributions.base import MI, ROUNDING
from mistdata.distributions.priors import Array

SCORES = 8.5  # normal scores beyond carry less than 1e-17 of the mass


def over_normal(moments: Callable[[Array], tuple[Array, Array]], step: float) -> MI:
    """Integrate a pointwise MI over one standard normal variable Z and what is discrete.

    Args:
        moments: maps z (points,) to the probabilities of the discrete outcomes given z and to
            the pointwise MI there, (outcomes, points) or broadcastable to it.
        step: of the trapezoid; an analytic integrand converges geometrically in 1/step.
    """
    count = 2 * math.ceil(0.5 * SCORES / step)
    z = step * np.arange(-count, count + 1)
    density = np.exp(-0.5 * z * z) * (step / math.sqrt(2.0 * math.pi))
    probability, pmi = moments(z)
    weight = probability * density
    each = weight * pmi
    value = float(each.sum())
    error = abs(2.0 * float(each[:, ::2].sum()) - value) + ROUNDING * (1.0 + value)
    deviation = math.sqrt(max(float((each * pmi).sum()) - value * value, 0.0))
    return MI(max(value, 0.0), error, "quadrature", "quad_halving", deviation)


def remainder_of(rho: float) -> float:
    """Return √(1-ρ²)."""
    return math.sqrt((1.0 - rho) * (1.0 + rho))


def correlated(n: int, rho: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw two columns of standard normals with correlation ρ."""
    x, z = rng.standard_normal((2, n, 1))
    return x, rho * x + remainder_of(rho) * z


def quantile_bin(values: Array, bins: int) -> Array:
    """Return the quantile bin of every standard normal value."""
    return np.searchsorted(edges(bins)[1:-1], values).astype(np.float64)


def cell_probabilities(rho: float, bins: int) -> Array:
    """Return the bivariate normal probabilities of all pairs of quantile bins, (bins, bins).

    ∂P(V ≤ a, W ≤ b)/∂ρ is the bivariate normal density, which is integrated from independence
    on; with ρ = sin t it is P = Φ(a)Φ(b) + ∫ exp(-(a²+b²-2ab sin t)/(2 cos²t)) dt/2π.
    """
    count = 32
    while count < 17.5 * (1.0 - abs(rho)) ** -0.25:  # this keeps all errors below 1e-12
        count *= 2
    node, weight = _legendre(count)
    half = 0.5 * math.asin(rho)
    sine = np.sin(half * (node + 1.0))
    threshold = edges(bins)[1:-1]
    square = np.square(threshold)
    exponent = np.multiply.outer(np.multiply.outer(threshold, threshold), sine)
    exponent -= 0.5 * np.add.outer(square, square)[:, :, None]
    exponent /= 1.0 - sine * sine
    excess = np.zeros((bins + 1, bins + 1))
    excess[1:-1, 1:-1] = np.exp(exponent) @ (weight * half / (2.0 * math.pi))
    cells = np.diff(np.diff(excess, axis=0), axis=1) + 1.0 / bins**2
    # the least cells are below the rounding of the others; nobody meets them in a sample
    return np.maximum(cells, 1e-18)


@lru_cache(maxsize=64)
def edges(bins: int) -> Array:
    """Return Φ⁻¹(q/k), q = 0, ..., k."""
    return np.asarray(ndtri(np.arange(bins + 1) / bins), np.float64)


@lru_cache(maxsize=8)
def _legendre(count: int) -> tuple[Array, Array]:
    node, weight = np.polynomial.legendre.leggauss(count)
    return np.asarray(node, np.float64), np.asarray(weight, np.float64)
