"""Predictors that bound the others: one knows nothing of the sample, one knows its density."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mistdata import __version__
from mistdata.baselines.answer import Answer, distribution_answer
from mistdata.distributions.combine import rebuild
from mistdata.distributions.priors import Array
from mistdata.store.dataset import MetaDataset, open_store

_TRAIN = "train"


class Mean:
    """Predict one number, whatever the sample.

    Args:
        value: the number, nats.
        store: or the mean of this store's labels, of its split `train` if it has one; then the
            quantiles of these labels are predicted as well.

    Raises:
        ValueError: neither or both are given.
        NotAStore: there is no such store.
    """

    def __init__(self, *, value: float | None = None, store: str | None = None) -> None:
        if (value is None) == (store is None):
            raise ValueError(
                "give either value=NATS or store=STORE, whose mean label is predicted"
            )
        self.version = __version__
        if store is None:
            self.answer = Answer(float(value or 0.0))
            return
        opened = open_store(Path(store))
        labels = _labels(opened)
        self.version += f", labels of {opened.digest[:12]}"
        self.answer = distribution_answer(float(labels.mean()), labels)

    def __call__(self, x: Array, y: Array) -> Answer:
        """Return the number."""
        return self.answer


def oracle() -> Callable[[Array, Array, Mapping[str, Any]], float]:
    """Average the true pointwise mutual information over the rows.

    Î = 1/n Σ_i ln p(x_i, y_i) / (p(x_i) p(y_i)), of the distribution that the catalog describes.
    It is unbiased with the standard error `oracle_se`: no estimator that sees the sample only can
    be expected to do better across distributions it does not know.

    Returns:
        The estimator: x (n, dim_x), y (n, dim_y) and the dataset's row of the catalog, to nats.
        It raises ValueError where the family has no density or the dataset went through a flow.
    """
    return pointwise_mean


def pointwise_mean(x: Array, y: Array, row: Mapping[str, Any]) -> float:
    """Return the mean of the true pointwise mutual information, see `oracle`; nats."""
    if row["flow_x"] is not None or row["flow_y"] is not None:
        raise ValueError("seen through a flow, of which the catalog knows no density")
    member = rebuild(row["family"], row["dim_x"], row["dim_y"], row["params"])
    if not member.has_density:
        raise ValueError(f"{row['family']}: no density")
    with np.errstate(divide="ignore", invalid="ignore"):  # outside the support: not finite
        return float(member.pointwise_mutual_information(x, y).mean())


def _labels(store: MetaDataset) -> Array:
    mi, split = store.column("mi"), store.column("split")
    return mi[split == _TRAIN] if (split == _TRAIN).any() else mi
