"""Elliptical families beside the normal and Student's: a direction and a common radius.

The density is a function of a quadratic form. Both sides share the radius, so that they depend on
each other even where nothing correlates them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from scipy.special import k0e, k1e

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, JointDistribution
from mistdata.distributions.families.special import g_combination, g_deviation
from mistdata.distributions.families.structures import Equicorrelated
from mistdata.distributions.injections import Beta, Injection, Radial
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, Uniform

FANG_KOTZ_NG = "Fang, Kotz & Ng 1990, doi:10.1201/9781351077040"


class LaplaceSymmetric(Equicorrelated):
    """A multivariate symmetric Laplace distribution with equal correlations.

    Model: (X, Y) = √W z, W ~ Exp(1), z ~ N(0, Ω), Ω = (1-ρ) I + ρ 11ᵀ. The density of k of the
    coordinates at the quadratic form q is 2 (2π)^(-k/2) |Ω|^(-½) (q/2)^(-μ/2) K_μ(√(2q)),
    μ = k/2 - 1.

    Mutual information: ½ ln(1 + mnρ²/((1-ρ)(1+(m+n-1)ρ))) + h_m + h_n - h_{m+n}, m = dim_x,
    n = dim_y, h_k the entropy of k coordinates at Ω = I; to 1e-12 by integrals over the radius.

    Parameters:
        rho: ρ in (-1/(m+n-1), 1), correlation of any two coordinates; pure number.

    References:
        The Laplace Distribution and Generalizations (Kotz, Kozubowski, Podgórski, 2001),
        chapter 5; https://doi.org/10.1007/978-1-4612-0173-1

    Example:
        >>> member = LaplaceSymmetric(dim_x=2, dim_y=2, rho=0.0)
        >>> round(member.mutual_information().value, 6)
        0.144895
    """

    name = "laplace-symmetric"
    formula = "½ ln(1 + mnρ²/((1-ρ)(1+(m+n-1)ρ))) + h_m + h_n - h_{m+n}, h_k by a radial integral"
    source = "Kotz, Kozubowski & Podgórski 2001, doi:10.1007/978-1-4612-0173-1"

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        self._correlate(z, rng)
        z *= np.sqrt(rng.standard_exponential(n))[:, None]
        return z[:, : self.dim_x], z[:, self.dim_x :]

    def _mutual_information(self) -> MI:
        h_x, h_y, h = (_entropy(k) for k in (self.dim_x, self.dim_y, self.dim_x + self.dim_y))
        value = self._gaussian_information() + math.fsum((h_x[0], h_y[0], -h[0]))
        return MI(value, h_x[1] + h_y[1] + h[1], "quadrature", "quad_halving")

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        return JointDistribution._injection(self, side)  # columns are no normal law

    def _pointwise(self, x: Array, y: Array) -> Array:
        forms, m, n = self._forms(x, y), self.dim_x, self.dim_y
        marginal = _log_density(m, 0.5 * forms.x) + _log_density(n, 0.5 * forms.y)
        pointwise: Array = _log_density(m + n, 0.5 * forms.joint) - marginal + forms.log_ratio
        return pointwise


def _log_density(k: int, w: Array) -> Array:
    """Return ln 2w^(-μ/2) K_μ(2√w), μ = k/2 - 1: the log-density at q = 2w but for (2π)^(-k/2).

    With A_μ = w^(-μ/2) K_μ(2√w) and T_μ = √w K_{μ+1}/K_μ the recurrence of K reads
    T_μ = μ + w/T_{μ-1}, A_{μ+1} = A_μ T_μ/w: all terms are positive, and nothing overflows.
    """
    root = np.sqrt(w)
    if k % 2:
        order, ratio = -0.5, root
        log_a = 0.5 * math.log(math.pi) - math.log(2.0) - 2.0 * root
    else:
        scaled = k0e(2.0 * root)
        order, ratio = 0.0, root * k1e(2.0 * root) / scaled
        log_a = np.log(scaled) - 2.0 * root
    steps = (k - 1) // 2
    for _ in range(steps):
        log_a += np.log(ratio)
        order += 1.0
        ratio = order + w / ratio
    density: Array = math.log(2.0) + log_a - steps * np.log(w)
    return density


@lru_cache(maxsize=1024)
def _entropy(k: int) -> tuple[float, float]:
    """Integrate -ln 2w^(-μ/2) K_μ(2√w) over w = |r|²/2, r standard Laplace in k dimensions.

    w is the product of an Exp(1) and a Gamma(k/2) variable, of density 2w^(μ/2) K_μ(2√w)/Γ(k/2).

    Returns:
        The entropy but for (k/2) ln 2π, and its error.
    """
    half = 0.5 * k
    log_gamma = math.lgamma(half)

    def f(u: Array) -> Array:
        w = half * u  # E w = k/2
        log_density = _log_density(k, w)
        weight = half * np.exp(log_density + (half - 1.0) * np.log(w) - log_gamma)
        return np.stack((weight, -log_density * weight))

    found = integrate.half_line(f)
    mass, value = (float(each) for each in found.value)
    if abs(mass - 1.0) > 1e-11:
        raise integrate.NotConverged(f"laplace-symmetric: the radius has mass {mass:.15g}")
    return value, float(found.error[1]) + 1e-13 * (1.0 + abs(value))


class PearsonII(JointDistribution):
    """A Pearson type II distribution on the unit ball, parted into two blocks of coordinates.

    Model: density ∝ (1 - |x|² - |y|²)^κ where |x|² + |y|² < 1. A block of k coordinates has the
    same law with κ + (m+n-k)/2 for κ.

    Mutual information: G(κ+1+m/2) + G(κ+1+n/2) - G(κ+1) - G(κ+1+(m+n)/2),
    G(x) = lnΓ(x) - (x-1)ψ(x), m = dim_x, n = dim_y; exact.

    Parameters:
        kappa: κ > -1; at 0 uniform on the ball, the greater the nearer to a normal; pure number.

    References:
        Symmetric Multivariate and Related Distributions (Fang, Kotz, Ng, 1990), §3.4;
        https://doi.org/10.1201/9781351077040

    Example:
        >>> member = PearsonII(dim_x=2, dim_y=2, kappa=2.0)
        >>> round(member.mutual_information().value, 6)
        0.045651
    """

    name = "pearson-ii"
    formula = "G(κ+1+m/2) + G(κ+1+n/2) - G(κ+1) - G(κ+1+(m+n)/2), G(x) = lnΓ(x) - (x-1)ψ(x)"
    source = FANG_KOTZ_NG
    parameters: ClassVar = {
        "kappa": Parameter(
            "κ, power of the distance from the sphere in the density",
            low=-1.0,
            high=math.inf,
            prior=Uniform(-0.4, 3.0),
            reason=(
                "at -1 the law is uniform on the sphere, where |y| is a function of |x| and I(X;Y)"
                " is infinite"
            ),
        )
    }
    kappa: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        rest = 2.0 * rng.standard_gamma(self.kappa + 1.0, n)
        z *= (1.0 / np.sqrt(np.einsum("ij,ij->i", z, z) + rest))[:, None]
        return z[:, : self.dim_x], z[:, self.dim_x :]

    def _mutual_information(self) -> MI:
        shapes = 0.5 * self.dim_x, 0.5 * self.dim_y, self.kappa + 1.0
        return MI.closed_form(g_combination(*shapes), g_deviation(*shapes), special=True)

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        m, n = (self.dim_x, self.dim_y) if side == "x" else (self.dim_y, self.dim_x)
        return Radial(Beta(0.5 * m, self.kappa + 1.0 + 0.5 * n), m)

    def _pointwise(self, x: Array, y: Array) -> Array:
        a, b, kappa = 0.5 * self.dim_x, 0.5 * self.dim_y, self.kappa
        square_x, square_y = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
        constant = math.lgamma(kappa + 1.0 + a) + math.lgamma(kappa + 1.0 + b)
        constant -= math.lgamma(kappa + 1.0) + math.lgamma(kappa + 1.0 + a + b)
        pointwise: Array = constant + kappa * _log_rest(square_x + square_y)
        pointwise -= (kappa + b) * _log_rest(square_x)
        pointwise -= (kappa + a) * _log_rest(square_y)
        return pointwise


class UniformBall(PearsonII):
    """The uniform distribution on the unit ball, parted into two blocks of coordinates.

    Model: density constant where |x|² + |y|² < 1: `PearsonII` with κ = 0.
    Mutual information: G(1+m/2) + G(1+n/2) - G(1) - G(1+(m+n)/2), G(x) = lnΓ(x) - (x-1)ψ(x),
    m = dim_x, n = dim_y; exact; ln π - 1 on the disk.

    References:
        Symmetric Multivariate and Related Distributions (Fang, Kotz, Ng, 1990), §3.4;
        https://doi.org/10.1201/9781351077040

    Example:
        >>> member = UniformBall(dim_x=1, dim_y=1)
        >>> round(member.mutual_information().value, 6)
        0.14473
    """

    name = "uniform-ball"
    formula = "G(1+m/2) + G(1+n/2) - G(1) - G(1+(m+n)/2), G(x) = lnΓ(x) - (x-1)ψ(x)"
    source = FANG_KOTZ_NG
    parameters: ClassVar = {}
    kappa = 0.0


def _log_rest(square: Array) -> Array:
    """Return ln(1 - r²); what single precision has carried out of the ball is on its edge."""
    rest = 1.0 - square
    logarithm: Array = np.log(np.where(rest > 0.0, rest, 2.0**-24))
    return logarithm


FAMILIES = (LaplaceSymmetric, PearsonII, UniformBall)
