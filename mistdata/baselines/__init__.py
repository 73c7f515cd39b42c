"""Estimators to compare with, from the one that knows nothing to the one that knows the density.

`BASELINES` maps a name to what builds the estimator from its options. An estimator is called with
x (n, dim_x) and y (n, dim_y), float32, and, if it has parameters of these names, with `rng`, a
generator of its own for every dataset, and `row`, the dataset's row of the catalog, truth
included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mistdata.baselines.answer import Answer, as_answer
from mistdata.baselines.gaussian import cca, gaussian_copula
from mistdata.baselines.neighbours import ksg, ksg_bootstrap
from mistdata.baselines.network import Network, network_bootstrap
from mistdata.baselines.reference import Mean, oracle

BASELINES: Mapping[str, Callable[..., Callable[..., Any]]] = {
    "mean": Mean,
    "cca": cca,
    "gaussian-copula": gaussian_copula,
    "ksg": ksg,
    "ksg-3": lambda: ksg(k=3),
    "ksg-5": lambda: ksg(k=5),
    "ksg-10": lambda: ksg(k=10),
    "ksg-bootstrap": ksg_bootstrap,
    "small": lambda: Network(checkpoint="small"),
    "base": lambda: Network(checkpoint="base"),
    "network-bootstrap": network_bootstrap,
    "oracle": oracle,
}

__all__ = ["BASELINES", "Answer", "Network", "as_answer"]
