"""What families of d independent, identically distributed pairs (X_i, Y_i) share.

Their mutual information and its pointwise variance are d times those of one pair, so that a
subclass describes one pair only.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from mistdata.distributions.base import MI, JointDistribution, Shape
from mistdata.distributions.priors import Array

# twice the greatest relative error of a number stored in single precision
SINGLE = 2.0**-23


class Coordinatewise(JointDistribution):
    """d independent pairs (X_i, Y_i) of one law: I(X;Y) = d I(X_1;Y_1)."""

    shape: ClassVar = Shape(equal=True)

    @abstractmethod
    def _pair_information(self) -> MI:
        """Compute I(X_1;Y_1)."""

    @abstractmethod
    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Compute the pointwise mutual information of pairs, elementwise."""

    def _mutual_information(self) -> MI:
        pair, d = self._pair_information(), self.dim_x
        std = None if pair.pmi_std is None else math.sqrt(d) * pair.pmi_std
        if pair.method == "closed_form":
            special = pair.error_kind == "special_function"
            return MI.closed_form(d * pair.value, std, special=special)
        return MI(d * pair.value, d * pair.error, pair.method, pair.error_kind, std)

    def _pointwise(self, x: Array, y: Array) -> Array:
        total: Array = self._pair_pointwise(x, y).sum(axis=1)
        return total


def least_information(dim: int) -> float:
    """Return the least nats of one of `dim` pairs that the priors aim at: 0.02 in total."""
    return 0.02 / dim


def most_information(dim: int) -> float:
    """Return the most nats of one of `dim` pairs that the priors aim at.

    3 nats of a single pair, 12 of 64 pairs together.
    """
    return 3.0 * math.pow(dim, -2.0 / 3.0)


def gaussian_ratio(information: float) -> float:
    """Return σ_signal/σ_noise of a Gaussian channel with I = ½ ln(1 + σ_signal²/σ_noise²)."""
    return math.sqrt(math.expm1(2.0 * information))


def rounding(x: Array, y: Array) -> Array:
    """Return how far single precision may have moved y - x, with a factor of two to spare."""
    return SINGLE * (np.abs(x) + np.abs(y))
