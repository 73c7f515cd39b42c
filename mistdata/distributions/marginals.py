"""Marginal laws to put on a copula: increasing maps from (0, 1) to the real line, and back.

A copula is a law with uniform margins; any continuous margins may be laid over it without a change
of its mutual information. The way back from a value x to the copula's scale keeps F(x) and
1 - F(x) apart, so that neither tail is lost to cancellation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from mistdata.distributions.integrate import Margin
from mistdata.distributions.priors import Array

LEAST, GREATEST = 2.0**-54, 1.0 - 2.0**-53  # a uniform lies beyond once in 10^16 draws
TINY = 1e-300
_SINGLE = 2.0**-24  # 1 - 2^-24 is the greatest single-precision number below 1


@dataclass(frozen=True, slots=True)
class Marginal:
    """One continuous law of a real random variable, as a strictly increasing map and its inverse.

    Attributes:
        law: the law in words.
        quantile: F⁻¹, from u in [LEAST, GREATEST] to x.
        margin: from x to F(x), 1 - F(x), their logarithms and the normal score Φ⁻¹(F(x)); values
            outside of the support count as its edge.
    """

    law: str
    quantile: Callable[[Array], Array]
    margin: Callable[[Array], Margin]


def open_interval(u: Array) -> Array:
    """Move uniforms that are 0 or 1, or round to it, to the nearest legal value."""
    return np.clip(u, LEAST, GREATEST)


def margin_of(u: Array, s: Array) -> Margin:
    """Complete a margin from U and 1 - U, each exact near its own zero."""
    u, s = np.maximum(u, TINY), np.maximum(s, TINY)
    low = u < s
    log_u = np.where(low, np.log(u), np.log1p(-np.minimum(s, 0.5)))
    log_s = np.where(low, np.log1p(-np.minimum(u, 0.5)), np.log(s))
    return Margin(np.where(low, ndtri(u), -ndtri(s)), u, s, log_u, log_s)


def flipped(margin: Margin) -> Margin:
    """Return the margin of 1 - U."""
    return Margin(-margin.score, margin.s, margin.u, margin.log_s, margin.log_u)


def column(margin: Margin, k: int) -> Margin:
    """Return column k of a margin of many columns."""
    fields = (margin.score, margin.u, margin.s, margin.log_u, margin.log_s)
    return Margin(*(field[:, k] for field in fields))


def _student_quantile(u: Array) -> Array:
    return np.asarray(stdtrit(3.0, u))


def _student_margin(x: Array) -> Margin:
    return margin_of(stdtr(3.0, x), stdtr(3.0, -x))


def _exponential_quantile(u: Array) -> Array:
    return -np.log1p(-u)


def _exponential_margin(x: Array) -> Margin:
    x = np.maximum(x, 0.0)
    return margin_of(-np.expm1(-x), np.exp(-x))


def _uniform_quantile(u: Array) -> Array:
    return np.minimum(u, 1.0 - _SINGLE)


def _uniform_margin(x: Array) -> Margin:
    x = np.clip(x, LEAST, 1.0 - 0.5 * _SINGLE)
    return margin_of(x, 1.0 - x)


def _normal_quantile(u: Array) -> Array:
    return np.asarray(ndtri(u))


class _TwoNormals:
    """The mixture w N(a, 1) + (1-w) N(b, 1), a < b.

    The quantile function is tabulated in the normal score z = Φ⁻¹(u), where it is smooth: cubic
    Hermite interpolation, with dx/dz = φ(z)/p(x), followed by one Newton step in the nearer tail.
    """

    _STEP, _LIMIT = 1.0 / 512.0, 8.5

    def __init__(self, weight: float, first: float, second: float) -> None:
        self._parts = ((weight, first), (1.0 - weight, second))

    def _lower(self, x: Array) -> Array:
        return np.asarray(sum(weight * ndtr(x - mean) for weight, mean in self._parts))

    def _upper(self, x: Array) -> Array:
        return np.asarray(sum(weight * ndtr(mean - x) for weight, mean in self._parts))

    def _density(self, x: Array) -> Array:
        bells = (weight * np.exp(-0.5 * (x - mean) ** 2) for weight, mean in self._parts)
        return np.asarray(sum(bells) / math.sqrt(2.0 * math.pi))

    @cache  # noqa: B019 - the two instances live as long as the module
    def _table(self) -> tuple[Array, Array]:
        """Solve F(x) = Φ(z) on a grid of z by bisection; return x and its slope times the step."""
        count = int(self._LIMIT / self._STEP)
        z = self._STEP * np.arange(-count, count + 1)
        low = np.full_like(z, self._parts[0][1] - 9.0)
        high = np.full_like(z, self._parts[1][1] + 9.0)
        for _ in range(60):
            x = 0.5 * (low + high)
            above = np.where(z < 0, self._lower(x) > ndtr(z), self._upper(x) < ndtr(-z))
            low, high = np.where(above, low, x), np.where(above, x, high)
        bell = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        return x, self._STEP * bell / self._density(x)

    def quantile(self, u: Array) -> Array:
        """Return F⁻¹(u)."""
        x, slope = self._table()
        place = (ndtri(u) + self._LIMIT) / self._STEP
        index = np.clip(place.astype(np.int64), 0, len(x) - 2)
        t = place - index
        left, right = x[index], x[index + 1]
        bend = slope[index] * (1.0 - t) - slope[index + 1] * t + (2.0 * t - 1.0) * (right - left)
        guess = left + t * (right - left) + t * (1.0 - t) * bend
        excess = np.where(u < 0.5, self._lower(guess) - u, (1.0 - u) - self._upper(guess))
        return np.asarray(guess - excess / self._density(guess))

    def margin(self, x: Array) -> Margin:
        """Return F(x), 1 - F(x) and their company."""
        return margin_of(self._lower(x), self._upper(x))


_EVEN = _TwoNormals(0.5, -1.0, 3.0)
_UNEVEN = _TwoNormals(0.3, 0.0, 5.0)

# The two bimodal laws are those of Y and of X in the task of that name of Beyond Normal
# (Czyż et al., 2023), https://arxiv.org/abs/2306.11078
MARGINALS = {
    "normal": Marginal("N(0, 1)", _normal_quantile, Margin.at),
    "student": Marginal("Student's t, 3 degrees of freedom", _student_quantile, _student_margin),
    "exponential": Marginal("Exp(1)", _exponential_quantile, _exponential_margin),
    "uniform": Marginal("U(0, 1)", _uniform_quantile, _uniform_margin),
    "bimodal": Marginal("½ N(-1, 1) + ½ N(3, 1)", _EVEN.quantile, _EVEN.margin),
    "bimodal-uneven": Marginal("0.3 N(0, 1) + 0.7 N(5, 1)", _UNEVEN.quantile, _UNEVEN.margin),
}
