"""Multivariate normal families whose matrices a generator of the member's own draws."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from mistdata.distributions.families.structures import Correlated
from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform

# of a correlation matrix; below, single precision and the rounding of labels begin to matter
LEAST_EIGENVALUE = 1e-6


class Regressed(Correlated):
    """Y is a linear function of X and independent noise, by matrices that `_prepare` draws.

    `_prepare` sets `_gains`, the singular values t_i of the signal over the noise once both are
    white. The canonical correlations are r_i = t_i/√(1+t_i²), hence I = ½ Σ ln(1+t_i²).
    """

    _gains: Array

    def _gaussian_information(self) -> float:
        return 0.5 * float(np.log1p(self._gains * self._gains).sum())

    def _gaussian_variance(self) -> float:
        power = self._gains * self._gains
        return float((power / (1.0 + power)).sum())


class GaussianGeneral(Regressed):
    """A multivariate normal with a random covariance, drawn from a Wishart law.

    Model: (X, Y) ~ N(0, Ω), Ω the correlation matrix of a covariance Σ ~ Wishart(I, ν) with
    ν = 1 + c(m+n) degrees of freedom, m = dim_x, n = dim_y.
    Mutual information: ½ ln(det Ω_xx det Ω_yy / det Ω) = -½ Σ ln(1-r_i²) over the canonical
    correlations r_i; exact. With the Cholesky factor [[L, 0], [B, C]] of Ω, r_i = t_i/√(1+t_i²)
    and t_i are the singular values of C⁻¹B.

    Parameters:
        structure: seed of the member's own generator, which draws Σ.
        concentration: c > 1 - 2/(m+n), degrees of freedom of the Wishart law per dimension; the
            greater, the weaker the correlations; pure number.

    References:
        On the Distribution of the Information Density of Gaussian Random Vectors (Huffmann,
        Mittelbach, 2022), Entropy 24, 924; https://doi.org/10.3390/e24070924
        On the theory of statistical regression (Bartlett, 1933), Proceedings of the Royal Society
        of Edinburgh 53, 260-283: the triangular factor of a Wishart matrix

    Example:
        >>> member = GaussianGeneral(dim_x=2, dim_y=3, structure=7, concentration=2.0)
        >>> round(member.mutual_information().value, 6)
        0.40119
    """

    name = "gaussian-general"
    formula = "½ ln(det Ω_xx det Ω_yy / det Ω)"
    source = "Huffmann & Mittelbach 2022, doi:10.3390/e24070924"
    parameters: ClassVar = {
        "structure": STRUCTURE,
        "concentration": Parameter(
            "c, degrees of freedom of the Wishart law per dimension",
            low=lambda dim_x, dim_y: 1.0 - 2.0 / (dim_x + dim_y),
            high=math.inf,
            prior=LogUniform(1.5, 30.0),
            reason="with d - 1 degrees of freedom or fewer a Wishart matrix is singular",
        ),
    }
    structure: int
    concentration: float

    def _prepare(self) -> None:
        rng, m, d = structure_rng(self.structure), self.dim_x, self.dim_x + self.dim_y
        freedom = 1.0 + self.concentration * d
        factor = np.tril(rng.standard_normal((d, d)), -1)
        np.fill_diagonal(factor, np.sqrt(rng.chisquare(freedom - np.arange(d))))
        factor /= np.linalg.norm(factor, axis=1, keepdims=True)
        least = float(np.linalg.svd(factor, compute_uv=False)[-1]) ** 2
        if not least >= LEAST_EIGENVALUE:
            raise ValueError(
                f"{self.name}: structure={self.structure} and concentration={self.concentration}"
                f" give correlations too near a singular matrix: least eigenvalue {least:.2g},"
                f" needed {LEAST_EIGENVALUE:g}"
            )
        self._factor = factor
        self._gains = np.linalg.svd(
            solve_triangular(factor[m:, m:], factor[m:, :m], lower=True, check_finite=False),
            compute_uv=False,
        )

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω."""
        omega: Array = self._factor @ self._factor.T
        return omega

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        z[:] = z @ self._factor.T


class GaussianCanonical(Regressed):
    """White normal vectors with prescribed mutual information, in random directions.

    Model: X = Uᵀa and Y = Vᵀb with Haar-distributed orthogonal U, V; a ~ N(0, I), b ~ N(0, I),
    a_k and b_k of correlation r_k = √(1 - e^(-2I_k)) for k ≤ K, else independent; the shares
    (I_1, ..., I_K) of I are uniform on their simplex.
    Mutual information: I = Σ_k I_k; exact.

    Parameters:
        structure: seed of the member's own generator, which draws the shares, U and V.
        information: I ≥ 0, mutual information; nats.
        rank: K in {1, ..., min(dim_x, dim_y)}, number of canonical correlations; count.

    References:
        Relations between two sets of variates (Hotelling, 1936), canonical correlations;
        https://doi.org/10.1093/biomet/28.3-4.321
        How to generate random matrices from the classical compact groups (Mezzadri, 2007), §5;
        https://arxiv.org/abs/math-ph/0609050

    Example:
        >>> member = GaussianCanonical(3, 2, structure=7, information=1.25, rank=2)
        >>> round(member.mutual_information().value, 6)
        1.25
    """

    name = "gaussian-canonical"
    formula = "I = Σ_k I_k, r_k² = 1 - e^(-2I_k)"
    source = "Hotelling 1936, doi:10.1093/biomet/28.3-4.321"
    parameters: ClassVar = {
        "structure": STRUCTURE,
        "information": Parameter(
            "I, mutual information",
            low=0.0,
            high=10.0,  # a single pair of 10 nats already needs 5 digits of its values
            closed="both",
            prior=lambda dim_x, dim_y: LogUniform(0.02, min(10.0, 2.0 + min(dim_x, dim_y))),
            unit="nat",
            reason="towards infinity a direction of Y is a function of X",
        ),
        "rank": Parameter(
            "K, number of canonical correlations",
            low=1,
            high=min,
            closed="both",
            integer=True,
            prior=lambda dim_x, dim_y: Uniform(1, min(dim_x, dim_y)),
        ),
    }
    structure: int
    information: float
    rank: int

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        self._shares = self.information * rng.dirichlet(np.ones(self.rank))
        self._turns = _haar(self.dim_x, rng), _haar(self.dim_y, rng)
        self._gains = np.sqrt(np.expm1(2.0 * self._shares))

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω: ones on the diagonal, Uᵀ diag(r) V between the sides."""
        m, omega = self.dim_x, np.eye(self.dim_x + self.dim_y)
        u, v = (turn[: self.rank] for turn in self._turns)
        omega[:m, m:] = (u.T * np.sqrt(-np.expm1(-2.0 * self._shares))) @ v
        omega[m:, :m] = omega[:m, m:].T
        return omega

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        x, y = z[:, : self.dim_x], z[:, self.dim_x :]
        y[:, : self.rank] *= np.exp(-self._shares)
        y[:, : self.rank] += x[:, : self.rank] * np.sqrt(-np.expm1(-2.0 * self._shares))
        for side, turn in zip((x, y), self._turns, strict=True):
            side[:] = side @ turn


class GaussianChannel(Regressed):
    """A white normal signal through a random linear channel with white noise (MIMO AWGN).

    Model: Y = HX + σε, X ~ N(0, I), ε ~ N(0, I), H with independent N(0, 1) entries,
    σ² = dim_x/snr; every Y_j scaled to unit variance.
    Mutual information: ½ ln det(I + HHᵀ/σ²); exact.

    Parameters:
        structure: seed of the member's own generator, which draws H.
        snr: signal-to-noise ratio of a coordinate of Y, in the mean over H; pure number.

    References:
        Capacity of multi-antenna Gaussian channels (Telatar, 1999), §3 for real signals;
        https://doi.org/10.1002/ett.4460100604

    Example:
        >>> member = GaussianChannel(dim_x=3, dim_y=2, structure=7, snr=4.0)
        >>> round(member.mutual_information().value, 6)
        1.311272
    """

    name = "gaussian-channel"
    formula = "½ ln det(I + HHᵀ/σ²), σ² = m/snr"
    source = "Telatar 1999, doi:10.1002/ett.4460100604"
    parameters: ClassVar = {
        "structure": STRUCTURE,
        "snr": Parameter(
            "signal-to-noise ratio of a coordinate of Y, in the mean over H",
            low=0.0,
            high=1e6,  # beyond, single precision cannot hold the noise that keeps the MI finite
            closed="both",
            prior=lambda dim_x, dim_y: LogUniform(
                0.1 / min(dim_x, dim_y), 100.0 / min(dim_x, dim_y)
            ),
            reason="without noise Y is a function of X and I(X;Y) infinite",
        ),
    }
    structure: int
    snr: float

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        gain = rng.standard_normal((self.dim_y, self.dim_x)) * math.sqrt(self.snr / self.dim_x)
        self._gain = gain  # H/σ
        self._scale = 1.0 / np.sqrt(1.0 + (gain * gain).sum(axis=1))
        self._gains = np.linalg.svd(gain, compute_uv=False)

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω, the covariance of (X, HX/σ + ε) scaled to unit variances."""
        m, omega = self.dim_x, np.eye(self.dim_x + self.dim_y)
        scaled = self._gain * self._scale[:, None]
        omega[m:, :m], omega[:m, m:] = scaled, scaled.T
        omega[m:, m:] = scaled @ scaled.T + np.diag(self._scale * self._scale)
        return omega

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        y = z[:, self.dim_x :]
        y += z[:, : self.dim_x] @ self._gain.T
        y *= self._scale


def _haar(d: int, rng: np.random.Generator) -> Array:
    """Draw a uniform orthogonal matrix: QR of a normal matrix, with the diagonal of R positive."""
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    turn: Array = q * np.sign(np.diag(r))
    return turn
