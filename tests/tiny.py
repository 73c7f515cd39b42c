"""A tiny network with random weights: enough to test what is done with its answers."""

import torch

from mistdata.estimator import Estimator, Network, NetworkConfig, Training

TINY = NetworkConfig(cell=4, cell_hidden=8, pair=8, blocks=1, metrics=1, bandwidths=2, row=8)


def tiny_estimator(n=(20, 500), dim=(1, 4), mi=(0.0, 100.0), rate=(0.0, 100.0)):
    """Return an estimator that claims to be trained on these ranges."""
    torch.manual_seed(0)
    network = Network(TINY).eval().requires_grad_(False)
    return Estimator(network, Training(n=n, dim=dim, mi=mi, rate=rate))
