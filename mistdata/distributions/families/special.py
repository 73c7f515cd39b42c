"""The functions that gamma variables with a common part bring about, without cancellation.

F(x) = lnΓ(x) - xψ(x) and G(x) = lnΓ(x) - (x-1)ψ(x) are, but for signs and linear terms, entropies
of gamma and beta laws. Only their differences occur as a mutual information: in these the linear
parts cancel, and what is left is positive.

With independent S ~ Gamma(a), T ~ Gamma(b), C ~ Gamma(c) the pointwise mutual information is a
sum of logarithms of C, C+S, C+T and C+S+T; the deviations below are those of such sums.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, zeta

# B_2k/(2k-1) with the Bernoulli numbers B_2k; by Stirling's series
# lnΓ(x) - xψ(x) = ½ ln 2π + ½ - x - ½ ln x + Σ_k B_2k/((2k-1) x^(2k-1))
STIRLING = (1 / 6, -1 / 90, 1 / 210, -1 / 210, 5 / 594, -691 / 30030)
# B_2k/2k: ψ(x) = ln x - 1/(2x) - Σ_k B_2k/(2k x^2k)
DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)
ASYMPTOTIC = 16.0  # from here on the six terms above leave an error below 1e-16
CANCELLING = 2e4  # above, a variance of ab/c² drowns in terms of size c
_K = np.arange(1.0, 96.0)


def f_combination(a: float, b: float, c: float) -> float:
    """Return F(c) + F(c+a+b) - F(c+a) - F(c+b), F(x) = lnΓ(x) - xψ(x), for a, b, c > 0.

    The linear and constant parts of F cancel. For large c the logarithms and the leading 1/(6x)
    are combined by hand into sums of positive terms, so that ≈ ab/(2c²) keeps its relative
    accuracy.
    """
    x = (c, c + a + b, c + a, c + b)
    if c < ASYMPTOTIC:
        return _second_difference(*map(_bent, x))
    rest = _second_difference(*(_tail(each, STIRLING, 1) * each for each in x))
    return 0.5 * _logarithms(a, b, c) + _inverses(a, b, c) / 6.0 + rest


def g_combination(a: float, b: float, c: float) -> float:
    """Return G(c+a) + G(c+b) - G(c) - G(c+a+b), G(x) = lnΓ(x) - (x-1)ψ(x), for a, b, c > 0.

    G = F + ψ, and ψ is treated for large c as F is; ≈ ab/(2c²) then, and ≈ 1/c for c → 0.
    """
    x = (c, c + a + b, c + a, c + b)
    if c < ASYMPTOTIC:
        return -_second_difference(*(_bent(each) + float(digamma(each)) for each in x))
    rest = _second_difference(
        *(_tail(each, DIGAMMA, 1) - _tail(each, STIRLING, 1) * each for each in x)
    )
    inverses = _inverses(a, b, c) / 3.0 + _inverse_squares(a, b, c) / 12.0
    return 0.5 * _logarithms(a, b, c) + inverses + rest


def f_limit(a: float, c: float) -> float:
    """Return F(c) - F(c+a) - a, to which `f_combination` tends as b → ∞; a, c > 0."""
    if c < ASYMPTOTIC:
        return _bent(c) - _bent(c + a)
    rest = _tail(c, STIRLING, 0) * c - _tail(c + a, STIRLING, 0) * (c + a)
    return 0.5 * math.log1p(a / c) + rest


def g_limit(a: float, c: float) -> float:
    """Return a + G(c+a) - G(c), to which `g_combination` tends as b → ∞; a, c > 0."""
    if c < ASYMPTOTIC:
        return math.fsum((_bent(c + a), digamma(c + a), -_bent(c), -digamma(c)))
    return math.log1p(a / c) + digamma_less_log(c + a) - digamma_less_log(c) - f_limit(a, c)


def digamma_less_log(x: float) -> float:
    """Return ψ(x) - ln x, ≈ -1/(2x) for large x, infinity included."""
    if x < ASYMPTOTIC:
        return float(digamma(x)) - math.log(x)
    return -0.5 / x - _tail(x, DIGAMMA, 0)


def trigamma(x: float) -> float:
    """Return ψ'(x) = ζ(2, x), x > 0."""
    return float(zeta(2.0, x))


def f_deviation(a: float, b: float, c: float) -> float:
    """Return the standard deviation of the pointwise MI whose mean is `f_combination`.

    That is of (c+a) ln(C+S) + (c+b) ln(C+T) - c ln C - (c+a+b) ln(C+S+T).
    """
    return _deviation(a, b, c, (-c, c + a, c + b, -(c + a + b)))


def g_deviation(a: float, b: float, c: float) -> float:
    """Return the standard deviation of the pointwise MI whose mean is `g_combination`.

    That is of (c-1) ln C - (c+a-1) ln(C+S) - (c+b-1) ln(C+T) + (c+a+b-1) ln(C+S+T).
    """
    return _deviation(a, b, c, (c - 1.0, 1.0 - c - a, 1.0 - c - b, c + a + b - 1.0))


def _deviation(a: float, b: float, c: float, weights: tuple[float, float, float, float]) -> float:
    """Return the deviation of a weighted sum of ln C, ln(C+S), ln(C+T), ln(C+S+T).

    ln of a part and ln of its whole have the covariance ψ'(shape of the whole), because their
    ratio is independent of the whole; C+S and C+T overlap instead. For large c the terms cancel,
    and (S-a)(T-b)/c is all that is left.
    """
    if c > CANCELLING and c > 100.0 * (a + b):
        return math.sqrt(a * b) / c
    least, side_a, side_b, whole = map(trigamma, (c, c + a, c + b, c + a + b))
    w, w_a, w_b, w_ab = weights
    terms = (
        w * w * least,
        w_a * (w_a + 2.0 * w) * side_a,
        w_b * (w_b + 2.0 * w) * side_b,
        w_ab * (w_ab + 2.0 * (w + w_a + w_b)) * whole,
        2.0 * w_a * w_b * _overlap(a, b, c),
    )
    return math.sqrt(max(math.fsum(terms), 0.0))


def _overlap(a: float, b: float, c: float) -> float:
    """Return Cov(ln(C+S), ln(C+T)) = Σ_k≥1 (c)_k/k! B(k,c+a) B(k,c+b), B the beta function.

    From ln w = ∫ (e^-t - e^-wt)/t dt for both, and (1-uv)^-c expanded in uv, u = s/(1+s),
    v = t/(1+t). A term falls as (k+δ)^-p; beyond the last one the sum is an integral.
    """
    ca, cb = c + a, c + b
    terms = np.cumprod(_K * _K * (c + _K) / ((_K + 1.0) * (_K + ca) * (_K + cb)))
    p = a + b + c + 1.0
    delta = (ca * (ca - 1.0) + cb * (cb - 1.0) - c * (c - 1.0)) / (2.0 * p)
    beyond = len(_K) + 1.0 + delta
    tail = float(terms[-1]) * beyond / (p - 1.0) * math.pow(1.0 + 0.5 / beyond, 1.0 - p)
    return c / (ca * cb) * (1.0 + float(terms.sum()) + tail)


def _second_difference(at_c: float, at_cab: float, at_ca: float, at_cb: float) -> float:
    return math.fsum((at_c, at_cab, -at_ca, -at_cb))


def _logarithms(a: float, b: float, c: float) -> float:
    """Return ln(c+a) + ln(c+b) - ln c - ln(c+a+b)."""
    return math.log1p((a / c) * (b / (c + a + b)))


def _inverses(a: float, b: float, c: float) -> float:
    """Return 1/c + 1/(c+a+b) - 1/(c+a) - 1/(c+b)."""
    ca, cb, cab = c + a, c + b, c + a + b
    return (a / c) * (b / cab) * ((c + cab) / (ca * cb))


def _inverse_squares(a: float, b: float, c: float) -> float:
    """Return 1/c² + 1/(c+a+b)² - 1/(c+a)² - 1/(c+b)²."""
    ca, cb, cab = c + a, c + b, c + a + b
    inverses = 1.0 / c + 1.0 / cab + 1.0 / ca + 1.0 / cb
    return (a / c) * (b / cab) * ((c + cab) * inverses - 2.0) / (ca * cb)


def _bent(x: float) -> float:
    """Return F(x) + x - ½ ln 2π - ½, which stays of the size of ln x."""
    if x < ASYMPTOTIC:
        return math.lgamma(x) - x * float(digamma(x)) + x - 0.5 * math.log(2.0 * math.pi) - 0.5
    return _tail(x, STIRLING, 0) * x - 0.5 * math.log(x)


def _tail(x: float, coefficients: tuple[float, ...], start: int) -> float:
    """Sum coefficient_k / x^2k over k > start, k counted from 1."""
    inverse_square = 1.0 / (x * x)
    total = 0.0
    for coefficient in reversed(coefficients[start:]):
        total = total * inverse_square + coefficient
    return total * inverse_square ** (start + 1)
