"""From what users hold, an array, a frame or a list, to columns of numbers or one clear error.

Numbers, truth values, times and ordered categories become float64, with NaN where a value is
missing: the network sees their ranks. An *unordered* category has no ranks; a column of k of them
becomes k - 1 columns of 0 and 1, one for each category but the most frequent. That map is
injective, so the mutual information is unchanged, and it does not depend on how the categories are
called or numbered.

pandas and torch are recognised by what their objects can do, and never imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Kind = Literal["auto", "numeric", "category"]
MAX_CATEGORIES = 32
_SHOWN = 3


@dataclass(frozen=True)
class Column:
    """One column of numbers or of categories.

    Args:
        name: as its owner calls it.
        label: as messages call it.
        values: (n,) float64, NaN where missing; of categories, their codes from 0.
        unordered: whether the values are codes of unordered categories.
        note: what its owner may not expect of how it was read.
        refused: why it cannot be read; it has no values then.
    """

    name: str
    label: str
    values: Array
    unordered: bool = False
    note: str = ""
    refused: str = ""


def read_columns(data: Any, side: str, kind: Kind = "auto") -> list[Column]:
    """Read the columns of one side.

    Args:
        data: (n,) or (n, columns): NumPy array, torch tensor, pandas Series or DataFrame, list, or
            a mapping of names to columns.
        side: what messages call it, as 'x'.
        kind: 'auto' takes text and unordered pandas categories as categories, everything else
            as numbers; 'numeric' refuses them; 'category' takes every column as unordered.

    Raises:
        ValueError: naming the first column that cannot be read, what is wrong with it, and the
            other columns that cannot be read.
    """
    columns = read_each(data, side, kind)
    require_readable(columns)
    return columns


def read_each(
    data: Any, side: str, kind: Kind = "auto", categories: Collection[str] = ()
) -> list[Column]:
    """Read the columns of one side; those that cannot be read say why.

    Args:
        data: as in `read_columns`.
        side: likewise.
        kind: likewise.
        categories: names of columns whose kind is 'category'.

    Raises:
        ValueError: there are no columns, or they differ in length.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"{side}: kind must be one of {', '.join(get_args(Kind))}, got {kind!r}")
    columns = []
    for name, label, raw in _parts(data, side):
        try:
            columns.append(
                read_column(raw, name, label, "category" if name in categories else kind)
            )
        except ValueError as error:
            columns.append(Column(name, label, np.empty(0), refused=str(error)))
    if not columns:
        raise ValueError(f"{side} must have at least one column, got none")
    _check_lengths([column for column in columns if not column.refused])
    return columns


def require_readable(columns: Sequence[Column]) -> None:
    """Refuse columns that could not be read.

    Raises:
        ValueError: saying why of the first, and naming the others.
    """
    refused = [column for column in columns if column.refused]
    if refused:
        others = ", ".join(repr(column.name) for column in refused[1:])
        raise ValueError(refused[0].refused + (f"; nor can be read: {others}" if others else ""))


def read_column(raw: Any, name: str, label: str, kind: Kind = "auto") -> Column:
    """Read one column.

    Args:
        raw: (n,): NumPy array or pandas Series.
        name: of the column.
        label: what messages call it.
        kind: as in `read_columns`.

    Raises:
        ValueError: its values are infinite, neither numbers nor text, or too many categories.
    """
    note = ""
    if hasattr(raw, "iloc") and hasattr(raw, "cat"):  # a pandas category
        codes = np.where(raw.cat.codes < 0, np.nan, raw.cat.codes)
        unordered = kind == "category" or not raw.cat.ordered
        words = list(raw.cat.categories)
    else:
        array = _array(raw, label)
        unordered = kind == "category" or _is_text(array, label)
        codes, words = _codes(array, label) if unordered else (_numbers(array, label), [])
        odd = _no_number(words)
        if odd is not None and kind == "auto":
            note = f"{label} was taken as {len(words)} categories, as {odd!r} is no number"
    if unordered and kind == "numeric":
        raise ValueError(f"{label} must hold numbers, found text or categories{_such_as(words)}")
    if unordered:
        _check_categories(codes, words, label)
    _check_finite(codes, label)
    return Column(name, label, np.asarray(codes, dtype=np.float64), unordered, note)


def encode(column: Column, rows: npt.NDArray[np.bool_] | None) -> Array:
    """Return the columns that the network sees: (n, 1), or (n, k - 1) of k categories.

    Args:
        column: without missing values in `rows`.
        rows: which to take, (n,); None for all.

    Raises:
        ValueError: these rows hold one value only.
    """
    values: Array = column.values if rows is None else column.values[rows]
    if (values == values[:1]).all():
        raise ValueError(f"{column.label} must vary, found one value in all {len(values)} rows")
    if not column.unordered:
        return values[:, None]
    present, counts = np.unique(values, return_counts=True)
    kept = np.delete(present, counts.argmax())
    indicators: Array = (values[:, None] == kept).astype(np.float64)
    return indicators


def _parts(data: Any, side: str) -> Iterator[tuple[str, str, Any]]:
    """Run through name, label and content of every column."""
    if isinstance(data, Mapping):
        for name, raw in data.items():
            yield str(name), f"{side} column {name!r}", raw
    elif hasattr(data, "iloc") and hasattr(data, "columns"):  # a pandas DataFrame
        for position, name in enumerate(data.columns):
            yield str(name), f"{side} column {name!r}", data.iloc[:, position]
    elif hasattr(data, "iloc"):  # a pandas Series
        known = data.name is not None
        yield str(data.name if known else side), f"{side} {data.name!r}" if known else side, data
    else:
        yield from _array_parts(_array(data, side), side)


def _array_parts(array: npt.NDArray[Any], side: str) -> Iterator[tuple[str, str, Any]]:
    if array.ndim not in (1, 2):
        raise ValueError(f"{side} must be (n,) or (n, columns), got {array.shape}")
    if array.ndim == 1:
        yield side, side, array
        return
    for position in range(array.shape[1]):
        yield str(position), f"{side} column {position}", array[:, position]


def _array(raw: Any, label: str) -> npt.NDArray[Any]:
    """Return what NumPy makes of it; missing values are NaN, NaT or None."""
    if hasattr(raw, "iloc"):
        return _of_pandas(raw)
    if hasattr(raw, "detach"):  # a torch tensor
        raw = raw.detach().cpu()
        return np.asarray(raw.double() if raw.is_floating_point() else raw)
    try:
        array = np.asarray(raw)
        if array.dtype.kind in "US" and not isinstance(raw, np.ndarray):
            array = np.asarray(raw, dtype=object)  # NumPy would write numbers as text
    except ValueError:
        raise ValueError(f"{label} must have rows of equal length, found others") from None
    return array


def _of_pandas(series: Any) -> npt.NDArray[Any]:
    kind = getattr(series.dtype, "kind", "O")
    extension = not isinstance(series.dtype, np.dtype)
    if extension and kind in "biuf":
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if extension and kind == "M":  # with a time zone
        return np.asarray(series.to_numpy(dtype="datetime64[ns]"))
    if extension or kind == "O":
        return np.asarray(series.astype(object).where(series.notna(), None), dtype=object)
    return np.asarray(series)


def _is_text(array: npt.NDArray[Any], label: str) -> bool:
    """Tell text from numbers and times; refuse what is neither."""
    if array.ndim != 1:
        raise ValueError(f"{label} must be one column, got {array.shape}")
    if array.dtype.kind in "biufmM":
        return False
    if array.dtype.kind in "US":
        return True
    if array.dtype.kind != "O":
        raise ValueError(f"{label} must hold numbers or text, found {array.dtype}")
    held = {type(value) for value in array[~_absent(array)]}
    if all(issubclass(each, str) for each in held):
        return bool(held)
    if all(issubclass(each, Real | Decimal | np.bool_ | date) for each in held):
        return False
    found = " and ".join(sorted(each.__name__ for each in held))
    raise ValueError(f"{label} must hold numbers or text, found {found}")


def _absent(array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark None, NaN and NaT: what differs from itself, and None."""
    if array.dtype.kind in "US":
        return np.zeros(array.shape, dtype=bool)
    absent = array != array
    if array.dtype.kind == "O":
        absent = absent | np.array([value is None for value in array], dtype=bool)
    return np.asarray(absent, dtype=bool)


def _numbers(array: npt.NDArray[Any], label: str) -> Array:
    """Return float64; whole numbers and times from their least, to keep all their digits."""
    if array.dtype.kind == "O":
        array = _of_objects(array, label)
    if array.dtype.kind not in "iumM":
        return np.asarray(array, dtype=np.float64)
    absent = _absent(array)
    whole = array.astype(np.int64) if array.dtype.kind in "mM" else array
    values = np.full(len(array), np.nan)
    if not absent.all():
        # Differences of unsigned numbers wrap around to the right result.
        shifted = whole[~absent].astype(np.uint64) - whole[~absent].min().astype(np.uint64)
        values[~absent] = shifted
    return values


def _of_objects(array: npt.NDArray[Any], label: str) -> npt.NDArray[Any]:
    """Bring Python numbers or dates to one type."""
    absent = _absent(array)
    held = array[~absent]
    times = sum(isinstance(value, date) for value in held)
    if times not in (0, len(held)):
        raise ValueError(f"{label} must hold numbers or times, found both")
    empty = np.full(len(array), np.nan) if times == 0 else np.full(len(array), "NaT", "M8[us]")
    empty[~absent] = held
    return empty


def _codes(array: npt.NDArray[Any], label: str) -> tuple[Array, list[Any]]:
    """Number the categories; NaN where there is none."""
    _is_text(array, label)
    absent = _absent(array)
    words, found = np.unique(array[~absent], return_inverse=True)
    codes = np.full(len(array), np.nan)
    codes[~absent] = found
    return codes, words.tolist()


def _check_categories(codes: Array, words: list[Any], label: str) -> None:
    count = len(np.unique(codes[~np.isnan(codes)]))
    if count <= MAX_CATEGORIES:
        return
    hint = "merge the rare ones, leave it out, or give it an order"
    odd = _no_number(words)
    if odd is not None:
        hint = f"it looks like numbers, but {odd!r} is none"
    raise ValueError(
        f"{label} must have at most {MAX_CATEGORIES} categories, found {count}{_such_as(words)};"
        f" {hint}"
    )


def _no_number(words: list[Any]) -> Any:
    """Return the first word that is no number among those that mostly are; else None."""
    odd = next((word for word in words if not _is_number(word)), None)
    return odd if sum(map(_is_number, words)) > len(words) / 2 else None


def _is_number(word: Any) -> bool:
    try:
        float(word)
    except (TypeError, ValueError):
        return False
    return True


def _such_as(words: list[Any]) -> str:
    return f", as {', '.join(map(repr, words[:_SHOWN]))}" if words else ""


def _check_finite(values: Array, label: str) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(
            f"{label} must be finite, found {values[infinite][0]} in {infinite.sum()} of"
            f" {len(values)} rows, first in row {int(infinite.argmax())}, counted from 0"
        )


def _check_lengths(columns: list[Column]) -> None:
    for first, column in pairwise(columns):
        if len(column.values) != len(first.values):
            raise ValueError(
                f"{column.label} must have {len(first.values)} rows like {first.label},"
                f" got {len(column.values)}"
            )
