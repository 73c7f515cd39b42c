"""Correlation structures shared by the Gaussian and the Student families.

Every structure starts from one block of independent standard normals, x columns first, and
correlates it in place: the two sides of a sample are views of that block. Mutual informations
are written as sums of log1p of nonnegative ratios, so that they are nonnegative by construction
and keep their relative accuracy when the dependence is weak.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from mistdata.distributions.base import MI, JointDistribution, Parameter
from mistdata.distributions.priors import Array, Uniform

STRENGTH = Parameter(
    "λ, weight of the signal that the two columns of a pair share, over unit noise",
    low=0.0,
    high=1e3,  # beyond, single precision cannot hold the noise that keeps the MI finite
    closed="both",
    prior=Uniform(0.1, 5.0),
)
PAIRS = Parameter(
    "K, number of interacting pairs (X_k, Y_k)",
    low=1,
    high=min,
    closed="both",
    integer=True,
    prior=lambda dim_x, dim_y: Uniform(1, min(dim_x, dim_y)),
)


class Correlated(JointDistribution):
    """(X, Y) ~ N(0, Ω) with a correlation matrix Ω that a subclass describes."""

    @abstractmethod
    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω, of shape (dim_x + dim_y, dim_x + dim_y), x columns first."""

    @abstractmethod
    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        """Turn rows of independent standard normals into rows of N(0, Ω), in place."""

    @abstractmethod
    def _gaussian_information(self) -> float:
        """Compute I(X;Y) of N(0, Ω) in nats."""

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        self._correlate(z, rng)
        return z[:, : self.dim_x], z[:, self.dim_x :]

    def _mutual_information(self) -> MI:
        return MI.closed_form(self._gaussian_information())

    def pointwise_mutual_information(
        self, x: Float[Array, "n dim_x"], y: Float[Array, "n dim_y"]
    ) -> Float[Array, " n"]:
        """Return ln p(x,y) - ln p(x) - ln p(y) for every row, from Cholesky factors of Ω."""
        omega, m = self.correlation_matrix(), self.dim_x
        joint = self._log_density(np.concatenate((x, y), axis=1), omega)
        return joint - self._log_density(x, omega[:m, :m]) - self._log_density(y, omega[m:, m:])

    def _log_density(self, rows: Array, omega: Array) -> Array:
        squares, half_log_det = mahalanobis(rows, omega)
        constant = -0.5 * rows.shape[1] * math.log(2.0 * math.pi) - half_log_det
        density: Array = constant - 0.5 * squares
        return density


class Identity(Correlated):
    """No correlation: Ω = I."""

    parameters: ClassVar = {}

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω = I."""
        return np.eye(self.dim_x + self.dim_y)

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        pass

    def _gaussian_information(self) -> float:
        return 0.0


class Equicorrelated(Correlated):
    """The same correlation ρ between any two of the m + n coordinates.

    Ω = (1 - ρ) I + ρ 11ᵀ has the eigenvalues 1 + (m+n-1)ρ along 1 and 1 - ρ across it. The only
    nonzero canonical correlation joins the two sums, hence
    I = ½ ln(1 + mnρ² / ((1-ρ)(1+(m+n-1)ρ))).
    """

    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, correlation of any two coordinates",
            low=lambda dim_x, dim_y: -1.0 / (dim_x + dim_y - 1),
            high=1.0,
            prior=Uniform(0.0, 0.5),
        )
    }
    rho: float

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω = (1 - ρ) I + ρ 11ᵀ."""
        omega = np.full((self.dim_x + self.dim_y,) * 2, self.rho)
        np.fill_diagonal(omega, 1.0)
        return omega

    def _top_eigenvalue(self) -> float:
        others = self.dim_x + self.dim_y - 1
        if self.rho >= 0.0:
            return 1.0 + others * self.rho
        # near the lower end of the domain the product's rounding would be all that is left
        return math.fsum((1.0, *([self.rho] * others)))

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        across = math.sqrt(1.0 - self.rho)
        along = math.sqrt(self._top_eigenvalue())
        shift = np.einsum("ij->i", z)
        shift *= (along - across) / z.shape[1]
        z *= across
        z += shift[:, None]

    def _gaussian_information(self) -> float:
        explained = self.dim_x * self.dim_y * self.rho * self.rho
        return 0.5 * math.log1p(explained / ((1.0 - self.rho) * self._top_eigenvalue()))


class Pairs(Correlated):
    """K independent pairs (X_k, Y_k) that share a signal; every other coordinate is noise.

    X_k = (E_k + λZ_k)/√(1+λ²) and Y_k = (E'_k + λZ_k)/√(1+λ²) have the correlation
    ρ = λ²/(1+λ²), hence I = -(K/2) ln(1-ρ²) = (K/2) ln(1 + λ⁴/(1+2λ²)).
    """

    parameters: ClassVar = {"strength": STRENGTH, "pairs": PAIRS}
    strength: float
    pairs: int

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω: ones on the diagonal, ρ at the K pairs."""
        omega = np.eye(self.dim_x + self.dim_y)
        first = np.arange(self.pairs)
        second = self.dim_x + first
        shared = self.strength * self.strength
        omega[first, second] = omega[second, first] = shared / (1.0 + shared)
        return omega

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        correlate_pairs(z, self.dim_x, self.pairs, self.strength)

    def _gaussian_information(self) -> float:
        return self.pairs * pair_information(self.strength)


class TwoPairs(Pairs):
    """Two interacting pairs: `Pairs` with K = 2."""

    parameters: ClassVar = {"strength": STRENGTH}
    pairs = 2

    @classmethod
    def supports(cls, dim_x: int, dim_y: int) -> bool:
        """Tell whether both sides have room for two pairs."""
        return min(dim_x, dim_y) >= 2


def pair_information(strength: float) -> float:
    """Return the nats shared by E + λZ and E' + λZ, all standard normal: ½ ln(1 + λ⁴/(1+2λ²))."""
    shared = strength * strength
    return 0.5 * math.log1p(shared * (shared / (1.0 + 2.0 * shared)))


def correlate_pairs(z: Array, dim_x: int, pairs: int, strength: float) -> None:
    """Give the first `pairs` columns of both sides the correlation ρ = λ²/(1+λ²), in place."""
    shared = strength * strength
    y = z[:, dim_x : dim_x + pairs]
    y *= math.sqrt(1.0 + 2.0 * shared) / (1.0 + shared)  # √(1-ρ²)
    y += z[:, :pairs] * (shared / (1.0 + shared))


def mahalanobis(rows: Array, omega: Array) -> tuple[Array, float]:
    """Return rᵀΩ⁻¹r for every row r, and ½ ln det Ω, by Cholesky."""
    factor = np.linalg.cholesky(omega)
    whitened = solve_triangular(factor, rows.T, lower=True, check_finite=False)
    return np.einsum("ij,ij->j", whitened, whitened), float(np.log(np.diag(factor)).sum())
