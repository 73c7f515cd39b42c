"""Our own network as a baseline beside the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mistdata import __version__
from mistdata.baselines.answer import Answer, as_answer, distribution_answer
from mistdata.distributions.priors import Array

if TYPE_CHECKING:
    from mistdata.estimator import Estimator


class Network:
    """The learned estimator: the median, and the quantiles it was trained to give.

    Args:
        checkpoint: a path, or the name of a network that comes with mistdata.

    Raises:
        MissingExtra: torch is not installed.
        ValueError: it is not a checkpoint.
    """

    def __init__(self, *, checkpoint: str) -> None:
        from mistdata.estimator.estimate import REVISION, Estimator

        self._estimator = Estimator.load(checkpoint)
        weights = _digest(self._estimator)[:12]
        self.version = f"{__version__}, revision {REVISION}, weights {weights}"

    def __call__(self, x: Array, y: Array) -> Answer:
        """Estimate from x (n, dim_x) and y (n, dim_y)."""
        return as_answer(self._estimator(x, y))

    def median(self, x: Array, y: Array) -> float:
        """The median alone, in nats."""
        return self._estimator.estimate(x, y)


def network_bootstrap(
    *, checkpoint: str = "small", resamples: int = 50
) -> Callable[[Array, Array, np.random.Generator], Answer]:
    """The median with percentile-bootstrap quantiles, beside those that the network gives itself.

    As for `ksg-bootstrap`, a resample is read without its repeated rows, about 63 % of n.

    Args:
        checkpoint: a path, or the name of a network that comes with mistdata.
        resamples: at least 2.

    Returns:
        The estimator; its number is the median on all rows.

    Raises:
        ValueError: it is not a checkpoint, or fewer than 2 resamples.
    """
    if resamples < 2:
        raise ValueError(f"resamples must be at least 2, got {resamples}")
    network = Network(checkpoint=checkpoint)

    def estimate(x: Array, y: Array, rng: np.random.Generator) -> Answer:
        drawn = (np.unique(rng.integers(0, len(x), len(x))) for _ in range(resamples))
        draws = np.array([network.median(x[rows], y[rows]) for rows in drawn])
        return distribution_answer(network.median(x, y), draws)

    estimate.version = network.version  # type: ignore[attr-defined]
    return estimate


def _digest(estimator: Estimator) -> str:
    """Hash the weights, wherever they lie."""
    digest = hashlib.sha256()
    tensors = estimator.network.state_dict() | {"offsets": estimator.network.offsets}
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
