"""The estimator: a network that reads a sample and gives quantiles of its mutual information.

It knows nothing of stores. `Estimator.load(folder)(x, y)` is all that a user needs; training uses
`Network` and `pinball`. Needs torch and safetensors: `pip install mistdata[estimator]`.
"""

from mistdata.errors import MissingExtra

try:
    import safetensors as _safetensors  # noqa: F401 - is it there?
    import torch as _torch  # noqa: F401 - is it there?
except ModuleNotFoundError:
    raise MissingExtra(
        "the estimator needs torch and safetensors: pip install 'mistdata[estimator]'"
    ) from None

from mistdata.estimator.checkpoint import Training, load_network
from mistdata.estimator.config import CONFIGS, NetworkConfig
from mistdata.estimator.estimate import Estimator
from mistdata.estimator.network import Network
from mistdata.estimator.quantiles import pinball, stabilise
from mistdata.estimator.result import Estimate

__all__ = [
    "CONFIGS",
    "Estimate",
    "Estimator",
    "Network",
    "NetworkConfig",
    "Training",
    "load_network",
    "pinball",
    "stabilise",
]
