"""Small random networks, the nonlinear ingredient of maps."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mistdata.distributions.priors import Array


def sigmoid(t: Array) -> Array:
    """Return σ(t) = t/√(1 + t²), in [-1, 1]: faster than tanh, and the same on every machine."""
    root = t * t
    root += 1.0
    np.sqrt(root, out=root)
    result: Array = np.divide(t, root, out=root)
    return result


class Network(NamedTuple):
    """h(x) = C σ(A x + b), σ(t) = t/√(1 + t²): smooth and bounded.

    Attributes:
        weights: Aᵀ, of shape (inputs, units).
        offsets: b, of shape (units,).
        mixture: Cᵀ, of shape (units, outputs).
    """

    weights: Array
    offsets: Array
    mixture: Array

    @classmethod
    def draw(
        cls, inputs: int, outputs: int, gain: float, rng: np.random.Generator, units: int = 16
    ) -> Network:
        """Draw a network: rows of A of mean square length `gain`, outputs of about unit size."""
        return cls(
            rng.standard_normal((inputs, units)) * (gain / math.sqrt(inputs)),
            rng.uniform(-gain, gain, units),
            rng.standard_normal((units, outputs)) / math.sqrt(units),
        )

    def __call__(self, values: Array) -> Array:
        """Evaluate h for every row."""
        hidden = values @ self.weights
        hidden += self.offsets
        result: Array = sigmoid(hidden) @ self.mixture
        return result
