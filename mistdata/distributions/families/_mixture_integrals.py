"""The mutual information of mixtures whose symmetry leaves an integral over one number or two."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import k0e, k1e

from mistdata.distributions.base import MI
from mistdata.distributions.integrate import Integral, NotConverged, half_line, line
from mistdata.distributions.priors import Array
from mistdata.distributions.stratified import log_sum_exp

_CARRIED = 1e-10  # how far the masses may be from one
# s² + sq - s²q² with q = K_1(s)/K_0(s), as a polynomial in 1/s
_SPREAD = (
    *(214173 / 512, -375733 / 4096, 721 / 32, -3219 / 512, 65 / 32, -25 / 32, 3 / 8, -1 / 4),
    1 / 2,
)


def crossed_information(level: float) -> MI:
    """Return I of two normal laws with the correlations ±ρ, each with probability ½.

    pmi = t - ln 2 + ln(1 + e^(-2ρs)) + ρs - ρ²|s|c with t = -½ ln(1-ρ²), s = xy/(1-ρ²) and
    c = (x²+y²)/|2xy|. The density of s given +ρ is √(1-ρ²) e^(ρs) K_0(|s|)/π; ln(c + √(c²-1))
    given s has the density ∝ exp(-|s|c), hence E[c|s] = K_1/K_0 and E[c²|s] = 1 + E[c|s]/|s|. The
    last two terms of pmi have mean zero.

    Args:
        level: t = -½ ln(1-ρ²), the information in either law.
    """
    rho = math.sqrt(-math.expm1(-2.0 * level))
    gap = math.exp(-2.0 * level) / (1.0 + rho)  # 1 - ρ
    scale = math.exp(-level) / math.pi

    def moments(s: Array) -> Array:
        first = k1e(s) / k0e(s)
        # s² Var(c|s), which cancels where it tends to ½
        spread = s * s + s * first - (s * first) ** 2
        spread = np.where(s > 60.0, np.polyval(_SPREAD, 1.0 / s), spread)
        total = np.zeros((3, len(s)))
        for sign, rate in ((1.0, gap), (-1.0, 1.0 + rho)):
            weight = scale * k0e(s) * np.exp(-rate * s)
            sure = level - math.log(2.0) + np.logaddexp(0.0, -2.0 * sign * rho * s)
            varied = rho * s * (sign - rho * first)
            square = (sure + varied) ** 2 + rho**4 * spread
            total += weight * np.stack([sure, square, np.ones_like(s)])
        return total

    return _settled(half_line(moments, 1e-11))


@lru_cache(maxsize=4096)
def inlier_information(strength: float, pairs: int, fraction: float) -> MI:
    """Return I of K correlated pairs, of which a fraction f of the rows is made independent.

    pmi = ln((1-f) e^s + f), s = Kt + ρD the pointwise MI of the correlated rows. D, half the
    difference of two χ²_K, has the density |D|^ν K_ν(|D|)/(√π 2^ν Γ(ν+½)), ν = (K-1)/2; in the
    independent rows its density is e^(-s) times that.
    """
    shared = strength * strength
    level = 0.5 * pairs * math.log1p(shared * (shared / (1.0 + 2.0 * shared)))  # Kt
    rho, gap = shared / (1.0 + shared), 1.0 / (1.0 + shared)  # ρ, 1 - ρ
    order = 0.5 * (pairs - 1)
    constant = 0.5 * math.log(math.pi) + order * math.log(2.0) + math.lgamma(order + 0.5)
    log_kept, log_lost = (
        math.log(p) if p > 0.0 else -math.inf for p in (1.0 - fraction, fraction)
    )

    def moments(z: Array) -> Array:
        total = np.zeros((4, len(z)))
        used = gap * z < 800.0  # beyond, nothing is left
        z = z[used]
        log_density = _log_bessel(pairs, z) - constant
        for sign, rate in ((1.0, 1.0 + rho), (-1.0, gap)):
            s = level + sign * rho * z
            joint = np.exp(log_density - z)
            apart = np.exp(log_density - rate * z - level)
            pmi = np.logaddexp(log_kept + s, log_lost)
            weight = (1.0 - fraction) * joint + fraction * apart
            total[:, used] += np.stack([weight * pmi, weight * pmi * pmi, joint, apart])
        return total

    return _settled(half_line(moments, 1e-11))


def _log_bessel(pairs: int, z: Array) -> Array:
    """Return ln(z^ν e^z K_ν(z)) at ν = (K-1)/2, for every K and z > 0.

    From ν = 0 or ½ by g_(ν+1) = 2νg_ν + z²g_(ν-1), g_ν = z^ν K_ν: all terms are positive.
    """
    if pairs % 2:
        order, at_zero = 0.0, k0e(z)
        log_value, ratio = np.log(at_zero), z * k1e(z) / at_zero
    else:
        order = 0.5
        log_value, ratio = np.full_like(z, 0.5 * math.log(0.5 * math.pi)), 1.0 + z
    for _ in range((pairs - 1) // 2):
        log_value += np.log(ratio)
        order += 1.0
        ratio = 2.0 * order + z * (z / ratio)
    return np.asarray(log_value)


@lru_cache(maxsize=4096)
def concentric_information(dim: int, components: int) -> MI:
    """Return I(X; label) of the normal laws N(0, i² I), i = 1, ..., K, equally likely.

    Only the radius tells them apart: I = ln K + (1/K) Σ_i E[ln r_i(iR)], R ~ χ_dim, with the
    posterior r_i(r) ∝ i^(-dim) exp(-r²/2i²); integrated over ln R.
    """
    i = np.arange(1.0, components + 1.0)
    constant = (1.0 - 0.5 * dim) * math.log(2.0) - math.lgamma(0.5 * dim)

    def moments(u: Array) -> Array:
        square = np.exp(2.0 * u)
        density = np.exp(constant + dim * u - 0.5 * square) / components
        total = np.zeros((3, len(u)))
        for each in i:
            # ln of the densities of all components over that of this one
            part = each / i
            ratios = dim * np.log(part) - 0.5 * np.outer(square, (part - 1.0) * (part + 1.0))
            pmi = math.log(components) - log_sum_exp(ratios)
            total += density * np.stack([pmi, pmi * pmi, np.ones_like(u)])
        return total

    found = line(moments, center=0.5 * math.log(dim), scale=1.0 / math.sqrt(2.0 * dim))
    return _settled(found)


def independent_given_label(weights: Array, at_x: Array, at_y: Array) -> MI:
    """Return I of X = a_k + noise, Y = b_k + noise, standard normal noise, k ~ w.

    p(x,y)/(p(x)p(y)) = Σ_k r_k(x) r_k(y)/w_k, r the posterior probabilities of k: on a grid, one
    product of matrices. Every component is integrated by the trapezoid rule about its own mean.

    Args:
        weights: (k,) probabilities of the labels.
        at_x: (k,) the means a.
        at_y: (k,) the means b.
    """
    before = math.nan
    for step in (0.4, 0.2, 0.1, 0.05, 0.025):
        sums = _on_grids(weights, at_x, at_y, step)
        value, square = float(sums[0]), float(sums[1])
        change = abs(value - before)
        missing = float(np.abs(sums[2:] - weights).max())
        if max(change, missing) <= _CARRIED:
            deviation = math.sqrt(max(square - value * value, 0.0))
            error = max(change, missing)
            return MI(max(value, 0.0), error, "quadrature", "quad_halving", deviation)
        before = value
    raise NotConverged(f"mixture: the last halving changed I by {change:.2g}")


def _on_grids(weights: Array, at_x: Array, at_y: Array, step: float) -> Array:
    """Integrate pmi, pmi² and the posterior probabilities of the labels given both."""
    count = math.ceil(8.5 / step)
    z = step * np.arange(-count, count + 1)
    density = step * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    sums = np.zeros(2 + len(weights))
    for w, a, b in zip(weights, at_x, at_y, strict=True):
        given_x = _posterior(weights, at_x, a + z) / weights
        given_y = _posterior(weights, at_y, b + z)
        ratio = given_x @ given_y.T
        pmi = np.log(ratio)
        sums[0] += w * (density @ pmi @ density)
        sums[1] += w * (density @ (pmi * pmi) @ density)
        both = (given_x * density[:, None]).T @ (1.0 / ratio)
        sums[2:] += w * np.einsum("kj,jk,j->k", both, given_y, density)
    return sums


def _posterior(weights: Array, means: Array, points: Array) -> Array:
    terms = np.log(weights) - 0.5 * (points[:, None] - means) ** 2
    terms -= terms.max(axis=1, keepdims=True)
    np.exp(terms, out=terms)
    terms /= terms.sum(axis=1, keepdims=True)
    return np.asarray(terms)


def _settled(found: Integral) -> MI:
    """Wrap the integrals of pmi, pmi² and of densities whose mass is one."""
    value, square = (float(each) for each in found.value[:2])
    missing = float(np.abs(found.value[2:] - 1.0).max())
    if missing > _CARRIED:
        raise NotConverged(f"quadrature: the mass is off by {missing:.2g}")
    error = max(float(found.error[0]), missing)
    deviation = math.sqrt(max(square - value * value, 0.0))
    return MI(max(value, 0.0), error, "quadrature", "quad_halving", deviation)
