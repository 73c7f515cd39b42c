"""From two tables to one number, an honest interval, and a warning when out of range."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from mistdata.estimator.checkpoint import SHIPPED, Training, find_weights, load_network
from mistdata.estimator.classes import COPIED, between_classes, looks_copied
from mistdata.estimator.columns import Array, Kind
from mistdata.estimator.evaluate import parts_of, quantiles_of
from mistdata.estimator.neighbours import second_opinion, weighed
from mistdata.estimator.network import QUERIES, Network
from mistdata.estimator.normal import Normal
from mistdata.estimator.regression import Bound, lower_bound
from mistdata.estimator.result import By, Estimate, Units, check_level, check_units, per_nat
from mistdata.estimator.sample import (
    Missing,
    Sample,
    join,
    read_sides,
    shares_a_number,
    without_copies,
)
from mistdata.estimator.tables import Symbols, bound, counted, refuted, symbols

SHARED = (
    "X and Y have a column of numbers in common, so that their information is infinite: take the"
    " answer as a lower bound"
)

SURE = 2  # columns beside a category up to which neighbours err less than a regression

# Raised where the same weights begin to answer otherwise, so that results tell them apart.
REVISION = 7


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
            model: 'small' or 'base', or a path; './small' where a path is called so.

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
            UserWarning: rows or columns outside the trained range, or an answer beyond it.
        """
        left, right = _batched(x, "x"), _batched(y, "y")
        if len(left) == 0:
            raise ValueError("x and y must hold at least one sample, got an empty batch")
        if x.ndim == 3 != y.ndim or y.ndim == 3 != x.ndim or left.shape[:2] != right.shape[:2]:
            raise ValueError(
                f"x and y must agree in batch and rows, got {tuple(x.shape)} and {tuple(y.shape)}"
            )
        place = next(self.network.parameters()).device
        values = torch.cat([left.double(), right.double()], dim=2).to(place)
        said = self.training.outside(left.shape[1], left.shape[2], right.shape[2])
        answer: Tensor = self.network(values, left.shape[2], prep=prep)
        highest = float(answer.detach().max())
        said += _beyond(highest, self.training.largest(left.shape[2], right.shape[2]), "nats")
        if said:
            warnings.warn("; ".join(said), UserWarning, stacklevel=2)
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
        """Estimate many samples, those of equal shape in one pass; some need no network.

        Args:
            samples: of any shapes.
            level: of the intervals.
            units: of the answers.
            queries: most rows that the row stream compares with all rows.
            second: ask nearest neighbours, too, where there are few columns; they always are where
                a column of these has an atom, of which the network is wrong, and a regression is
                where one column is beside several.
            advance: is told how many samples are done.

        Raises:
            ValueError: the level or the units are not possible.
        """
        check_level(level, self.network.config.levels)
        check_units(units)
        options: dict[str, Any] = {"level": level, "units": units}
        read = [_read(sample) for sample in samples]
        samples, sides = [sample for sample, _ in read], [each for _, each in read]
        known = [self._without(*each, **options) for each in zip(samples, sides, strict=True)]
        asked = [index for index, answer in enumerate(known) if answer is None]
        if advance is not None and len(asked) < len(samples):
            advance(len(samples) - len(asked))
        found = quantiles_of(
            self.network,
            [samples[index] for index in asked],
            most=self.training.n[1],
            queries=queries,
            advance=advance,
        )
        said = dict(zip(asked, found, strict=True))
        return [
            answer
            or self._of_network(samples[index], sides[index], said[index], second, **options)
            for index, answer in enumerate(known)
        ]

    def _without(
        self, sample: Sample, sides: Sides, *, level: float, units: Units
    ) -> Estimate | None:
        found = without_network(sample, sides)
        if found is None:
            return None
        own, by = found
        levels = self.network.config.levels
        row, said = own.quantiles(levels), _of_rows(sample)
        if by == "neighbours" and looks_copied(sample):
            said.append(COPIED)
        elif by == "neighbours" and max(sample.columns) > SURE:
            row, by, told = _regressed(sample, levels, row, by, units)
            said += told
        row = _cut(row, bound(sides, levels))
        return self._estimate(sample, row, said, by=by, level=level, units=units)

    def _of_network(
        self,
        sample: Sample,
        sides: Sides,
        row: Array,
        second: bool,
        *,
        level: float,
        units: Units,
    ) -> Estimate:
        """Bring together what the network says, what bounds it, and what is known beside it."""
        levels: Sequence[float] = self.network.config.levels
        middle, said = levels.index(0.5), _of_rows(sample)
        limit = bound(sides, levels)
        highest = row[middle]
        row, by, told = _beside(sample, sides, levels, _cut(row, limit), second, units)
        if by != "table":
            row, by, more = _regressed(sample, levels, row, by, units)
            told = more or told
        if limit is not None and highest > limit[middle] and by == "network":
            said.append(_of_entropy(float(limit[middle]), units))
        row = _cut(row, limit)
        said += self._outside(sample, float(row[-1]), units)
        if shares_a_number(sample):
            said.append(SHARED)
        return self._estimate(sample, row, said + told, by=by, level=level, units=units)

    def _estimate(self, sample: Sample, row: Array, said: list[str], **options: Any) -> Estimate:
        return Estimate.of_quantiles(
            self.network.config.levels,
            row.tolist(),
            n=len(sample.x),
            dropped=sample.dropped,
            warnings=said,
            **options,
        )

    def _outside(self, sample: Sample, highest: float, units: Units) -> list[str]:
        """Say what is beyond the training: rows, columns, and the answer itself."""
        known, n = self.training, len(sample.x)
        said = []
        count = parts_of(n, known.n[1])
        if count > 1:
            said.append(
                f"n = {n} is more than the {known.n[1]} rows trained on: averaged over {count}"
                f" interleaved parts; the interval is that of one part of {n // count} rows, so"
                " rather too wide"
            )
        within = min(n, known.n[1])
        dims = sample.x.shape[1], sample.y.shape[1]
        beyond = known.outside(within, *dims)
        if beyond and dims != sample.columns:
            beyond[-1] += " (a category counts as one column for each value but the most frequent)"
        said += beyond
        limit = known.largest(sample.x.shape[1], sample.y.shape[1])
        return said + _beyond(highest, limit, units)


Sides = tuple[Symbols | None, Symbols | None]


def sides_of(sample: Sample) -> Sides:
    """Number the values of the sides that take few."""
    return symbols(sample.x), symbols(sample.y)


def _read(sample: Sample) -> tuple[Sample, Sides]:
    """Number the values of the sides; where both repeat, copies of rows are left out before."""
    sides = sides_of(sample)
    if None in sides:
        return sample, sides
    kept = without_copies(sample)
    return (sample, sides) if kept is sample else (kept, sides_of(kept))


def without_network(sample: Sample, sides: Sides) -> tuple[Normal, By] | None:
    """Count a small table, or ask neighbours within classes; None for all other samples.

    Args:
        sample: as `join` makes it.
        sides: of it, see `sides_of`.
    """
    x, y = sides
    table = None if x is None or y is None else counted(x, y)
    if table is not None:
        return table, "table"
    classes = between_classes(sample, x, y)
    return None if classes is None else (classes, "neighbours")


def _beside(
    sample: Sample, sides: Sides, levels: Sequence[float], row: Array, second: bool, units: Units
) -> tuple[Array, By, list[str]]:
    """Let a large table or neighbours raise the network's quantiles, or share in them.

    Returns:
        Quantiles, whose they are, and what to say of that.
    """
    x, y = sides
    table = None if x is None or y is None else refuted(x, y, levels, row)
    if table is not None:
        return table.raised(levels, row), "table", [_of_large_table(table, units)]
    if second:
        other = second_opinion(sample, levels, row)
        if other is not None:
            return other.raised(levels, row), "neighbours", [_of_neighbours(other, units)]
    both = weighed(sample, levels, row, atoms=not second)
    if both is not None:
        return both, "both", []
    return row, "network", []


def _regressed(
    sample: Sample, levels: Sequence[float], row: Array, by: By, units: Units
) -> tuple[Array, By, list[str]]:
    """Raise quantiles to what a regression finds, where that is clearly more; as `_beside`."""
    found = lower_bound(sample, float(np.interp(0.5, levels, row)))
    if found is None:
        return row, by, []
    return np.maximum(row, found.quantiles(levels)), "regression", [_of_regression(found, units)]


def _of_rows(sample: Sample) -> list[str]:
    """Say how columns were read, and which rows were left out."""
    said, n = list(sample.notes), len(sample.x)
    if sample.dropped:
        said.append(
            f"{sample.dropped} of {n + sample.dropped} rows have a missing value and were left out"
        )
    return said


def _cut(row: Array, limit: Array | None) -> Array:
    return row if limit is None else np.minimum(row, limit)


def _beyond(highest: float, limit: float, units: Units) -> list[str]:
    if highest <= limit:
        return []
    return [
        f"the highest quantile is beyond the largest trained value for these columns,"
        f" {limit * per_nat(units):.2f} {units}: take the answer as a lower bound"
    ]


def _of_entropy(limit: float, units: Units) -> str:
    return (
        f"the network's answer exceeds the entropy of X or of Y, {limit * per_nat(units):.2f}"
        f" {units}, which no information can: it is cut there, take it as an upper bound"
    )


def _of_large_table(table: Normal, units: Units) -> str:
    return (
        f"the table of the symbols holds {_found(table, units)}, clearly more than the network"
        " saw: the median and the quantiles above are raised to that, those below are the"
        " network's. Rows that are copies of others look the same"
    )


def _of_neighbours(other: Normal, units: Units) -> str:
    return (
        f"nearest neighbours find {_found(other, units)}, clearly more than the network, which may"
        " not have learned such a pattern: the median and the quantiles above are raised to"
        " theirs, those below are the network's. Neighbours find rather too little, unless the"
        " rows depend on each other"
    )


def _of_regression(found: Bound, units: Units) -> str:
    return (
        f"a regression of the one column on the others finds {_found(found, units)}, more than was"
        " seen without it: the answer is raised to that, and to what such a fit still misses. It"
        " is too much where rows depend on each other"
    )


def _found(told: Normal | Bound, units: Units) -> str:
    return f"{told.value * per_nat(units):.2f} ± {told.error * per_nat(units):.2f} {units}"


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
        x: (n, dim_x), or (n,) for one column: NumPy array, torch tensor, Series or DataFrame of
            pandas or Polars, Arrow table, list, or a mapping of names to columns.
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
        Small tables of symbols are counted instead, and beside a category few columns of numbers
        are answered by neighbours. Of few columns neighbours are asked, too, and may raise the
        upper half of the quantiles, as may larger tables; of one column beside several a
        regression is, and may raise all: see `docs/estimating.md`.

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
    if not isinstance(side, Tensor):
        kind = type(side).__name__
        raise ValueError(f"{name} must be a torch tensor, as from torch.as_tensor; got {kind}")
    if side.ndim not in (1, 2, 3):
        shape = tuple(side.shape)
        raise ValueError(f"{name} must be (n,), (n, columns) or (batch, n, columns), got {shape}")
    columns = side.unsqueeze(1) if side.ndim == 1 else side
    return columns if columns.ndim == 3 else columns.unsqueeze(0)
