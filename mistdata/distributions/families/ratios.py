"""Families in which every coordinate is measured against one gamma variable common to both sides.

X_i = G_i/G_0 and Y_j = H_j/G_0 with independent gamma variables, or monotone images of these
ratios: the mutual information depends on three numbers alone, the total shape of either side and
the shape of the common denominator. In a Dirichlet vector the common variable is the part that
neither side shows.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from mistdata.distributions.base import MI
from mistdata.distributions.families._frailties import Burr, LogisticGumbel, Lomax, Pareto
from mistdata.distributions.families._gamma_ratio import (
    VANISHING,
    GammaRatio,
    ThreeShapes,
    divide,
    log_rest,
    safe_log,
)
from mistdata.distributions.families.special import g_combination, g_deviation
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform

SOURCE = "Darbellay & Vajda 2000, doi:10.1109/18.825848"
ALPHA = Parameter(
    "α, shape of the gamma numerator of a coordinate of X",
    low=0.0,
    high=math.inf,
    prior=LogUniform(0.3, 5.0),
)
BETA = Parameter(
    "β, shape of the gamma numerator of a coordinate of Y",
    low=0.0,
    high=math.inf,
    prior=LogUniform(0.3, 5.0),
)


class InvertedDirichlet(ThreeShapes, GammaRatio):
    """Gamma variables over a common gamma variable: a multivariate beta distribution of type II.

    Model: X_i = G_i/G_0, Y_j = H_j/G_0, G_i ~ Gamma(α), H_j ~ Gamma(β), G_0 ~ Gamma(c), all
    independent.
    Mutual information: F(c) + F(c+mα+nβ) - F(c+mα) - F(c+nβ), F(x) = lnΓ(x) - xψ(x), m = dim_x,
    n = dim_y; exact.

    Parameters:
        alpha: α > 0, shape of the numerators of X; pure number.
        beta: β > 0, shape of the numerators of Y; pure number.
        c: c > 0, shape of the common denominator; pure number.

    References:
        Entropy expressions for multivariate continuous distributions (Darbellay, Vajda, 2000);
        https://doi.org/10.1109/18.825848
        Continuous Multivariate Distributions, Volume 1 (Kotz, Balakrishnan, Johnson, 2000),
        chapter 49; https://doi.org/10.1002/0471722065

    Example:
        >>> member = InvertedDirichlet(dim_x=1, dim_y=1, alpha=1.5, beta=2.0, c=2.5)
        >>> round(member.mutual_information().value, 6)
        0.106471
    """

    name = "inverted-dirichlet"
    formula = "F(c) + F(c+mα+nβ) - F(c+mα) - F(c+nβ), F(x) = lnΓ(x) - xψ(x)"
    source = SOURCE
    parameters: ClassVar = {
        "alpha": ALPHA,
        "beta": BETA,
        "c": Parameter(
            "c, shape of the common denominator",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.3, 10.0),
            reason=VANISHING,
        ),
    }

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = self._gammas(n, rng, self.alpha, self.beta)
        divide(block, rng.standard_gamma(self.c, (n, 1)))
        return self._split(block)

    def _log_ratios(self, x: Array, y: Array) -> tuple[Array, Array]:
        return safe_log(x), safe_log(y)


class MultivariateF(GammaRatio):
    """Mean squares over a common mean square: the multivariate F distribution.

    Model: X_i = (A_i/ν_x)/(C/ν_0), Y_j = (B_j/ν_y)/(C/ν_0), A_i ~ χ²(ν_x), B_j ~ χ²(ν_y),
    C ~ χ²(ν_0), all independent.
    Mutual information: F(c) + F(c+a+b) - F(c+a) - F(c+b), F(x) = lnΓ(x) - xψ(x), a = mν_x/2,
    b = nν_y/2, c = ν_0/2, m = dim_x, n = dim_y; exact.

    Parameters:
        nu_x: ν_x > 0, degrees of freedom of the numerators of X; pure number.
        nu_y: ν_y > 0, degrees of freedom of the numerators of Y; pure number.
        nu_0: ν_0 > 0, degrees of freedom of the common denominator; pure number.

    References:
        Entropy expressions for multivariate continuous distributions (Darbellay, Vajda, 2000);
        https://doi.org/10.1109/18.825848
        Continuous Multivariate Distributions, Volume 1 (Kotz, Balakrishnan, Johnson, 2000),
        chapter 49; https://doi.org/10.1002/0471722065

    Example:
        >>> member = MultivariateF(dim_x=1, dim_y=1, nu_x=3.0, nu_y=4.0, nu_0=5.0)
        >>> round(member.mutual_information().value, 6)
        0.106471
    """

    name = "multivariate-f"
    formula = "F(c) + F(c+a+b) - F(c+a) - F(c+b), a = mν_x/2, b = nν_y/2, c = ν_0/2"
    source = SOURCE
    parameters: ClassVar = {
        "nu_x": Parameter(
            "ν_x, degrees of freedom of the numerators of X",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.6, 20.0),
        ),
        "nu_y": Parameter(
            "ν_y, degrees of freedom of the numerators of Y",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.6, 20.0),
        ),
        "nu_0": Parameter(
            "ν_0, degrees of freedom of the common denominator",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.6, 20.0),
            reason=VANISHING,
        ),
    }
    nu_x: float
    nu_y: float
    nu_0: float

    def _shapes(self) -> tuple[float, float, float]:
        a, b = 0.5 * self.dim_x * self.nu_x, 0.5 * self.dim_y * self.nu_y
        return a, b, 0.5 * self.nu_0

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = self._gammas(n, rng, 0.5 * self.nu_x, 0.5 * self.nu_y)
        divide(block, rng.standard_gamma(0.5 * self.nu_0, (n, 1)))
        x, y = self._split(block)
        x *= self.nu_0 / self.nu_x
        y *= self.nu_0 / self.nu_y
        return x, y

    def _log_ratios(self, x: Array, y: Array) -> tuple[Array, Array]:
        scale_x, scale_y = self.nu_x / self.nu_0, self.nu_y / self.nu_0
        return safe_log(x) + math.log(scale_x), safe_log(y) + math.log(scale_y)


class BetaOlkinLiu(ThreeShapes, GammaRatio):
    """Beta variables with a common part: the bivariate beta distribution of Olkin and Liu.

    Model: X_i = G_i/(G_i+G_0), Y_j = H_j/(H_j+G_0), G_i ~ Gamma(α), H_j ~ Gamma(β),
    G_0 ~ Gamma(c), all independent; X_i ~ Beta(α, c).
    Mutual information: F(c) + F(c+mα+nβ) - F(c+mα) - F(c+nβ), F(x) = lnΓ(x) - xψ(x), m = dim_x,
    n = dim_y; exact.

    Parameters:
        alpha: α > 0, first shape of the coordinates of X; pure number.
        beta: β > 0, first shape of the coordinates of Y; pure number.
        c: c > 0, second shape of all coordinates, that of their common part; pure number.

    References:
        A bivariate beta distribution (Olkin, Liu, 2003);
        https://doi.org/10.1016/S0167-7152(03)00048-8

    Example:
        >>> member = BetaOlkinLiu(dim_x=1, dim_y=1, alpha=1.0, beta=1.0, c=1.0)
        >>> round(member.mutual_information().value, 6)
        0.193147
    """

    name = "beta-olkin-liu"
    formula = "F(c) + F(c+mα+nβ) - F(c+mα) - F(c+nβ), F(x) = lnΓ(x) - xψ(x)"
    source = "Olkin & Liu 2003, doi:10.1016/S0167-7152(03)00048-8"
    parameters: ClassVar = {
        "alpha": Parameter(
            "α, first shape of the coordinates of X",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.3, 10.0),
        ),
        "beta": Parameter(
            "β, first shape of the coordinates of Y",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.3, 10.0),
        ),
        # for c < 1 the density is infinite at 1, where single precision is coarse
        "c": Parameter(
            "c, second shape of all coordinates, that of their common part",
            low=0.0,
            high=math.inf,
            prior=LogUniform(1.0, 10.0),
            reason=VANISHING,
        ),
    }

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = self._gammas(n, rng, self.alpha, self.beta)
        common = rng.standard_gamma(self.c, (n, 1))
        divide(block, block + common)
        return self._split(block)

    def _log_ratios(self, x: Array, y: Array) -> tuple[Array, Array]:
        return safe_log(x) - log_rest(1.0 - x), safe_log(y) - log_rest(1.0 - y)


class Dirichlet(ThreeShapes):
    """Proportions of a whole of which a part is not shown: blocks of a Dirichlet vector.

    Model: (X, Y, R) ~ Dirichlet(α, ..., α, β, ..., β, c), α for every coordinate of X, β for
    every one of Y; the last part R = 1 - ΣX - ΣY is left out.
    Mutual information: G(c+mα) + G(c+nβ) - G(c) - G(c+mα+nβ), G(x) = lnΓ(x) - (x-1)ψ(x),
    m = dim_x, n = dim_y; exact.

    Parameters:
        alpha: α > 0, weight of a coordinate of X; pure number.
        beta: β > 0, weight of a coordinate of Y; pure number.
        c: c > 0, weight of the part left out; pure number.

    References:
        Continuous Multivariate Distributions, Volume 1 (Kotz, Balakrishnan, Johnson, 2000),
        chapter 49; https://doi.org/10.1002/0471722065
        Entropy expressions for multivariate continuous distributions (Darbellay, Vajda, 2000);
        https://doi.org/10.1109/18.825848

    Example:
        >>> member = Dirichlet(dim_x=1, dim_y=1, alpha=1.0, beta=1.0, c=1.0)
        >>> round(member.mutual_information().value, 6)
        0.306853
    """

    name = "dirichlet"
    formula = "G(c+mα) + G(c+nβ) - G(c) - G(c+mα+nβ), G(x) = lnΓ(x) - (x-1)ψ(x)"
    source = SOURCE
    # for c < 1 the density is infinite at R = 0, and R is a difference of rounded numbers
    parameters: ClassVar = {
        "alpha": Parameter(
            "α, weight of a coordinate of X", low=0.0, high=math.inf, prior=LogUniform(0.3, 5.0)
        ),
        "beta": Parameter(
            "β, weight of a coordinate of Y", low=0.0, high=math.inf, prior=LogUniform(0.3, 5.0)
        ),
        "c": Parameter(
            "c, weight of the part left out",
            low=0.0,
            high=math.inf,
            prior=LogUniform(1.0, 10.0),
            reason="at 0 nothing is left out, ΣY is 1 - ΣX, and I(X;Y) is infinite",
        ),
    }

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = self._gammas(n, rng, self.alpha, self.beta)
        rest = rng.standard_gamma(self.c, n)
        divide(block, (block.sum(axis=1) + rest)[:, None])
        return self._split(block)

    def _mutual_information(self) -> MI:
        shapes = self._shapes()
        return MI.closed_form(g_combination(*shapes), g_deviation(*shapes), special=True)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Compare Dirichlet densities, which see a side through s = Σx_i alone.

        p(x) ∝ Π x_i^(α-1) (1-s)^(c+nβ-1), and so on for Y and for both together.
        """
        a, b, c = self._shapes()
        s, t = x.sum(axis=1), y.sum(axis=1)
        constant = math.lgamma(a + c) + math.lgamma(b + c)
        constant -= math.lgamma(c) + math.lgamma(a + b + c)
        joint = (c - 1.0) * log_rest((1.0 - s) - t)
        alone = (b + c - 1.0) * log_rest(1.0 - s) + (a + c - 1.0) * log_rest(1.0 - t)
        pointwise: Array = constant + joint - alone
        return pointwise


FAMILIES = (
    InvertedDirichlet,
    MultivariateF,
    BetaOlkinLiu,
    Lomax,
    Pareto,
    Burr,
    LogisticGumbel,
    Dirichlet,
)
