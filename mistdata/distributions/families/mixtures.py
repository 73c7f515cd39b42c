"""Mixtures: a hidden label, or a hidden choice of law, is what X and Y share.

The densities are sums, hence no closed form; but for most there is an integral over one number or
two. Several are the Bend and Mix Models of Czyż et al. 2025, with their parameters.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from mistdata.distributions.base import MI, ONE_BY_ONE, JointDistribution, Precision
from mistdata.distributions.families._label_mixtures import (
    MixtureConcentric,
    MixtureGalaxy,
    MixtureLabels,
    MixtureWaves,
)
from mistdata.distributions.families._mixture_integrals import (
    crossed_information,
    inlier_information,
)
from mistdata.distributions.families._random_mixture import MixtureGaussian
from mistdata.distributions.families.structures import (
    PAIRS,
    STRENGTH,
    pair_correlation,
    pair_form,
)
from mistdata.distributions.injections import Injection, Unchanged
from mistdata.distributions.integrate import Table
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform, Uniform
from mistdata.distributions.stratified import GaussianMixture, stratified

SOURCE = "Czyż et al. 2025, arXiv:2310.10240"
# in √t the coefficients fall fast; in t they do not
_CROSSED = Table(lambda root: crossed_information(root * root), 0.0, math.sqrt(5.0), degree=64)
_CORNERS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


class MixtureX(JointDistribution):
    """Two crossed bivariate normals: X and Y are uncorrelated and dependent.

    Model: X, Y ~ N(0, 1) with correlation +ρ or -ρ, each with probability ½.
    Mutual information: t - ln 2 + E[ln(1 + e^(-2ρS))], t = -½ ln(1-ρ²), where S has the density
    √(1-ρ²) e^(ρs) K_0(|s|)/π; an integral over the line, tabulated over √t. It is also
    I(|X|;|Y|) of one bivariate normal of correlation ρ.

    Parameters:
        rho: ρ in [0, 1), absolute correlation of either law; pure number.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, "X" distribution; https://arxiv.org/abs/2310.10240

    Example:
        >>> member = MixtureX(dim_x=1, dim_y=1, rho=0.9)
        >>> round(member.mutual_information().value, 6)
        0.408443
    """

    name = "mixture-x"
    formula = "t - ln 2 + ∫√(1-ρ²) e^(ρs) K_0(|s|)/π ln(1 + e^(-2ρs)) ds, t = -½ ln(1-ρ²)"
    source = SOURCE
    shape = ONE_BY_ONE
    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, absolute correlation of either law",
            low=0.0,
            high=1.0,
            closed="low",
            prior=Uniform(0.4, 0.998),
            reason="at 1 Y is X or -X and I(X;Y) is infinite",
        )
    }
    rho: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y = rng.standard_normal((2, n, 1))
        y *= math.sqrt((1.0 - self.rho) * (1.0 + self.rho))
        y += np.where(rng.random((n, 1)) < 0.5, self.rho, -self.rho) * x
        return x, y

    def _mutual_information(self) -> MI:
        return _CROSSED(math.sqrt(-0.5 * math.log1p(-self.rho * self.rho)))

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return -½ ln(1-ρ²) - ρ(|x|-|y|)²/(2(1-ρ²)) + ρ(x²+y²)/(2(1+ρ)) + ln ½(1 + e^-2c).

        c = ρ|xy|/(1-ρ²).
        """
        x, y, rho = np.abs(x[:, 0]), np.abs(y[:, 0]), self.rho
        residual = (1.0 - rho) * (1.0 + rho)
        pmi = -0.5 * math.log(residual) - 0.5 * rho * (x - y) ** 2 / residual
        pmi += 0.5 * rho / (1.0 + rho) * (x * x + y * y)
        pmi += np.log1p(np.exp(-2.0 * rho * x * y / residual)) - math.log(2.0)
        return np.asarray(pmi)


class MixtureBlobs(JointDistribution):
    """Four blobs at the corners of a square, tilted by the exclusive or of the corner's signs.

    Model: (X, Y) = (A, B) + σ(Z, Z'), A and B fair signs, Z and Z' standard normal with the
    correlation ρAB. Small σ: A and B tell nothing of each other, yet I → -½ ln(1-ρ²);
    large σ: I tends to that of `MixtureX`.
    Mutual information: E[pmi] over one blob, by the trapezoid rule in two dimensions.

    Parameters:
        sigma: σ in [0.01, 100], width of a blob; half the side of the square.
        rho: ρ in (-1, 1), correlation within the blob at (1, 1); pure number.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, mixtures; https://arxiv.org/abs/2310.10240

    Example:
        >>> member = MixtureBlobs(dim_x=1, dim_y=1, sigma=0.5, rho=0.8)
        >>> round(member.mutual_information().value, 3)
        0.491
    """

    name = "mixture-blobs"
    formula = "E[pmi] over the blob at (1, 1)"
    source = SOURCE
    shape = ONE_BY_ONE
    parameters: ClassVar = {
        "sigma": Parameter(
            "σ, width of a blob",
            low=0.01,
            high=100.0,
            closed="both",
            prior=LogUniform(0.1, 3.0),
            unit="half the side of the square",
            reason="outside, single precision and quadrature fail",
        ),
        "rho": Parameter(
            "ρ, correlation within the blob at (1, 1)",
            low=-1.0,
            high=1.0,
            prior=Uniform(-0.98, 0.98),
            reason="at the ends each blob is a line and I(X;Y) is infinite",
        ),
    }
    sigma: float
    rho: float

    def _prepare(self) -> None:
        tilt = self.rho * _CORNERS.prod(axis=1)
        covariances = self.sigma**2 * (np.eye(2) + tilt[:, None, None] * (1.0 - np.eye(2)))
        self._mixture = GaussianMixture(np.full(4, 0.25), _CORNERS, covariances, 1)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        corner = _CORNERS[rng.integers(4, size=n)]
        x, y = rng.standard_normal((2, n))
        tilt = self.rho * corner[:, 0] * corner[:, 1]
        y = tilt * x + math.sqrt((1.0 - self.rho) * (1.0 + self.rho)) * y
        return corner[:, :1] + self.sigma * x[:, None], corner[:, 1:] + self.sigma * y[:, None]

    def _information_to(self, precision: Precision) -> MI:
        return stratified(self._mixture, precision, symmetric=True)

    def _mutual_information(self) -> MI:
        return stratified(self._mixture, symmetric=True)

    def _pointwise(self, x: Array, y: Array) -> Array:
        return self._mixture.pointwise(x, y)


class MixtureAI(JointDistribution):
    """Six normal laws that write the letters A and I.

    Model: three bars, N((1, 0), diag(.01, .2)) and N((1, ±1), diag(.05, .001)), make the I; the
    bar N((-.8, -.2), diag(.03, .001)) and two legs at (-.8 ∓ .4, 0) with variances (.04, .2) and
    correlation ±.95 make the A; each with probability 1/6.
    Mutual information: 0.775952615751, by `stratified` quadrature; there is no parameter.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, "AI" distribution; https://arxiv.org/abs/2310.10240

    Example:
        >>> member = MixtureAI(dim_x=1, dim_y=1)
        >>> round(member.mutual_information().value, 6)
        0.775953
    """

    name = "mixture-ai"
    formula = "Σ_k E_k[pmi]/6 = 0.775952615751"
    source = SOURCE
    shape = ONE_BY_ONE
    parameters: ClassVar = {}

    def _prepare(self) -> None:
        self._mixture = _LETTERS

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        return self._mixture.sample(n, rng)

    def _mutual_information(self) -> MI:
        # `stratified(_LETTERS)` returns this after ten seconds
        return MI(0.7759526157509, 1e-12, "quadrature", "quad_halving", 0.8695726271244)

    def _pointwise(self, x: Array, y: Array) -> Array:
        return self._mixture.pointwise(x, y)


def _letters() -> GaussianMixture:
    tilt = 0.95 * math.sqrt(0.04 * 0.2)
    means = [(1.0, 0.0), (1.0, 1.0), (1.0, -1.0), (-0.8, -0.2), (-1.2, 0.0), (-0.4, 0.0)]
    covariances = [
        [(0.01, 0.0), (0.0, 0.2)],
        [(0.05, 0.0), (0.0, 0.001)],
        [(0.05, 0.0), (0.0, 0.001)],
        [(0.03, 0.0), (0.0, 0.001)],
        [(0.04, tilt), (tilt, 0.2)],
        [(0.04, -tilt), (-tilt, 0.2)],
    ]
    return GaussianMixture(np.full(6, 1.0 / 6.0), np.array(means), np.array(covariances), 1)


_LETTERS = _letters()


class MixtureInliers(JointDistribution):
    """K correlated pairs, of which a fraction of the rows is replaced by independent ones.

    Model: with probability 1-f, (X, Y) as in `GaussianSparse`; with probability f, X and Y
    independent with the same marginals, N(0, I).
    Mutual information: E[ln((1-f) e^S + f)], S = Kt + ρD the pointwise MI of the pairs,
    ρ = λ²/(1+λ²), t = -½ ln(1-ρ²), and 2D the difference of two χ²_K, in the correlated rows; an
    integral over the line for every K.

    Parameters:
        strength: λ ≥ 0, weight of the shared signal over unit noise; pure number.
        pairs: K in {1, ..., min(dim_x, dim_y)}, number of interacting pairs; count.
        fraction: f in [0, 1], fraction of independent rows; pure number.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, sparse normal with inliers;
        https://arxiv.org/abs/2310.10240

    Example:
        >>> member = MixtureInliers(dim_x=5, dim_y=5, strength=2.0, pairs=2, fraction=0.2)
        >>> round(member.mutual_information().value, 6)
        0.635759
    """

    name = "mixture-inliers"
    formula = "E[ln((1-f) e^S + f)], S = Kt + ρD in the correlated rows"
    source = SOURCE
    parameters: ClassVar = {
        "strength": STRENGTH,
        "pairs": PAIRS,
        "fraction": Parameter(
            "f, fraction of independent rows",
            low=0.0,
            high=1.0,
            closed="both",
            prior=Uniform(0.05, 0.8),
        ),
    }
    strength: float
    pairs: int
    fraction: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        x, y = z[:, : self.dim_x], z[:, self.dim_x :]
        rho, residual = pair_correlation(self.strength)
        kept = rng.random((n, 1)) >= self.fraction
        y[:, : self.pairs] *= np.where(kept, math.sqrt(residual), 1.0)
        y[:, : self.pairs] += np.where(kept, rho, 0.0) * x[:, : self.pairs]
        return x, y

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        return Unchanged(self.dim_x if side == "x" else self.dim_y)

    def _mutual_information(self) -> MI:
        return inlier_information(self.strength, self.pairs, self.fraction)

    def _pointwise(self, x: Array, y: Array) -> Array:
        rho, residual = pair_correlation(self.strength)
        s = -0.5 * pair_form(x[:, : self.pairs], y[:, : self.pairs], rho, residual)
        s -= 0.5 * self.pairs * math.log(residual)
        with np.errstate(divide="ignore"):
            kept, lost = np.log1p(-self.fraction), np.log(self.fraction)
        return np.asarray(np.logaddexp(kept + s, lost))


FAMILIES = (
    MixtureX,
    MixtureBlobs,
    MixtureAI,
    MixtureGalaxy,
    MixtureWaves,
    MixtureConcentric,
    MixtureInliers,
    MixtureLabels,
    MixtureGaussian,
)
