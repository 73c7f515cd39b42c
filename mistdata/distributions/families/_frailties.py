"""Gamma ratios whose numerators are exponential: lifetimes with a common random rate."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from mistdata.distributions.families._gamma_ratio import (
    TINY,
    VANISHING,
    GammaRatio,
    divide,
    safe_log,
)
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform

TAIL_INDEX = Parameter(
    "a, tail index of the coordinates and shape of the common gamma variable",
    low=0.0,
    high=math.inf,
    prior=LogUniform(0.3, 10.0),
    reason=VANISHING,
)


class Frailty(GammaRatio):
    """Images of ratios of exponential variables to one common Gamma(a) variable, the frailty."""

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = rng.standard_exponential((n, self.dim_x + self.dim_y))
        divide(block, rng.standard_gamma(self._shapes()[2], (n, 1)))
        self._image(block)
        return self._split(block)

    def _log_ratios(self, x: Array, y: Array) -> tuple[Array, Array]:
        return self._log_preimage(x), self._log_preimage(y)

    @abstractmethod
    def _image(self, u: Array) -> None:
        """Map the ratios to coordinates, in place."""

    @abstractmethod
    def _log_preimage(self, values: Array) -> Array:
        """Return ln u of coordinates."""


class TailIndex(Frailty):
    """A frailty of free shape: the tail index."""

    parameters: ClassVar = {"a": TAIL_INDEX}
    a: float

    def _shapes(self) -> tuple[float, float, float]:
        return float(self.dim_x), float(self.dim_y), self.a


class Lomax(TailIndex):
    """Exponential lifetimes with a common random rate: the multivariate Lomax distribution.

    Model: X_i = E_i/V, Y_j = E'_j/V, E ~ Exp(1), V ~ Gamma(a), all independent;
    P(X > x, Y > y) = (1 + Σ x_i + Σ y_j)^-a, a Pareto distribution of type II.
    Mutual information: F(a) + F(a+m+n) - F(a+m) - F(a+n), F(x) = lnΓ(x) - xψ(x), m = dim_x,
    n = dim_y; ln(1+1/a) - 1/(1+a) for m = n = 1; exact.

    Parameters:
        a: a > 0, tail index; pure number.

    References:
        Multivariate Lomax distribution: properties and usefulness in reliability theory
        (Nayak, 1987); https://doi.org/10.2307/3214068

    Example:
        >>> member = Lomax(dim_x=1, dim_y=1, a=0.5)
        >>> round(member.mutual_information().value, 6)
        0.431946
    """

    name = "lomax"
    formula = "F(a) + F(a+m+n) - F(a+m) - F(a+n), F(x) = lnΓ(x) - xψ(x)"
    source = "Nayak 1987, doi:10.2307/3214068"

    def _image(self, u: Array) -> None:
        """Leave the ratios as they are."""

    def _log_preimage(self, values: Array) -> Array:
        return safe_log(values)


class Pareto(TailIndex):
    """Pareto coordinates of the same tail index: Mardia's multivariate Pareto distribution.

    Model: X_i = 1 + E_i/V, Y_j = 1 + E'_j/V, E ~ Exp(1), V ~ Gamma(a), all independent;
    P(X > x, Y > y) = (Σ x_i + Σ y_j - m - n + 1)^-a, so that P(X_i > x) = x^-a.
    Mutual information: F(a) + F(a+m+n) - F(a+m) - F(a+n), F(x) = lnΓ(x) - xψ(x), m = dim_x,
    n = dim_y; ln(1+1/a) - 1/(1+a) for m = n = 1; exact.

    Parameters:
        a: a > 0, tail index; pure number.

    References:
        Multivariate Pareto distributions (Mardia, 1962), type 1;
        https://doi.org/10.1214/aoms/1177704468

    Example:
        >>> member = Pareto(dim_x=2, dim_y=3, a=1.0)
        >>> round(member.mutual_information().value, 6)
        0.435918
    """

    name = "pareto"
    formula = "F(a) + F(a+m+n) - F(a+m) - F(a+n), F(x) = lnΓ(x) - xψ(x)"
    source = "Mardia 1962, doi:10.1214/aoms/1177704468"

    def _image(self, u: Array) -> None:
        u += 1.0

    def _log_preimage(self, values: Array) -> Array:
        return safe_log(values - 1.0)


class Burr(TailIndex):
    """Weibull lifetimes with a common random rate: Takahasi's multivariate Burr distribution.

    Model: X_i = (E_i/V)^(1/k), Y_j = (E'_j/V)^(1/k), E ~ Exp(1), V ~ Gamma(a), all independent;
    P(X > x, Y > y) = (1 + Σ x_i^k + Σ y_j^k)^-a.
    Mutual information: F(a) + F(a+m+n) - F(a+m) - F(a+n), F(x) = lnΓ(x) - xψ(x), m = dim_x,
    n = dim_y, whatever k is; ln(1+1/a) - 1/(1+a) for m = n = 1; exact.

    Parameters:
        a: a > 0, shape of the common gamma variable; the tail index is ak; pure number.
        k: k > 0, shape of the Weibull lifetimes; pure number.

    References:
        Note on the multivariate Burr's distribution (Takahasi, 1965);
        https://doi.org/10.1007/BF02868169

    Example:
        >>> member = Burr(dim_x=1, dim_y=1, a=0.1, k=4.0)
        >>> round(member.mutual_information().value, 6)
        1.488804
    """

    name = "burr"
    formula = "F(a) + F(a+m+n) - F(a+m) - F(a+n), F(x) = lnΓ(x) - xψ(x)"
    source = "Takahasi 1965, doi:10.1007/BF02868169"
    # the power k tames the tail: priors with ak ≥ 0.3 stay within single precision
    parameters: ClassVar = {
        "a": Parameter(
            "a, shape of the common gamma variable",
            low=0.0,
            high=math.inf,
            prior=LogUniform(0.06, 10.0),
            reason=VANISHING,
        ),
        "k": Parameter(
            "k, shape of the Weibull lifetimes",
            low=0.0,
            high=math.inf,
            prior=LogUniform(5.0, 10.0),
        ),
    }
    k: float

    def _image(self, u: Array) -> None:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            np.power(u, 1.0 / self.k, out=u)

    def _log_preimage(self, values: Array) -> Array:
        return self.k * safe_log(values)


class LogisticGumbel(Frailty):
    """Logistic coordinates with a common random location: Gumbel's logistic distribution, type I.

    Model: P(X ≤ x, Y ≤ y) = 1/(1 + Σ e^-x_i + Σ e^-y_j); X_i = ln V - ln E_i, Y_j = ln V - ln E'_j
    with independent E ~ Exp(1) and V ~ Exp(1).
    Mutual information: F(1) + F(1+m+n) - F(1+m) - F(1+n), F(x) = lnΓ(x) - xψ(x), m = dim_x,
    n = dim_y; ln 2 - ½ for m = n = 1; exact.

    References:
        Bivariate logistic distributions (Gumbel, 1961), type I;
        https://doi.org/10.1080/01621459.1961.10482117

    Example:
        >>> member = LogisticGumbel(dim_x=1, dim_y=1)
        >>> round(member.mutual_information().value, 6)
        0.193147
    """

    name = "logistic-gumbel"
    formula = "F(1) + F(1+m+n) - F(1+m) - F(1+n), F(x) = lnΓ(x) - xψ(x)"
    source = "Gumbel 1961, doi:10.1080/01621459.1961.10482117"

    def _shapes(self) -> tuple[float, float, float]:
        return float(self.dim_x), float(self.dim_y), 1.0

    def _image(self, u: Array) -> None:
        np.maximum(u, TINY, out=u)
        np.negative(np.log(u, out=u), out=u)

    def _log_preimage(self, values: Array) -> Array:
        return -values
