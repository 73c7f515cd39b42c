"""From what users hold as one column to a NumPy array, and from that to float64.

Missing values are None, NaN or NaT there, whatever their owner writes: pandas' NA and the masked
cells of NumPy among them. Whole numbers and times count from their least, to keep all their
digits. pandas, Polars and torch are recognised by what their objects can do, and never imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from mistdata import arrow

Array = npt.NDArray[np.float64]
_TIMES = (date, np.datetime64)
_SPANS = (timedelta, np.timedelta64)
_READABLE = (Real, Decimal, np.bool_, *_TIMES, *_SPANS)
_EXACT = np.float64(2.0**53)  # from here on float64 leaves out whole numbers
_WAYS = {
    "Period": "; .to_timestamp() makes times of periods",
    "Interval": "; take their .mid, or an ordered category",
}


def array_of(raw: Any, label: str) -> npt.NDArray[Any]:
    """Return what NumPy makes of it; missing values are NaN, NaT or None.

    Args:
        raw: NumPy array, torch tensor, Series of pandas or Polars, Arrow array, or list.
        label: what messages call it.

    Raises:
        ValueError: it is sparse, has no rows, its rows differ in length, or its cells are arrays.
    """
    if hasattr(raw, "iloc") and hasattr(raw, "dtype"):  # a pandas Series
        array = _of_pandas(raw)
    elif arrow.is_column(raw):
        array = arrow.array_of(raw)
    elif hasattr(raw, "detach"):
        array = _of_torch(raw, label)
    elif hasattr(raw, "toarray"):  # of SciPy
        raise ValueError(f"{label} must be dense, got {type(raw).__name__}: take its .toarray()")
    elif isinstance(raw, np.ma.MaskedArray):
        array = _of_masked(raw)
    else:
        array = _of_any(raw, label)
    if array.ndim == 0:
        raise ValueError(
            f"{label} must be an array, a list or a pandas object that has rows, got"
            f" {type(raw).__name__}"
        )
    return _without_na(array, label) if array.dtype.kind == "O" else array


def is_text(array: npt.NDArray[Any], label: str) -> bool:
    """Tell text from numbers and times.

    Args:
        array: (n,), of `array_of`.
        label: what messages call it.

    Raises:
        ValueError: it is neither, or not one column.
    """
    if array.ndim != 1:
        raise ValueError(f"{label} must be one column, got {array.shape}")
    if array.dtype.kind in "biufmM":
        return False
    if array.dtype.kind in "US":
        return True
    if array.dtype.kind != "O":
        raise ValueError(f"{label} must hold numbers or text, found {array.dtype}")
    held = {type(value) for value in array[~absent(array)]}
    if all(issubclass(each, str) for each in held):
        return bool(held)
    if all(issubclass(each, _READABLE) for each in held):
        return False
    names = sorted(each.__name__ for each in held)
    way = next((_WAYS[name] for name in names if name in _WAYS), "")
    raise ValueError(f"{label} must hold numbers or text, found {' and '.join(names)}{way}")


def absent(array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark None, NaN and NaT: what differs from itself, and None.

    Args:
        array: (n,), of `array_of`.
    """
    if array.dtype.kind in "US":
        return np.zeros(array.shape, dtype=bool)
    gone = array != array
    if array.dtype.kind == "O":
        gone = gone | np.array([value is None for value in array], dtype=bool)
    return np.asarray(gone, dtype=bool)


def numbers(array: npt.NDArray[Any], label: str) -> Array:
    """Return float64; whole numbers and times from their least, to keep all their digits.

    Args:
        array: (n,), numbers or times, of `array_of`.
        label: what messages call it.

    Raises:
        ValueError: it holds numbers beside times, times with a zone beside others, or a number
            beyond float64.
    """
    if array.dtype.kind == "O":
        array = _of_objects(array, label)
    if array.dtype.kind not in "iumM":
        return np.asarray(array, dtype=np.float64)
    gone = absent(array)
    whole = array.astype(np.int64) if array.dtype.kind in "mM" else array
    values = np.full(len(array), np.nan)
    if not gone.all():
        # Differences of unsigned numbers wrap around to the right result.
        shifted = whole[~gone].astype(np.uint64) - whole[~gone].min().astype(np.uint64)
        values[~gone] = shifted
    return values


def _of_pandas(series: Any) -> npt.NDArray[Any]:
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(series.dtype, np.dtype) and kind != "O":
        return np.asarray(series)
    if kind in "bf":
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind in "iu" and series.notna().all():
        return np.asarray(series.to_numpy(dtype=f"{kind}8"))
    if kind == "M":  # with a time zone
        return np.asarray(series.to_numpy(dtype="datetime64[ns]"))
    return np.asarray(series.astype(object).where(series.notna(), None), dtype=object)


def _of_torch(tensor: Any, label: str) -> npt.NDArray[Any]:
    if "sparse" in str(tensor.layout):
        raise ValueError(f"{label} must be dense, got a sparse tensor: take its .to_dense()")
    plain = tensor.detach().cpu()
    return np.asarray(plain.double() if plain.is_floating_point() else plain)


def _of_masked(array: Any) -> npt.NDArray[Any]:
    data, mask = np.asarray(array.data), np.ma.getmaskarray(array)
    if data.dtype.kind == "V" or not mask.any():
        return data
    missing = {"f": np.nan, "c": np.nan, "m": "NaT", "M": "NaT"}.get(data.dtype.kind)
    filled = np.array(data, dtype=object if missing is None else data.dtype)
    filled[mask] = missing
    return filled


def _of_any(raw: Any, label: str) -> npt.NDArray[Any]:
    """Read a list or what else NumPy knows; as objects where NumPy would lose something."""
    if isinstance(raw, list | tuple):  # .tolist() has None where a cell is masked
        raw = [each.tolist() if isinstance(each, np.ma.MaskedArray) else each for each in raw]
    try:
        try:
            array = np.asarray(raw)
        except OverflowError:
            return np.asarray(raw, dtype=object)
        lossy = array is not raw and (
            array.dtype.kind in "US"  # numbers written as text
            or (array.dtype.kind == "f" and (np.abs(array) >= _EXACT).any())  # digits left out
        )
        return np.asarray(raw, dtype=object) if lossy else array
    except ValueError:
        raise ValueError(f"{label} must have rows of equal length, found others") from None


def _without_na(array: npt.NDArray[Any], label: str) -> npt.NDArray[Any]:
    """Turn pandas' NA, which is neither true nor false, into None."""
    if any(isinstance(value, np.ndarray) for value in array.flat):
        raise ValueError(f"{label} must hold one value in every cell, found arrays")
    gone = [type(value).__name__ == "NAType" for value in array.flat]
    filled = array.copy()
    filled[np.array(gone, dtype=bool).reshape(array.shape)] = None
    return filled


def _of_objects(array: npt.NDArray[Any], label: str) -> npt.NDArray[Any]:
    """Bring Python numbers, times or lengths of time to one type."""
    gone = absent(array)
    held = array[~gone].tolist()
    times, spans = (sum(isinstance(value, each) for value in held) for each in (_TIMES, _SPANS))
    if max(times, spans) not in (0, len(held)):
        raise ValueError(f"{label} must hold numbers or times, found both")
    if not times and not spans:
        read: npt.NDArray[Any] = _of_numbers(held, label)
    else:
        read = np.array(_instants(held, label) if times else list(map(_span, held)))
    empty = np.array("NaT" if times or spans else np.nan, dtype=read.dtype)
    full = np.full(len(array), empty)
    full[~gone] = read
    return full


def _of_numbers(held: Sequence[Any], label: str) -> Array:
    try:
        if held and all(isinstance(value, Integral) for value in held):
            least = min(map(int, held))
            held = [int(value) - least for value in held]
        return np.array([float(value) for value in held], dtype=np.float64)
    except OverflowError:
        raise ValueError(f"{label} must hold numbers that float64 can, found larger") from None


def _instants(held: Sequence[Any], label: str) -> list[np.datetime64]:
    """Return times as NumPy's; those with a time zone as the instants that they are."""
    if len({getattr(value, "tzinfo", None) is None for value in held}) > 1:
        raise ValueError(f"{label} must hold times with a time zone or without, found both")
    return [_instant(value) for value in held]


def _instant(value: Any) -> np.datetime64:
    if hasattr(value, "to_datetime64"):  # of pandas, to its nanosecond
        found: np.datetime64 = value.to_datetime64()
        return found
    if getattr(value, "tzinfo", None) is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value)


def _span(value: Any) -> np.timedelta64:
    exact = hasattr(value, "to_timedelta64")  # of pandas
    return value.to_timedelta64() if exact else np.timedelta64(value)
