"""The estimator: a network that reads a sample and gives quantiles of its mutual information.

It knows nothing of stores. `Estimator.load(folder)(x, y)` is all that a user needs; training uses
`PairStream` and `pinball`. Needs torch and safetensors: `pip install mistdata[estimator]`.
"""

from mistdata.estimator.checkpoint import Training, load_network
from mistdata.estimator.estimate import Estimate, Estimator
from mistdata.estimator.network import CONFIGS, NetworkConfig, PairStream
from mistdata.estimator.quantiles import pinball, stabilise

__all__ = [
    "CONFIGS",
    "Estimate",
    "Estimator",
    "NetworkConfig",
    "PairStream",
    "Training",
    "load_network",
    "pinball",
    "stabilise",
]
