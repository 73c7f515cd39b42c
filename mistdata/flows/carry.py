"""One side of a sample, carried to a modality and back.

    x  →  z = (g(x), ε)  →  f(z)  →  stored in single precision

g is the injection of the member's side (`mistdata.distributions.injections`), ε are independent
N(0, 1) coordinates where the flow f has more latents than g gives. Mutual information is that of
x: g and f are injective, and ε is independent of everything else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mistdata.distributions.injections import Injection
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.flows.flow import Flow


class Carried(NamedTuple):
    """Rows on their way.

    Attributes:
        stored: (n, columns) of the dtype that is stored.
        latents: (n, dim) float64, what the flow was given.
    """

    stored: Array
    latents: Array


class Recovered(NamedTuple):
    """What is recovered from stored rows.

    Attributes:
        values: (n, d) rows of the member.
        latents: (n, dim) of the flow.
    """

    values: Array
    latents: Array


class Carrier:
    """Carries rows of one side.

    Args:
        injection: of the member's side.
        flow: in float64.
        dtype: of what is stored.

    Raises:
        MistdataError: the side has more latents than the flow.
    """

    def __init__(self, injection: Injection, flow: Flow, dtype: str = "float32") -> None:
        if injection.dim > flow.dim:
            raise MistdataError(
                f"a side of {injection.dim} columns does not fit a flow of {flow.dim}; choose"
                f" datasets with at most {flow.dim} columns a side, or a larger flow"
            )
        self.injection, self.flow, self.dtype = injection, flow, dtype

    def carry(self, values: Array, rng: np.random.Generator) -> Carried:
        """Carry rows to the modality.

        Args:
            values: (n, d) of the member.
            rng: source of the nuisance coordinates.
        """
        nuisance = rng.standard_normal((len(values), self.flow.dim - self.injection.dim))
        latents = np.concatenate([self.injection.forward(values), nuisance], axis=1)
        rows = self.flow.decode(latents).reshape(len(values), -1)
        with np.errstate(over="ignore"):
            stored = rows.astype(self.dtype)
        return Carried(stored, latents)

    def recover(self, stored: Array) -> Recovered:
        """Bring stored rows back."""
        rows = np.asarray(stored, np.float64).reshape(len(stored), *self.flow.shape)
        latents = self.flow.encode(rows)
        return Recovered(self.injection.inverse(latents[:, : self.injection.dim]), latents)
