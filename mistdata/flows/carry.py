"""One side of a sample, carried to a modality and back.

    x  →  z = (g(x), ε)  →  f(z)  →  stored in single precision

g is the injection of the member's side (`mistdata.distributions.injections`), ε are independent
N(0, 1) coordinates where the flow f has more latents than g gives. Mutual information is that of
x: g and f are injective, and ε is independent of everything else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mistdata.distributions.injections import Injection
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.flows.flow import Flow

_ROWS = 1024  # of a block: what a cache holds of a layer


class Carrier:
    """Carries rows of one side.

    Args:
        injection: of the member's side.
        flow: in float64.

    Raises:
        MistdataError: the side has more latents than the flow.
    """

    def __init__(self, injection: Injection, flow: Flow) -> None:
        if injection.dim > flow.dim:
            raise MistdataError(
                f"a side of {injection.dim} latent columns does not fit a flow of {flow.dim};"
                f" choose datasets of at most {flow.dim} columns a side, or fit a larger flow"
            )
        self.injection, self.flow = injection, flow

    def latents(self, values: Array, rng: np.random.Generator) -> Array:
        """Return what the flow is given for rows (n, d) of the member: (n, flow.dim) float64."""
        nuisance = rng.standard_normal((len(values), self.flow.dim - self.injection.dim))
        return np.concatenate([self.injection.forward(values), nuisance], axis=1)

    def values(self, latents: Array) -> Array:
        """Return the rows of the member behind latents."""
        return self.injection.inverse(latents[:, : self.injection.dim])


def to_modality(flow: Flow, latents: Array, dtype: str = "float32") -> Array:
    """Map latents (n, dim) to rows as they are stored, flat: (n, columns)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _in_blocks(lambda part: flow.decode(part).reshape(len(part), -1), latents, dtype)


def from_modality(flow: Flow, stored: Array) -> Array:
    """Recover latents (n, dim) from rows as they are stored."""

    def back(part: Array) -> Array:
        return flow.encode(part.astype(np.float64).reshape(len(part), *flow.shape))

    return _in_blocks(back, stored, "float64")


def _in_blocks(way: Callable[[Array], Array], rows: Array, dtype: str) -> Array:
    """Map rows in blocks of one size, whatever datasets they belong to; a short one is padded.

    Matrix products may differ in the last bit between blocks of different sizes, so every row is
    computed in a block of the same shape.
    """
    parts = []
    for first in range(0, len(rows), _ROWS):
        part = rows[first : first + _ROWS]
        padding = np.repeat(part[-1:], _ROWS - len(part), axis=0)
        parts.append(way(np.concatenate([part, padding]))[: len(part)].astype(dtype))
    return np.concatenate(parts)
