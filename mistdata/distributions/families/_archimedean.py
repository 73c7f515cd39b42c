"""What Archimedean copulas ψ(φ(u) + φ(v)) share; φ is the inverse of ψ.

The numbers X = φ(U) and Y = φ(V) have the joint density ψ''(x+y), and their sum Z and X/Z are
independent, the latter uniform. So ln c = ln ψ''(Z) - ln(-ψ'(X)) - ln(-ψ'(Y)), and its mean takes
integrals over a line only.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, ROUNDING
from mistdata.distributions.families._pair_copulas import PairCopula
from mistdata.distributions.priors import Array


class Archimedean(PairCopula):
    """A copula ψ(φ(u) + φ(v)) of one strength, described by ψ on a logarithmic scale."""

    theta: float

    @abstractmethod
    def log_generator(self, w: Array, s: Array) -> Array:
        """Return ln φ(w) from w and s = 1 - w."""

    @abstractmethod
    def log_slope(self, log_x: Array) -> Array:
        """Return ln(-ψ'(x))."""

    @abstractmethod
    def log_curvature(self, log_x: Array) -> Array:
        """Return ln ψ''(x)."""


def archimedean_information(pair: Archimedean) -> MI:
    """Return I(U;V) of an Archimedean copula by quadrature.

    I = ∫ k(w) ln ψ''(φ(w)) dw - 2 ∫ ln(-ψ'(φ(u))) du, where w = C(u,v) has the density
    k = zψ''(z)/(-ψ'(z)) at z = φ(w). The variance takes a second integral, over X/Z.
    """

    def moments(w: Array, s: Array) -> Array:
        log_z = pair.log_generator(w, s)
        slope, curvature = pair.log_slope(log_z), pair.log_curvature(log_z)
        k = np.exp(log_z + curvature - slope)
        return np.stack((k * curvature - 2.0 * slope, k))

    found = integrate.unit(moments, 1e-11)
    value, mass = found.value
    if abs(mass - 1.0) > 1e-10:
        raise integrate.NotConverged(f"archimedean: mass {mass:.12g}")
    # k errs by a few εθ, and multiplies logarithms of size θ
    rounding = ROUNDING + 1e-15 * pair.theta**2
    error = float(found.error.max() + abs(mass - 1.0) + rounding)
    return MI(max(float(value), 0.0), error, "quadrature", "quad_halving", _deviation(pair, value))


def _deviation(pair: Archimedean, mean: float) -> float:
    """Return the standard deviation of ln c, on a tanh-sinh grid of w and X/Z."""
    w, s, weight = _unit_grid(0.125)
    half = slice(len(w) // 2, None)  # X and Y are exchangeable
    share = weight[half].copy()
    share[0] *= 0.5
    with np.errstate(all="ignore"):  # branches not taken
        log_z = pair.log_generator(w, s)[:, None]
        slope, curvature = pair.log_slope(log_z), pair.log_curvature(log_z)
        first, second = (pair.log_slope(log_z + np.log(part[half])) for part in (w, s))
    k = np.exp(log_z + curvature - slope)[:, 0] * weight
    return math.sqrt(2.0 * float(k @ (curvature - first - second - mean) ** 2 @ share))


@lru_cache(maxsize=2)
def _unit_grid(step: float) -> tuple[Array, Array, Array]:
    t = step * np.arange(-math.floor(3.5 / step), math.floor(3.5 / step) + 1)
    q = np.exp(-math.pi * np.abs(np.sinh(t)))
    near, far = q / (1.0 + q), 1.0 / (1.0 + q)
    weight = step * math.pi * np.cosh(t) * near * far
    return np.where(t < 0, near, far), np.where(t < 0, far, near), weight


def log1mexp(x: Array) -> Array:
    """Return ln(1 - e^-x) for x > 0."""
    return np.asarray(np.log(-np.expm1(-x)))


def softplus(x: Array) -> Array:
    """Return ln(1 + e^x)."""
    return np.asarray(np.logaddexp(0.0, x))


def log_m(log_x: Array) -> Array:
    """Return ln(1 - e^-x) from ln x, however small x is."""
    return np.asarray(np.where(log_x < -40.0, log_x, log1mexp(np.exp(np.maximum(log_x, -40.0)))))


def log_neg_log(log_p: Array, log_rest: Array) -> Array:
    """Return ln(-ln(1-p)) from ln p and ln(1-p)."""
    minus_log = -np.where(log_p < -0.7, np.log1p(-np.exp(np.minimum(log_p, -0.7))), log_rest)
    return np.asarray(np.where(log_p < -40.0, log_p, np.log(minus_log)))


def log_of(w: Array, s: Array) -> Array:
    """Return ln w from w and s = 1 - w."""
    return np.asarray(np.where(w < 0.5, np.log(w), np.log1p(-np.minimum(s, 0.5))))


def log_table(pair: Callable[[float], Archimedean], low: float, high: float) -> integrate.Table:
    """Tabulate an Archimedean family over t = ln(strength); `pair` maps the strength."""
    return integrate.Table(
        lambda t: archimedean_information(pair(math.exp(t))), math.log(low), math.log(high)
    )
