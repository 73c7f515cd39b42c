"""Correlation structures shared by the Gaussian and the Student families.

Every structure starts from one block of independent standard normals, x columns first, and
correlates it in place: the two sides of a sample are views of that block. Mutual informations
are written as sums of log1p of nonnegative ratios, so that they are nonnegative by construction
and keep their relative accuracy when the dependence is weak.

The pointwise MI is evaluated from quadratic forms of the rows: by Cholesky factors of Ω in
general, by a few sums over the columns where the structure allows.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from mistdata.distributions.base import MI, JointDistribution, Shape
from mistdata.distributions.injections import Injection, Whitening
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, Uniform

STRENGTH = Parameter(
    "λ, weight of the signal that the two columns of a pair share, over unit noise",
    low=0.0,
    high=1e3,  # beyond, single precision cannot hold the noise that keeps the MI finite
    closed="both",
    prior=Uniform(0.1, 5.0),
    reason="towards infinity Y is a function of X and I(X;Y) infinite",
)
PAIRS = Parameter(
    "K, number of interacting pairs (X_k, Y_k)",
    low=1,
    high=min,
    closed="both",
    integer=True,
    prior=lambda dim_x, dim_y: Uniform(1, min(dim_x, dim_y)),
)


class Forms(NamedTuple):
    """What the densities of (X, Y), X and Y take from Ω.

    Attributes:
        joint, x, y: rᵀΩ⁻¹r of every row, with Ω and its two diagonal blocks.
        log_ratio: ½ ln(det Ω_xx det Ω_yy / det Ω).
    """

    joint: Array
    x: Array
    y: Array
    log_ratio: float


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

    @abstractmethod
    def _gaussian_variance(self) -> float:
        """Compute Var ln p(x,y)/(p(x)p(y)) under N(0, Ω): Σ r_i² over canonical correlations."""

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        self._correlate(z, rng)
        return z[:, : self.dim_x], z[:, self.dim_x :]

    def _mutual_information(self) -> MI:
        return MI.closed_form(self._gaussian_information(), math.sqrt(self._gaussian_variance()))

    def _pointwise(self, x: Array, y: Array) -> Array:
        forms = self._forms(x, y)
        pointwise: Array = forms.log_ratio - 0.5 * (forms.joint - forms.x - forms.y)
        return pointwise

    def _side_factor(self, side: Literal["x", "y"]) -> Array:
        """Return the Cholesky factor of Ω_xx or of Ω_yy."""
        omega, m = self.correlation_matrix(), self.dim_x
        return np.linalg.cholesky(omega[:m, :m] if side == "x" else omega[m:, m:])

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        return Whitening(self._side_factor(side))

    def _forms(self, x: Array, y: Array) -> Forms:
        """Evaluate the quadratic forms, from Cholesky factors of Ω."""
        omega, m = self.correlation_matrix(), self.dim_x
        factor, factor_y = np.linalg.cholesky(omega), np.linalg.cholesky(omega[m:, m:])
        white = _solve(factor, np.concatenate((x, y), axis=1))
        # the factor of Ω_xx is the first block of that of Ω
        q_x, rest = _squares(white[:, :m]), _squares(white[:, m:])
        log_ratio = float(np.log(np.diag(factor_y) / np.diag(factor)[m:]).sum())
        return Forms(q_x + rest, q_x, _squares(_solve(factor_y, y)), log_ratio)


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

    def _gaussian_variance(self) -> float:
        return 0.0

    def _forms(self, x: Array, y: Array) -> Forms:
        q_x, q_y = _squares(x), _squares(y)
        return Forms(q_x + q_y, q_x, q_y, 0.0)


class Equicorrelated(Correlated):
    """The same correlation ρ between any two of the m + n coordinates.

    Ω = (1 - ρ) I + ρ 11ᵀ has the eigenvalues 1 + (m+n-1)ρ along 1 and 1 - ρ across it. The only
    nonzero canonical correlation r joins the two sums, hence
    I = -½ ln(1-r²) = ½ ln(1 + mnρ² / ((1-ρ)(1+(m+n-1)ρ))).
    """

    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, correlation of any two coordinates",
            low=lambda dim_x, dim_y: -1.0 / (dim_x + dim_y - 1),
            high=1.0,
            prior=Uniform(0.0, 0.5),
            reason="at the ends coordinates are functions of others and I(X;Y) is infinite",
        )
    }
    rho: float

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω = (1 - ρ) I + ρ 11ᵀ."""
        omega = np.full((self.dim_x + self.dim_y,) * 2, self.rho)
        np.fill_diagonal(omega, 1.0)
        return omega

    def _along(self, k: int) -> float:
        """Return the eigenvalue 1 + (k-1)ρ along 1 of the correlations of k coordinates."""
        if self.rho >= 0.0:
            return 1.0 + (k - 1) * self.rho
        # near the lower end of the domain the product's rounding would be all that is left
        return math.fsum((1.0, *([self.rho] * (k - 1))))

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        across = math.sqrt(1.0 - self.rho)
        along = math.sqrt(self._along(z.shape[1]))
        shift = np.einsum("ij->i", z)
        shift *= (along - across) / z.shape[1]
        z *= across
        z += shift[:, None]

    def _gaussian_information(self) -> float:
        explained = self.dim_x * self.dim_y * self.rho * self.rho
        residual = (1.0 - self.rho) * self._along(self.dim_x + self.dim_y)
        return 0.5 * math.log1p(explained / residual)

    def _gaussian_variance(self) -> float:
        return -math.expm1(-2.0 * self._gaussian_information())

    def _forms(self, x: Array, y: Array) -> Forms:
        """Split every row into its mean, along 1, and the rest, across it."""
        m, n = self.dim_x, self.dim_y
        across, along = 1.0 - self.rho, self._along(m + n)
        along_x, along_y = self._along(m), self._along(n)
        mean_x, mean_y = np.einsum("ij->i", x) / m, np.einsum("ij->i", y) / n
        rest_x, rest_y = _squares(x - mean_x[:, None]), _squares(y - mean_y[:, None])
        between = m * n / (m + n) * (mean_x - mean_y) ** 2
        return Forms(
            (rest_x + rest_y + between) / across
            + (m * mean_x + n * mean_y) ** 2 / ((m + n) * along),
            rest_x / across + m / along_x * mean_x * mean_x,
            rest_y / across + n / along_y * mean_y * mean_y,
            0.5 * math.log(along_x / along * (along_y / across)),
        )


class Coupled(Correlated):
    """K independent pairs (X_k, Y_k) of the same correlation ρ; every other coordinate is noise.

    I = -(K/2) ln(1-ρ²).
    """

    @abstractmethod
    def _coupling(self) -> tuple[int, float, float]:
        """Return K, ρ and 1 - ρ², the last without cancellation."""

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω: ones on the diagonal, ρ at the K pairs."""
        pairs, rho, _ = self._coupling()
        omega = np.eye(self.dim_x + self.dim_y)
        first = np.arange(pairs)
        second = self.dim_x + first
        omega[first, second] = omega[second, first] = rho
        return omega

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        correlate_pairs(z, self.dim_x, *self._coupling())

    def _gaussian_information(self) -> float:
        pairs, rho, residual = self._coupling()
        return 0.5 * pairs * math.log1p(rho * rho / residual)

    def _gaussian_variance(self) -> float:
        pairs, rho, _ = self._coupling()
        return pairs * rho * rho

    def _forms(self, x: Array, y: Array) -> Forms:
        pairs, rho, residual = self._coupling()
        q_x, q_y = _squares(x), _squares(y)
        excess = pair_form(x[:, :pairs], y[:, :pairs], rho, residual)
        return Forms(q_x + q_y + excess, q_x, q_y, -0.5 * pairs * math.log(residual))


class Pairs(Coupled):
    """K independent pairs (X_k, Y_k) that share a signal; every other coordinate is noise.

    X_k = (E_k + λZ_k)/√(1+λ²) and Y_k = (E'_k + λZ_k)/√(1+λ²) have the correlation
    ρ = λ²/(1+λ²), hence I = -(K/2) ln(1-ρ²) = (K/2) ln(1 + λ⁴/(1+2λ²)).
    """

    parameters: ClassVar = {"strength": STRENGTH, "pairs": PAIRS}
    strength: float
    pairs: int

    def _coupling(self) -> tuple[int, float, float]:
        return self.pairs, *pair_correlation(self.strength)


class TwoPairs(Pairs):
    """Two interacting pairs: `Pairs` with K = 2."""

    parameters: ClassVar = {"strength": STRENGTH}
    pairs = 2
    shape: ClassVar = Shape((2, None), (2, None))


def pair_correlation(strength: float) -> tuple[float, float]:
    """Return ρ and 1 - ρ² of E + λZ and E' + λZ, all standard normal: ρ = λ²/(1+λ²)."""
    shared = strength * strength
    total = 1.0 + shared
    return shared / total, (1.0 + 2.0 * shared) / (total * total)


def correlate_pairs(z: Array, dim_x: int, pairs: int, rho: float, residual: float) -> None:
    """Give the first `pairs` columns of both sides the correlation ρ, in place."""
    y = z[:, dim_x : dim_x + pairs]
    y *= math.sqrt(residual)
    y += z[:, :pairs] * rho


def pair_form(x: Array, y: Array, rho: float, residual: float) -> Array:
    """Return (x, y)Ω⁻¹(x, y)ᵀ - x² - y², Ω = [[1, ρ], [ρ, 1]], summed over the columns.

    Written for either sign of ρ as |ρ| ((x∓y)²/(1-ρ²) - (x²+y²)/(1+|ρ|)): no term cancels
    another where ρ → ±1.
    """
    strength = abs(rho)
    apart = _squares(x - y if rho > 0.0 else x + y)
    form: Array = strength / residual * apart
    form -= strength / (1.0 + strength) * (_squares(x) + _squares(y))
    return form


def _squares(rows: Array) -> Array:
    """Return |r|² of every row."""
    squares: Array = np.einsum("ij,ij->i", rows, rows)
    return squares


def _solve(factor: Array, rows: Array) -> Array:
    """Return L⁻¹r of every row r, for a lower triangular L."""
    white: Array = solve_triangular(factor, rows.T, lower=True, check_finite=False).T
    return white
