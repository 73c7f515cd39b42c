"""Copulas outside of the Archimedean class under chosen marginals.

Two come from elliptical laws (Gaussian, Student), two are polynomial or algebraic in the uniforms
(Farlie-Gumbel-Morgenstern, Plackett).
"""

from __future__ import annotations

from typing import ClassVar

from mistdata.distributions.families import _pair_copulas as pairs
from mistdata.distributions.families._copula_base import MARGINAL_PARAMETERS, BivariateCopula
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import LogUniform, Uniform


class CopulaGaussian(BivariateCopula):
    """The Gaussian copula: two correlated normals in disguise.

    Model: (A, B) ~ N(0, [[1, ρ], [ρ, 1]]); X = F_x⁻¹(Φ(A)), Y = F_y⁻¹(Φ(B)).
    Mutual information: -½ ln(1-ρ²); exact.

    Parameters:
        rho: ρ in (-1, 1), correlation of the normal scores; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), the bimodal task has ρ = 0.75, marginal_x bimodal-uneven and
        marginal_y bimodal; https://arxiv.org/abs/2306.11078

    Example:
        >>> bimodal = {"marginal_x": "bimodal-uneven", "marginal_y": "bimodal"}
        >>> member = CopulaGaussian(1, 1, rho=0.75, **bimodal)
        >>> round(member.mutual_information().value, 6)
        0.413339
    """

    name = "copula-gaussian"
    formula = "-½ ln(1-ρ²)"
    source = "Czyż et al. 2023, arXiv:2306.11078"
    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, correlation of the normal scores",
            low=-1.0,
            high=1.0,
            prior=Uniform(-0.99, 0.99),
            reason="at the ends Y is a function of X and I(X;Y) is infinite",
        ),
        **MARGINAL_PARAMETERS,
    }
    rho: float

    def _pair(self) -> pairs.Gaussian:
        return pairs.Gaussian(self.rho)


class CopulaT(BivariateCopula):
    """The t copula: a bivariate Student distribution in disguise, dependent in all four corners.

    Model: (A, B) = z √(ν/χ²_ν), z ~ N(0, [[1, ρ], [ρ, 1]]), T the distribution function of
    Student's t with ν degrees of freedom; X = F_x⁻¹(T(A)), Y = F_y⁻¹(T(B)).
    Mutual information: -½ ln(1-ρ²) + c(1, 1, ν), c the Student correction of `StudentIdentity`;
    exact.

    Parameters:
        rho: ρ in (-1, 1), correlation of z; pure number.
        nu: ν in [0.5, 1e4], degrees of freedom; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        The t Copula and Related Copulas (Demarta, McNeil, 2005);
        https://doi.org/10.1111/j.1751-5823.2005.tb00254.x

    Example:
        >>> member = CopulaT(1, 1, rho=0.6, nu=5.0, marginal_x="normal", marginal_y="uniform")
        >>> round(member.mutual_information().value, 6)
        0.240272
    """

    name = "copula-t"
    formula = "-½ ln(1-ρ²) + c(1,1,ν)"
    source = "Demarta, McNeil 2005, doi:10.1111/j.1751-5823.2005.tb00254.x"
    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, correlation of the normals behind it",
            low=-1.0,
            high=1.0,
            prior=Uniform(-0.98, 0.98),
            reason="at the ends Y is a function of X and I(X;Y) is infinite",
        ),
        # far below, quantiles of Student's t overflow; far above, it is normal
        "nu": Parameter(
            "ν, degrees of freedom", low=0.5, high=1e4, closed="both", prior=LogUniform(1.0, 20.0)
        ),
        **MARGINAL_PARAMETERS,
    }
    rho: float
    nu: float

    def _pair(self) -> pairs.Student:
        return pairs.Student(self.rho, self.nu)


class CopulaFgm(BivariateCopula):
    """The copula of Farlie, Gumbel and Morgenstern: the least departure from independence.

    Model: C(u,v) = uv(1 + θ(1-u)(1-v)); X = F_x⁻¹(U), Y = F_y⁻¹(V).
    Mutual information: Σ_{j≥1} θ^2j/(2j(2j-1)(2j+1)²), at most 0.06; exact, by dilogarithms.

    Parameters:
        strength: θ in [-1, 1]; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        The performance of some correlation coefficients for a general bivariate distribution
        (Farlie, 1960); https://doi.org/10.1093/biomet/47.3-4.307

    Example:
        >>> member = CopulaFgm(1, 1, strength=1.0, marginal_x="normal", marginal_y="uniform")
        >>> round(member.mutual_information().value, 6)
        0.059997
    """

    name = "copula-fgm"
    formula = "Σ_j θ^2j/(2j(2j-1)(2j+1)²)"
    source = "Farlie 1960, doi:10.1093/biomet/47.3-4.307"
    parameters: ClassVar = {
        "strength": Parameter(
            "θ, strength", low=-1.0, high=1.0, closed="both", prior=Uniform(-1.0, 1.0)
        ),
        **MARGINAL_PARAMETERS,
    }
    strength: float

    def _pair(self) -> pairs.FarlieGumbelMorgenstern:
        return pairs.FarlieGumbelMorgenstern(self.strength)


class CopulaPlackett(BivariateCopula):
    """Plackett's copula: the odds ratio is θ wherever the square is cut into four.

    Model: C(1-u-v+C)/((u-C)(v-C)) = θ for C = C(u,v); X = F_x⁻¹(U), Y = F_y⁻¹(V).
    Mutual information: ∫∫ c ln c, c = θ(1+η(u+v-2uv))/((1+η(u+v))² - 4θηuv)^(3/2), η = θ-1, with
    I(θ) = I(1/θ); by quadrature, from a table over ln θ.

    Parameters:
        odds_ratio: θ in [1e-6, 1e6]; 1 is independence; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        A Class of Bivariate Distributions (Plackett, 1965);
        https://doi.org/10.1080/01621459.1965.10480807

    Example:
        >>> normal = {"marginal_x": "normal", "marginal_y": "normal"}
        >>> member = CopulaPlackett(1, 1, odds_ratio=10.0, **normal)
        >>> round(member.mutual_information().value, 6)
        0.295078
    """

    name = "copula-plackett"
    formula = "∫∫ c ln c, c = θ(1+η(u+v-2uv))/((1+η(u+v))² - 4θηuv)^(3/2), η = θ-1"
    source = "Plackett 1965, doi:10.1080/01621459.1965.10480807"
    parameters: ClassVar = {
        "odds_ratio": Parameter(
            "θ, odds ratio",
            low=1e-6,
            high=1e6,
            closed="both",
            prior=LogUniform(1e-3, 1e3),
            reason="towards 0 and infinity Y is a function of X and I(X;Y) infinite",
        ),
        **MARGINAL_PARAMETERS,
    }
    odds_ratio: float

    def _pair(self) -> pairs.Plackett:
        return pairs.Plackett(self.odds_ratio)


FAMILIES = (CopulaGaussian, CopulaT, CopulaFgm, CopulaPlackett)
