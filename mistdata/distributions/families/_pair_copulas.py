"""Pair copulas: the laws of two uniforms, as densities, conditional laws and informations.

The families `copula-*` lay marginals over one of them, the vines join many. Densities read both
tails of a margin from `Margin`, so that nothing cancels in a corner of the unit square.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, spence, stdtr, stdtrit

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, ROUNDING
from mistdata.distributions.families.special import f_combination
from mistdata.distributions.integrate import Margin
from mistdata.distributions.marginals import margin_of, open_interval
from mistdata.distributions.priors import Array

Pair = TypeVar("Pair", bound="PairCopula")


class PairCopula(ABC):
    """The law of two uniforms (U, V)."""

    @abstractmethod
    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln c(u, v); the margins broadcast."""

    @abstractmethod
    def information(self) -> MI:
        """Return I(U;V) = ∫∫ c ln c in nats."""

    def quantile(self, q: Array, u: Array) -> Array:
        """Return the v with P(V ≤ v | U = u) = q."""
        raise NotImplementedError

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw n pairs: U, and V by inverting its conditional law."""
        u, q = open_interval(rng.random((2, n)))
        return u, self.quantile(q, u)


class VinePair(PairCopula):
    """A pair copula with C(u,v) = C(v,u) for every strength, of which a vine can be built."""

    @classmethod
    @abstractmethod
    def of_tau(cls: type[Pair], tau: float) -> Pair:
        """Return the member with Kendall's rank correlation τ in [0, 1)."""

    @abstractmethod
    def conditional(self, v: Margin, u: Margin) -> Margin:
        """Return P(V ≤ v | U = u), the h-function, as a margin of its own."""


@dataclass(frozen=True)
class Gaussian(VinePair):
    """The copula of two standard normals with correlation ρ."""

    rho: float

    @classmethod
    def of_tau(cls, tau: float) -> Gaussian:
        """Greiner's relation τ = (2/π) asin ρ."""
        return cls(math.sin(0.5 * math.pi * tau))

    @property
    def _rest(self) -> float:
        return (1.0 - self.rho) * (1.0 + self.rho)

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return -½ ln(1-ρ²) + ρ(2ab - ρa² - ρb²)/(2(1-ρ²)), a and b the normal scores."""
        a, b, rho = u.score, v.score, self.rho
        exponent = 0.5 * rho / self._rest * (2.0 * a * b - rho * (a * a + b * b))
        return np.asarray(exponent - 0.5 * math.log(self._rest))

    def information(self) -> MI:
        """Return -½ ln(1-ρ²), with standard deviation |ρ|."""
        return MI.closed_form(-0.5 * math.log1p(-self.rho * self.rho), abs(self.rho))

    def quantile(self, q: Array, u: Array) -> Array:
        """Return Φ(ρa + √(1-ρ²) Φ⁻¹(q))."""
        return np.asarray(ndtr(self.rho * ndtri(u) + math.sqrt(self._rest) * ndtri(q)))

    def conditional(self, v: Margin, u: Margin) -> Margin:
        """Return Φ((b - ρa)/√(1-ρ²))."""
        return Margin.at((v.score - self.rho * u.score) / math.sqrt(self._rest))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw two normals; their scores are the pair."""
        a, z = rng.standard_normal((2, n))
        return ndtr(a), ndtr(self.rho * a + math.sqrt(self._rest) * z)


@dataclass(frozen=True)
class Student(PairCopula):
    """The copula of a bivariate Student distribution: correlation ρ, ν degrees of freedom."""

    rho: float
    nu: float

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln t₂(a,b) - ln t₁(a) - ln t₁(b) at the quantiles a, b of Student's t."""
        nu, rho = self.nu, self.rho
        rest = (1.0 - rho) * (1.0 + rho)
        a, b = self._score(u), self._score(v)
        constant = gammaln(0.5 * nu + 1.0) + gammaln(0.5 * nu) - 2.0 * gammaln(0.5 * nu + 0.5)
        squares = ((a - rho * b) ** 2 / rest + b * b) / nu
        single = np.log1p(a * a / nu) + np.log1p(b * b / nu)
        return np.asarray(
            constant
            - 0.5 * math.log(rest)
            - 0.5 * (nu + 2.0) * np.log1p(squares)
            + 0.5 * (nu + 1.0) * single
        )

    def _score(self, u: Margin) -> Array:
        tail = stdtrit(self.nu, np.minimum(u.u, u.s))
        return np.asarray(np.where(u.u < u.s, tail, -tail))

    def information(self) -> MI:
        """Return the information of the Gaussian copula plus the Student correction."""
        gaussian = -0.5 * math.log1p(-self.rho * self.rho)
        return MI.closed_form(gaussian + f_combination(0.5, 0.5, 0.5 * self.nu), special=True)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Divide two correlated normals by one radius."""
        a, z = rng.standard_normal((2, n))
        radius = np.sqrt(self.nu / rng.chisquare(self.nu, n))
        b = self.rho * a + math.sqrt((1.0 - self.rho) * (1.0 + self.rho)) * z
        return stdtr(self.nu, a * radius), stdtr(self.nu, b * radius)


@dataclass(frozen=True)
class FarlieGumbelMorgenstern(PairCopula):
    """C(u,v) = uv(1 + θ(1-u)(1-v)), |θ| ≤ 1."""

    theta: float

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln(1 + θ(1-2u)(1-2v)), written as a sum of positive terms."""
        size = abs(self.theta)
        near, far = (v.u, v.s) if self.theta > 0.0 else (v.s, v.u)
        return np.asarray(np.log((1.0 - size) + 2.0 * size * (u.u * near + u.s * far)))

    def quantile(self, q: Array, u: Array) -> Array:
        """Solve the quadratic v(1 + a(1-v)) = q, a = θ(1-2u)."""
        a = self.theta * (1.0 - 2.0 * u)
        return np.asarray(2.0 * q / (1.0 + a + np.sqrt((1.0 + a) ** 2 - 4.0 * a * q)))

    def information(self) -> MI:
        """Return Σ_j θ^2j/(2j(2j-1)(2j+1)²), and the deviation by the like series."""
        size = abs(self.theta)
        value = fgm_information(size)
        powers = size ** (2 * np.arange(1, len(FGM_SQUARES) + 1))
        square = float(FGM_SQUARES @ powers)
        return MI.closed_form(value, math.sqrt(max(square - value * value, 0.0)), special=True)


def _fgm_squares(terms: int) -> Array:
    """Return the coefficients of θ^2j in E[(ln c)²].

    With x = θab, a and b uniform on (-1, 1), that is E[(1+x) ln²(1+x)] and E[x^2j] =
    θ^2j/(2j+1)²; ln²(1+x) = 2 Σ_n (-x)^n H_{n-1}/n.
    """
    n = np.arange(1, 2 * terms + 1)
    harmonic = np.cumsum(1.0 / n) - 1.0 / n
    squared_log = 2.0 * (-1.0) ** n * harmonic / n
    product = squared_log[1:] + squared_log[:-1]
    return np.asarray(product[::2] / (n[1::2] + 1.0) ** 2)


FGM_SQUARES = _fgm_squares(300)


def fgm_information(theta: float) -> float:
    """Return Σ_j θ^2j/(2j(2j-1)(2j+1)²) for 0 ≤ θ ≤ 1.

    For large θ by partial fractions, with Legendre's χ₂(θ) = ½(Li₂(θ) - Li₂(-θ)):
    I = ((1+θ)(3+θ) ln(1+θ) - (1-θ)(3-θ) ln(1-θ))/(8θ) - 5/4 + χ₂(θ)/(2θ).
    """
    if theta < 0.5:
        return math.fsum(
            theta ** (2 * j) / (2 * j * (2 * j - 1) * (2 * j + 1) ** 2) for j in range(1, 22)
        )
    upper = (1.0 - theta) * (3.0 - theta) * math.log1p(-theta) if theta < 1.0 else 0.0
    logs = (1.0 + theta) * (3.0 + theta) * math.log1p(theta) - upper
    chi = 0.5 * float(spence(1.0 - theta) - spence(1.0 + theta))
    return (logs / 8.0 + 0.5 * chi) / theta - 1.25


@dataclass(frozen=True)
class Plackett(PairCopula):
    """The copula with the same cross-ratio θ at every point."""

    theta: float

    def log_density(self, u: Margin, v: Margin) -> Array:
        """Return ln θ(1+ηr) - 3/2 ln(1 + 2ηr + η²d²), η = θ-1 > 0, r = u+v-2uv, d = u-v.

        For θ < 1 by c_θ(u,v) = c_{1/θ}(u,1-v).
        """
        near, far = (v.u, v.s) if self.theta >= 1.0 else (v.s, v.u)
        ratio = max(self.theta, 1.0 / self.theta)
        eta = ratio - 1.0
        cross = u.u * far + near * u.s
        both_high = np.maximum(u.s, far) < 0.5
        gap = np.where(both_high, far - u.s, u.u - near)
        discriminant = 2.0 * eta * cross + (eta * gap) ** 2
        return np.asarray(math.log(ratio) + np.log1p(eta * cross) - 1.5 * np.log1p(discriminant))

    def quantile(self, q: Array, u: Array) -> Array:
        """Solve θv(1-v) = q(1-q)(1 + 2ηr + η²d²) in the nearer tail."""
        low = q < 0.5
        p, w = np.where(low, q, 1.0 - q), np.where(low, u, 1.0 - u)
        theta, a = self.theta, p * (1.0 - p)
        middle = theta * (1.0 - 2.0 * a) + 2.0 * a * (w * theta * theta + 1.0 - w)
        root = theta * (theta + 4.0 * a * w * (1.0 - w) * (theta - 1.0) ** 2)
        tail = 2.0 * a * (1.0 - w + w * theta) ** 2 / (middle + (1.0 - 2.0 * p) * np.sqrt(root))
        return np.asarray(np.where(low, tail, 1.0 - tail))

    def information(self) -> MI:
        """Read the table over |ln θ|; I(θ) = I(1/θ)."""
        return PLACKETT(abs(math.log(self.theta)))


def plackett_information(t: float) -> MI:
    """Return the information of Plackett's copula with ln θ = t by quadrature.

    In the coordinates u and q = P(V ≤ v | U = u), which are independent, the mean of ln c has an
    integrand that stays smooth however strong the dependence: the trapezoid in their normal
    scores converges to rounding at a step of 0.15, where that in (u, v) fails from θ = 1000 on.
    """
    (coarse, _), (value, square) = (
        _conditional_moments(Plackett(math.exp(t)), h) for h in (0.25, 0.15)
    )
    error = abs(value - coarse) + ROUNDING
    deviation = math.sqrt(max(square - value * value, 0.0))
    return MI(max(value, 0.0), error, "quadrature", "quad_halving", deviation)


def _conditional_moments(pair: Plackett, step: float) -> tuple[float, float]:
    """Return the first two moments of ln c by the trapezoid in the scores of u and q."""
    score = step * np.arange(-math.floor(8.5 / step), math.floor(8.5 / step) + 1)
    weight = step * np.exp(-0.5 * score * score) / math.sqrt(2.0 * math.pi)
    low, high = ndtr(score), ndtr(-score)
    v = pair.quantile(low[:, None], low[None])
    rest = pair.quantile(high[:, None], high[None])  # 1 - V follows the same law given 1 - U
    log_c = pair.log_density(margin_of(low[None], high[None]), margin_of(v, rest))
    return float(weight @ log_c @ weight), float(weight @ log_c**2 @ weight)


PLACKETT = integrate.Table(plackett_information, 0.0, math.log(1e6))
