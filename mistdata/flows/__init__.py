"""Normalizing flows fitted to a modality: injective maps that carry X or Y to it.

A *flow* maps latent rows z ~ N(0, I) to rows that look like the modality: images, embeddings,
rows of a table. It is injective, so that the mutual information of what goes in is that of what
comes out.

Two nouns: a `Modality` is data to look like, a `Flow` is the map. Needs torch, safetensors and
normflows: `pip install 'mistdata[flows]'`.
"""

from __future__ import annotations

from mistdata.errors import MissingExtra

try:
    import torch as _torch  # noqa: F401 - is it there?
except ModuleNotFoundError:
    raise MissingExtra(
        "flows need torch, safetensors and normflows: pip install 'mistdata[flows]'"
    ) from None

from mistdata.flows.fit import FitSettings, fit_flow
from mistdata.flows.flow import Flow, load_flow
from mistdata.flows.modality import Modality, read_modality

__all__ = ["FitSettings", "Flow", "Modality", "fit_flow", "load_flow", "read_modality"]
