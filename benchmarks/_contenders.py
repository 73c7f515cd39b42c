"""What `benchmarks.estimate` times: our network, and what else estimates mutual information."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch

from benchmarks import rivals
from mistdata.baselines.neighbours import ksg
from mistdata.errors import MistdataError
from mistdata.estimator import CONFIGS, Estimator, Network, Training
from train.reference import Reference, ReferenceConfig

OURS, KSG, PUBLISHED, MINE = "mistdata", "KSG, k = 3", "published network", "MINE"
Contender = Callable[[np.ndarray, np.ndarray], object]
# What a network with random weights says it was trained on: everything that is measured here.
EVERYTHING = Training(n=(8, 10_000), dim=(1, 64), mi=(0.0, 100.0))


def open_ours(model: str) -> tuple[Estimator, str]:
    """Open a model, or one with random weights where no weights have that name.

    Args:
        model: as in `Estimator.load`, or the name of a config.

    Returns:
        The estimator, and what it is.

    Raises:
        ValueError: there is neither.
    """
    try:
        return Estimator.load(model), f"weights of {model}"
    except ValueError:
        if model not in CONFIGS:
            raise
    torch.manual_seed(0)
    network = Network(CONFIGS[model]).eval().requires_grad_(False)
    return Estimator(network, EVERYTHING), f"config {model}, random weights: none are shipped"


def published() -> Reference:
    """Return the published network with random weights, in evaluation mode."""
    torch.manual_seed(0)
    return Reference(ReferenceConfig()).eval().requires_grad_(False)


def contenders(ours: Estimator) -> dict[str, Contender]:
    """Return what estimates from x (n, dim_x) and y (n, dim_y), by name; MINE if it is there."""
    nearest, rng = ksg(k=3), np.random.default_rng(0)
    named: dict[str, Contender] = {
        OURS: ours,
        KSG: lambda x, y: nearest(x, y, rng),
        PUBLISHED: Estimator(published(), EVERYTHING),
    }
    return named | ({MINE: rivals.mine} if os.environ.get(rivals.VARIABLE) else {})


def missing() -> list[str]:
    """Say which rival was not measured, and how it can be.

    Raises:
        MistdataError: its environment is named, but is not there.
    """
    if not os.environ.get(rivals.VARIABLE):
        return [
            f"MINE was not measured: `python -m benchmarks.rivals FOLDER` builds its environment,"
            f" then set {rivals.VARIABLE}=FOLDER"
        ]
    try:
        rivals.mine(*gaussian((16, 1, 1)), max_n_steps=1)
    except RuntimeError as error:
        raise MistdataError(f"MINE does not answer: {error}") from error
    return []


def gaussian(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw a sample whose columns share one normal factor; float32.

    Args:
        shape: n, dim_x, dim_y.
    """
    n, dim_x, dim_y = shape
    rng = np.random.default_rng(shape)
    values = rng.standard_normal((n, dim_x + dim_y)) + rng.standard_normal((n, 1))
    return values[:, :dim_x].astype(np.float32), values[:, dim_x:].astype(np.float32)
