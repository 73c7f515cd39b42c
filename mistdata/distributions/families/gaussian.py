"""Multivariate normal families."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from mistdata.distributions.base import ONE_BY_ONE
from mistdata.distributions.families._random_gaussian import (
    GaussianCanonical,
    GaussianChannel,
    GaussianGeneral,
)
from mistdata.distributions.families.structures import (
    PAIRS,
    STRENGTH,
    Correlated,
    Coupled,
    Equicorrelated,
    Pairs,
    TwoPairs,
    correlate_pairs,
    pair_correlation,
)
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, Uniform

SOURCE = "Czyż et al. 2023, arXiv:2306.11078"


class GaussianDense(Equicorrelated):
    """A multivariate normal in which any two coordinates have the same correlation.

    Model: (X, Y) ~ N(0, (1-ρ) I + ρ 11ᵀ).
    Mutual information: ½ ln(1 + mnρ² / ((1-ρ)(1+(m+n-1)ρ))), m = dim_x, n = dim_y; exact.

    Parameters:
        rho: ρ in (-1/(m+n-1), 1), correlation of any two coordinates; pure number.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), "dense" correlation; https://arxiv.org/abs/2306.11078

    Example:
        >>> member = GaussianDense(dim_x=3, dim_y=3, rho=0.5)
        >>> round(member.mutual_information().value, 6)
        0.413339
    """

    name = "gaussian-dense"
    formula = "½ ln(1 + mnρ²/((1-ρ)(1+(m+n-1)ρ)))"
    source = SOURCE


class GaussianSparse(Pairs):
    """A multivariate normal in which K pairs of coordinates share a signal.

    Model: X_k = (E_k + λZ_k)/√(1+λ²), Y_k = (E'_k + λZ_k)/√(1+λ²) for k ≤ K; all other
    coordinates are independent; E, E', Z standard normal.
    Mutual information: (K/2) ln(1 + λ⁴/(1+2λ²)) = -(K/2) ln(1-ρ²), ρ = λ²/(1+λ²); exact.

    Parameters:
        strength: λ ≥ 0, weight of the shared signal over unit noise; pure number.
        pairs: K in {1, ..., min(dim_x, dim_y)}, number of interacting pairs; count.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), "sparse" correlation; https://arxiv.org/abs/2306.11078

    Example:
        >>> member = GaussianSparse(dim_x=3, dim_y=5, strength=2.0, pairs=2)
        >>> round(member.mutual_information().value, 6)
        1.021651
    """

    name = "gaussian-sparse"
    formula = "(K/2) ln(1 + λ⁴/(1+2λ²))"
    source = SOURCE


class GaussianTwoPair(TwoPairs):
    """A multivariate normal in which two pairs of coordinates share a signal.

    Model: `GaussianSparse` with K = 2.
    Mutual information: ln(1 + λ⁴/(1+2λ²)) = -ln(1-ρ²), ρ = λ²/(1+λ²); exact.

    Parameters:
        strength: λ ≥ 0, weight of the shared signal over unit noise; pure number.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), "2-pair" correlation; https://arxiv.org/abs/2306.11078

    Example:
        >>> member = GaussianTwoPair(dim_x=3, dim_y=3, strength=2.0)
        >>> round(member.mutual_information().value, 6)
        1.021651
    """

    name = "gaussian-2pair"
    formula = "ln(1 + λ⁴/(1+2λ²))"
    source = SOURCE


class GaussianLatent(Correlated):
    """A multivariate normal with latent factors common to all, to one side, and to K pairs.

    Model: X_i = E_i + αU + βU_X + λZ_i (i ≤ K) or + ηV_i (i > K), Y_j likewise with E'_j, U_Y,
    the same Z_j and V'_j; all latent variables standard normal; scaled to unit variances.

    Mutual information: (K-1)/2 ln(1 + λ⁴/(1+2λ²)) + ½ ln(1 + A/B), exact. The model is
    exchangeable in its pairs and in the rest of either side, so that contrasts between pairs
    carry the first term, and the four sums (pairs and rest of X, pairs and rest of Y) the second:
    with s = α²+β², t = (m-K)/(1+η²), w = (n-K)/(1+η²), q = β²(2α²+β²), the determinants of the
    sums' covariances are det Σ_xx det Σ_yy = B + A and det Σ = B,
    A = λ⁴(1+st)(1+sw) + λ²α²(α²(K(t+w) + 2tw) + 2K) + α⁴(K+t)(K+w),
    B = 1 + s(2K+t+w) + q(K+t)(K+w) + λ²(2(1 + s(t+w) + β²K) + q(K(t+w) + 2tw)).
    Every term is nonnegative, so nothing cancels.

    Parameters:
        alpha: α ≥ 0, weight of the factor common to all coordinates, over unit noise.
        strength: λ ≥ 0, weight of the signal shared by the two columns of a pair.
        beta: β ≥ 0, weight of the factors common to all of X, and to all of Y.
        eta: η ≥ 0, weight of the private signal of a coordinate outside the pairs.
        pairs: K in {1, ..., min(dim_x, dim_y)}, number of interacting pairs; count.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), latent variable model; https://arxiv.org/abs/2306.11078

    Example:
        >>> member = GaussianLatent(5, 4, alpha=0.5, strength=1.5, beta=0.7, eta=0.3, pairs=2)
        >>> round(member.mutual_information().value, 6)
        0.588492
    """

    name = "gaussian-lvm"
    formula = (
        "(K-1)/2 ln(1 + λ⁴/(1+2λ²)) + ½ ln(1 + A/B), A and B polynomials in α², β², λ², 1/(1+η²)"
    )
    source = SOURCE
    parameters: ClassVar = {
        "alpha": Parameter(
            "α, weight of the factor common to all coordinates, over unit noise",
            low=0.0,
            high=math.inf,
            closed="low",
            prior=Uniform(0.0, 1.0),
        ),
        "strength": Parameter(
            STRENGTH.meaning, low=0.0, high=1e3, closed="both", prior=Uniform(0.1, 3.0)
        ),
        "beta": Parameter(
            "β, weight of the factors common to all of X, and to all of Y",
            low=0.0,
            high=math.inf,
            closed="low",
            prior=Uniform(0.0, 1.5),
        ),
        "eta": Parameter(
            "η, weight of the private signal of a coordinate outside the pairs",
            low=0.0,
            high=math.inf,
            closed="low",
            prior=Uniform(0.1, 5.0),
        ),
        "pairs": PAIRS,
    }
    alpha: float
    strength: float
    beta: float
    eta: float
    pairs: int

    def correlation_matrix(self) -> Float[Array, "d d"]:
        """Return Ω, the covariance of the factor model scaled to unit variances."""
        m, d = self.dim_x, self.dim_x + self.dim_y
        pairs = np.arange(self.pairs)
        covariance = np.full((d, d), self.alpha**2)
        covariance[:m, :m] += self.beta**2
        covariance[m:, m:] += self.beta**2
        covariance += np.diag(np.full(d, 1.0 + self.eta**2))
        for rows in (pairs, m + pairs):
            covariance[rows, rows] += self.strength**2 - self.eta**2
        covariance[pairs, m + pairs] += self.strength**2
        covariance[m + pairs, pairs] += self.strength**2
        scale = 1.0 / np.sqrt(np.diag(covariance))
        return covariance * scale * scale[:, None]

    def _correlate(self, z: Array, rng: np.random.Generator) -> None:
        m, pairs = self.dim_x, self.pairs
        common = rng.standard_normal((3, z.shape[0]))  # U, U_X, U_Y
        common[0] *= self.alpha
        common[1:] *= self.beta
        common[1:] += common[0]
        variance = np.full(z.shape[1], 1.0 + self.eta * self.eta)
        variance[:pairs] = variance[m : m + pairs] = 1.0 + self.strength * self.strength
        correlate_pairs(z, m, pairs, *pair_correlation(self.strength))
        z *= np.sqrt(variance)
        z[:, :m] += common[1][:, None]
        z[:, m:] += common[2][:, None]
        variance += self.alpha * self.alpha + self.beta * self.beta
        z *= 1.0 / np.sqrt(variance)

    def _gaussian_information(self) -> float:
        a, b, signal = self.alpha**2, self.beta**2, self.strength**2
        k, other = self.pairs, 1.0 + self.eta**2
        t, w = (self.dim_x - k) / other, (self.dim_y - k) / other
        s, q = a + b, b * (2.0 * a + b)
        mixed, sides = k * (t + w) + 2.0 * t * w, (k + t) * (k + w)
        explained = (
            signal * signal * (1.0 + s * t) * (1.0 + s * w)
            + signal * a * (a * mixed + 2.0 * k)
            + a * a * sides
        )
        residual = (
            1.0
            + s * (2.0 * k + t + w)
            + q * sides
            + signal * (2.0 * (1.0 + s * (t + w) + b * k) + q * mixed)
        )
        rho, unexplained = pair_correlation(self.strength)
        contrasts = 0.5 * (k - 1) * math.log1p(rho * rho / unexplained)
        return contrasts + 0.5 * math.log1p(explained / residual)

    def _gaussian_variance(self) -> float:
        """Add the squared correlations ρ² of the contrasts and tr Σ_xx⁻¹Σ_xyΣ_yy⁻¹Σ_yx of sums.

        On either side the covariance of the two sums is diagonal but for a term of rank one.
        """
        a, s, k = self.alpha**2, self.alpha**2 + self.beta**2, self.pairs
        pair, other = 1.0 + self.strength**2, 1.0 + self.eta**2
        rho, _ = pair_correlation(self.strength)
        t, w = (self.dim_x - k) / other, (self.dim_y - k) / other
        g, h = k / pair + t, k / pair + w
        sums = a * a * g * h + 2.0 * a * rho * k / pair + rho * rho * (1.0 + s * t) * (1.0 + s * w)
        return (k - 1) * rho * rho + sums / ((1.0 + s * g) * (1.0 + s * h))


class GaussianBivariate(Coupled):
    """A bivariate normal.

    Model: X, Y ~ N(0, 1) with correlation ρ.
    Mutual information: -½ ln(1-ρ²); exact.

    Parameters:
        rho: ρ in (-1, 1), correlation; pure number.

    References:
        On the Distribution of the Information Density of Gaussian Random Vectors (Huffmann,
        Mittelbach, 2022), Entropy 24, 924; https://doi.org/10.3390/e24070924

    Example:
        >>> member = GaussianBivariate(dim_x=1, dim_y=1, rho=-0.75)
        >>> round(member.mutual_information().value, 6)
        0.413339
    """

    name = "gaussian-bivariate"
    formula = "-½ ln(1-ρ²)"
    source = "Huffmann & Mittelbach 2022, doi:10.3390/e24070924"
    shape = ONE_BY_ONE
    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, correlation",
            low=-1.0,
            high=1.0,
            prior=Uniform(-0.999, 0.999),
            reason="at the ends Y is a function of X and I(X;Y) is infinite",
        )
    }
    rho: float

    def _coupling(self) -> tuple[int, float, float]:
        return 1, self.rho, (1.0 - self.rho) * (1.0 + self.rho)


FAMILIES = (
    GaussianDense,
    GaussianSparse,
    GaussianTwoPair,
    GaussianLatent,
    GaussianBivariate,
    GaussianGeneral,
    GaussianCanonical,
    GaussianChannel,
)
