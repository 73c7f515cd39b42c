"""One sample as the network reads it: the complete rows of x and y, encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mistdata.estimator.columns import (
    Array,
    Column,
    Kind,
    check_indices,
    encode,
    read_columns,
    require_readable,
)
from mistdata.estimator.prepare import MIN_ROWS

Missing = Literal["drop", "raise"]
COPIED = 50  # fewest rows that differ, of a sample that is there several times


@dataclass(frozen=True)
class Sample:
    """Joint rows of X and Y, all finite, no column constant.

    Args:
        x: (n, dim_x) float64.
        y: (n, dim_y) float64.
        dropped: rows that were left out, as a value was missing.
        notes: what the owner of a column may not expect of how it was read.
        read: how many columns of X and of Y were read, a category as one; None for as many as
            there are.
    """

    x: Array
    y: Array
    dropped: int = 0
    notes: tuple[str, ...] = ()
    read: tuple[int, int] | None = None

    @property
    def values(self) -> Array:
        """X and Y side by side: (n, dim_x + dim_y)."""
        return np.concatenate([self.x, self.y], axis=1)

    @property
    def columns(self) -> tuple[int, int]:
        """Columns of X and of Y, as their owner counts them."""
        return self.read or (self.x.shape[1], self.y.shape[1])


def read_sides(
    x: Any, y: Any, x_kind: Kind = "auto", y_kind: Kind = "auto", names: str = "xy"
) -> tuple[list[Column], list[Column]]:
    """Read both sides, whose rows belong together by position.

    Args:
        x: as `read_columns` takes it.
        y: likewise.
        x_kind: of the columns of x.
        y_kind: of the columns of y.
        names: what messages call the two.

    Raises:
        ValueError: a column cannot be read, or two pandas objects have other indices.
    """
    check_indices(dict(zip(names, (x, y), strict=True)))
    return read_columns(x, names[0], x_kind), read_columns(y, names[1], y_kind)


def check_missing(missing: str) -> None:
    """Refuse a treatment of missing values that is not known.

    Raises:
        ValueError: naming those that are.
    """
    if missing not in get_args(Missing):
        raise ValueError(f"missing must be one of {', '.join(get_args(Missing))}, got {missing!r}")


def complete_rows(x: Sequence[Column], y: Sequence[Column]) -> npt.NDArray[np.bool_]:
    """Mark the rows in which neither side has a missing value: (n,).

    Args:
        x: columns of X, which could be read.
        y: columns of Y.

    Raises:
        ValueError: on unequal numbers of rows.
    """
    n, other = len(x[0].values), len(y[0].values)
    if n != other:
        raise ValueError(f"both sides must have the same number of rows, got {n} and {other}")
    complete: npt.NDArray[np.bool_] = ~np.logical_or.reduce(
        [np.isnan(column.values) for column in (*x, *y)]
    )
    return complete


def join(x: Sequence[Column], y: Sequence[Column], missing: Missing = "drop") -> Sample:
    """Bring together the rows in which neither side has a missing value.

    Args:
        x: columns of X.
        y: columns of Y; their row i belongs to row i of X.
        missing: 'drop' leaves out rows with a missing value, 'raise' refuses them.

    Raises:
        ValueError: on unequal numbers of rows, fewer than 8 complete ones, a column that does not
            vary within them, or a missing value where these are refused; or a column could not be
            read.
    """
    check_missing(missing)
    require_readable((*x, *y))
    complete = complete_rows(x, y)
    n = len(complete)
    used = int(complete.sum())
    if missing == "raise" and used < n:
        first = next(column for column in (*x, *y) if np.isnan(column.values).any())
        raise ValueError(f"{first.label} must have no missing value, found some (missing='raise')")
    if used < MIN_ROWS:
        what = "rows without a missing value" if used < n else "rows"
        raise ValueError(f"there must be at least {MIN_ROWS} {what}, got {used}")
    rows = None if used == n else complete
    left, right = (np.concatenate([encode(c, rows) for c in side], axis=1) for side in (x, y))
    notes = tuple(column.note for column in (*x, *y) if column.note)
    return Sample(left, right, n - used, notes, (len(x), len(y)))


def without_copies(sample: Sample) -> Sample:
    """Return the rows that differ where a whole sample of fractions is there several times.

    Numbers with fractions hardly repeat of themselves, and never all of them equally often:
    such a sample was pasted twice, and independent columns would look like one symbol.

    Args:
        sample: as `join` makes it.

    Returns:
        It, or its different rows, with a note; the former of fewer than 50 different rows, and
        where a side holds whole numbers alone.
    """
    n = len(sample.x)
    sides = (sample.x, sample.y)
    if any(
        np.unique(side[:, 0]).size > n // 2 or (side == np.round(side)).all() for side in sides
    ):
        return sample
    rows, first, times = np.unique(sample.values, axis=0, return_index=True, return_counts=True)
    apart = [len(np.unique(side, axis=0)) for side in sides]
    if len(rows) < COPIED or times.min() < times.max() or apart != [len(rows), len(rows)]:
        return sample
    kept = np.sort(first)
    note = f"every row is there {times[0]} times: answered from the {len(rows)} that differ"
    return replace(sample, x=sample.x[kept], y=sample.y[kept], notes=(*sample.notes, note))


def shares_a_number(sample: Sample) -> bool:
    """Whether a column of X is one of Y, too, and takes more values than a category.

    Args:
        sample: as `join` makes it.
    """
    left = {column.tobytes() for column in sample.x.T}
    return any(
        column.tobytes() in left and len(np.unique(column)) > len(column) // 2
        for column in sample.y.T
    )
