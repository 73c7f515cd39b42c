"""The density ratio of Kibble's bivariate gamma distribution, and the one integral of its MI."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ive, k0e, k1e

from mistdata.distributions.base import MI
from mistdata.distributions.integrate import NotConverged
from mistdata.distributions.priors import Array

STEP = 0.125
NEGLIGIBLE = 42.0  # e^-42 = 6e-19


def log_bessel(k: float, z: Array) -> Array:
    """Return ln 0F1(; k; z²/4) - z = ln(Γ(k) (z/2)^(1-k) I_{k-1}(z)) - z for z ≥ 0."""
    q = 0.25 * z * z
    small = q < 1.0
    result = np.empty_like(z)
    near, far = q[small], z[~small]
    series = np.zeros_like(near)
    for j in range(13, 0, -1):
        series = (1.0 + series) * near / (j * (k + j - 1.0))
    result[small] = np.log1p(series) - z[small]
    result[~small] = np.log(ive(k - 1.0, far)) - (k - 1.0) * np.log(0.5 * far) + math.lgamma(k)
    return result


def kibble_information(k: float, r: float) -> MI:
    """Integrate the pointwise MI over the law of P = XY, by the trapezoid in ln P.

    The pointwise MI -k ln(1-r) - r(X+Y)/(1-r) + ln 0F1(; k; z²/4), z = 2√(rP)/(1-r), is linear in
    X + Y. With v = 2√P/(1-r) the density of P is 2 P^(k-1) (1-r)^-k Γ(k)^-2 0F1(; k; z²/4) K_0(v),
    and X + Y given P has the mean (1-r) v K_1(v)/K_0(v); its variance follows from K_2.

    Raises:
        NotConverged: half the points give another value.
    """
    root = math.sqrt(r)
    step = STEP * min(1.0, 2.0 / math.sqrt(k))
    # the density of P is as P^(k-1) ln P towards 0 and as exp(-2√P/(1+√r)) towards infinity
    low = -(NEGLIGIBLE + abs(math.lgamma(k))) / k - 2.0
    high = 2.0 * math.log(0.5 * (1.0 + root) * (45.0 + 8.0 * math.sqrt(k) + 2.0 * k))
    log_p = np.arange(math.floor(0.5 * low / step), math.ceil(0.5 * high / step)) * (2.0 * step)
    log_half = 0.5 * log_p - math.log1p(-r)
    v = 2.0 * np.exp(log_half)
    bend = log_bessel(k, root * v)
    k0, spread = _scaled_bessel(log_half)
    constant = math.log(4.0 * step) - k * math.log1p(-r) - 2.0 * math.lgamma(k)
    weight = np.exp(constant + k * log_p + bend - (1.0 - root) * v) * k0
    mean = root * (1.0 - root) * v + bend - r * (spread - v) - k * math.log1p(-r)
    value, coarse = float(weight @ mean), 2.0 * float(weight[::2] @ mean[::2])
    error = abs(value - coarse) + 16.0 * abs(float(weight.sum()) - 1.0)
    if error > 1e-9 * (1.0 + value):
        raise NotConverged(f"gamma-kibble: the integral is off by {error:.2g}")
    within = r * r * np.maximum(v * v + spread - spread * spread, 0.0)
    variance = float(weight @ ((mean - value) ** 2 + within))
    return MI(max(value, 0.0), error, "quadrature", "quad_halving", math.sqrt(variance))


def _scaled_bessel(log_half: Array) -> tuple[Array, Array]:
    """Return e^v K_0(v) and v K_1(v)/K_0(v) from ln(v/2), also where v underflows."""
    near = log_half < -40.0
    v = 2.0 * np.exp(np.maximum(log_half, -40.0))
    k0 = np.where(near, -log_half - np.euler_gamma, k0e(v))
    return k0, np.where(near, 1.0 / np.abs(k0), v * k1e(v) / k0)
