"""Families in which Y is X plus independent noise: I(X;Y) = h(Y) - h(noise)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy.special import log_ndtr, ndtr, spence

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, JointDistribution, Shape
from mistdata.distributions.families._coordinatewise import (
    Coordinatewise,
    gaussian_ratio,
    least_information,
    most_information,
    rounding,
)
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform, Uniform

NOISELESS = "at 0 Y is a function of X and I(X;Y) is infinite"


class AdditiveUniform(JointDistribution):
    """Uniform coordinates, each seen through uniform noise of its own width.

    Model: X_i ~ U(0, 1), Y_i = X_i + U(-ε_i, ε_i), all independent; dim_x = dim_y.
    Mutual information: Σ_i f(ε_i), f(ε) = ε - ln(2ε) if ε ≤ ½, else 1/(4ε); exact.

    Parameters:
        epsilon: ε_i > 0, half-width of the noise on coordinate i; unit of X.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), additive noise; https://arxiv.org/abs/2306.11078

    Example:
        >>> member = AdditiveUniform(dim_x=2, dim_y=2, epsilon=(0.5, 0.75))
        >>> round(member.mutual_information().value, 6)
        0.833333
    """

    name = "additive-uniform"
    formula = "Σ_i f(ε_i), f(ε) = ε - ln(2ε) if ε ≤ ½, else 1/(4ε)"
    source = "Czyż et al. 2023, arXiv:2306.11078"
    parameters: ClassVar = {
        "epsilon": Parameter(
            "ε_i, half-width of the noise on coordinate i",
            low=0.0,
            high=math.inf,
            prior=Uniform(0.1, 2.0),
            per="x",
            unit="unit of X",
            reason=NOISELESS,
        )
    }
    shape: ClassVar = Shape(equal=True)
    epsilon: tuple[float, ...]

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = rng.random((n, self.dim_x + self.dim_y))
        x, y = block[:, : self.dim_x], block[:, self.dim_x :]
        y -= 0.5
        y *= 2.0 * np.array(self.epsilon)
        y += x
        return x, y

    def _mutual_information(self) -> MI:
        """Sum f(ε_i) and the variances of -ln L_i, L_i = |[0,1] ∩ [Y_i-ε_i, Y_i+ε_i]|.

        With the probability s = min(2ε, 1/(2ε)) Y lies on one of the slopes of its trapezoidal
        density; there L over its maximum is the root of a uniform, elsewhere it is 1.
        """
        value = math.fsum(
            half_width - math.log(2.0 * half_width) if half_width <= 0.5 else 0.25 / half_width
            for half_width in self.epsilon
        )
        slopes = (min(2.0 * half_width, 0.5 / half_width) for half_width in self.epsilon)
        return MI.closed_form(
            value, math.sqrt(math.fsum(0.5 * s * (1.0 - 0.5 * s) for s in slopes))
        )

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return -Σ_i ln|[0,1] ∩ [y_i-ε_i, y_i+ε_i]|, and -inf where |y_i - x_i| > ε_i.

        The densities are p(y|x) = 1/(2ε) and p(y) = |[0,1] ∩ [y-ε, y+ε]|/(2ε) per coordinate.
        """
        epsilon = np.array(self.epsilon)
        slack = rounding(x, y)
        overlap = np.minimum(y + epsilon, 1.0) - np.maximum(y - epsilon, 0.0)
        overlap = np.where(overlap > 0.0, overlap, np.minimum(slack, epsilon))
        outside = (np.abs(y - x) > epsilon + slack).any(axis=1)
        return np.where(outside, -np.inf, -np.log(overlap).sum(axis=1))


class AdditiveGaussian(Coordinatewise):
    """Uniform coordinates seen through Gaussian noise.

    Model: X_i ~ U(0, 1), Y_i = X_i + σN_i, N_i ~ N(0, 1), all independent; dim_x = dim_y = d.
    Mutual information: d (h(Y_1) - ½ ln(2πeσ²)), p(y) = Φ(y/σ) - Φ((y-1)/σ); where σ ≤ 1/16 the
    two edges do not see each other and h(Y_1) = 2σ ∫ -Φ ln Φ exactly, else a quadrature to 1e-11.

    Parameters:
        sigma: σ in (0, 10⁴], standard deviation of the noise; unit of X.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), chapter 9, for the channel;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = AdditiveGaussian(dim_x=1, dim_y=1, sigma=0.3)
        >>> round(member.mutual_information().value, 6)
        0.325487
    """

    name = "additive-gaussian"
    formula = "d (-∫ p ln p dy - ½ ln(2πeσ²)), p(y) = Φ(y/σ) - Φ((y-1)/σ)"
    source = "Cover & Thomas 2006, doi:10.1002/047174882X"
    parameters: ClassVar = {
        "sigma": Parameter(
            "σ, standard deviation of the noise",
            low=0.0,
            high=1e4,
            closed="high",
            prior=lambda dim, _: LogUniform(
                0.29 / gaussian_ratio(most_information(dim)),
                0.29 / gaussian_ratio(least_information(dim)),
            ),
            unit="unit of X",
            reason=NOISELESS,
        )
    }
    sigma: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.random((n, self.dim_x))
        y = rng.standard_normal((n, self.dim_y))
        y *= self.sigma
        y += x
        return x, y

    def _pair_information(self) -> MI:
        if self.sigma <= EDGES_APART:
            return _edges(self.sigma)
        return _UNIFORM_PLUS_GAUSSIAN(math.log(self.sigma))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln φ((y-x)/σ)/σ - ln(Φ(y/σ) - Φ((y-1)/σ)); p(y) = p(1-y) keeps its digits."""
        z = (y - x) / self.sigma
        near = np.minimum(y, 1.0 - y)
        noise = -0.5 * z * z - math.log(self.sigma * math.sqrt(2.0 * math.pi))
        pointwise: Array = noise - _log_smeared(near / self.sigma, (near - 1.0) / self.sigma)
        return pointwise


EDGES_APART = 1.0 / 16.0  # Φ(-1/(2σ)) < 1e-15 at the middle


def _log_smeared(a: Array, b: Array) -> Array:
    """Return ln(Φ(a) - Φ(b)), b < a, without cancellation where a + b ≤ 0."""
    log_a = log_ndtr(a)
    log_smeared: Array = log_a + np.log1p(-np.exp(log_ndtr(b) - log_a))
    return log_smeared


@lru_cache(maxsize=1)
def _edge_integrals() -> tuple[float, float, float]:
    """Return ∫ -Φ ln Φ, ∫ Φ ln²Φ and ∫ -uφ ln Φ over the line."""

    def f(u: Array) -> Array:
        log_phi = log_ndtr(u)
        density = np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
        return np.stack((-ndtr(u) * log_phi, ndtr(u) * log_phi**2, -u * density * log_phi))

    first, second, cross = integrate.line(f, 1e-14).value.tolist()
    return first, second, cross


def _edges(sigma: float) -> MI:
    """Return I(U;U+σN) where the density of the sum is Φ at either edge and 1 between them."""
    first, second, cross = (2.0 * sigma * each for each in _edge_integrals())
    value = first - 0.5 * math.log(2.0 * math.pi * math.e * sigma * sigma)
    # pointwise it is -z²/2 - ln p(y), and E[z²|y] p(y) = p(y) - zφ(z) taken between the edges
    variance = 0.5 + cross + second - first * first
    return MI.closed_form(value, math.sqrt(variance), special=True)


def _uniform_plus_gaussian(log_sigma: float) -> MI:
    """Return I(U;U+σN) by quadrature over the sum."""
    sigma = math.exp(log_sigma)

    def f(w: Array) -> Array:
        near = -np.abs(w) + 0.5
        a, b = near / sigma, (near - 1.0) / sigma
        log_p = _log_smeared(a, b)
        p = np.exp(log_p)
        flow = (b * np.exp(-0.5 * b * b) - a * np.exp(-0.5 * a * a)) / math.sqrt(2.0 * math.pi)
        return np.stack((p, -p * log_p, p * log_p**2, flow * log_p))

    found = integrate.line(f, 1e-12, scale=0.5 + sigma)
    mass, entropy, square, cross = found.value.tolist()
    value = entropy - 0.5 * math.log(2.0 * math.pi * math.e * sigma * sigma)
    variance = 0.5 + cross + square - entropy * entropy
    error = float(found.error[1]) + 4.0 * abs(mass - 1.0) * (1.0 + abs(entropy)) + 1e-14
    std = math.sqrt(max(variance, 0.0))
    return MI(max(value, 0.0), error, "quadrature", "quad_halving", std)


_UNIFORM_PLUS_GAUSSIAN = integrate.Table(
    _uniform_plus_gaussian, math.log(EDGES_APART), math.log(30.0)
)


class AdditiveCauchy(Coordinatewise):
    """Cauchy coordinates seen through Cauchy noise.

    Model: X_i = γC_i, Y_i = X_i + N_i, C_i and N_i standard Cauchy, all independent;
    dim_x = dim_y = d.
    Mutual information: d ln(1 + γ), as Y_i is Cauchy of scale 1 + γ; exact. The pointwise one has
    the variance 4d Li₂(γ/(1+γ)).

    Parameters:
        ratio: γ in (0, 10⁴], scale of X over the scale of the noise; pure number.

    References:
        Univariate Stable Distributions (Nolan, 2020), §1.1, for the law and its stability;
        https://doi.org/10.1007/978-3-030-52915-4

    Example:
        >>> member = AdditiveCauchy(dim_x=1, dim_y=1, ratio=1.0)
        >>> round(member.mutual_information().value, 6)
        0.693147
    """

    name = "additive-cauchy"
    formula = "d ln(1 + γ)"
    source = "Nolan 2020, doi:10.1007/978-3-030-52915-4"
    parameters: ClassVar = {
        "ratio": Parameter(
            "γ, scale of X over the scale of the noise",
            low=0.0,
            high=1e4,
            closed="high",
            prior=lambda dim, _: LogUniform(
                math.expm1(least_information(dim)), math.expm1(most_information(dim))
            ),
            reason="X is constant at 0; beyond 1e4 single precision blurs the noise",
        )
    }
    ratio: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_cauchy((n, self.dim_x))
        x *= self.ratio
        y = rng.standard_cauchy((n, self.dim_y))
        y += x
        return x, y

    def _pair_information(self) -> MI:
        std = 2.0 * math.sqrt(float(spence(1.0 / (1.0 + self.ratio))))  # spence(1-z) = Li₂(z)
        return MI.closed_form(math.log1p(self.ratio), std)

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln(1 + (y/(1+γ))²) - ln(1 + (y-x)²) + ln(1+γ)."""
        scale = 1.0 + self.ratio
        pointwise: Array = (
            np.log1p((y / scale) ** 2) - np.log1p((y - x) ** 2) + math.log1p(self.ratio)
        )
        return pointwise


class AdditiveLevy(Coordinatewise):
    """Lévy (one-sided ½-stable) coordinates seen through Lévy noise.

    Model: X_i = c/Z_i², Y_i = X_i + 1/Z'_i², Z_i, Z'_i ~ N(0, 1), all independent;
    dim_x = dim_y = d.
    Mutual information: 2d ln(1 + √c), as Y_i is Lévy of scale (1 + √c)²; exact. The pointwise one
    has an elementary variance but for two dilogarithms.

    The tail P(X_i > t) ≈ √(2c/(πt)) is so heavy that single precision, which holds X to a relative
    2⁻²⁴, blurs noise of order 1 where X exceeds some 10⁷. That costs ∫ p(x) (h(N+R+R') - h(N)) dx
    with R, R' uniform over one spacing at x; numerically 2.5·10⁻⁴ √c nats per coordinate. The
    prior ends at √c = 3.5/d, so that stored data lose less than 9·10⁻⁴ nats in total.

    Parameters:
        ratio: c in (0, 100], scale of X over the scale of the noise; pure number.

    References:
        Univariate Stable Distributions (Nolan, 2020), §1.1, for the law and its stability;
        https://doi.org/10.1007/978-3-030-52915-4

    Example:
        >>> member = AdditiveLevy(dim_x=1, dim_y=1, ratio=1.0)
        >>> round(member.mutual_information().value, 6)
        1.386294
    """

    name = "additive-levy"
    formula = "2d ln(1 + √c)"
    source = "Nolan 2020, doi:10.1007/978-3-030-52915-4"
    parameters: ClassVar = {
        "ratio": Parameter(
            "c, scale of X over the scale of the noise",
            low=0.0,
            high=100.0,
            closed="high",
            prior=lambda dim, _: LogUniform(
                math.expm1(0.5 * least_information(dim)) ** 2, (3.5 / dim) ** 2
            ),
            reason="X is constant at 0; beyond 100 single precision loses more than 0.0025 nats",
        )
    }
    ratio: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_normal((n, self.dim_x))
        y = rng.standard_normal((n, self.dim_y))
        x *= x
        y *= y
        np.divide(self.ratio, x, out=x)
        np.divide(1.0, y, out=y)
        y += x
        return x, y

    def _pair_information(self) -> MI:
        root = math.sqrt(self.ratio)
        return MI.closed_form(2.0 * math.log1p(root), math.sqrt(_levy_variance(root)))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln f(y-x; 1) - ln f(y; s²), f(t; c) = √(c/2π) t^(-3/2) e^(-c/2t), s = 1 + √c."""
        noise, slack = y - x, rounding(x, y)
        outside = noise < -slack
        noise = np.where(noise > 0.0, noise, slack)
        scale = 1.0 + math.sqrt(self.ratio)
        pointwise = 1.5 * np.log(y / noise) - 0.5 / noise + 0.5 * scale * scale / y
        return np.where(outside, -np.inf, pointwise - math.log(scale))


def _levy_variance(root: float) -> float:
    """Return the variance of the pointwise mutual information of `AdditiveLevy`, √c = root.

    With Z' = √R sin θ, Z = √R cos θ and ρ = (1-√c)/(1+√c) it is 2 ln s + (3/2) ln(a/b) - R(a-b)/2,
    a = sin²θ and a/b = |1 + ρe^(2iθ)|²/|1 + e^(2iθ)|². R is exponential of mean 2; the rest are
    Fourier series in 2θ.
    """
    rho = (1.0 - root) / (1.0 + root)
    lost = 2.0 * root / (1.0 + root)  # 1 - ρ
    logs = math.pi**2 / 6.0 - 2.0 * float(spence(lost)) + float(spence(1.0 - rho * rho))
    if abs(rho) < 1e-3:
        bend = 0.5 + rho / 3.0 - rho * rho / 4.0
    else:
        bend = (math.log1p(rho) - rho + rho * rho) / (rho * rho)
    cross = 0.5 * (lost * lost + (1.0 - rho * rho) * bend)
    return max(4.5 * logs - 3.0 * cross + 0.5 * lost, 0.0)


FAMILIES = (AdditiveUniform, AdditiveGaussian, AdditiveCauchy, AdditiveLevy)
