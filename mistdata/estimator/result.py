"""The answer: quantiles of the mutual information of one sample, and what is read off them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, Self, get_args

import numpy as np

Units = Literal["nats", "bits"]
By = Literal["network", "neighbours", "both", "table", "regression"]
_NAMES = {"both": "network and neighbours"}
_PER_NAT: dict[str, float] = {"nats": 1.0, "bits": 1 / math.log(2)}


@dataclass(frozen=True)
class Estimate:
    """Mutual information of one sample: what the network holds likely, given these rows.

    The quantiles are those of a posterior predictive: among the datasets of the training store
    that look like this one, a share `level` has its true value within `interval`. It is not a
    confidence interval for one fixed distribution. An answer that is not the network's promises no
    such share: its quantiles are those of a normal distribution around an estimate, max(0, N); or
    weighed means of those and the network's; or, where a warning says that the network's were
    raised, only those from the median on.

    Args:
        median: the point estimate, in `units`.
        mean: of the same prediction, in `units`; the quantile function is taken as linear between
            the levels and constant beyond the outermost, so a long upper tail counts too little.
        interval: lower and upper end, in `units`; it leaves out (1 - level) / 2 on either side.
        level: of the interval.
        units: 'nats' or 'bits'.
        n: rows that were used.
        dropped: rows left out, as a value was missing.
        warnings: one sentence for everything that the number alone does not say.
        levels: of the quantiles.
        quantiles: at these levels, in `units`.
        by: whose answer it is: of the 'network'; of nearest 'neighbours', beside a category or
            where they raised the network's; of 'both', weighed, in up to three columns; of a
            'table' of symbols, small enough to be counted or raising the network's; or of a
            'regression', which raised one of these. What is raised has a warning.
    """

    median: float
    mean: float
    interval: tuple[float, float]
    level: float
    units: Units
    n: int
    dropped: int
    warnings: tuple[str, ...]
    levels: tuple[float, ...] = field(repr=False)
    quantiles: tuple[float, ...] = field(repr=False)
    by: By = "network"

    @classmethod
    def of_quantiles(
        cls,
        levels: Sequence[float],
        nats: Sequence[float],
        *,
        level: float,
        units: Units,
        n: int,
        dropped: int = 0,
        warnings: Sequence[str] = (),
        by: By = "network",
    ) -> Self:
        """Read median, mean and interval off quantiles in nats.

        Args:
            levels: increasing in (0, 1), 0.5 among them.
            nats: the quantiles, non-decreasing.
            level: of the interval.
            units: of the answer.
            n: rows used.
            dropped: rows left out.
            warnings: what to say besides.
            by: whose answer it is.

        Raises:
            ValueError: the level is beyond the quantiles, or the units are not known.
        """
        check_level(level, levels)
        check_units(units)
        quantiles = tuple(float(value) * _PER_NAT[units] for value in nats)
        return cls(
            median=quantiles[list(levels).index(0.5)],
            mean=mean(levels, quantiles),
            interval=central(levels, quantiles, level),
            level=level,
            units=units,
            n=n,
            dropped=dropped,
            warnings=tuple(warnings),
            levels=tuple(levels),
            quantiles=quantiles,
            by=by,
        )

    @property
    def lower(self) -> float:
        """The lower end of the interval."""
        return self.interval[0]

    @property
    def upper(self) -> float:
        """The upper end of the interval."""
        return self.interval[1]

    def within(self, level: float) -> tuple[float, float]:
        """Return the interval of another level, in `units`.

        Args:
            level: in (0, 1), as far as the quantiles reach.

        Raises:
            ValueError: the level is beyond the quantiles.
        """
        check_level(level, self.levels)
        return central(self.levels, self.quantiles, level)

    def __str__(self) -> str:
        notes = f", {self.dropped} dropped" if self.dropped else ""
        notes += "" if self.by == "network" else f", by {_NAMES.get(self.by, self.by)}"
        first = (
            f"{self.median:.3f} {self.units}, {100 * self.level:g} % interval {self.lower:.3f} to"
            f" {self.upper:.3f} ({self.n} rows{notes})"
        )
        return "\n".join([first, *(f"warning: {sentence}" for sentence in self.warnings)])


def check_units(units: str) -> None:
    """Refuse units that are not known.

    Raises:
        ValueError: naming those that are.
    """
    if units not in get_args(Units):
        raise ValueError(f"units must be one of {', '.join(get_args(Units))}, got {units!r}")


def check_level(level: float, levels: Sequence[float]) -> None:
    """Refuse an interval that reaches beyond the network's quantiles.

    Args:
        level: of the interval.
        levels: of the quantiles.

    Raises:
        ValueError: saying what is possible.
    """
    most = round(1 - 2 * max(levels[0], 1 - levels[-1]), 12)
    if not isinstance(level, Real) or not 0 < level <= most:
        raise ValueError(
            f"level must lie in (0, {most:g}], as the network's quantiles reach from"
            f" {levels[0]:g} to {levels[-1]:g}; got {level!r}"
        )


def central(
    levels: Sequence[float], quantiles: Sequence[float], level: float
) -> tuple[float, float]:
    """Return the interval that leaves out (1 - level) / 2 on either side.

    Args:
        levels: of the quantiles, increasing.
        quantiles: the quantile function is linear between them.
        level: of the interval; within the levels.
    """
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], levels, quantiles)
    return float(low), float(high)


def mean(levels: Sequence[float], quantiles: Sequence[float]) -> float:
    """Return ∫₀¹ q(u) du, with q linear between the levels and constant beyond the outermost.

    Args:
        levels: increasing in (0, 1).
        quantiles: q at these levels.
    """
    u = np.concatenate([[0.0], levels, [1.0]])
    q = np.concatenate([quantiles[:1], quantiles, quantiles[-1:]])
    return float(np.sum(np.diff(u) * (q[1:] + q[:-1]) / 2))


def per_nat(units: Units) -> float:
    """Return how many of these units one nat is."""
    return _PER_NAT[units]
