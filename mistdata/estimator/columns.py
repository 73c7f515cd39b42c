"""From what users hold, an array, a frame or a list, to columns of numbers or one clear error.

Numbers, truth values, times and ordered categories become float64, with NaN where a value is
missing: the network sees their ranks. An *unordered* category has no ranks; a column of k of them
becomes k - 1 columns of 0 and 1, one for each category but the most frequent. That map is
injective, so the mutual information is unchanged, and it does not depend on how the categories are
called or numbered. A column of two values is one of two categories, whatever it was: the network
is not exactly invariant to exchanging 0 and 1, so they are always given alike.

How the cells themselves are read is the part of `mistdata.estimator.cells`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mistdata import arrow
from mistdata.estimator.cells import Array as Array
from mistdata.estimator.cells import absent, array_of, is_text, numbers

Kind = Literal["auto", "numeric", "category"]
MAX_CATEGORIES = 32
_SHOWN = 3
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


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
        data: (n,) or (n, columns): NumPy array, torch tensor, Series or DataFrame of pandas or
            Polars, Arrow table, list, or a mapping of names to columns.
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
        ValueError: there are no columns, or they differ in length or index.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"{side}: kind must be one of {', '.join(get_args(Kind))}, got {kind!r}")
    check_indices({side: data})
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


def check_indices(sides: Mapping[str, Any]) -> None:
    """Refuse pandas objects that would be paired by position against their index.

    Args:
        sides: what messages call each side, and its data, as in `read_columns`.

    Raises:
        ValueError: naming two of other indices.
    """
    indexed = [each for side, data in sides.items() for each in _indexed(data, side)]
    for (first, index), (label, other) in pairwise(indexed):
        if not index.equals(other):
            raise ValueError(
                f"{first} and {label} must have the same index, found others; align them, or"
                " reset_index(drop=True) to pair the rows by position"
            )


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
        raw: (n,), as `array_of` takes it.
        name: of the column.
        label: what messages call it.
        kind: as in `read_columns`.

    Raises:
        ValueError: its values are infinite, neither numbers nor text, or too many categories.
    """
    note = doubt = ""
    held = raw.cat if hasattr(raw, "iloc") and hasattr(raw, "cat") else raw
    if _is_categorical(held):
        codes = np.where(held.codes < 0, np.nan, held.codes)
        unordered = kind == "category" or not held.ordered
        words = list(held.categories)
    else:
        array = array_of(raw, label)
        unordered = is_text(array, label) or kind == "category"
        codes, words = _codes(array, label) if unordered else (numbers(array, label), [])
        doubt = "" if kind == "category" else _doubt(words, label)
        if doubt and len(words) > 2:  # of two the order tells nothing
            note = f"{label} was taken as {len(words)} categories; {doubt}"
    if unordered and kind == "numeric":
        found = f"found text or categories{_such_as(words)}{doubt and '; '}{doubt}"
        raise ValueError(f"{label} must hold numbers, {found}")
    if unordered:
        _check_categories(codes, words, label, doubt)
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
    two_valued = ((values == values.min()) | (values == values.max())).all()
    if not (column.unordered or two_valued):
        return values[:, None]
    present, counts = np.unique(values, return_counts=True)
    kept = np.delete(present, counts.argmax())
    indicators: Array = (values[:, None] == kept).astype(np.float64)
    return indicators


def _parts(data: Any, side: str) -> Iterator[tuple[str, str, Any]]:
    """Run through name, label and content of every column."""
    named = _named(data)
    if named is not None:
        for name, raw in named:
            yield str(name), f"{side} column {name!r}", raw
    elif _is_series(data):
        known = data.name not in (None, "")
        yield str(data.name if known else side), f"{side} {data.name!r}" if known else side, data
    elif _is_categorical(data):
        yield side, side, data
    else:
        yield from _array_parts(array_of(data, side), side)


def _named(data: Any) -> Iterable[tuple[Any, Any]] | None:
    """List the columns of what has names for them; None of anything else."""
    if isinstance(data, Mapping):
        return data.items()
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # a pandas DataFrame
        return [(name, data.iloc[:, position]) for position, name in enumerate(data.columns)]
    return arrow.columns_of(data) if arrow.is_table(data) else None


def _is_series(data: Any) -> bool:
    """Recognise a Series of pandas or of Polars."""
    return hasattr(data, "iloc") or (arrow.is_column(data) and hasattr(data, "name"))


def _is_categorical(data: Any) -> bool:
    """Recognise a pandas Categorical, its index, and what a Series of them says of itself."""
    return all(hasattr(data, name) for name in ("codes", "categories", "ordered"))


def _indexed(data: Any, side: str) -> list[tuple[str, Any]]:
    """List the pandas objects of one side: what messages call them, and their index."""
    if not isinstance(data, Mapping):
        return [(side, data.index)] if hasattr(data, "iloc") else []
    found = [(f"{side} column {name!r}", raw) for name, raw in data.items()]
    return [(label, raw.index) for label, raw in found if hasattr(raw, "iloc")]


def _array_parts(array: npt.NDArray[Any], side: str) -> Iterator[tuple[str, str, Any]]:
    if array.ndim not in (1, 2):
        raise ValueError(f"{side} must be (n,) or (n, columns), got {array.shape}")
    if array.ndim == 1:
        yield side, side, array
        return
    for position in range(array.shape[1]):
        yield str(position), f"{side} column {position}", array[:, position]


def _codes(array: npt.NDArray[Any], label: str) -> tuple[Array, list[Any]]:
    """Number the categories; NaN where there is none."""
    gone = absent(array)
    try:
        words, found = np.unique(array[~gone], return_inverse=True)
    except TypeError:
        names = sorted({type(value).__name__ for value in array[~gone]})
        raise ValueError(
            f"{label} must hold categories of one kind, found {' and '.join(names)}"
        ) from None
    codes = np.full(len(array), np.nan)
    codes[~gone] = found
    return codes, words.tolist()


def _check_categories(codes: Array, words: list[Any], label: str, doubt: str) -> None:
    count = len(np.unique(codes[~np.isnan(codes)]))
    if count > MAX_CATEGORIES:
        hint = doubt or "merge the rare ones, leave it out, or give it an order"
        raise ValueError(
            f"{label} must have at most {MAX_CATEGORIES} categories, found"
            f" {count}{_such_as(words)}; {hint}"
        )


def _doubt(words: list[Any], label: str) -> str:
    """Say why words may not be meant as categories: most of them are numbers; else nothing.

    Raises:
        ValueError: they are numbers with commas.
    """
    commas = [word for word in words if _has_comma(word)]
    if len(commas) + sum(map(_is_number, words)) <= len(words) / 2:
        return ""
    if commas:
        grouped = all(map(_THOUSANDS.fullmatch, commas))
        what, option = "a decimal comma", "decimal=','"
        if grouped:
            what, option = f"commas between thousands, or {what}", f"thousands=',' or {option}"
        raise ValueError(
            f"{label} must hold numbers or categories, found what looks like numbers with {what},"
            f" as {commas[0]!r}: read the file by pandas.read_csv(..., {option}), or declare the"
            " column as categories"
        )
    odd = next((word for word in words if not _is_number(word)), None)
    if odd is None:
        return "they are numbers stored as text: convert them"
    return f"most are numbers, but {odd!r} is none"


def _has_comma(word: Any) -> bool:
    """Tell '1,5' and '1.234,5', and '1,234,567.8'."""
    if not isinstance(word, str) or "," not in word:
        return False
    decimal = word.replace(".", "").replace(",", ".")
    return _is_number(decimal) or _THOUSANDS.fullmatch(word) is not None


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
