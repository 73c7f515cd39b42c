"""Tables of users, read column by column: CSV, TSV, Parquet, .npy and .npz.

The columns come as a mapping of names to NumPy arrays, in which a missing value is NaN, NaT or
None. The columns of an array have no names: they are called '0', '1', ..., and in an .npz file
'x:0', 'x:1', ... of an array x, which itself stands for all of them.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mistdata.arrow import array_of, columns_of
from mistdata.errors import MistdataError, did_you_mean

Columns = dict[str, npt.NDArray[Any]]
_LISTED = 12
_RANGE = re.compile(r"(?P<array>.*:)?(?P<first>\d+)-(?P<last>\d+)")


class TableError(MistdataError):
    """A file that cannot be read as a table, or a column that it does not have."""


def read_table(path: Path) -> Columns:
    """Read all columns of a file; its kind follows from the end of its name.

    Args:
        path: of a .csv, .tsv, .parquet, .npy or .npz file; CSV and TSV also as .csv.gz.

    Raises:
        TableError: the file is of no known kind, damaged, or its columns have no names of their
            own.
    """
    if path.is_dir():
        raise TableError(f"{path}: a folder; expected a file, {', '.join(_READERS)}")
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(suffixes) if suffix in _READERS), None)
    if kind is None:
        raise TableError(
            f"{path}: the name must end in {', '.join(_READERS)}, got {path.suffix or path.name!r}"
        )
    columns = _READERS[kind](path)
    if not columns:
        raise TableError(f"{path}: there must be at least one column, found none")
    return columns


def select(names: Sequence[str], text: str, *, path: Path, option: str) -> list[str]:
    """Find the columns that a user means.

    Args:
        names: of all columns.
        text: names separated by commas, those that hold some in double quotes; 'x' for all of x:0,
            x:1, ...; of arrays also 0-3, x:0-3.
        path: of the file, for messages.
        option: that the text was given to, for messages.

    Raises:
        TableError: naming the nearest column to one that is not there.
    """
    if text in names:  # its name may hold commas
        return [text]
    parts = next(csv.reader([text], skipinitialspace=True), []) or [""]
    chosen = [name for part in parts for name in _meant(names, part.strip(), path, option)]
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise TableError(f"{option}: a column must be named once, found {twice!r} twice")
    return chosen


def listing(names: Sequence[str]) -> str:
    """Write down what columns there are, the first dozen of many."""
    shown = ", ".join(names[:_LISTED])
    hidden = len(names) - _LISTED
    return f"{shown}, and {hidden} more" if hidden > 0 else shown


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records as CSV; None becomes an empty cell.

    Args:
        path: of the file.
        records: all with the same keys, which become the first line.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


def _meant(names: Sequence[str], part: str, path: Path, option: str) -> list[str]:
    if part in names:
        return [part]
    members = [name for name in names if name.startswith(part + ":")]
    if members:
        return members
    span = _RANGE.fullmatch(part)
    if span is not None:
        array = span["array"] or ""
        members = [f"{array}{i}" for i in range(int(span["first"]), int(span["last"]) + 1)]
        if members and set(members) <= set(names):
            return members
    hint = did_you_mean(part, names) or f"; there are {listing(names)}"
    raise TableError(f"{option}: {path} has no column {part!r}{hint}")


def _csv(path: Path, delimiter: str = ",") -> Columns:
    from pyarrow import ArrowInvalid
    from pyarrow import csv as arrow
    from pyarrow.types import is_binary

    try:
        table = arrow.read_csv(
            path,
            parse_options=arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow.ConvertOptions(strings_can_be_null=True),
        )
        names = table.column_names
        binary = any(map(is_binary, table.schema.types))  # so Arrow calls text that is no UTF-8
    except (ArrowInvalid, UnicodeDecodeError) as error:
        _check_utf8(path)
        _check_separator(_first_line(path), delimiter, path)
        raise TableError(f"{path}: not a table of text, {_one_line(error)}") from error
    if binary:
        _check_utf8(path)
    if len(names) == 1:
        _check_separator(names[0], delimiter, path)
    counted = names == [str(position) for position in range(len(names))]
    if all(map(_is_number, names)) and not counted:
        raise TableError(f"{path}: the first line must name the columns, found {listing(names)}")
    return _of_arrow(table, path)


def _check_utf8(path: Path) -> None:
    """Refuse a text of another encoding, saying where it shows."""
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise TableError(
                    f"{path}: not UTF-8, found the byte {line[error.start]:#04x} in line {number};"
                    " save it as UTF-8"
                ) from None


def _check_separator(header: str, delimiter: str, path: Path) -> None:
    """Refuse a table whose columns are separated otherwise than its name says."""
    marks = (mark for mark in ";\t|" if header.count(mark) > header.count(delimiter))
    other = next(marks, None)
    if other is not None:
        hint = "name it .tsv" if other == "\t" else "write it with commas and decimal points"
        raise TableError(f"{path}: the columns seem to be separated by {other!r}; {hint}")


def _first_line(path: Path) -> str:
    with _opened(path) as file:
        return file.readline().decode()


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file of text, packed or not."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _parquet(path: Path) -> Columns:
    from pyarrow import ArrowInvalid, parquet

    try:
        return _of_arrow(parquet.read_table(path), path)
    except ArrowInvalid as error:
        raise TableError(f"{path}: not a Parquet file, {_one_line(error)}") from error


def _of_arrow(table: Any, path: Path) -> Columns:
    """Bring an Arrow table to arrays, refusing two columns of one name."""
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TableError(f"{path}: every column must have its own name, found {twice!r} twice")
    return {name: array_of(column) for name, column in columns_of(table)}


def _npy(path: Path) -> Columns:
    array = _arrays(path)[""]
    if array.dtype.names is not None:
        return {name: array[name] for name in array.dtype.names}
    return dict(_named(array, "", path))


def _npz(path: Path) -> Columns:
    columns: Columns = {}
    for name, array in _arrays(path).items():
        columns |= {name: array} if array.ndim == 1 else dict(_named(array, f"{name}:", path))
    return columns


def _arrays(path: Path) -> Columns:
    """Read the arrays of a file; the one of an .npy file has no name."""
    try:
        with path.open("rb") as file:
            loaded: Any = np.load(file, allow_pickle=False)
            return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        pickled = "pickle" in str(error)  # so NumPy says of every file that it does not know
        reason = "or one of Python objects" if pickled else _one_line(error)
        raise TableError(f"{path}: not an array that NumPy wrote, {reason}") from error


def _named(array: npt.NDArray[Any], prefix: str, path: Path) -> Iterator[tuple[str, Any]]:
    if array.ndim not in (1, 2):
        raise TableError(f"{path}: arrays must be (n,) or (n, columns), found {array.shape}")
    columns = array[:, None] if array.ndim == 1 else array
    for position in range(columns.shape[1]):
        yield f"{prefix}{position}", columns[:, position]


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _one_line(error: Exception) -> str:
    return io.StringIO(str(error)).readline().strip()


_READERS: dict[str, Callable[[Path], Columns]] = {
    ".csv": _csv,
    ".tsv": lambda path: _csv(path, "\t"),
    ".parquet": _parquet,
    ".npy": _npy,
    ".npz": _npz,
}
