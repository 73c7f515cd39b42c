"""Our own network as a baseline beside the others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mistdata import __version__
from mistdata.baselines.answer import Answer, as_answer
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError

if TYPE_CHECKING:
    from mistdata.estimator import Estimator


class Network:
    """The learned estimator: the median, and the quantiles it was trained to give.

    Args:
        checkpoint: a path, or the name of a network that comes with mistdata.

    Raises:
        MistdataError: torch is not installed.
        ValueError: it is not a checkpoint.
    """

    def __init__(self, *, checkpoint: str) -> None:
        try:
            from mistdata.estimator import Estimator
        except ImportError:
            raise MistdataError(
                f"{checkpoint}: the network needs the extra mistdata[estimator]; install it"
            ) from None
        self._estimator = Estimator.load(checkpoint)
        self.version = f"{__version__}, weights {_digest(self._estimator)[:12]}"

    def __call__(self, x: Array, y: Array) -> Answer:
        """Estimate from x (n, dim_x) and y (n, dim_y)."""
        return as_answer(self._estimator(x, y))


def _digest(estimator: Estimator) -> str:
    """Hash the weights, wherever they lie."""
    digest = hashlib.sha256()
    for name, tensor in sorted(estimator.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
