"""Multivariate Student families: a Gaussian structure and one radius common to both sides.

(X, Y) = z √(ν/χ²_ν), z ~ N(0, Ω): X and Y are divided by the *same* random number, so that they
depend on each other even where Ω does not couple them. The mutual information is that of N(0, Ω)
plus a correction that depends on dim_x, dim_y and ν alone.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from mistdata.distributions.base import MI
from mistdata.distributions.families.special import f_combination, f_deviation
from mistdata.distributions.families.structures import (
    Correlated,
    Equicorrelated,
    Identity,
    Pairs,
    TwoPairs,
)
from mistdata.distributions.injections import BetaPrime, Injection, Radial
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, Uniform

SOURCE = "Arellano-Valle et al. 2013, doi:10.1111/j.1467-9469.2011.00774.x; arXiv:2306.11078"
DEGREES_OF_FREEDOM = Parameter(
    "ν, degrees of freedom", low=0.0, high=math.inf, prior=Uniform(1.0, 10.0)
)


class Student(Correlated):
    """A Gaussian structure divided by √(χ²_ν/ν): adds the Student correction to it."""

    nu: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        self._correlate(z, rng)
        # ν far below 1 can underflow χ² to zero; the base class refuses the infinite row
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            radius = np.sqrt(self.nu / rng.chisquare(self.nu, n))
            z *= radius[:, None]
        return z[:, : self.dim_x], z[:, self.dim_x :]

    def _mutual_information(self) -> MI:
        correction = student_correction(self.dim_x, self.dim_y, self.nu)
        return MI.closed_form(self._gaussian_information() + correction, special=True)

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        m = self.dim_x if side == "x" else self.dim_y
        return Radial(BetaPrime(m, self.nu), m, self._side_factor(side))

    def _pointwise(self, x: Array, y: Array) -> Array:
        nu, m, n = self.nu, self.dim_x, self.dim_y
        forms = self._forms(x, y)
        constant = math.lgamma(0.5 * (nu + m + n)) - math.lgamma(0.5 * (nu + m))
        constant += math.lgamma(0.5 * nu) - math.lgamma(0.5 * (nu + n)) + forms.log_ratio
        pointwise: Array = constant - 0.5 * (nu + m + n) * np.log1p(forms.joint / nu)
        pointwise += 0.5 * (nu + m) * np.log1p(forms.x / nu)
        pointwise += 0.5 * (nu + n) * np.log1p(forms.y / nu)
        return pointwise


class StudentIdentity(Student, Identity):
    """A multivariate Student distribution without correlations.

    Model: (X, Y) = z √(ν/χ²_ν), z ~ N(0, I).
    Mutual information: c(m, n, ν) = F(ν/2) + F((ν+m+n)/2) - F((ν+m)/2) - F((ν+n)/2),
    F(x) = lnΓ(x) - xψ(x), m = dim_x, n = dim_y; exact, positive for every ν.

    Parameters:
        nu: ν > 0, degrees of freedom; pure number.

    References:
        Shannon Entropy and Mutual Information for Multivariate Skew-Elliptical Distributions
        (Arellano-Valle, Contreras-Reyes, Genton, 2013), Student case;
        https://doi.org/10.1111/j.1467-9469.2011.00774.x

    Example:
        >>> member = StudentIdentity(dim_x=2, dim_y=2, nu=2.0)
        >>> round(member.mutual_information().value, 6)
        0.193147
    """

    name = "student-identity"
    formula = "c(m,n,ν) = F(ν/2) + F((ν+m+n)/2) - F((ν+m)/2) - F((ν+n)/2), F(x) = lnΓ(x) - xψ(x)"
    source = SOURCE
    parameters: ClassVar = {"nu": DEGREES_OF_FREEDOM}

    def _mutual_information(self) -> MI:
        shapes = 0.5 * self.dim_x, 0.5 * self.dim_y, 0.5 * self.nu
        return MI.closed_form(f_combination(*shapes), f_deviation(*shapes), special=True)


class StudentDense(Student, Equicorrelated):
    """A multivariate Student distribution with the same correlation between any coordinates.

    Model: (X, Y) = z √(ν/χ²_ν), z ~ N(0, (1-ρ) I + ρ 11ᵀ).
    Mutual information: ½ ln(1 + mnρ² / ((1-ρ)(1+(m+n-1)ρ))) + c(m, n, ν), c the Student
    correction of `StudentIdentity`; exact.

    Parameters:
        rho: ρ in (-1/(m+n-1), 1), correlation of any two coordinates of z; pure number.
        nu: ν > 0, degrees of freedom; pure number.

    References:
        Shannon Entropy and Mutual Information for Multivariate Skew-Elliptical Distributions
        (Arellano-Valle, Contreras-Reyes, Genton, 2013), Student case;
        https://doi.org/10.1111/j.1467-9469.2011.00774.x

    Example:
        >>> member = StudentDense(dim_x=3, dim_y=3, rho=0.4, nu=2.5)
        >>> round(member.mutual_information().value, 6)
        0.518018
    """

    name = "student-dense"
    formula = "½ ln(1 + mnρ²/((1-ρ)(1+(m+n-1)ρ))) + c(m,n,ν)"
    source = SOURCE
    parameters: ClassVar = {**Equicorrelated.parameters, "nu": DEGREES_OF_FREEDOM}


class StudentSparse(Student, Pairs):
    """A multivariate Student distribution in which K pairs of coordinates share a signal.

    Model: (X, Y) = z √(ν/χ²_ν), z as in `GaussianSparse`.
    Mutual information: (K/2) ln(1 + λ⁴/(1+2λ²)) + c(m, n, ν), c the Student correction of
    `StudentIdentity`; exact.

    Parameters:
        strength: λ ≥ 0, weight of the shared signal over unit noise; pure number.
        pairs: K in {1, ..., min(dim_x, dim_y)}, number of interacting pairs; count.
        nu: ν > 0, degrees of freedom; pure number.

    References:
        Shannon Entropy and Mutual Information for Multivariate Skew-Elliptical Distributions
        (Arellano-Valle, Contreras-Reyes, Genton, 2013), Student case;
        https://doi.org/10.1111/j.1467-9469.2011.00774.x

    Example:
        >>> member = StudentSparse(dim_x=2, dim_y=2, strength=2.0, pairs=1, nu=2.0)
        >>> round(member.mutual_information().value, 6)
        0.703973
    """

    name = "student-sparse"
    formula = "(K/2) ln(1 + λ⁴/(1+2λ²)) + c(m,n,ν)"
    source = SOURCE
    parameters: ClassVar = {**Pairs.parameters, "nu": DEGREES_OF_FREEDOM}


class StudentTwoPair(Student, TwoPairs):
    """A multivariate Student distribution in which two pairs of coordinates share a signal.

    Model: (X, Y) = z √(ν/χ²_ν), z as in `GaussianTwoPair`.
    Mutual information: ln(1 + λ⁴/(1+2λ²)) + c(m, n, ν), c the Student correction of
    `StudentIdentity`; exact.

    Parameters:
        strength: λ ≥ 0, weight of the shared signal over unit noise; pure number.
        nu: ν > 0, degrees of freedom; pure number.

    References:
        Shannon Entropy and Mutual Information for Multivariate Skew-Elliptical Distributions
        (Arellano-Valle, Contreras-Reyes, Genton, 2013), Student case;
        https://doi.org/10.1111/j.1467-9469.2011.00774.x

    Example:
        >>> member = StudentTwoPair(dim_x=2, dim_y=2, strength=2.0, nu=2.0)
        >>> round(member.mutual_information().value, 6)
        1.214798
    """

    name = "student-2pair"
    formula = "ln(1 + λ⁴/(1+2λ²)) + c(m,n,ν)"
    source = SOURCE
    parameters: ClassVar = {**TwoPairs.parameters, "nu": DEGREES_OF_FREEDOM}


def student_correction(dim_x: int, dim_y: int, nu: float) -> float:
    """Return c(m,n,ν) = F(ν/2) + F((ν+m+n)/2) - F((ν+m)/2) - F((ν+n)/2), F(x) = lnΓ(x) - xψ(x)."""
    return f_combination(0.5 * dim_x, 0.5 * dim_y, 0.5 * nu)


FAMILIES = (StudentIdentity, StudentDense, StudentSparse, StudentTwoPair)
