"""A normal distribution of the information, cut at 0: what is known without the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mistdata.estimator.columns import Array


def deviates(levels: Sequence[float]) -> Array:
    """Return the quantiles of the standard normal distribution: (levels,)."""
    at = torch.tensor(levels, dtype=torch.float64, device="cpu")
    found: Array = torch.special.ndtri(at).numpy()
    return found


class Normal(NamedTuple):
    """The information is max(0, N(value, error²)), in nats.

    Attributes:
        value: the estimate; it may be negative.
        error: its standard error, and whatever else is not known of it.
    """

    value: float
    error: float

    def quantiles(self, levels: Sequence[float]) -> Array:
        """Return the quantiles max(0, value + z error): (levels,)."""
        return np.asarray(np.maximum(0.0, self.value + self.error * deviates(levels)))

    def raised(self, levels: Sequence[float], quantiles: Array) -> Array:
        """Raise the median and what lies above to these quantiles.

        Lower ones stay, so that the interval holds both opinions.

        Args:
            levels: of the quantiles.
            quantiles: of the network, (levels,) in nats.

        Returns:
            (levels,), non-decreasing.
        """
        higher = np.maximum(quantiles, self.quantiles(levels))
        return np.where(np.array(levels) >= 0.5, higher, quantiles)
