"""Columns of Arrow as NumPy arrays, whoever holds them: a Parquet file, Polars, PyArrow, DuckDB.

Missing values are NaN, NaT or None. An ordered dictionary becomes its codes, any other its words.
Arrow's own conversion imports pandas, leaves digits of whole numbers out beside a missing one, and
puts a word where a dictionary has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


def is_table(data: Any) -> bool:
    """Recognise what shows its columns as Arrow."""
    return _is_arrow(data) and hasattr(data, "columns")


def is_column(data: Any) -> bool:
    """Recognise what shows its cells as Arrow."""
    return _is_arrow(data) and not hasattr(data, "columns")


def columns_of(data: Any) -> Iterator[tuple[str, Any]]:
    """Run through the names and the columns of a table.

    Args:
        data: what `is_table` recognises.
    """
    import pyarrow as pa

    table = pa.table(data)
    yield from zip(table.column_names, table.columns, strict=True)


def array_of(data: Any) -> npt.NDArray[Any]:
    """Return a column as a NumPy array: (n,) of numbers, times or objects.

    Args:
        data: what `is_column` recognises.
    """
    import pyarrow as pa
    import pyarrow.types as kind

    whole = hasattr(data, "__arrow_c_stream__")
    column = _plain(pa.chunked_array(data if whole else [pa.array(data)]))
    if kind.is_temporal(column.type):
        return np.asarray(column.to_numpy())
    if not (kind.is_integer(column.type) or kind.is_floating(column.type)):
        return _objects(column)
    if column.null_count:
        try:
            column = column.cast(pa.float64()).fill_null(np.nan)
        except pa.ArrowInvalid:  # whole numbers that float64 leaves out
            return _objects(column)
    return np.from_dlpack(column.combine_chunks())


def _is_arrow(data: Any) -> bool:
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _objects(column: Any) -> npt.NDArray[Any]:
    """Return the cells as Python has them, lists among them."""
    array = np.empty(len(column), dtype=object)
    array[:] = column.to_pylist()
    return array


def _plain(column: Any) -> Any:
    """Undo dictionaries of numbers and ordered ones; bring what counts as a number to numbers."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        if column.type.ordered:
            chunks = column.unify_dictionaries().chunks
            return pa.chunked_array([chunk.indices for chunk in chunks], column.type.index_type)
        words = column.type.value_type
        return column if pa.types.is_string_view(words) else column.cast(words)
    if pa.types.is_boolean(column.type):
        return column.cast(pa.uint8())
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        return column.cast(pa.float64())
    return column
