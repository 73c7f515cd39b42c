"""Mutual information by numerical integration, with an error that can be trusted.

Choose the lowest-dimensional exact integral first: a sum, a line (`unit`, `half_line`, `line`),
normal scores of a bivariate copula (`copula`), and only then randomised quasi-Monte Carlo (`rqmc`)
or plain Monte Carlo (`monte_carlo`). The deterministic rules are trapezoids of analytic
integrands, whose error falls exponentially with the step: they halve it until nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_ndtr, ndtr, stdtrit

from mistdata.distributions.base import MI, ErrorKind, JointDistribution, Method, Precision
from mistdata.distributions.priors import Array

if TYPE_CHECKING:
    from scipy.stats import qmc

Integrand = Callable[[Array], Array]
_T_MAX = 6.0  # exp(-(π/2) sinh 6) = 1e-138: nothing is left of any of our integrands
_FIRST, _LEVELS = 0.25, 7
_LIMIT = 8.5  # normal scores beyond carry less than 1e-17 of the mass


class NotConverged(ArithmeticError):
    """An integral that did not settle to the tolerance asked for."""


@dataclass(frozen=True, slots=True)
class Integral:
    """A vector of integrals, with the change when the step was last halved as its error."""

    value: Array
    error: Array


def unit(f: Callable[[Array, Array], Array], tolerance: float = 1e-12) -> Integral:
    """Integrate f(w, 1-w) over 0 < w < 1 by the tanh-sinh rule.

    Args:
        f: maps (points,) arrays w and 1-w, both exact near their zeros, to (..., points).
        tolerance: absolute and relative; on every component.

    Raises:
        NotConverged: halving the step still changes the value.

    References:
        Double exponential formulas for numerical integration (Takahasi, Mori, 1974), §2;
        https://doi.org/10.2977/prims/1195192451
    """

    def g(t: Array) -> Array:
        q = np.exp(-math.pi * np.abs(np.sinh(t)))
        near, far = q / (1.0 + q), 1.0 / (1.0 + q)
        w, rest = np.where(t < 0, near, far), np.where(t < 0, far, near)
        return f(w, rest) * (math.pi * np.cosh(t) * near * far)

    return _trapezoid(g, 3.9, tolerance)  # the least w is 1e-33


def half_line(f: Integrand, tolerance: float = 1e-12) -> Integral:
    """Integrate f(w) over w > 0 by the exp-sinh rule; f maps (points,) to (..., points).

    Raises:
        NotConverged: halving the step still changes the value.
    """

    def g(t: Array) -> Array:
        w = np.exp(0.5 * math.pi * np.sinh(t))
        return f(w) * (0.5 * math.pi * np.cosh(t) * w)

    return _trapezoid(g, _T_MAX, tolerance)


def line(
    f: Integrand, tolerance: float = 1e-12, *, center: float = 0.0, scale: float = 1.0
) -> Integral:
    """Integrate f(w) over the real line by the sinh-sinh rule; f maps (points,) to (..., points).

    Args:
        f: the integrand; integrate the density along with it, and check that it gives one.
        tolerance: absolute and relative; on every component.
        center: where the integrand lies.
        scale: how wide it is, within a factor of some tens: a peak far narrower than `scale`
            falls between all points.

    Raises:
        NotConverged: halving the step still changes the value.
    """

    def g(t: Array) -> Array:
        inner = 0.5 * math.pi * np.sinh(t)
        w = center + scale * np.sinh(inner)
        return f(w) * (scale * 0.5 * math.pi * np.cosh(t) * np.cosh(inner))

    return _trapezoid(g, _T_MAX, tolerance)


def _trapezoid(g: Integrand, limit: float, tolerance: float) -> Integral:
    """Sum g over a grid on [-limit, limit], adding the midpoints until nothing changes."""
    step = _FIRST
    count = math.floor(limit / step)
    with np.errstate(all="ignore"):  # beyond the range of doubles an integrand is zero
        total = _sum(g, step * np.arange(-count, count + 1))
        for _ in range(_LEVELS):
            middle = step * (np.arange(-count, count) + 0.5)
            refined = 0.5 * (total * step + _sum(g, middle) * step)
            change = np.abs(refined - total * step)
            step, count = 0.5 * step, 2 * count
            total = refined / step
            if (change <= tolerance * (1.0 + np.abs(refined))).all():
                return Integral(np.asarray(refined), np.asarray(change))
    raise NotConverged(f"quadrature: the last halving changed the value by {change.max():.2g}")


def _sum(g: Integrand, t: Array) -> Array:
    values = g(t)
    return np.asarray(np.where(np.isfinite(values), values, 0.0).sum(axis=-1))


@dataclass(frozen=True, slots=True)
class Margin:
    """Grid points of one uniform margin U = Φ(a), without cancellation at either end.

    Attributes:
        score: a, the normal score.
        u, s: U and 1 - U.
        log_u, log_s: ln U and ln(1 - U).
    """

    score: Array
    u: Array
    s: Array
    log_u: Array
    log_s: Array

    @classmethod
    def at(cls, score: Array) -> Margin:
        """Evaluate the margin at normal scores."""
        return cls(score, ndtr(score), ndtr(-score), log_ndtr(score), log_ndtr(-score))


def copula(log_density: Callable[[Margin, Margin], Array], tolerance: float = 1e-10) -> MI:
    """Integrate c ln c over the unit square, by the trapezoid in normal scores.

    I = ∫∫ φ(a) φ(b) c ln c da db with u = Φ(a), v = Φ(b). How far the mass ∫∫ φφ c is from 1
    certifies the grid: the error of I was below 16 times that in every unresolved case tried.

    Args:
        log_density: maps the margins of U (points, 1) and of V (1, points) to ln c.
        tolerance: largest change of I under halving, absolute.

    Returns:
        I in nats, its error, and the standard deviation of ln c.

    Raises:
        NotConverged: the finest grid does not resolve the density.
    """
    coarse, _, _ = _on_grid(log_density, 0.2)
    for step in (0.1, 0.05, 0.025, 0.0125):
        value, square, mass = _on_grid(log_density, step)
        change = abs(value - coarse)
        if change <= tolerance and abs(mass - 1.0) <= max(tolerance / 20.0, 1e-12):
            error = max(change, 16.0 * abs(mass - 1.0))
            deviation = math.sqrt(max(square - value * value, 0.0))
            return MI(max(value, 0.0), error, "quadrature", "quad_halving", deviation)
        coarse = value
    raise NotConverged(f"copula: mass {mass:.6g}, the last halving changed I by {change:.2g}")


@lru_cache(maxsize=8)
def _grid(step: float) -> tuple[Margin, Array]:
    count = math.floor(_LIMIT / step)
    score = step * np.arange(-count, count + 1)
    weight = step * np.exp(-0.5 * score * score) / math.sqrt(2.0 * math.pi)
    return Margin.at(score), weight


def _on_grid(
    log_density: Callable[[Margin, Margin], Array], step: float
) -> tuple[float, float, float]:
    """Return the trapezoid sums of c ln c, c (ln c)² and c."""
    margin, weight = _grid(step)
    fields = (margin.score, margin.u, margin.s, margin.log_u, margin.log_s)
    with np.errstate(all="ignore"):
        log_c = log_density(
            Margin(*(each[:, None] for each in fields)), Margin(*(each[None] for each in fields))
        )
        mass = np.exp(log_c)
        mass = np.where(np.isfinite(mass), mass, 0.0)
        log_c = np.where(mass > 0.0, log_c, 0.0)

    def sums(values: Array) -> float:
        return float(weight @ values @ weight)

    return sums(mass * log_c), sums(mass * log_c * log_c), sums(mass)


def expectation(weight: Array, pmi: Array) -> MI:
    """Sum a finite table exactly: I = Σ p ln p/(p_x p_y), with its standard deviation.

    Args:
        weight: probabilities, any shape; they add to one.
        pmi: pointwise mutual information in nats where the weight is positive.
    """
    used = weight > 0.0
    p, value = weight[used], pmi[used]
    mean = float(p @ value)
    deviation = math.sqrt(max(float(p @ (value - mean) ** 2), 0.0))
    return MI.closed_form(max(mean, 0.0), deviation)


def sobol(dim: int, scramble: int) -> qmc.Sobol:
    """Return a scrambled Sobol' sequence of points in [0, 1)^dim.

    Args:
        dim: the coordinates of a point.
        scramble: the seed of the scramble; sequences of different seeds are independent.
    """
    from scipy.stats import qmc  # takes a second, which most commands need not wait

    return qmc.Sobol(dim, scramble=True, rng=np.random.default_rng(scramble))


def rqmc(pmi: Integrand, dim: int, precision: Precision, *, first: int = 9, last: int = 18) -> MI:
    """Average the pointwise MI over randomised quasi-Monte Carlo points.

    Sixteen independently scrambled Sobol' sequences; their means are independent and unbiased, so
    that I lies within t_{15} standard errors. Points are doubled until the standard error is
    half of what the label allows.

    Args:
        pmi: maps uniforms (points, dim) in (0, 1) to the pointwise MI at the point that they
            generate.
        dim: uniforms that one point takes.
        precision: how exact the label must be.
        first: binary logarithm of the least number of points of one scramble.
        last: binary logarithm of the greatest.

    Returns:
        I with the standard error over scrambles; see `t_interval`.

    References:
        Monte Carlo theory, methods and examples (Owen, 2013), chapter 17.
    """
    engines = [sobol(dim, k) for k in range(16)]
    count = 0
    sums = np.zeros((2, len(engines)))
    for log_count in (first, *range(first, last)):
        for k, engine in enumerate(engines):
            values = pmi(np.clip(engine.random_base2(log_count), 1e-16, 1.0 - 1e-16))
            sums[0, k] += values.sum()
            sums[1, k] += values @ values
        count += 1 << log_count
        means = sums[0] / count
        value, error = means.mean(), means.std(ddof=1) / math.sqrt(len(engines))
        deviation = math.sqrt(max(sums[1].mean() / count - value * value, 0.0))
        if error <= 0.5 * precision.allowed(max(value, 0.0), deviation):
            break
    return _estimated(value, error, "rqmc", "rqmc_se", deviation)


def monte_carlo(
    member: JointDistribution, precision: Precision, *, batch: int = 20_000, most: int = 20_000_000
) -> MI:
    """Average a member's pointwise MI over a sample of its own, fixed by a seed."""
    rng = np.random.default_rng(0)
    count, total, squares = 0, 0.0, 0.0
    while count < most:
        values = member.pointwise_mutual_information(*member.sample(batch, rng))
        count += batch
        total += float(values.sum())
        squares += float(values @ values)
        value = total / count
        deviation = math.sqrt(max(squares / count - value * value, 0.0))
        error = deviation / math.sqrt(count)
        if error <= 0.5 * precision.allowed(max(value, 0.0), deviation):
            break
    return _estimated(value, error, "monte_carlo", "mc_se", deviation)


def t_interval(mi: MI, level: float = 0.95, scrambles: int = 16) -> tuple[float, float]:
    """Return the interval of Student's t around a value from `rqmc`."""
    half = float(stdtrit(scrambles - 1, 0.5 + 0.5 * level)) * mi.error
    return mi.value - half, mi.value + half


def _estimated(value: float, error: float, method: Method, kind: ErrorKind, std: float) -> MI:
    return MI(max(float(value), 0.0), float(error), method, kind, float(std))


class Table:
    """I and its second moment as functions of one parameter, tabulated at Chebyshev points.

    A two-dimensional quadrature costs milliseconds, an interpolated value microseconds. The table
    is made at its first use; outside [low, high] the quadrature itself answers.

    Args:
        function: t -> MI, by quadrature; analytic in t.
        low, high: range of t.
        degree: of the interpolating polynomials.
    """

    def __init__(
        self, function: Callable[[float], MI], low: float, high: float, degree: int = 64
    ) -> None:
        self._function = function
        self._low, self._high, self._degree = low, high, degree
        self._made: tuple[Array, float] | None = None

    def __call__(self, t: float) -> MI:
        """Return the MI at t; the error holds the quadrature's and the interpolation's."""
        if not self._low <= t <= self._high:
            return self._function(t)
        if self._made is None:
            self._made = self._make()
        coefficients, error = self._made
        place = (2.0 * t - self._low - self._high) / (self._high - self._low)
        basis = np.cos(np.arange(self._degree + 1) * math.acos(min(1.0, max(-1.0, place))))
        value, std = (float(each) for each in coefficients @ basis)
        return MI(max(value, 0.0), error, "quadrature", "quad_halving", max(std, 0.0))

    def _make(self) -> tuple[Array, float]:
        count = self._degree + 1
        angle = math.pi * (np.arange(count) + 0.5) / count
        t = 0.5 * (self._low + self._high) + 0.5 * (self._high - self._low) * np.cos(angle)
        found = [self._function(float(each)) for each in t]
        nodes = np.array([[mi.value for mi in found], [mi.pmi_std or 0.0 for mi in found]])
        coefficients = 2.0 / count * nodes @ np.cos(np.outer(angle, np.arange(count)))
        coefficients[:, 0] *= 0.5
        tail = float(np.abs(coefficients[0, -4:]).sum())  # the last terms bound what is cut off
        return coefficients, 4.0 * tail + max(mi.error for mi in found)
