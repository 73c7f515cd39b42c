"""From two arrays to one number, an honest interval, and a warning when out of range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from mistdata.estimator.checkpoint import Training, load_network
from mistdata.estimator.network import PairStream


@dataclass(frozen=True)
class Estimate:
    """Mutual information of one sample, in nats.

    The interval is read off the network's quantiles: 90 % of the datasets that look like this one
    *in the training store* have their true value within it. It is not a confidence interval for a
    fixed distribution.

    Args:
        mi: the median.
        lower: the lowest level, 5 % unless the network was trained otherwise.
        upper: the highest level, 95 % unless the network was trained otherwise.
        levels: of the quantiles.
        quantiles: at these levels.
        warnings: one sentence for each way in which the sample lies outside the training store.
    """

    mi: float
    lower: float
    upper: float
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    warnings: tuple[str, ...] = ()


class Estimator:
    """A trained network, ready to estimate.

    Args:
        network: in evaluation mode.
        training: what it was trained on.

    Example:
        >>> estimator = Estimator.load("checkpoint")        # doctest: +SKIP
        >>> estimator(x, y).mi                              # doctest: +SKIP
        0.4821
    """

    def __init__(self, network: PairStream, training: Training) -> None:
        self.network, self.training = network, training

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Open a checkpoint folder.

        Args:
            folder: holds `config.json` and `weights.safetensors`.

        Raises:
            ValueError: if it is not a checkpoint.
        """
        return cls(*load_network(folder))

    def __call__(self, x: np.ndarray, y: np.ndarray) -> Estimate:
        """Estimate the mutual information of X and Y from n joint rows.

        Args:
            x: (n, dim_x), or (n,) for one column.
            y: (n, dim_y), or (n,) for one column; row i belongs to row i of x.

        Raises:
            ValueError: on unequal n, n < 8, cells that are not finite, or a constant column.
        """
        x, y = _columns(x, "x"), _columns(y, "y")
        if len(x) != len(y):
            raise ValueError(f"x and y must have the same number of rows, got {len(x)}, {len(y)}")
        # float64: rounding to float32 would tie, and so reorder, nearly equal cells.
        values = torch.from_numpy(np.concatenate([x, y], axis=1)).unsqueeze(0)
        with torch.inference_mode():
            quantiles = self.network(values, x.shape[1])[0].double().tolist()
        levels = self.network.config.levels
        return Estimate(
            mi=quantiles[levels.index(0.5)],
            lower=quantiles[0],
            upper=quantiles[-1],
            levels=levels,
            quantiles=tuple(quantiles),
            warnings=tuple(self._warnings(len(x), x.shape[1], y.shape[1], quantiles[-1])),
        )

    def _warnings(self, n: int, dim_x: int, dim_y: int, upper: float) -> list[str]:
        known = self.training
        found = [("n", n, known.n), ("dim_x", dim_x, known.dim), ("dim_y", dim_y, known.dim)]
        said = [
            f"{name} = {value} lies outside the training range {low}..{high}"
            for name, value, (low, high) in found
            if not low <= value <= high
        ]
        if upper > known.mi[1]:
            said.append(f"the interval exceeds the largest trained value, {known.mi[1]:.2f} nats")
        return said


def _columns(array: np.ndarray, name: str) -> np.ndarray:
    columns = np.asarray(array, dtype=np.float64)
    if columns.ndim == 1:
        columns = columns[:, None]
    if columns.ndim != 2 or not columns.shape[1]:
        raise ValueError(f"{name} must be (n, columns), got {np.shape(array)}")
    return columns
