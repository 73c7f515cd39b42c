"""Families on groups: X uniform on a compact group, or on a sphere, and Y = X moved by noise.

Whatever the noise, Y is uniform too, so that I(X;Y) = ln vol(G) - h(noise) in any dimension, and
the margins say nothing.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import lru_cache
from typing import ClassVar

import numpy as np

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, JointDistribution, Shape
from mistdata.distributions.families._coordinatewise import (
    SINGLE,
    Coordinatewise,
    least_information,
    most_information,
)
from mistdata.distributions.families._directions import cosine, moments, unit
from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform

DIFFERENTIAL = "Cover & Thomas 2006, doi:10.1002/047174882X"
NOISELESS = "at 0 Y is a function of X and I(X;Y) is infinite"
# the greatest number below 1 in single precision: 1.0 would be another name of 0 on the circle
BELOW_ONE = 1.0 - 2.0**-24


class Torus(Coordinatewise):
    """X uniform on the torus [0, 1)^d, Y = X + noise mod 1 in every coordinate."""

    @abstractmethod
    def _noise(self, shape: tuple[int, int], rng: np.random.Generator) -> Array:
        """Draw the noise, before it is wrapped."""

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = np.minimum(rng.random((n, self.dim_x)), BELOW_ONE)
        y = self._noise((n, self.dim_y), rng)
        y += x
        return x, np.minimum(np.mod(y, 1.0), BELOW_ONE)


class TorusNormal(Torus):
    """Angles seen through wrapped normal noise.

    Model: X_i ~ U[0, 1), Y_i = X_i + σN_i mod 1, N_i ~ N(0, 1), all independent;
    dim_x = dim_y = d.
    Mutual information: -d h(f), f the wrapped normal density on a circle of length 1; where
    σ ≤ 1/16 exactly -(d/2) ln(2πeσ²), else by the periodic trapezoid to 1e-12.

    Parameters:
        sigma: σ in (0, 2], standard deviation of the noise; length of the circle.

    References:
        Directional Statistics (Mardia, Jupp, 1999), §3.5.7, the wrapped normal law;
        https://doi.org/10.1002/9780470316979

    Example:
        >>> member = TorusNormal(dim_x=1, dim_y=1, sigma=0.2)
        >>> round(member.mutual_information().value, 6)
        0.224909
    """

    name = "torus-normal"
    formula = "d ∫ f ln f, f the density of σN mod 1"
    source = "Mardia & Jupp 1999, doi:10.1002/9780470316979"
    parameters: ClassVar = {
        "sigma": Parameter(
            "σ, standard deviation of the noise",
            low=0.0,
            high=2.0,
            closed="high",
            prior=lambda dim, _: LogUniform(
                math.exp(-most_information(dim)) / math.sqrt(2.0 * math.pi * math.e),
                math.sqrt(-math.log(least_information(dim))) / (2.0 * math.pi),
            ),
            unit="length of the circle",
            reason=f"{NOISELESS}; beyond 2 it is below 1e-34",
        )
    }
    sigma: float

    def _noise(self, shape: tuple[int, int], rng: np.random.Generator) -> Array:
        return self.sigma * rng.standard_normal(shape)

    def _pair_information(self) -> MI:
        if self.sigma <= 1.0 / 16.0:
            value = -0.5 * math.log(2.0 * math.pi * math.e * self.sigma**2)
            return MI.closed_form(value, math.sqrt(0.5))
        return _wrapped_information(self.sigma)

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        return _log_wrapped_normal(y - x, self.sigma)


@lru_cache(maxsize=256)
def _wrapped_information(sigma: float) -> MI:
    """Return ∫ f ln f for the wrapped normal density f by the periodic trapezoid."""
    count = 1024
    log_f = _log_wrapped_normal(np.arange(count) / count, sigma)
    f = np.exp(log_f)
    value = float(f @ log_f) / count
    coarse = float(f[::2] @ log_f[::2]) / (count // 2)
    deviation = math.sqrt(max(float(f @ (log_f - value) ** 2) / count, 0.0))
    error = abs(value - coarse) + 1e-14
    return MI(max(value, 0.0), error, "quadrature", "quad_halving", deviation)


def _log_wrapped_normal(z: Array, sigma: float) -> Array:
    """Return the log-density of σN mod 1, as a sum of images or as a Fourier series."""
    if sigma > 0.3:
        k = np.arange(1, 7)
        amplitude = 2.0 * np.exp(-2.0 * (math.pi * k * sigma) ** 2)
        waves = (a * np.cos(2.0 * math.pi * n * z) for a, n in zip(amplitude, k, strict=True))
        log_density: Array = np.log1p(sum(waves))
        return log_density
    size, double = np.abs(z - np.rint(z)), 2.0 * sigma * sigma
    images = sum(np.exp((2 * k * size - k * k) / double) for k in (-2, -1, 1, 2, 3))
    log_density = np.log1p(images) - size * size / double
    return log_density - 0.5 * math.log(math.pi * double)


class TorusUniform(Torus):
    """Angles seen through uniform noise.

    Model: X_i ~ U[0, 1), Y_i = X_i + U(-w/2, w/2) mod 1, all independent; dim_x = dim_y = d.
    Mutual information: -d ln w; exact, and the pointwise one is constant.

    Parameters:
        width: w in (0, 1], width of the noise; length of the circle.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), §7.2, symmetric channels;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = TorusUniform(dim_x=1, dim_y=1, width=0.1)
        >>> round(member.mutual_information().value, 6)
        2.302585
    """

    name = "torus-uniform"
    formula = "-d ln w"
    source = DIFFERENTIAL
    parameters: ClassVar = {
        "width": Parameter(
            "w, width of the noise",
            low=0.0,
            high=1.0,
            closed="high",
            prior=lambda dim, _: LogUniform(
                math.exp(-most_information(dim)), math.exp(-least_information(dim))
            ),
            unit="length of the circle",
            reason=NOISELESS,
        )
    }
    width: float

    def _noise(self, shape: tuple[int, int], rng: np.random.Generator) -> Array:
        noise = rng.random(shape)
        noise -= 0.5
        noise *= self.width
        return noise

    def _pair_information(self) -> MI:
        return MI.closed_form(-math.log(self.width) + 0.0, 0.0)

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return -ln w within w/2 on the circle, and -inf beyond."""
        distance = np.abs(y - x)
        distance = np.minimum(distance, 1.0 - distance)
        return np.where(distance <= 0.5 * self.width + SINGLE, -math.log(self.width), -np.inf)


class SphereVonMisesFisher(JointDistribution):
    """Unit vectors: Y is von Mises-Fisher distributed about X, as with normalised embeddings.

    Model: X uniform on the sphere S^(d-1) in R^d, p(y|x) ∝ exp(κ xᵀy) on the sphere;
    dim_x = dim_y = d ≥ 2. Densities are with respect to the uniform laws of the sphere.
    Mutual information: κA - M with M(κ) = ln ₀F₁(; d/2; κ²/4) and A = M'(κ) = E[XᵀY], which is
    ln|S^(d-1)| + ln C_d(κ) + κA_d(κ); exact, and the pointwise one has the variance κ²M''(κ).

    Parameters:
        kappa: κ in (0, 2000], concentration; pure number.

    References:
        Directional Statistics (Mardia, Jupp, 1999), §9.3.2, eq. (9.3.4);
        https://doi.org/10.1002/9780470316979
        Simulation of the von Mises Fisher distribution (Wood, 1994), algorithm VM*;
        https://doi.org/10.1080/03610919408813161

    Example:
        >>> member = SphereVonMisesFisher(dim_x=8, dim_y=8, kappa=20.0)
        >>> round(member.mutual_information().value, 6)
        4.485986
    """

    name = "sphere-vmf"
    formula = "ln|S^(d-1)| + ln C_d(κ) + κA_d(κ), A_d = I_(d/2)/I_(d/2-1)"
    source = "Mardia & Jupp 1999, doi:10.1002/9780470316979"
    parameters: ClassVar = {
        "kappa": Parameter(
            "κ, concentration of Y about X",
            low=0.0,
            high=2000.0,
            closed="high",
            prior=lambda dim, _: LogUniform(0.2 * math.sqrt(dim), 250.0 / dim + dim),
            reason="at 0 X and Y are independent; beyond 2000 single precision blurs the noise",
        )
    }
    shape: ClassVar = Shape((2, None), (2, None), equal=True)
    kappa: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = unit(rng.standard_normal((n, self.dim_x)))
        if self.dim_x == 2:
            angle = rng.vonmises(0.0, self.kappa, n)
            along, across = np.cos(angle)[:, None], np.sin(angle)[:, None]
            return x, along * x + across * np.stack((-x[:, 1], x[:, 0]), axis=1)
        along, across = cosine(self.kappa, self.dim_x, n, rng)
        tangent = rng.standard_normal((n, self.dim_x))
        tangent -= np.einsum("ij,ij->i", tangent, x)[:, None] * x
        return x, along[:, None] * x + across[:, None] * unit(tangent)

    def _mutual_information(self) -> MI:
        log_norm, mean, variance = moments(self.kappa, self.dim_x)
        value = max(self.kappa * mean - log_norm, 0.0)
        return MI.closed_form(value, self.kappa * math.sqrt(variance), special=True)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return κ xᵀy - M(κ)."""
        log_norm, _, _ = moments(self.kappa, self.dim_x)
        pointwise: Array = self.kappa * np.einsum("ij,ij->i", x, y) - log_norm
        return pointwise


class RankingMallows(JointDistribution):
    """Two rankings of the same items, the second a noisy copy of the first.

    Model: X uniform over the rankings of d items, X_j in {1, ..., d} the rank of item j;
    p(y|x) ∝ exp(-θK(x, y)) with Kendall's distance K, the number of pairs of items on whose order
    x and y disagree; dim_x = dim_y = d ≥ 2.
    Mutual information: ln d! - H, H = Σ_i ln z_i + θE[K] the entropy of Mallows' law, with
    z_i = 1 + e^(-θ) + ... + e^(-(i-1)θ) and E[K] = -Σ_i dln z_i/dθ; exact.

    Parameters:
        concentration: θ ≥ 0, concentration; pure number.

    References:
        Non-null ranking models. I (Mallows, 1957); https://doi.org/10.1093/biomet/44.1-2.114
        Distance Based Ranking Models (Fligner, Verducci, 1986), §2, the independent insertions;
        https://doi.org/10.1111/j.2517-6161.1986.tb01420.x

    Example:
        >>> member = RankingMallows(dim_x=6, dim_y=6, concentration=0.7)
        >>> round(member.mutual_information().value, 6)
        1.322814
    """

    name = "ranking-mallows"
    formula = "Σ_i (ln i - ln z_i - θE[V_i]), P(V_i = v) = e^(-θv)/z_i, v < i"
    source = "Fligner & Verducci 1986, doi:10.1111/j.2517-6161.1986.tb01420.x"
    parameters: ClassVar = {
        "concentration": Parameter(
            "θ, concentration of Y about X in Kendall's distance",
            low=0.0,
            high=math.inf,
            closed="low",
            prior=lambda dim, _: LogUniform(
                0.2 / _kendall_deviation(dim), min(3.0, 5.0 / _kendall_deviation(dim))
            ),
            reason="at infinity Y is X, and I is the entropy of a ranking",
        )
    }
    shape: ClassVar = Shape((2, None), (2, None), equal=True)
    x_kind = "discrete"
    y_kind = "discrete"
    concentration: float

    def _prepare(self) -> None:
        """Tabulate the law of V_i < i, the disagreements of item i with those before it."""
        v = np.arange(self.dim_x)
        weight = np.where(v <= v[:, None], np.exp(-self.concentration * v), 0.0)
        z = weight.sum(axis=1)
        self._mean = weight @ v / z
        self._variance = weight @ (v * v) / z - self._mean**2
        self._log_ratio = np.log(v + 1.0) - np.log(z)  # ln i - ln z_i

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        d = self.dim_x
        x = rng.permuted(np.broadcast_to(np.arange(d), (n, d)), axis=1)
        noise = _permutation(self._disagreements(n, rng))
        y = np.take_along_axis(noise, x, axis=1)
        return x + 1.0, y + 1.0

    def _disagreements(self, n: int, rng: np.random.Generator) -> Array:
        """Draw V_d, ..., V_1 by inversion of their geometric laws, cut off at i - 1."""
        count = np.arange(self.dim_x, 0, -1)
        u = rng.random((n, self.dim_x))
        if self.concentration > 0.0:
            u = -np.log1p(u * np.expm1(-self.concentration * count)) / self.concentration
        else:
            u *= count
        return np.minimum(u.astype(np.int64), count - 1)

    def _mutual_information(self) -> MI:
        theta = self.concentration
        value = float((self._log_ratio - theta * self._mean).sum())
        return MI.closed_form(max(value, 0.0), theta * math.sqrt(max(self._variance.sum(), 0.0)))

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return ln d! - Σ_i ln z_i - θK(x, y), counting the pairs of items."""
        distance = np.zeros(len(x))
        for j in range(self.dim_x - 1):
            later = slice(j + 1, None)
            disagree = (x[:, j, None] < x[:, later]) != (y[:, j, None] < y[:, later])
            distance += np.count_nonzero(disagree, axis=1)
        pointwise: Array = self._log_ratio.sum() - self.concentration * distance
        return pointwise


def _kendall_deviation(dim: int) -> float:
    """Return the standard deviation of Kendall's distance between two uniform rankings."""
    return math.sqrt(dim * (dim - 1) * (2 * dim + 5) / 72.0)


def _permutation(code: Array) -> Array:
    """Turn rows of Lehmer codes into permutations: entry j is the code[j]-th of those left."""
    permutation = code.copy()
    for j in range(code.shape[1] - 2, -1, -1):
        later = permutation[:, j + 1 :]
        later += later >= code[:, j, None]
    return permutation


class BitsSymmetric(Coordinatewise):
    """Fair bits through a binary symmetric channel.

    Model: X_i a fair bit, Y_i = X_i with probability 1 - p, else 1 - X_i; dim_x = dim_y = d.
    Mutual information: d (ln 2 + p ln p + (1-p) ln(1-p)); exact.

    Parameters:
        p: p in [0, 1], probability that a bit is flipped; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), §7.1.4;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = BitsSymmetric(dim_x=16, dim_y=16, p=0.1)
        >>> round(member.mutual_information().value, 6)
        5.889027
    """

    name = "bits-bsc"
    formula = "d (ln 2 + p ln p + (1-p) ln(1-p))"
    source = DIFFERENTIAL
    parameters: ClassVar = {
        "p": Parameter(
            "p, probability that a bit is flipped",
            low=0.0,
            high=1.0,
            closed="both",
            # I ≈ 2 (½ - p)² per bit
            prior=lambda dim, _: Uniform(
                0.5 - min(0.49, math.sqrt(0.5 * most_information(dim))),
                0.5 - math.sqrt(0.5 * least_information(dim)),
            ),
        )
    }
    x_kind = "discrete"
    y_kind = "discrete"
    p: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.integers(0, 2, (n, self.dim_x))
        flipped = rng.random((n, self.dim_y)) < self.p
        return x.astype(np.float64), (x ^ flipped).astype(np.float64)

    def _pair_information(self) -> MI:
        weight = np.array([1.0 - self.p, self.p])
        return integrate.expectation(weight, _log(2.0 * weight))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln 2p where the bits differ and ln 2(1-p) where they agree."""
        agree, differ = _log(np.array([2.0 * (1.0 - self.p), 2.0 * self.p]))
        pointwise: Array = np.where(np.rint(x) == np.rint(y), agree, differ)
        return pointwise


class ModularIntegers(Coordinatewise):
    """Integers modulo m, shifted by random noise of an irregular law.

    Model: X_i uniform on {0, ..., m-1}, Y_i = X_i + N_i mod m, P(N_i = k) = q_k, all independent,
    where q ~ Dirichlet(α, ..., α) belongs to the member; dim_x = dim_y = d.
    Mutual information: d (ln m + Σ_k q_k ln q_k); exact.

    Parameters:
        modulus: m in {2, ..., 2²⁰}, order of the group; count.
        alpha: α in (0, 10⁶], evenness of the noise's law; pure number.
        structure: seed of the member's own generator, which draws q; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), §7.2, symmetric channels;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = ModularIntegers(dim_x=1, dim_y=1, modulus=7, alpha=0.5, structure=0)
        >>> round(member.mutual_information().value, 6)
        0.773484
    """

    name = "modular-integers"
    formula = "d (ln m + Σ_k q_k ln q_k)"
    source = DIFFERENTIAL
    parameters: ClassVar = {
        "modulus": Parameter(
            "m, order of the group",
            low=2,
            high=2**20,
            closed="both",
            integer=True,
            prior=LogUniform(2, 64),
            unit="count",
        ),
        "alpha": Parameter(
            "α, evenness of the noise's law",
            low=0.0,
            high=1e6,
            closed="high",
            # for large α I ≈ (m-1)/(2mα) per coordinate
            prior=lambda dim, _: LogUniform(0.1 * dim, 25.0 * dim),
            reason="at 0 the noise is constant; beyond 1e6 it is uniform",
        ),
        "structure": STRUCTURE,
    }
    x_kind = "discrete"
    y_kind = "discrete"
    modulus: int
    alpha: float
    structure: int

    def _prepare(self) -> None:
        weight = structure_rng(self.structure).standard_gamma(self.alpha, self.modulus)
        total = weight.sum()
        if not total > 0.0:
            raise ValueError(f"{self.name}: alpha={self.alpha} is too small, all weights vanish")
        self._law = weight / total

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.integers(0, self.modulus, (n, self.dim_x))
        edges = np.cumsum(self._law)
        noise = np.searchsorted(edges / edges[-1], rng.random((n, self.dim_y)), side="right")
        return x.astype(np.float64), ((x + noise) % self.modulus).astype(np.float64)

    def _pair_information(self) -> MI:
        return integrate.expectation(self._law, _log(self.modulus * self._law))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln m q_(y-x)."""
        shift = np.rint(y - x).astype(np.int64) % self.modulus
        pointwise: Array = _log(self.modulus * self._law)[shift]
        return pointwise


def _log(values: Array) -> Array:
    """Return the logarithm, and -inf of zero without a warning."""
    with np.errstate(divide="ignore"):
        logarithm: Array = np.log(values)
    return logarithm


FAMILIES = (
    TorusNormal,
    TorusUniform,
    SphereVonMisesFisher,
    RankingMallows,
    BitsSymmetric,
    ModularIntegers,
)
