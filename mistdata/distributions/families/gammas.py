"""Families made of exponential and gamma variables: waiting times, their rates and their sums."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from mistdata.distributions.base import MI, ONE_BY_ONE, JointDistribution, Shape
from mistdata.distributions.families._exponentials import (
    TINY,
    ExponentialGumbel,
    ExponentialNoise,
    ExponentialOrdered,
)
from mistdata.distributions.families._kibble import kibble_information, log_bessel
from mistdata.distributions.families.special import f_limit, g_limit, trigamma
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform, Uniform

EDGE = 2.0**-25  # relative size of a difference that single precision has rounded away
KSG = "Kraskov, Stögbauer & Grassberger 2004, arXiv:cond-mat/0305641"
RATE_SHAPE = Parameter(
    "θ, shape of the gamma law of the rate",
    low=0.0,
    high=math.inf,
    prior=LogUniform(0.3, 50.0),  # below, rates vanish in single precision
    reason="at 0 the rate vanishes and I(X;Y) is infinite",
)


class RateMixture(JointDistribution):
    """A gamma rate X and waiting times Y_j that are independent given the rate."""

    shape: ClassVar = Shape(x=(1, 1))
    rate_shape: float

    @abstractmethod
    def _waiting(self) -> float:
        """Return k, the gamma shape of a waiting time."""

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_gamma(self.rate_shape, (n, 1))
        y = rng.standard_gamma(self._waiting(), (n, self.dim_y))
        # a shape θ far below 1 can underflow to zero; the base class refuses the infinite row
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            y /= x
        return x, y

    def _mutual_information(self) -> MI:
        """Combine Var(K ln X - Z + (K+θ) ln(1+Z/X)), Z = X ΣY_j ~ Gamma(K), into `pmi_std`."""
        total, theta = self.dim_y * self._waiting(), self.rate_shape
        variance = theta * theta * trigamma(theta) - total
        variance += (total - theta) * (total + theta) * trigamma(total + theta)
        value = f_limit(total, theta)
        return MI.closed_form(value, math.sqrt(max(variance, 0.0)), special=True)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Take Gamma(k, rate x) densities over their mixture, which sees Σy_j alone."""
        total, theta = self.dim_y * self._waiting(), self.rate_shape
        rate, time = x[:, 0], y.sum(axis=1)
        constant = math.lgamma(theta) - math.lgamma(total + theta)
        pointwise: Array = total * np.log(np.maximum(rate, TINY)) - rate * time + constant
        pointwise += (total + theta) * np.log1p(time)
        return pointwise


class GammaExponential(RateMixture):
    """Exponential waiting times whose rate is a gamma variable.

    Model: X ~ Gamma(θ), Y_j | X ~ Exp(rate X), j = 1, ..., n = dim_y; dim_x = 1.
    Mutual information: F(θ) - F(θ+n) - n, F(x) = lnΓ(x) - xψ(x); ψ(θ+1) - ln θ for n = 1; exact.

    Parameters:
        rate_shape: θ > 0, shape of the rate; pure number.

    References:
        Estimating mutual information (Kraskov, Stögbauer, Grassberger, 2004), gamma-exponential
        distribution; https://arxiv.org/abs/cond-mat/0305641

    Example:
        >>> member = GammaExponential(dim_x=1, dim_y=1, rate_shape=3.0)
        >>> round(member.mutual_information().value, 6)
        0.157505
    """

    name = "gamma-exponential"
    formula = "F(θ) - F(θ+n) - n, F(x) = lnΓ(x) - xψ(x); ψ(θ+1) - ln θ for n = 1"
    source = KSG
    parameters: ClassVar = {"rate_shape": RATE_SHAPE}

    def _waiting(self) -> float:
        return 1.0


class GammaGamma(RateMixture):
    """Gamma waiting times whose rate is a gamma variable.

    Model: X ~ Gamma(θ), Y_j | X ~ Gamma(k, rate X), j = 1, ..., n = dim_y; dim_x = 1.
    Mutual information: F(θ) - F(θ+nk) - nk, F(x) = lnΓ(x) - xψ(x); exact. It is the entropy of
    ΣY_j, a beta variable of type II, less the mean entropy of a gamma variable.

    Parameters:
        k: k > 0, shape of the waiting times; pure number.
        rate_shape: θ > 0, shape of the rate; pure number.

    References:
        Continuous Multivariate Distributions, Volume 1 (Kotz, Balakrishnan, Johnson, 2000),
        chapter 48; https://doi.org/10.1002/0471722065

    Example:
        >>> member = GammaGamma(dim_x=1, dim_y=1, k=2.5, rate_shape=1.5)
        >>> round(member.mutual_information().value, 6)
        0.557194
    """

    name = "gamma-gamma"
    formula = "F(θ) - F(θ+nk) - nk, F(x) = lnΓ(x) - xψ(x)"
    source = "Kotz, Balakrishnan & Johnson 2000, doi:10.1002/0471722065"
    parameters: ClassVar = {
        "k": Parameter(
            "k, shape of the waiting times", low=0.0, high=math.inf, prior=LogUniform(0.4, 10.0)
        ),
        "rate_shape": RATE_SHAPE,
    }
    k: float

    def _waiting(self) -> float:
        return self.k


class GammaAdditive(JointDistribution):
    """A gamma variable seen through gamma noise: McKay's bivariate gamma distribution.

    Model: X ~ Gamma(a), Y = X + N, N ~ Gamma(b) independent of X, both of scale 1.
    Mutual information: a + G(a+b) - G(b), G(x) = lnΓ(x) - (x-1)ψ(x); γ for a = b = 1; exact.

    Parameters:
        a: a > 0, shape of X; pure number.
        b: b > 0, shape of the noise; pure number.

    References:
        Continuous Multivariate Distributions, Volume 1 (Kotz, Balakrishnan, Johnson, 2000),
        chapter 48, McKay's bivariate gamma; https://doi.org/10.1002/0471722065

    Example:
        >>> member = GammaAdditive(dim_x=1, dim_y=1, a=0.5, b=3.0)
        >>> round(member.mutual_information().value, 6)
        0.095503
    """

    name = "gamma-additive"
    formula = "a + G(a+b) - G(b), G(x) = lnΓ(x) - (x-1)ψ(x)"
    source = "Kotz, Balakrishnan & Johnson 2000, doi:10.1002/0471722065"
    shape: ClassVar = ONE_BY_ONE
    parameters: ClassVar = {
        "a": Parameter("a, shape of X", low=0.0, high=math.inf, prior=LogUniform(0.3, 20.0)),
        "b": Parameter(
            "b, shape of the noise",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.5, 10.0),  # below, the noise vanishes in single precision
            reason="at 0 there is no noise and I(X;Y) is infinite",
        ),
    }
    a: float
    b: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_gamma(self.a, (n, 1))
        return x, x + rng.standard_gamma(self.b, (n, 1))

    def _mutual_information(self) -> MI:
        """Combine Var((b-1) ln N + X - (a+b-1) ln Y) into `pmi_std`."""
        a, b = self.a, self.b
        total = a + b
        variance = (b - 1.0) ** 2 * trigamma(b) + a - 2.0 * (total - 1.0) * a / total
        variance += (total - 1.0) * (a - b + 1.0) * trigamma(total)
        return MI.closed_form(g_limit(a, b), math.sqrt(max(variance, 0.0)), special=True)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Compare the gamma densities of the noise y - x and of y."""
        x, y = x[:, 0], np.maximum(y[:, 0], TINY)
        noise = np.where(y > x, y - x, EDGE * y)
        constant = math.lgamma(self.a + self.b) - math.lgamma(self.b)
        pointwise: Array = constant + (self.b - 1.0) * np.log(noise) + (y - noise)
        pointwise -= (self.a + self.b - 1.0) * np.log(y)
        return pointwise


class GammaKibble(JointDistribution):
    """Correlated gamma variables: the bivariate gamma distribution of Kibble, Moran and Downton.

    Model: X ~ Gamma(k), Y | X ~ (1-r) Gamma(k + J), J | X ~ Poisson(rX/(1-r)); Y ~ Gamma(k), and
    X and Y have the correlation r. For 2k = 1, 2, ... they are half the sums of squares of 2k
    pairs of normal variables with the correlation √r; for k = 1, Downton's exponential.
    Mutual information: E ln[(1-r)^-k e^(-r(X+Y)/(1-r)) 0F1(; k; rXY/(1-r)²)], by quadrature over
    the law of XY.

    Parameters:
        k: k in (0, 100], shape of X and of Y; pure number.
        r: r in [0, 1), correlation of X and Y; pure number.

    References:
        A two-variate gamma type distribution (Kibble, 1941); Continuous Multivariate
        Distributions, Volume 1 (Kotz, Balakrishnan, Johnson, 2000), chapter 48;
        https://doi.org/10.1002/0471722065
        Bivariate exponential distributions in reliability theory (Downton, 1970);
        https://doi.org/10.1111/j.2517-6161.1970.tb00852.x

    Example:
        >>> member = GammaKibble(dim_x=1, dim_y=1, k=0.5, r=0.81)
        >>> round(member.mutual_information().value, 6)
        0.408443
    """

    name = "gamma-kibble"
    formula = "E ln[(1-r)^-k e^(-r(X+Y)/(1-r)) 0F1(; k; rXY/(1-r)²)]"
    source = "Kibble 1941, Sankhyā 5:137; Downton 1970, doi:10.1111/j.2517-6161.1970.tb00852.x"
    shape: ClassVar = ONE_BY_ONE
    parameters: ClassVar = {
        "k": Parameter(
            "k, shape of X and of Y",
            low=0.0,
            high=100.0,
            closed="high",
            prior=LogUniform(0.4, 8.0),
            reason="beyond 100 the Bessel function of the density underflows",
        ),
        "r": Parameter(
            "r, correlation of X and Y",
            low=0.0,
            high=1.0,
            closed="low",
            prior=Uniform(0.1, 0.99),
            reason="at 1 Y equals X, and I(X;Y) is infinite",
        ),
    }
    k: float
    r: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_gamma(self.k, (n, 1))
        jumps = rng.poisson(self.r / (1.0 - self.r) * x)
        return x, (1.0 - self.r) * rng.standard_gamma(self.k + jumps)

    def _mutual_information(self) -> MI:
        return kibble_information(self.k, self.r)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Sum the exponent -r(x+y)/(1-r) + z, z = 2√(rxy)/(1-r), not cancelling for r → 1."""
        r, root = self.r, math.sqrt(self.r)
        a, b = np.sqrt(np.maximum(x[:, 0], 0.0)), np.sqrt(np.maximum(y[:, 0], 0.0))
        exponent = 2.0 * root / (1.0 + root) * a * b - r / (1.0 - r) * (a - b) ** 2
        bend = log_bessel(self.k, 2.0 * root / (1.0 - r) * a * b)
        pointwise: Array = exponent + bend - self.k * math.log1p(-r)
        return pointwise


FAMILIES = (
    GammaExponential,
    GammaGamma,
    GammaAdditive,
    ExponentialOrdered,
    ExponentialNoise,
    GammaKibble,
    ExponentialGumbel,
)
