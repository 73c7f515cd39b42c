"""How good the quantiles are on held-out datasets, beside two predictors that see labels only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from mistdata.estimator import Network, pinball
from mistdata.store.dataset import MetaDataset
from train.loader import LADDER, Loader, Position, shapes
from train.reference import Reference


class Scores(NamedTuple):
    """Held-out figures; losses in nats, averaged over datasets."""

    pinball: float
    mse: float  # of the median, nats²
    r2: float  # of the median
    coverage: float  # of the 90 % interval

    def __str__(self) -> str:
        """One line of a table."""
        return (
            f"pinball {self.pinball:7.4f}  MSE {self.mse:7.4f} nats²  "
            f"R² {self.r2:6.3f}  covered {self.coverage:6.1%}"
        )


def score(quantiles: np.ndarray, mi: np.ndarray, levels: tuple[float, ...]) -> Scores:
    """Compare quantiles with true values.

    Args:
        quantiles: (datasets, levels) in nats.
        mi: (datasets,) in nats.
        levels: with 0.05, 0.5 and 0.95 among them.

    Returns:
        The figures.
    """
    median = quantiles[:, levels.index(0.5)]
    squares = float(np.mean((median - mi) ** 2))
    grid = torch.tensor(levels, dtype=torch.float64)
    loss = pinball(torch.tensor(quantiles), torch.tensor(mi), grid)
    low, high = levels.index(0.05), levels.index(0.95)
    inside = (quantiles[:, low] <= mi) & (mi <= quantiles[:, high])
    variance = float(np.var(mi))
    r2 = 1 - squares / variance if variance > 0 else float("nan")
    return Scores(float(loss), squares, r2, float(inside.mean()))


def predict(
    network: Network | Reference, store: MetaDataset, *, prep: str = "rank", cells: int = 1 << 17
) -> np.ndarray:
    """Quantiles of every dataset of a store, n cut down to the loader's ladder, no further.

    Args:
        network: on any device.
        store: the datasets.
        prep: preparation of the cells.
        cells: most cells in a batch.

    Returns:
        (datasets, levels) in nats, in the store's order.
    """
    device = network.levels.device
    answer = np.empty((len(store), len(network.config.levels)))
    with torch.inference_mode():
        for members, part in rungs_of(store):
            for batch in Loader(part, Position(0), batch_size=16, cells=cells).epoch():
                values = batch.values.to(device)
                quantiles = network(values, batch.dim_x, prep=prep, strict=False)
                answer[members[batch.ids]] = quantiles.double().cpu().numpy()
    return answer


def rungs_of(store: MetaDataset) -> Iterator[tuple[np.ndarray, MetaDataset]]:
    """Divide a store by the rungs of the ladder, so that no batch is cut to a lower one.

    Args:
        store: the datasets.

    Returns:
        Of every rung that occurs: the positions of its datasets, and these.
    """
    edges = LADDER[1:]
    rungs = np.searchsorted(edges, store.column("n"), side="right")
    for rung in np.unique(rungs):
        low = f"n >= {edges[rung - 1]}" if rung else "true"
        high = f"n < {edges[rung]}" if rung < len(edges) else "true"
        yield np.flatnonzero(rungs == rung), store.where(f"{low} and {high}")


def constant(train: MetaDataset, held_out: MetaDataset, levels: tuple[float, ...]) -> np.ndarray:
    """Predict the quantiles of all training labels, whatever the dataset."""
    quantiles = np.quantile(train.column("mi"), levels)
    return np.tile(quantiles, (len(held_out), 1))


def by_shape(train: MetaDataset, held_out: MetaDataset, levels: tuple[float, ...]) -> np.ndarray:
    """Predict the quantiles of the training labels of similar shape.

    Similar: the same octave of n and of dim_x · dim_y. A bucket of fewer than 20 training labels
    falls back on all of them.

    Args:
        train: gives the labels.
        held_out: to predict; only shapes are looked at.
        levels: of the quantiles.

    Returns:
        (held-out datasets, levels) in nats.
    """
    answer = constant(train, held_out, levels)
    mi, known, asked = train.column("mi"), _buckets(train), _buckets(held_out)
    for bucket in np.unique(asked):
        labels = mi[known == bucket]
        if len(labels) >= 20:
            answer[asked == bucket] = np.quantile(labels, levels)
    return answer


def _buckets(store: MetaDataset) -> np.ndarray:
    n, dim_x, dim_y = shapes(store)
    return np.frexp(n)[1] * 64 + np.frexp(dim_x * dim_y)[1]


def compare(
    network: Network | Reference, train: MetaDataset, held_out: MetaDataset
) -> dict[str, Scores]:
    """Score the network beside the two predictors that see training labels only."""
    levels = network.config.levels
    mi = held_out.column("mi")
    return {
        "constant": score(constant(train, held_out, levels), mi, levels),
        "by shape": score(by_shape(train, held_out, levels), mi, levels),
        "network": score(predict(network, held_out), mi, levels),
    }
