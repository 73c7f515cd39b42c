"""Archimedean copulas under chosen marginals: C(u,v) = ψ(φ(u) + φ(v)), φ the inverse of ψ.

Each has one strength θ and asymmetric or symmetric tails of its own. Clayton's, a gamma frailty
common to all columns, joins blocks of any dimensions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import logsumexp

from mistdata.distributions.base import MI, Shape
from mistdata.distributions.families import _archimedean_pairs as pairs
from mistdata.distributions.families._copula_base import MARGINAL_PARAMETERS, BivariateCopula
from mistdata.distributions.families.special import f_combination, f_deviation
from mistdata.distributions.integrate import Margin
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform, Uniform

STRONGEST = 1e3  # beyond, single precision blurs the conditional laws


class CopulaClayton(BivariateCopula):
    """Clayton's copula: a gamma frailty common to all columns; dependent in the lower tail.

    Model: U_i = (1 + E_i/V)^(-1/θ), V ~ Γ(1/θ) common to both sides, E_i ~ Exp(1); X = F_x⁻¹(U),
    Y = F_y⁻¹(U) columnwise. A pair exists for -½ ≤ θ < 0 too: C = max(u^-θ + v^-θ - 1, 0)^(-1/θ).
    Mutual information: c(m, n, 1/θ) = F(c) + F(c+m+n) - F(c+m) - F(c+n), c = 1/θ,
    F(x) = lnΓ(x) - xψ(x), m = dim_x, n = dim_y; ln(1+θ) - θ/(1+θ) for a pair; exact.

    Parameters:
        strength: θ in [0, 1000], for a pair in [-½, 1000]; pure number. Below -½ the
            density is infinite along the edge of its support, where single precision blurs it.
        marginal_x: law of every column of X, a key of `MARGINALS`.
        marginal_y: law of every column of Y, a key of `MARGINALS`.

    References:
        A model for association in bivariate life tables (Clayton, 1978);
        https://doi.org/10.1093/biomet/65.1.141
        An Introduction to Copulas (Nelsen, 2006), §4.2, family 1;
        https://doi.org/10.1007/0-387-28678-0

    Example:
        >>> member = CopulaClayton(1, 1, strength=1.0, marginal_x="normal", marginal_y="uniform")
        >>> round(member.mutual_information().value, 6)
        0.193147
    """

    name = "copula-clayton"
    formula = "F(c) + F(c+m+n) - F(c+m) - F(c+n), F(x) = lnΓ(x) - xψ(x), c = 1/θ"
    source = "Clayton 1978, doi:10.1093/biomet/65.1.141"
    parameters: ClassVar = {
        "strength": Parameter(
            "θ, strength",
            low=lambda dim_x, dim_y: -0.5 if dim_x == dim_y == 1 else 0.0,
            high=STRONGEST,
            closed="both",
            prior=LogUniform(0.15, 50.0),
            reason="below, the density is infinite along an edge that single precision blurs;"
            " above, it blurs the conditional laws",
        ),
        **MARGINAL_PARAMETERS,
    }
    shape: ClassVar = Shape()
    strength: float

    def _pair(self) -> pairs.Clayton:
        return pairs.Clayton(self.strength)

    def _uniforms(self, n: int, rng: np.random.Generator) -> Array:
        d = self.dim_x + self.dim_y
        if self.strength < 0.0:
            return super()._uniforms(n, rng)
        if self.strength == 0.0:
            return rng.random((n, d))
        # Γ(a) = Γ(1+a) U^(1/a) in law, which for small a is below the least double
        log_v = np.log(rng.standard_gamma(1.0 + 1.0 / self.strength, (n, 1)))
        log_v -= self.strength * rng.standard_exponential((n, 1))
        log_e = np.log(rng.standard_exponential((n, d)))
        return np.asarray(np.exp(-np.logaddexp(0.0, log_e - log_v) / self.strength))

    def _log_ratio(self, u: Margin, v: Margin) -> Array:
        if self.strength <= 0.0:
            return np.zeros(len(u.u)) if self.strength == 0.0 else super()._log_ratio(u, v)
        pair = self._pair()
        log_x, log_y = (logsumexp(pair.log_excess(side.log_u), axis=1) for side in (u, v))
        return pair.log_ratio(log_x, log_y, self.dim_x, self.dim_y)

    def _mutual_information(self) -> MI:
        if self.dim_x == self.dim_y == 1 or self.strength == 0.0:
            return self._pair().information()
        shapes = float(self.dim_x), float(self.dim_y), 1.0 / self.strength
        return MI.closed_form(f_combination(*shapes), f_deviation(*shapes), special=True)


class CopulaFrank(BivariateCopula):
    """Frank's copula: symmetric, without dependence in the tails; negative θ is allowed.

    Model: C(u,v) = -ln(1 + (e^(-θu)-1)(e^(-θv)-1)/(e^-θ-1))/θ; X = F_x⁻¹(U), Y = F_y⁻¹(V).
    Mutual information: ln(θ/(1-e^-θ)) + 2 D₁(θ) - 2, D₁(θ) = (1/θ) ∫₀^θ t/(e^t-1) dt, even in θ;
    exact. It follows from E[C(U,V)] = (1+τ)/4.

    Parameters:
        strength: θ in [-1000, 1000]; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        On the simultaneous associativity of F(x,y) and x+y-F(x,y) (Frank, 1979);
        https://doi.org/10.1007/BF02189866
        An Introduction to Copulas (Nelsen, 2006), §4.2, family 5;
        https://doi.org/10.1007/0-387-28678-0

    Example:
        >>> member = CopulaFrank(1, 1, strength=5.0, marginal_x="normal", marginal_y="uniform")
        >>> round(member.mutual_information().value, 6)
        0.257951
    """

    name = "copula-frank"
    formula = "ln(θ/(1-e^-θ)) + 2 D₁(θ) - 2, D₁(θ) = (1/θ) ∫₀^θ t/(e^t-1) dt"
    source = "Frank 1979, doi:10.1007/BF02189866"
    parameters: ClassVar = {
        "strength": Parameter(
            "θ, strength",
            low=-STRONGEST,
            high=STRONGEST,
            closed="both",
            prior=LogUniform(0.9, 150.0),
            reason="towards infinity Y is a function of X and I(X;Y) infinite",
        ),
        **MARGINAL_PARAMETERS,
    }
    strength: float

    def _pair(self) -> pairs.Frank:
        return pairs.Frank(self.strength)


class CopulaGumbel(BivariateCopula):
    """The Gumbel-Hougaard copula: dependent in the upper tail.

    Model: C(u,v) = exp(-((-ln u)^θ + (-ln v)^θ)^(1/θ)); X = F_x⁻¹(U), Y = F_y⁻¹(V).
    Mutual information: γ + ln a - a/θ + e^a E₁(a)/θ, a = θ-1, γ Euler's constant; exact.

    Parameters:
        strength: θ in [1, 1000]; 1 is independence; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        A class of multivariate failure time distributions (Hougaard, 1986);
        https://doi.org/10.1093/biomet/73.3.671
        An Introduction to Copulas (Nelsen, 2006), §4.2, family 4;
        https://doi.org/10.1007/0-387-28678-0

    Example:
        >>> member = CopulaGumbel(1, 1, strength=2.0, marginal_x="normal", marginal_y="uniform")
        >>> round(member.mutual_information().value, 6)
        0.375389
    """

    name = "copula-gumbel"
    formula = "γ + ln a - a/θ + e^a E₁(a)/θ, a = θ-1"
    source = "Hougaard 1986, doi:10.1093/biomet/73.3.671"
    parameters: ClassVar = {
        "strength": Parameter(
            "θ, strength",
            low=1.0,
            high=STRONGEST,
            closed="both",
            prior=LogUniform(1.08, 30.0),
            reason="towards infinity Y is a function of X and I(X;Y) infinite",
        ),
        **MARGINAL_PARAMETERS,
    }
    strength: float

    def _pair(self) -> pairs.Gumbel:
        return pairs.Gumbel(self.strength)


class CopulaJoe(BivariateCopula):
    """Joe's copula: dependent in the upper tail more than anywhere else.

    Model: C(u,v) = 1 - (A + B - AB)^(1/θ), A = (1-u)^θ, B = (1-v)^θ; X = F_x⁻¹(U), Y = F_y⁻¹(V).
    Mutual information: ∫ k(w) (ln φ''(w) - 3 ln(-φ'(w))) dw + 2 ∫ ln(-φ'(u)) du over (0, 1),
    φ(w) = -ln(1-(1-w)^θ), k = φφ''/φ'²; by quadrature, from a table over ln(θ-1).

    Parameters:
        strength: θ in [1, 100]; 1 is independence; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        Parametric families of multivariate distributions with given margins (Joe, 1993);
        https://doi.org/10.1006/jmva.1993.1061
        An Introduction to Copulas (Nelsen, 2006), §4.2, family 6;
        https://doi.org/10.1007/0-387-28678-0

    Example:
        >>> member = CopulaJoe(1, 1, strength=3.0, marginal_x="normal", marginal_y="uniform")
        >>> round(member.mutual_information().value, 6)
        0.476708
    """

    name = "copula-joe"
    formula = "∫k(lnφ'' - 3 ln(-φ')) + 2∫ln(-φ'), k = φφ''/φ'², φ(w) = -ln(1-(1-w)^θ)"
    source = "Joe 1993, doi:10.1006/jmva.1993.1061"
    parameters: ClassVar = {
        "strength": Parameter(
            "θ, strength",
            low=1.0,
            high=100.0,
            closed="both",
            prior=LogUniform(1.12, 50.0),
            reason="towards infinity Y is a function of X and I(X;Y) infinite",
        ),
        **MARGINAL_PARAMETERS,
    }
    strength: float

    def _pair(self) -> pairs.Joe:
        return pairs.Joe(self.strength)


class CopulaAmh(BivariateCopula):
    """The copula of Ali, Mikhail and Haq: weak dependence of either sign.

    Model: C(u,v) = uv/(1 - θ(1-u)(1-v)); X = F_x⁻¹(U), Y = F_y⁻¹(V).
    Mutual information: ∫ k(w) (ln φ''(w) - 3 ln(-φ'(w))) dw + 2 ∫ ln(-φ'(u)) du over (0, 1),
    φ(w) = ln((1-θ(1-w))/w), k = φφ''/φ'²; by quadrature, from a table over θ. At θ = 1 it is
    Clayton's copula of strength 1, and I = ln 2 - ½.

    Parameters:
        strength: θ in [-1, 1]; pure number.
        marginal_x: law of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        A class of bivariate distributions including the bivariate logistic (Ali, Mikhail, Haq,
        1978); https://doi.org/10.1016/0047-259X(78)90082-5
        An Introduction to Copulas (Nelsen, 2006), §4.2, family 3;
        https://doi.org/10.1007/0-387-28678-0

    Example:
        >>> member = CopulaAmh(1, 1, strength=0.5, marginal_x="normal", marginal_y="uniform")
        >>> round(member.mutual_information().value, 6)
        0.019288
    """

    name = "copula-amh"
    formula = "∫k(lnφ'' - 3 ln(-φ')) + 2∫ln(-φ'), k = φφ''/φ'², φ(w) = ln((1-θ(1-w))/w)"
    source = "Ali, Mikhail, Haq 1978, doi:10.1016/0047-259X(78)90082-5"
    parameters: ClassVar = {
        "strength": Parameter(
            "θ, strength", low=-1.0, high=1.0, closed="both", prior=Uniform(-1.0, 1.0)
        ),
        **MARGINAL_PARAMETERS,
    }
    strength: float

    def _pair(self) -> pairs.AliMikhailHaq:
        return pairs.AliMikhailHaq(self.strength)


FAMILIES = (CopulaClayton, CopulaFrank, CopulaGumbel, CopulaJoe, CopulaAmh)
