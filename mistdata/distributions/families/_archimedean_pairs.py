"""The Archimedean pair copulas: Clayton, Frank, Gumbel, Joe, and Ali, Mikhail and Haq.

Three have a closed form of the information; the tables at the foot hold that of the others, and
the standard deviation of ln c of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import exp1, spence, wrightomega

from mistdata.distributions import integrate
from mistdata.distributions.base import MI
from mistdata.distributions.families._archimedean import (
    Archimedean,
    archimedean_information,
    log1mexp,
    log_m,
    log_neg_log,
    log_of,
    log_table,
    softplus,
)
from mistdata.distributions.families._pair_copulas import VinePair
from mistdata.distributions.integrate import Margin
from mistdata.distributions.marginals import flipped, margin_of
from mistdata.distributions.priors import Array

# B_2k/(2k)! for k = 1, 2, ...
BERNOULLI = (
    8.333333333333333e-02,
    -1.388888888888889e-03,
    3.306878306878307e-05,
    -8.267195767195767e-07,
    2.087675698786810e-08,
    -5.284190138687493e-10,
    1.338253653068468e-11,
    -3.389680296322583e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
)


@dataclass(frozen=True)
class Clayton(Archimedean, VinePair):
    """ψ(x) = (1+x)^(-1/θ) for θ > 0, and its continuation to -½ ≤ θ < 0."""

    theta: float

    @classmethod
    def of_tau(cls, tau: float) -> Clayton:
        """τ = θ/(θ+2)."""
        return cls(2.0 * tau / (1.0 - tau))

    def log_excess(self, log_u: Array) -> Array:
        """Return ln φ(u) = ln(u^-θ - 1) for θ > 0."""
        power = -self.theta * log_u
        return power + log1mexp(power)

    def log_generator(self, w: Array, s: Array) -> Array:
        """Return the logarithm of φ(w) = w^-θ - 1."""
        return self.log_excess(log_of(w, s))

    def log_slope(self, log_x: Array) -> Array:
        """Return the logarithm of -ψ'(x) = (1+x)^(-1-1/θ)/θ."""
        return -math.log(self.theta) - (1.0 + 1.0 / self.theta) * softplus(log_x)

    def log_curvature(self, log_x: Array) -> Array:
        """Return the logarithm of ψ''(x) = (1+θ)(1+x)^(-2-1/θ)/θ²."""
        constant = math.log1p(self.theta) - 2.0 * math.log(self.theta)
        return constant - (2.0 + 1.0 / self.theta) * softplus(log_x)

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln c, c = (1+θ)(uv)^(-1-θ) (u^-θ + v^-θ - 1)^(-2-1/θ)."""
        if self.theta == 0.0:
            return np.zeros(np.broadcast_shapes(u.log_u.shape, v.log_u.shape))
        if self.theta < 0.0:
            sum_ = 1.0 + np.expm1(-self.theta * u.log_u) + np.expm1(-self.theta * v.log_u)
            log_sum = np.log(np.maximum(sum_, 1e-9))  # rounding can carry a point over the edge
            powers = -(1.0 + self.theta) * (u.log_u + v.log_u)
            return np.asarray(math.log1p(self.theta) + powers - (2.0 + 1.0 / self.theta) * log_sum)
        return self.log_ratio(self.log_excess(u.log_u), self.log_excess(v.log_u), 1, 1)

    def log_ratio(self, log_x: Array, log_y: Array, m: int, n: int) -> Array:
        """Return ln c(u,v)/(c(u)c(v)) of blocks of m and n columns, from ln Σφ(u), ln Σφ(v)."""
        a = 1.0 / self.theta
        shift = sum(
            math.log1p(self.theta * (m + j)) - math.log1p(self.theta * j) for j in range(n)
        )
        together = softplus(np.logaddexp(log_x, log_y))
        return np.asarray(
            shift + (m + a) * softplus(log_x) + (n + a) * softplus(log_y) - (m + n + a) * together
        )

    def information(self) -> MI:
        """Return ln(1+θ) - θ/(1+θ)."""
        deviation = CLAYTON(math.log(self.theta)).pmi_std if self.theta > 0.0 else None
        return MI.closed_form(clayton_information(self.theta), deviation)

    def quantile(self, q: Array, u: Array) -> Array:
        """Return v = ((q^(-θ/(1+θ)) - 1) u^-θ + 1)^(-1/θ)."""
        if self.theta == 0.0:
            return q
        power = -self.theta / (1.0 + self.theta) * np.log(q)
        if self.theta < 0.0:
            excess = np.expm1(power) * np.exp(-self.theta * np.log(u))
            return np.asarray(np.exp(-np.log1p(excess) / self.theta))
        log_excess = power + log1mexp(power) - self.theta * np.log(u)
        return np.asarray(np.exp(-softplus(log_excess) / self.theta))

    def conditional(self, v: Margin, u: Margin) -> Margin:
        """Return P(V ≤ v | u) = (1 + u^θ (v^-θ - 1))^(-1-1/θ)."""
        if self.theta == 0.0:
            return v
        growth = softplus(self.theta * u.log_u + self.log_excess(v.log_u))
        exponent = (1.0 + 1.0 / self.theta) * growth
        return margin_of(np.exp(-exponent), -np.expm1(-exponent))


def clayton_information(theta: float) -> float:
    """Return ln(1+θ) - θ/(1+θ) = Σ_{k≥2} (1 - 1/k)(-θ)^k."""
    if abs(theta) < 0.05:
        return math.fsum((1.0 - 1.0 / k) * (-theta) ** k for k in range(2, 14))
    return math.log1p(theta) - theta / (1.0 + theta)


@dataclass(frozen=True)
class Frank(Archimedean, VinePair):
    """ψ(x) = -ln(1 - (1-e^-θ) e^-x)/θ; for θ < 0 the copula of U and 1 - V with strength -θ."""

    theta: float

    @classmethod
    def of_tau(cls, tau: float) -> Frank:
        """τ = 1 - 4(1 - D₁(θ))/θ, solved for θ."""
        return cls(frank_theta(tau))

    def log_generator(self, w: Array, s: Array) -> Array:
        """Return the logarithm of φ(w) = -ln((1-e^(-θw))/(1-e^-θ))."""
        log_whole = math.log(-math.expm1(-self.theta))
        log_p = -self.theta * w + log1mexp(self.theta * s) - log_whole
        return log_neg_log(log_p, log1mexp(self.theta * w) - log_whole)

    def _log_pole(self, log_x: Array) -> Array:
        """Return ln(1 - (1-e^-θ) e^-x)."""
        return np.asarray(np.logaddexp(log_m(log_x), -self.theta - np.exp(log_x)))

    def log_slope(self, log_x: Array) -> Array:
        """Return the logarithm of -ψ'(x) = (1-e^-θ) e^-x/(θ (1 - (1-e^-θ) e^-x))."""
        return np.asarray(self._log_scale() - np.exp(log_x) - self._log_pole(log_x))

    def log_curvature(self, log_x: Array) -> Array:
        """Return the logarithm of ψ''(x) = (1-e^-θ) e^-x/(θ (1 - (1-e^-θ) e^-x)²)."""
        return np.asarray(self._log_scale() - np.exp(log_x) - 2.0 * self._log_pole(log_x))

    def _log_scale(self) -> float:
        return math.log(-math.expm1(-self.theta) / self.theta)

    def _log_parts(self, u: Margin, v: Margin) -> tuple[Array, Array]:
        """Return ln of e^(-θu)(1-e^(-θv)) and of e^(-θv)(1-e^(-θ(1-v))), which are positive."""
        below = -self.theta * u.u + log1mexp(self.theta * v.u)
        above = -self.theta * v.u + log1mexp(self.theta * v.s)
        return below, above

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln c, c = θ(1-e^-θ) e^(-θ(u+v))/(1 - e^-θ - (1-e^(-θu))(1-e^(-θv)))²."""
        if self.theta == 0.0:
            return np.zeros(np.broadcast_shapes(u.u.shape, v.u.shape))
        if self.theta < 0.0:
            return Frank(-self.theta).log_density(u, flipped(v))
        constant = math.log(self.theta) + math.log(-math.expm1(-self.theta))
        whole = np.logaddexp(*self._log_parts(u, v))
        return np.asarray(constant - self.theta * (u.u + v.u) - 2.0 * whole)

    def information(self) -> MI:
        """Return ln(θ/(1-e^-θ)) + 2 D₁(θ) - 2; even in θ."""
        size = abs(self.theta)
        deviation = FRANK(math.log(size)).pmi_std if size > 0.0 else 0.0
        return MI.closed_form(frank_information(size), deviation, special=True)

    def quantile(self, q: Array, u: Array) -> Array:
        """Return e^(-θv) = ((1-q) e^(-θu) + q e^-θ)/((1-q) e^(-θu) + q)."""
        if self.theta == 0.0:
            return q
        if self.theta < 0.0:
            return 1.0 - Frank(-self.theta).quantile(1.0 - q, u)
        log_q, log_rest = np.log(q), np.log1p(-q) - self.theta * u
        whole = np.logaddexp(log_q, log_rest)
        lost = -math.expm1(-self.theta) * np.exp(log_q - whole)  # 1 - e^(-θv)
        direct = np.logaddexp(log_q - self.theta, log_rest) - whole
        return np.asarray(
            -np.where(lost < 0.5, np.log1p(-np.minimum(lost, 0.5)), direct) / self.theta
        )

    def conditional(self, v: Margin, u: Margin) -> Margin:
        """P(V ≤ v | u) is to its complement as e^(-θu)(1-e^(-θv)) to e^(-θv)(1-e^(-θ(1-v)))."""
        if self.theta == 0.0:
            return v
        below, above = self._log_parts(u, v)
        whole = np.logaddexp(below, above)
        return margin_of(np.exp(below - whole), np.exp(above - whole))


def frank_information(theta: float) -> float:
    """Return ln(θ/(1-e^-θ)) + 2 D₁(θ) - 2, by its power series for small θ ≥ 0."""
    if theta < 1.0:
        return math.fsum(
            each * theta ** (2 * k) * (2 * k - 1) / (2 * k * (2 * k + 1))
            for k, each in enumerate(BERNOULLI, start=1)
        )
    return math.log(theta / -math.expm1(-theta)) + 2.0 * debye(theta) - 2.0


def debye(theta: float) -> float:
    """Return D₁(θ) = (1/θ) ∫₀^θ t/(e^t - 1) dt for θ ≥ 1."""
    lost = -math.expm1(-theta)
    return math.log(lost) + (math.pi**2 / 6.0 - float(spence(lost))) / theta


def frank_tau(theta: float) -> float:
    """Return Kendall's rank correlation 1 - 4(1 - D₁(θ))/θ, θ ≥ 0."""
    if theta < 1.0:
        return 4.0 * math.fsum(
            each * theta ** (2 * k - 1) / (2 * k + 1) for k, each in enumerate(BERNOULLI, start=1)
        )
    return 1.0 - 4.0 * (1.0 - debye(theta)) / theta


@lru_cache(maxsize=1024)
def frank_theta(tau: float) -> float:
    """Invert `frank_tau`; θ/9 ≥ τ ≥ 1 - 4/θ brackets the root."""
    if tau == 0.0:
        return 0.0
    low, high = 9.0 * tau, 4.0 / (1.0 - tau)
    return float(
        brentq(
            lambda theta: frank_tau(theta) - tau,
            low * (1 - 1e-12),
            max(low, high) + 9.0,
            xtol=1e-13,
        )
    )


@dataclass(frozen=True)
class Gumbel(Archimedean, VinePair):
    """ψ(x) = exp(-x^(1/θ)), θ ≥ 1."""

    theta: float

    @classmethod
    def of_tau(cls, tau: float) -> Gumbel:
        """τ = 1 - 1/θ."""
        return cls(1.0 / (1.0 - tau))

    @property
    def _excess(self) -> float:
        return self.theta - 1.0

    def log_generator(self, w: Array, s: Array) -> Array:
        """Return the logarithm of φ(w) = (-ln w)^θ."""
        return self.theta * np.log(-log_of(w, s))

    def log_slope(self, log_x: Array) -> Array:
        """Return the logarithm of -ψ'(x) = r ψ(x)/(θx), r = x^(1/θ)."""
        log_r = log_x / self.theta
        return log_r - np.exp(log_r) - math.log(self.theta) - log_x

    def log_curvature(self, log_x: Array) -> Array:
        """Return the logarithm of ψ''(x) = r(r + θ - 1) ψ(x)/(θx)², r = x^(1/θ)."""
        log_r = log_x / self.theta
        r = np.exp(log_r)
        return log_r + np.log(r + self._excess) - r - 2.0 * (math.log(self.theta) + log_x)

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln c, c = exp(x+y-t) (xy)^(θ-1) t^(1-2θ) (t+θ-1).

        Here x = -ln u, y = -ln v and t^θ = x^θ + y^θ.
        """
        log_x, log_y = np.log(-u.log_u), np.log(-v.log_u)
        log_t = np.logaddexp(self.theta * log_x, self.theta * log_y) / self.theta
        t = np.exp(log_t)
        powers = self._excess * (log_x + log_y) + (1.0 - 2.0 * self.theta) * log_t
        return np.asarray(powers + np.log(t + self._excess) - u.log_u - v.log_u - t)

    def information(self) -> MI:
        """Return γ + ln a - a/θ + e^a E₁(a)/θ, a = θ-1."""
        a = self._excess
        deviation = GUMBEL(math.log(a)).pmi_std if a > 0.0 else 0.0
        return MI.closed_form(gumbel_information(a), deviation, special=True)

    def quantile(self, q: Array, u: Array) -> Array:
        """Solve t + a ln t = x + a ln x - ln q, a = θ-1, for t by Wright's ω; y^θ = t^θ - x^θ."""
        a = self._excess
        if a == 0.0:
            return q
        x = -np.log(u)
        t = a * wrightomega((x + a * np.log(x) - np.log(q)) / a - math.log(a))
        growth = np.maximum(self.theta * np.log1p((t - x) / x), 1e-300)
        log_y = np.log(x) + (growth + log1mexp(growth)) / self.theta
        return np.asarray(np.exp(-np.exp(log_y)))

    def conditional(self, v: Margin, u: Margin) -> Margin:
        """Return P(V ≤ v | u) = exp(x - t)(x/t)^(θ-1), x = -ln u, t as in `log_density`."""
        ratio = np.log(-v.log_u) - np.log(-u.log_u)
        growth = softplus(self.theta * ratio) / self.theta  # ln t/x
        exponent = -u.log_u * np.expm1(growth) + self._excess * growth
        return margin_of(np.exp(-exponent), -np.expm1(-exponent))


def gumbel_information(a: float) -> float:
    """Return γ + ln a - a/(1+a) + e^a E₁(a)/(1+a).

    For small a the sum is ordered into Ein(a) - a/(1+a) + E₁(a) (e^a - 1 - a)/(1+a), where
    Ein(a) = γ + ln a + E₁(a) has a power series; for large a E₁ is asymptotic.
    """
    if a == 0.0:
        return 0.0
    if a < 1.0:
        terms = [a**k / math.factorial(k) for k in range(2, 20)]  # a² on
        bent = math.fsum(-term / k * (-1) ** k for k, term in enumerate(terms, start=2))
        return bent + (a * a + float(exp1(a)) * math.fsum(terms)) / (1.0 + a)
    if a < 50.0:
        scaled = math.exp(a) * float(exp1(a))
    else:
        scaled = math.fsum((-1) ** k * math.factorial(k) / a ** (k + 1) for k in range(20))
    return float(np.euler_gamma) + math.log(a) + (scaled - a) / (1.0 + a)


@dataclass(frozen=True)
class Joe(Archimedean):
    """ψ(x) = 1 - (1 - e^-x)^(1/θ), θ ≥ 1."""

    theta: float

    def log_generator(self, w: Array, s: Array) -> Array:
        """Return the logarithm of φ(w) = -ln(1 - (1-w)^θ)."""
        log_power = self.theta * log_of(s, w)
        return log_neg_log(log_power, log1mexp(-log_power))

    def log_slope(self, log_x: Array) -> Array:
        """Return the logarithm of -ψ'(x) = e^-x m^(1/θ-1)/θ, m = 1 - e^-x."""
        return log_m(log_x) * (1.0 / self.theta - 1.0) - np.exp(log_x) - math.log(self.theta)

    def log_curvature(self, log_x: Array) -> Array:
        """Return the logarithm of ψ''(x) = e^-x m^(1/θ-2) (1 - e^-x/θ)/θ."""
        x = np.exp(log_x)
        last = np.log(self.theta - 1.0 - np.expm1(-x))
        return log_m(log_x) * (1.0 / self.theta - 2.0) - x + last - 2.0 * math.log(self.theta)

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln c, c = S^(1/θ-2) ((1-u)(1-v))^(θ-1) (θ-1+S).

        Here S = A + B(1-A), A = (1-u)^θ and B = (1-v)^θ.
        """
        theta = self.theta
        log_a, log_b = theta * u.log_s, theta * v.log_s
        log_sum = np.logaddexp(log_a, log_b + log1mexp(-log_a))
        powers = (1.0 / theta - 2.0) * log_sum + (theta - 1.0) * (u.log_s + v.log_s)
        return np.asarray(powers + np.log(theta - 1.0 + np.exp(log_sum)))

    def information(self) -> MI:
        """Read the table over ln(θ-1)."""
        if self.theta == 1.0:
            return MI.closed_form(0.0, 0.0)
        return JOE(math.log(self.theta - 1.0))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw by the frailty V of Sibuya's law: U = ψ(E/V), E standard exponential.

        V is geometric with a success probability p ~ Beta(1/θ, 1 - 1/θ), which may be as small
        as e^(-30θ): all is computed on the logarithmic scale.
        """
        a = 1.0 / self.theta
        e = rng.standard_exponential((4, n))
        log_first = np.log(rng.standard_gamma(1.0 + a, n)) - self.theta * e[0]
        log_second = np.log(np.maximum(rng.standard_gamma((self.theta - 1.0) * a, n), 1e-300))
        log_p = log_first - np.logaddexp(log_first, log_second)
        with np.errstate(divide="ignore"):  # p = 1 makes V = 1
            failures = e[1] / -np.log1p(-np.exp(np.maximum(log_p, -40.0)))
        log_v = np.log(np.maximum(np.ceil(failures), 1.0))
        log_v = np.where(log_p < -30.0, np.log(e[1]) - log_p, log_v)
        u, v = -np.expm1(a * log_m(np.log(e[2:]) - log_v))
        return u, v


@dataclass(frozen=True)
class AliMikhailHaq(Archimedean):
    """ψ(x) = (1-θ)/(e^x - θ), -1 ≤ θ < 1; θ = 1 is Clayton's copula of strength 1."""

    theta: float

    def log_generator(self, w: Array, s: Array) -> Array:
        """Return the logarithm of φ(w) = ln((1 - θ(1-w))/w)."""
        return np.asarray(np.log(np.log1p((1.0 - self.theta) * s / w)))

    def log_slope(self, log_x: Array) -> Array:
        """Return the logarithm of -ψ'(x) = (1-θ) e^x/(e^x - θ)²."""
        x = np.exp(log_x)
        return math.log(1.0 - self.theta) - x - 2.0 * self._log_pole(x)

    def log_curvature(self, log_x: Array) -> Array:
        """Return the logarithm of ψ''(x) = (1-θ) e^x (e^x + θ)/(e^x - θ)³."""
        x = np.exp(log_x)
        last = np.log(-np.expm1(-x) + (1.0 + self.theta) * np.exp(-x))
        return np.asarray(math.log(1.0 - self.theta) - x + last - 3.0 * self._log_pole(x))

    def _log_pole(self, x: Array) -> Array:
        """Return ln(1 - θe^-x)."""
        return np.asarray(np.log(-np.expm1(-x) + (1.0 - self.theta) * np.exp(-x)))

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln c, c = (1 + θ((1+u)(1+v) - 3) + θ²(1-u)(1-v))/(1 - θ(1-u)(1-v))³.

        Numerator and denominator are written as sums of positive terms.
        """
        size, both = abs(self.theta), u.s * v.s
        if self.theta > 0.0:
            pole = (1.0 - size) + size * (u.u + u.s * v.u)  # 1 - (1-u)(1-v) = u + (1-u)v
            top = (1.0 - size) * pole + 2.0 * size * u.u * v.u
        else:
            pole = 1.0 + size * both
            top = (1.0 - size) * (1.0 - size * both) + 2.0 * size * (u.s + v.s)
        return np.asarray(np.log(top) - 3.0 * np.log(pole))

    def information(self) -> MI:
        """Read the table over θ < 0 or over -ln(1-θ) > 0; the deviation has a kink at 0."""
        if self.theta == 1.0:
            return Clayton(1.0).information()
        return AMH_BELOW(self.theta) if self.theta < 0.0 else AMH(-math.log1p(-self.theta))

    def quantile(self, q: Array, u: Array) -> Array:
        """Solve (1-s)(1-θs) = q(1-θ(1-u)s)² for s = 1-v."""
        theta, rest = self.theta, 1.0 - u
        middle = 1.0 + theta - 2.0 * q * theta * rest
        square = theta * (1.0 - q * theta * rest * rest)
        root = np.sqrt(np.maximum(middle * middle - 4.0 * square * (1.0 - q), 0.0))
        return np.asarray(1.0 - 2.0 * (1.0 - q) / (middle + root))


CLAYTON = log_table(Clayton, 1e-3, 1e3)
FRANK = log_table(Frank, 1e-3, 1e3)
GUMBEL = log_table(lambda a: Gumbel(1.0 + a), 1e-3, 1e3)
JOE = log_table(lambda a: Joe(1.0 + a), 1e-3, 1e2)
AMH_BELOW = integrate.Table(lambda t: archimedean_information(AliMikhailHaq(t)), -1.0, 0.0)
AMH = integrate.Table(
    lambda t: archimedean_information(AliMikhailHaq(-math.expm1(-t))), 0.0, math.log(1e6)
)
