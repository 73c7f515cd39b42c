"""From two tables to one number, an honest interval, and a warning when out of range."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from mistdata.estimator.checkpoint import SHIPPED, Training, find_weights, load_network
from mistdata.estimator.columns import Kind
from mistdata.estimator.evaluate import parts_of, quantiles_of
from mistdata.estimator.neighbours import Opinion, second_opinion
from mistdata.estimator.network import QUERIES, Network
from mistdata.estimator.result import Estimate, Units, check_level, check_units, per_nat
from mistdata.estimator.sample import Missing, Sample, join, read_sides

# Raised where the same weights begin to answer otherwise, so that results tell them apart.
REVISION = 2


class Estimator:
    """A trained network, ready to estimate.

    Args:
        network: in evaluation mode.
        training: what it was trained on.

    Example:
        >>> estimator = Estimator.load("small")             # doctest: +SKIP
        >>> print(estimator(x, y))                          # doctest: +SKIP
        0.482 nats, 90 % interval 0.391 to 0.583 (300 rows)
    """

    def __init__(self, network: Network, training: Training) -> None:
        self.network, self.training = network, training

    @classmethod
    def load(cls, model: Path | str = "small") -> Self:
        """Open shipped weights, a file of weights, or the folder of a fit.

        Args:
            model: 'small' or 'base', or a path.

        Raises:
            ValueError: there are no weights, or they are damaged.
        """
        return cls(*load_network(model))

    def __call__(
        self,
        x: Any,
        y: Any,
        *,
        level: float = 0.9,
        units: Units = "nats",
        x_kind: Kind = "auto",
        y_kind: Kind = "auto",
        missing: Missing = "drop",
    ) -> Estimate:
        """Estimate the mutual information of X and Y from n joint rows; see `estimate`."""
        check_level(level, self.network.config.levels)
        check_units(units)
        sample = join(*read_sides(x, y, x_kind, y_kind), missing)
        return self.answers([sample], level=level, units=units, second=True)[0]

    def estimate(self, x: Any, y: Any) -> float:
        """Return the median in nats alone: the interface of the package `bmi`.

        Args:
            x: as in `estimate`.
            y: as in `estimate`.

        Raises:
            ValueError: as in `estimate`.

        Warns:
            UserWarning: for what `estimate` says in its warnings.
        """
        found = self(x, y)
        if found.warnings:
            warnings.warn("; ".join(found.warnings), UserWarning, stacklevel=2)
        return found.median

    def quantiles(self, x: Tensor, y: Tensor, *, prep: str = "rank") -> Tensor:
        """Return the network's quantiles as a tensor: to train through, or for many samples.

        Args:
            x: (n,), (n, dim_x) or (batch, n, dim_x); at most the trained number of rows is wise.
            y: likewise, with the rows of x.
            prep: 'rank' as everywhere else; 'soft' or 'affine' let gradients reach x and y.

        Returns:
            (levels,), or (batch, levels) of a batch, in nats; the levels are
            `network.config.levels`.

        Raises:
            ValueError: shapes that do not belong together, or cells that have no answer.

        Warns:
            UserWarning: rows or columns outside the trained range.
        """
        left, right = _batched(x, "x"), _batched(y, "y")
        if x.ndim == 3 != y.ndim or y.ndim == 3 != x.ndim or left.shape[:2] != right.shape[:2]:
            raise ValueError(
                f"x and y must agree in batch and rows, got {tuple(x.shape)} and {tuple(y.shape)}"
            )
        place = next(self.network.parameters()).device
        values = torch.cat([left.double(), right.double()], dim=2).to(place)
        said = self.training.outside(left.shape[1], left.shape[2], right.shape[2])
        if said:
            warnings.warn("; ".join(said), UserWarning, stacklevel=2)
        answer: Tensor = self.network(values, left.shape[2], prep=prep)
        return answer if x.ndim == 3 else answer[0]

    def answers(
        self,
        samples: Sequence[Sample],
        *,
        level: float,
        units: Units,
        queries: int = QUERIES,
        second: bool = False,
        advance: Callable[[int], None] | None = None,
    ) -> list[Estimate]:
        """Estimate many samples, those of equal shape in one pass.

        Args:
            samples: of any shapes.
            level: of the intervals.
            units: of the answers.
            queries: most rows that the row stream compares with all rows.
            second: ask nearest neighbours, too, where there are few columns.
            advance: is told how many samples are done.

        Raises:
            ValueError: the level or the units are not possible.
        """
        levels, most = self.network.config.levels, self.training.n[1]
        found = quantiles_of(self.network, samples, most=most, queries=queries, advance=advance)
        answers = []
        for sample, row in zip(samples, found, strict=True):
            other = second_opinion(sample.x, sample.y, levels, row) if second else None
            row = row if other is None else other.raised(levels, row)
            said = self._warnings(sample, float(row[-1]), units)
            said += [] if other is None else [_of_neighbours(other, units)]
            answers.append(
                Estimate.of_quantiles(
                    levels,
                    row.tolist(),
                    level=level,
                    units=units,
                    n=len(sample.x),
                    dropped=sample.dropped,
                    warnings=said,
                )
            )
        return answers

    def _warnings(self, sample: Sample, highest: float, units: Units) -> list[str]:
        """Say what the number does not: rows left out, parts, and values beyond the training."""
        known, n = self.training, len(sample.x)
        said = list(sample.notes)
        if sample.dropped:
            said.append(
                f"{sample.dropped} of {n + sample.dropped} rows have a missing value and were left"
                " out"
            )
        count = parts_of(n, known.n[1])
        if count > 1:
            said.append(
                f"n = {n} is more than the {known.n[1]} rows trained on: averaged over {count}"
                f" interleaved parts; the interval is that of one part of {n // count} rows, so"
                " rather too wide"
            )
        within = min(n, known.n[1])
        said += known.outside(within, sample.x.shape[1], sample.y.shape[1])
        smaller = min(sample.x.shape[1], sample.y.shape[1])
        limit = min(known.mi[1], known.rate[1] * smaller)
        if highest > limit:
            said.append(
                f"the highest quantile is beyond the largest trained value for these columns,"
                f" {limit * per_nat(units):.2f} {units}: take the answer as a lower bound"
            )
        return said


def _of_neighbours(other: Opinion, units: Units) -> str:
    value, error = other.value * per_nat(units), other.error * per_nat(units)
    return (
        f"nearest neighbours find {value:.2f} ± {error:.2f} {units}, clearly more than the"
        " network, which may not have learned such a pattern: the median and the quantiles above"
        " are raised to theirs, those below are the network's. Neighbours find rather too little,"
        " unless the rows depend on each other"
    )


def estimate(
    x: Any,
    y: Any,
    *,
    level: float = 0.9,
    units: Units = "nats",
    model: Estimator | Path | str = "small",
    x_kind: Kind = "auto",
    y_kind: Kind = "auto",
    missing: Missing = "drop",
) -> Estimate:
    """Estimate the mutual information of X and Y from n joint rows.

    Args:
        x: (n, dim_x), or (n,) for one column: NumPy array, torch tensor, pandas Series or
            DataFrame, list, or a mapping of names to columns.
        y: (n, dim_y) or (n,), likewise; row i belongs to row i of x.
        level: of the interval, as far as the network's quantiles reach (0.98 for shipped models).
        units: 'nats' or 'bits'.
        model: 'small', 'base', a path, or an `Estimator`.
        x_kind: 'auto' takes text and unordered pandas categories as categories without an order
            and everything else as numbers; 'numeric' refuses the former; 'category' takes every
            column of x as categories.
        y_kind: likewise for y.
        missing: 'drop' uses the rows complete in x and y, and says how many were left out;
            'raise' refuses missing values.

    Returns:
        Median, mean, interval, quantiles, and warnings where the sample is beyond the training.
        Of few columns nearest neighbours are asked, too, and may raise the upper half of the
        quantiles, see `docs/estimating.md`.

    Raises:
        ValueError: naming the column, on unequal numbers of rows or pandas indices, fewer than 8
            complete rows, infinite cells, a column that does not vary, more than 32 categories,
            or a wrong kind.

    Example:
        >>> import mistdata
        >>> print(mistdata.estimate(x, y, units="bits"))    # doctest: +SKIP
        0.695 bits, 90 % interval 0.564 to 0.841 (300 rows)
    """
    chosen = open_model(model)
    kinds: dict[str, Any] = {"x_kind": x_kind, "y_kind": y_kind}
    return chosen(x, y, level=level, units=units, missing=missing, **kinds)


def open_model(model: Estimator | Path | str) -> Estimator:
    """Return the estimator that is meant; shipped models are read once.

    Args:
        model: an estimator, 'small', 'base', or a path.

    Raises:
        ValueError: there is no such model.
    """
    if isinstance(model, Estimator):
        return model
    path = find_weights(model)
    return _read_once(path) if path.parent == SHIPPED else Estimator.load(path)


@cache
def _read_once(path: Path) -> Estimator:
    return Estimator.load(path)


def _batched(side: Tensor, name: str) -> Tensor:
    """Bring one side to (batch, n, columns)."""
    if side.ndim not in (1, 2, 3):
        shape = tuple(side.shape)
        raise ValueError(f"{name} must be (n,), (n, columns) or (batch, n, columns), got {shape}")
    columns = side.unsqueeze(1) if side.ndim == 1 else side
    return columns if columns.ndim == 3 else columns.unsqueeze(0)
