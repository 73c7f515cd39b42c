"""Information about L in L + ln|N|, where N ~ N(0, 1) is independent of L.

The trapezoid on a common grid turns the density of the sum into a convolution. All densities are
analytic, so that the error falls exponentially with the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mistdata.distributions.base import MI
from mistdata.distributions.priors import Array

Span = tuple[float, float]


def information_under_noise(log_signal: Callable[[Array], Array], span: Span, step: float) -> MI:
    """Return I(L; L + ln|N|), N ~ N(0, 1), by the trapezoid.

    Args:
        log_signal: the log-density of L.
        span: where it is above e⁻⁴⁵ of its maximum.
        step: first step of the grid; it is halved once.
    """
    coarse, _, _ = _on_grid(log_signal, span, step)
    value, square, mass = _on_grid(log_signal, span, 0.5 * step)
    error = abs(value - coarse) + 16.0 * abs(mass - 1.0) + 1e-14
    std = math.sqrt(max(square - value * value, 0.0))
    return MI(max(value, 0.0), error, "quadrature", "quad_halving", std)


def _on_grid(
    log_signal: Callable[[Array], Array], span: Span, step: float
) -> tuple[float, float, float]:
    """Return the trapezoidal mean and mean square of the pointwise MI, and the mass."""
    signal = step * np.exp(log_signal(grid(span, step)))
    v = grid((-45.0, 2.4), step)
    log_noise = 0.5 * math.log(2.0 / math.pi) + v - 0.5 * np.exp(2.0 * v) + math.log(step)
    noise = np.exp(log_noise)
    total = np.convolve(signal, noise)
    log_total = np.log(total)
    value = float(noise @ log_noise - total @ log_total)
    cross = float(noise * log_noise @ np.correlate(log_total, signal, "valid"))
    square = float(noise @ log_noise**2 + total @ log_total**2) - 2.0 * cross
    return value, square, float(total.sum())


def grid(span: Span, step: float) -> Array:
    """Return the multiples of the step that cover the span."""
    return step * np.arange(math.floor(span[0] / step), math.ceil(span[1] / step) + 1)
