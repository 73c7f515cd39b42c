"""Gaussian Markov processes: X is what was seen of one, Y what is seen of it later.

By the Markov property the information passes through a single correlation, that of the last value
in X with the first in Y; it falls as that correlation does with time.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from mistdata.distributions.base import ONE_BY_ONE, Shape
from mistdata.distributions.families.structures import Correlated, Coupled, Forms, pair_form
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform, Uniform


class GaussianAR1(Correlated):
    """The past and the future of a stationary autoregressive process of first order.

    Model: S_t = ρ S_{t-1} + √(1-ρ²) ε_t, stationary with unit variance, ε_t independent N(0, 1);
    X = (S_1, ..., S_m), Y = (S_{m+g}, ..., S_{m+g+n-1}), m = dim_x, n = dim_y.
    Mutual information: -½ ln(1-ρ^(2g)) = I(S_m; S_{m+g}), whatever m and n; exact.

    Parameters:
        rho: ρ in (-1, 1), correlation of neighbours; pure number.
        gap: g ≥ 1, steps from the last of X to the first of Y; count.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), §2.8, data processing along a Markov
        chain; https://doi.org/10.1002/047174882X

    Example:
        >>> member = GaussianAR1(dim_x=4, dim_y=3, rho=0.8, gap=1)
        >>> round(member.mutual_information().value, 6)
        0.510826
    """

    name = "gaussian-ar1"
    formula = "-½ ln(1-ρ^(2g))"
    source = "Cover & Thomas 2006, doi:10.1002/047174882X"
    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, correlation of neighbours",
            low=-1.0,
            high=1.0,
            prior=Uniform(-0.995, 0.995),
            reason="at the ends the past determines the future and I(X;Y) is infinite",
        ),
        "gap": Parameter(
            "g, steps from the last of X to the first of Y",
            low=1,
            high=1000,
            closed="both",
            integer=True,
            prior=LogUniform(1, 4),
        ),
    }
    rho: float
    gap: int

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω: ρ to the power of the time between two values."""
        time = np.arange(float(self.dim_x + self.dim_y))
        time[self.dim_x :] += self.gap - 1
        omega: Array = self.rho ** np.abs(time - time[:, None])
        return omega

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        near = self._across(1)
        for column in range(1, z.shape[1]):
            rho, residual = self._across(self.gap) if column == self.dim_x else near
            z[:, column] *= math.sqrt(residual)
            z[:, column] += rho * z[:, column - 1]

    def _across(self, steps: int) -> tuple[float, float]:
        """Return the correlation ρ^steps and 1 - ρ^(2 steps), without cancellation."""
        if self.rho == 0.0:
            return 0.0, 1.0
        return self.rho**steps, -math.expm1(2.0 * steps * math.log(abs(self.rho)))

    def _gaussian_information(self) -> float:
        rho, residual = self._across(self.gap)
        return 0.5 * math.log1p(rho * rho / residual)

    def _gaussian_variance(self) -> float:
        return self._across(self.gap)[0] ** 2

    def _forms(self, x: Array, y: Array) -> Forms:
        """Add up the squared innovations of either block, and those between the two."""
        rho, residual = self._across(self.gap)
        q_x, q_y = self._innovations(x), self._innovations(y)
        excess = pair_form(x[:, -1:], y[:, :1], rho, residual)
        return Forms(q_x + q_y + excess, q_x, q_y, -0.5 * math.log(residual))

    def _innovations(self, block: Array) -> Array:
        rho, residual = self._across(1)
        steps = block[:, 1:] - rho * block[:, :-1]
        squares: Array = block[:, 0] ** 2 + np.einsum("ij,ij->i", steps, steps) / residual
        return squares


def _lag_prior(d: int) -> LogUniform:
    """Draw lags that leave at most 3 nats a component and 10 in all."""
    least = max(0.002, -0.5 * math.log(-math.expm1(-20.0 / d)))
    return LogUniform(least, max(2.0, 2.0 * least))


class GaussianOU(Coupled):
    """Two times of a stationary Ornstein-Uhlenbeck process with independent components.

    Model: dS = -κS dt + √(2κ) dB in R^d, stationary; X = S(0), Y = S(τ), so that X, Y ~ N(0, I)
    and every X_k, Y_k have the correlation e^(-κτ); dim_x = dim_y = d.
    Mutual information: -(d/2) ln(1 - e^(-2κτ)); exact.

    Parameters:
        kappa_tau: κτ > 0, the lag in units of the relaxation time; pure number.

    References:
        On the theory of the Brownian motion (Uhlenbeck, Ornstein, 1930);
        https://doi.org/10.1103/PhysRev.36.823

    Example:
        >>> member = GaussianOU(dim_x=2, dim_y=2, kappa_tau=0.5)
        >>> round(member.mutual_information().value, 6)
        0.458675
    """

    name = "gaussian-ou"
    formula = "-(d/2) ln(1-e^(-2κτ))"
    source = "Uhlenbeck & Ornstein 1930, doi:10.1103/PhysRev.36.823"
    shape: ClassVar = Shape(equal=True)
    parameters: ClassVar = {
        "kappa_tau": Parameter(
            "κτ, lag in units of the relaxation time",
            low=0.0,
            high=math.inf,
            prior=lambda dim_x, dim_y: _lag_prior(dim_x),
            reason="at 0 Y is X and I(X;Y) is infinite",
        )
    }
    kappa_tau: float

    def _coupling(self) -> tuple[int, float, float]:
        return self.dim_x, math.exp(-self.kappa_tau), -math.expm1(-2.0 * self.kappa_tau)


class GaussianBrownian(Coupled):
    """Two times of a Brownian motion.

    Model: X = B(s), Y = B(t), 0 < s < t = 1: X ~ N(0, s) and Y - X ~ N(0, t-s), independent.
    Mutual information: ½ ln(t/(t-s)); exact.

    Parameters:
        ratio: s/t in (0, 1), ratio of the two times; pure number.

    References:
        Brownian Motion (Mörters, Peres, 2010), definition 1.1;
        https://doi.org/10.1017/CBO9780511750489

    Example:
        >>> member = GaussianBrownian(dim_x=1, dim_y=1, ratio=0.4)
        >>> round(member.mutual_information().value, 6)
        0.255413
    """

    name = "gaussian-brownian"
    formula = "½ ln(t/(t-s))"
    source = "Mörters & Peres 2010, doi:10.1017/CBO9780511750489"
    shape = ONE_BY_ONE
    parameters: ClassVar = {
        "ratio": Parameter(
            "s/t, ratio of the two times",
            low=0.0,
            high=1.0,
            prior=Uniform(0.02, 0.998),
            reason="at 0 X is constant; at 1 Y is X and I(X;Y) is infinite",
        )
    }
    ratio: float

    def _coupling(self) -> tuple[int, float, float]:
        return 1, math.sqrt(self.ratio), 1.0 - self.ratio

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y = super()._sample(n, rng)
        x *= math.sqrt(self.ratio)
        return x, y

    def _pointwise(self, x: Array, y: Array) -> Array:
        return super()._pointwise(x / math.sqrt(self.ratio), y)

    def _side_factor(self, side: Literal["x", "y"]) -> Array:
        return np.full((1, 1), math.sqrt(self.ratio) if side == "x" else 1.0)


FAMILIES = (GaussianAR1, GaussianOU, GaussianBrownian)
