"""Unit vectors about a direction: moments and sampling of the cosine of the von Mises-Fisher law.

On the sphere in R^d the cosine w to the mean direction has a density ∝ e^(κw) (1-w²)^((d-3)/2).
"""

from __future__ import annotations

import math

import numpy as np

from mistdata.distributions.priors import Array


def unit(rows: Array) -> Array:
    """Scale rows to length 1."""
    scaled: Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def moments(kappa: float, dim: int) -> tuple[float, float, float]:
    """Return M(κ), the mean M' and the variance M'' of the cosine XᵀY.

    ₀F₁(; d/2; κ²/4) = Σ_k t_k has positive terms; with probabilities ∝ t_k, κM' = 2E[k] and
    κ²M'' + κM' = 4Var(k).
    """
    half, quarter = 0.5 * dim, 0.25 * kappa * kappa
    # t_(k+1)/t_k falls below 1 here, and Var(k) is below it
    peak = max(0.5 * (math.sqrt((half - 1.0) ** 2 + kappa * kappa) - half - 1.0), 0.0)
    top = int(peak)
    k = np.arange(int(peak + 12.0 * math.sqrt(peak)) + 42)
    steps = np.log(quarter / ((half + k) * (k + 1.0)))
    log_terms = np.zeros(len(k))  # of t_k/t_top, summed from there on to keep the digits
    log_terms[top + 1 :] = np.cumsum(steps[top:-1])
    log_terms[:top] = -np.cumsum(steps[:top][::-1])[::-1]
    terms = np.exp(log_terms)
    total = float(terms.sum())
    p = terms / total
    mean = float(p @ k)
    variance = float(p @ (k - mean) ** 2)
    spread = max(4.0 * variance - 2.0 * mean, 0.0) / (kappa * kappa)
    return math.fsum(steps[:top]) + math.log(total), 2.0 * mean / kappa, spread


def cosine(kappa: float, dim: int, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the cosine of the angle between Y and X, and its sine, by Wood's rejection."""
    b = (dim - 1.0) / (2.0 * kappa + math.hypot(2.0 * kappa, dim - 1.0))
    x_0 = (1.0 - b) / (1.0 + b)
    constant = kappa * x_0 + (dim - 1.0) * math.log(4.0 * b / (1.0 + b) ** 2)
    along, across = np.empty(n), np.empty(n)
    missing = np.arange(n)
    while len(missing):
        z = rng.beta(0.5 * (dim - 1.0), 0.5 * (dim - 1.0), len(missing))
        below = 1.0 - (1.0 - b) * z
        w = (1.0 - (1.0 + b) * z) / below
        log_ratio = kappa * w + (dim - 1.0) * np.log(1.0 - x_0 * w) - constant
        kept = log_ratio >= -rng.standard_exponential(len(missing))
        along[missing[kept]] = w[kept]
        # 1 - w² = 4bz(1-z)/(1-(1-b)z)²
        across[missing[kept]] = 2.0 * np.sqrt(b * z[kept] * (1.0 - z[kept])) / below[kept]
        missing = missing[~kept]
    return along, across
