"""The networks that can be fitted: ours in its sizes, and the published one beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from mistdata import estimator
from mistdata.estimator import Estimate, Network, NetworkConfig
from mistdata.estimator.checkpoint import KINDS, digest_of, load_network
from mistdata.estimator.evaluate import quantiles_of
from mistdata.estimator.sample import join, read_sides
from train import reference
from train.reference import Reference, ReferenceConfig

LEVEL = 0.9  # of the interval beside the quantiles
CONFIGS: Mapping[str, NetworkConfig | ReferenceConfig] = {
    **estimator.CONFIGS,
    reference.KIND: ReferenceConfig(),
}
# Settings of a fit that differ from the defaults, by name of the config.
SETTINGS: Mapping[str, dict[str, Any]] = {reference.KIND: reference.SETTINGS}

# `load_network`, for the fit of any network.
open_network = partial(
    load_network,
    kinds={**KINDS, reference.KIND: lambda record: Reference(ReferenceConfig.from_json(record))},
)


def build(config: NetworkConfig | ReferenceConfig) -> Network | Reference:
    """Return a network with random weights, from torch's global generator.

    Args:
        config: its widths, which decide what kind it is.
    """
    return Reference(config) if isinstance(config, ReferenceConfig) else Network(config)


class Fitted:
    """The fit of any network as an estimator of `mistdata benchmark`, and nothing beside it.

    `mistdata.estimate` also counts tables and asks nearest neighbours; here every dataset is the
    network's alone, so that two networks are compared.

    Args:
        checkpoint: folder of the fit, or its file of weights.

    Raises:
        ValueError: it holds no weights.

    Example:
        mistdata benchmark train.networks:Fitted STORE --options checkpoint=DIR
    """

    def __init__(self, *, checkpoint: str) -> None:
        self.network, self.training = open_network(checkpoint)
        self.version = f"weights {digest_of(checkpoint)[:12]}"

    def __call__(self, x: np.ndarray, y: np.ndarray) -> Estimate:
        """Estimate from x (n, dim_x) and y (n, dim_y)."""
        sample = join(*read_sides(x, y))
        levels = self.network.config.levels
        (row,) = quantiles_of(self.network, [sample], most=self.training.n[1])
        return Estimate.of_quantiles(levels, row.tolist(), level=LEVEL, units="nats", n=len(x))
