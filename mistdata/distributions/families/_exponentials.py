"""Pairs of exponential waiting times: one after the other, one hidden in noise, two that repel."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np

from mistdata.distributions.base import MI, ONE_BY_ONE, JointDistribution
from mistdata.distributions.families.special import digamma_less_log
from mistdata.distributions.integrate import Margin, Table, copula, half_line
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform, Uniform

TINY = 1e-300  # keeps a logarithm finite where a coordinate has underflowed to zero


class ExponentialOrdered(JointDistribution):
    """An exponential waiting time and a second one after it: Weinman's ordered exponential.

    Model: p(x,y) = (2/θ) e^(-2x - (y-x)/θ) for 0 < x < y: Y = X + N, X and N exponential with the
    means ½ and θ.
    Mutual information: γ + ψ(z) - ln z - ln min(1, 2θ), z = max(1, 2θ)/|1-2θ|; γ for θ = ½; exact.

    Parameters:
        mean: θ > 0, mean of the second waiting time; unit of X.

    References:
        Estimating mutual information (Kraskov, Stögbauer, Grassberger, 2004), ordered Weinman
        exponential distribution; https://arxiv.org/abs/cond-mat/0305641

    Example:
        >>> member = ExponentialOrdered(dim_x=1, dim_y=1, mean=2.0)
        >>> round(member.mutual_information().value, 6)
        0.1575
    """

    name = "exponential-ordered"
    formula = "γ + ψ(z) - ln z - ln min(1, 2θ), z = max(1, 2θ)/|1-2θ|"
    source = "Kraskov, Stögbauer & Grassberger 2004, arXiv:cond-mat/0305641"
    shape: ClassVar = ONE_BY_ONE
    parameters: ClassVar = {
        "mean": Parameter(
            "θ, mean of the second waiting time, where that of the first is ½",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.02, 20.0),
            unit="unit of X",
            reason="at 0 there is no second waiting time and I(X;Y) is infinite",
        )
    }
    mean: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = 0.5 * rng.standard_exponential((n, 1))
        return x, x + self.mean * rng.standard_exponential((n, 1))

    def _mutual_information(self) -> MI:
        ratio = 2.0 * self.mean
        z = max(1.0, ratio) / abs(1.0 - ratio) if ratio != 1.0 else math.inf
        value = np.euler_gamma + digamma_less_log(z) - math.log(min(1.0, ratio))
        found = MI.closed_form(max(value, 0.0), special=True)
        # for θ → 0 ln p(y-x) and ln p(y) are independent: the deviation stays √2, to 1e-6 here
        return replace(found, pmi_std=ORDERED(math.log(max(self.mean, 1e-7))).pmi_std)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Compare the densities of y - x, exponential, and of y, a sum of two exponentials."""
        rate = 1.0 / self.mean
        x, y = x[:, 0], np.maximum(y[:, 0], TINY)
        pointwise: Array = rate * x - math.log(2.0) - np.log(y) - _log_phi((2.0 - rate) * y)
        return pointwise


def _ordered_information(log_theta: float) -> MI:
    """Integrate mean and variance of the pointwise MI of `ExponentialOrdered` given y, over y."""
    theta = math.exp(log_theta)
    rate, scale = 1.0 / theta, 0.5 + theta

    def moments(w: Array) -> Array:
        y = scale * w
        log_phi = _log_phi((2.0 - rate) * y)
        density = scale * np.exp(math.log(2.0 * rate) + np.log(y) - rate * y + log_phi)
        place, spread = _truncated_exponential((2.0 - rate) * y)
        mean = rate * y * place - math.log(2.0) - np.log(y) - log_phi
        square = mean * mean + (rate * y) ** 2 * spread
        return density * np.stack((mean, square, np.ones_like(y)))

    found = half_line(moments, 1e-10)
    value, square, mass = found.value.tolist()
    error = float(found.error[0]) + 16.0 * abs(mass - 1.0)
    deviation = math.sqrt(max(square - value * value, 0.0))
    return MI(value, error, "quadrature", "quad_halving", deviation)


ORDERED = Table(_ordered_information, math.log(0.01), math.log(100.0))


class ExponentialNoise(JointDistribution):
    """The input that conveys most through exponential noise: often nothing, else exponential.

    Model: X = 0 with probability 1/(1+s), else X ~ Exp(mean 1+s); Y = X + N, N ~ Exp(mean 1)
    independent of X; Y ~ Exp(mean 1+s).
    Mutual information: ln(1+s), the capacity of the channel for a mean input of s; exact.

    Parameters:
        snr: s > 0, mean of X over that of the noise; pure number.

    References:
        Bits through queues (Anantharam, Verdú, 1996), exponential-noise channel;
        https://doi.org/10.1109/18.481773

    Example:
        >>> member = ExponentialNoise(dim_x=1, dim_y=1, snr=1.0)
        >>> round(member.mutual_information().value, 6)
        0.693147
    """

    name = "exponential-noise"
    formula = "ln(1+s)"
    source = "Anantharam & Verdú 1996, doi:10.1109/18.481773"
    x_kind = "mixed"
    shape: ClassVar = ONE_BY_ONE
    parameters: ClassVar = {
        "snr": Parameter(
            "s, mean of X over that of the noise",
            low=0.0,
            high=1e4,  # beyond, single precision cannot hold the noise that keeps the MI finite
            closed="high",
            prior=LogUniform(0.02, 20.0),
        )
    }
    snr: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, noise = rng.standard_exponential((2, n, 1))
        x *= 1.0 + self.snr
        x[rng.random((n, 1)) * (1.0 + self.snr) < 1.0] = 0.0
        noise += x
        return x, noise

    def _mutual_information(self) -> MI:
        return MI.closed_form(math.log1p(self.snr), math.sqrt(2.0 * self.snr / (1.0 + self.snr)))

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Compare the exponential densities of the noise y - x and of y."""
        x, y = x[:, 0], y[:, 0]
        return math.log1p(self.snr) + x - y * (self.snr / (1.0 + self.snr))


class ExponentialGumbel(JointDistribution):
    """Exponential variables that tend to repel each other: Gumbel's bivariate exponential, type I.

    Model: P(X > x, Y > y) = e^(-x-y-δxy); given x, with λ = 1 + δx, Y ~ Exp(λ) with probability
    1 - δ/λ, else Gamma(2, λ).
    Mutual information: E[ln((1+δX)(1+δY) - δ) - δXY], by quadrature.

    Parameters:
        delta: δ in [0, 1], strength of the dependence; pure number.

    References:
        Bivariate exponential distributions (Gumbel, 1960), §2;
        https://doi.org/10.1080/01621459.1960.10483368

    Example:
        >>> member = ExponentialGumbel(dim_x=1, dim_y=1, delta=0.5)
        >>> round(member.mutual_information().value, 6)
        0.059446
    """

    name = "exponential-gumbel"
    formula = "E[ln((1+δX)(1+δY) - δ) - δXY]"
    source = "Gumbel 1960, doi:10.1080/01621459.1960.10483368"
    shape: ClassVar = ONE_BY_ONE
    parameters: ClassVar = {
        "delta": Parameter(
            "δ, strength of the dependence",
            low=0.0,
            high=1.0,
            closed="both",
            prior=Uniform(0.1, 1.0),
        )
    }
    delta: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y, second = rng.standard_exponential((3, n, 1))
        rate = 1.0 + self.delta * x
        y += np.where(rng.random((n, 1)) * rate < self.delta, second, 0.0)
        return x, y / rate

    def _mutual_information(self) -> MI:
        # towards δ = 1 I behaves as (1-δ)² ln(1-δ), of which the root leaves a smooth function
        return GUMBEL(math.sqrt(1.0 - self.delta))

    def _pointwise(self, x: Array, y: Array) -> Array:
        return _gumbel_log_ratio(self.delta, np.maximum(x[:, 0], TINY), np.maximum(y[:, 0], TINY))


def _gumbel_log_ratio(delta: float, x: Array, y: Array) -> Array:
    """Return ln p(x,y)/(p(x)p(y)) of `ExponentialGumbel`."""
    factor = (1.0 - delta) + delta * (x + y) + delta * delta * x * y
    ratio: Array = np.log(factor) - delta * x * y
    return ratio


def _gumbel_information(root: float) -> MI:
    """Integrate the pointwise MI of `ExponentialGumbel` with δ = 1 - root²."""

    def log_density(u: Margin, v: Margin) -> Array:
        return _gumbel_log_ratio(1.0 - root * root, -u.log_s, -v.log_s)

    return copula(log_density)


GUMBEL = Table(_gumbel_information, 0.0, 1.0)


def _log_phi(u: Array) -> Array:
    """Return ln((1 - e^-u)/u)."""
    size = np.maximum(np.abs(u), TINY)
    logarithm: Array = np.log(-np.expm1(-size) / size) + np.maximum(-u, 0.0)
    return logarithm


def _truncated_exponential(u: Array) -> tuple[Array, Array]:
    """Return mean and variance of the density ∝ e^-uw on 0 < w < 1."""
    near = np.abs(u) < 0.05
    v = np.where(near, 1.0, u)
    square = u * u
    mean = np.where(near, 0.5 - u / 12.0 + u * square / 720.0, 1.0 / v - 1.0 / np.expm1(v))
    series = 1.0 / 12.0 - square / 240.0 + square * square / 6048.0
    return mean, np.where(near, series, 1.0 / (v * v) - 0.25 / np.sinh(0.5 * v) ** 2)
