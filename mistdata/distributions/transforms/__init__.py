"""Injective maps of X alone or of Y alone: `TRANSFORMS` maps a catalog name to its class.

    coordinatewise  every column by itself, monotone
    mixing          permutations, rotations, matrices, coupling layers
    bending         spirals, swirls and radial stretches
    embeddings      into more columns

Every module lists its own in a tuple `TRANSFORMS`.
"""

from mistdata.distributions.transforms import bending, coordinatewise, embeddings, mixing
from mistdata.distributions.transforms.base import Side, Transform

TRANSFORMS: dict[str, type[Transform]] = {
    kind.name: kind
    for module in (coordinatewise, mixing, bending, embeddings)
    for kind in module.TRANSFORMS
}

__all__ = ["TRANSFORMS", "Side", "Transform"]
