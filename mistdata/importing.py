"""Stores out of the pickles in which MIST published its meta-dataset.

A file is a list of dictionaries, as mist-statinf 0.1.1 writes them (`*dataset.pkl`): `source`
(n, dim_x + dim_y), `target` (1,) in nats, `distribution`, `n_row` = n and in most of them
`dimension` = dim_x = dim_y. `mistdata.pickles` reads them; nothing is executed. The published
loader pads samples to one shape; padding in a file is taken off, as `n_row` and `dimension` tell.

The label of an imported dataset is as good as its file: no error, no second opinion.

References:
    Gritsai et al., MIST: Mutual Information estimation via Supervised Training, arXiv 2511.18945;
    data: Zenodo record 17599669.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np

from mistdata.copying import Copy, arranged, require_name, write_copy
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.pickles import read_pickle
from mistdata.pipeline.recipe import MIB, SPLIT_NAMES, is_split
from mistdata.store import catalog
from mistdata.store.catalog import Table
from mistdata.store.commit import sha256_of
from mistdata.store.ledger import Manifest

LEAST_ROWS = 8
_SHARD_MIB = 16  # unless everything is smaller
_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Imported(NamedTuple):
    """What an import did.

    Attributes:
        manifest: of the store.
        left_out: how many datasets cannot be used.
        padded_rows: how many rows were padding, and were taken off.
        padded_columns: likewise, columns.
    """

    manifest: Manifest
    left_out: int
    padded_rows: int
    padded_columns: int


@dataclass(frozen=True)
class Point:
    """One dataset of a file.

    Attributes:
        values: (n, dim_x + dim_y) float32.
        dim_x: columns of X.
        mi: in nats, as the file says.
        distribution: its name there, such as multi_student-sparse-asinh.
        padding: rows and columns that were taken off.
    """

    values: Array
    dim_x: int
    mi: float
    distribution: str
    padding: tuple[int, int]


@dataclass(frozen=True)
class _Kept:
    """The datasets of a file that are imported: of each, its place there; and how many are not."""

    split: str
    path: Path
    places: Array
    skipped: int
    padding: tuple[int, int]
    sha256: str


def import_pickles(
    files: Sequence[tuple[str, Path]],
    out: Path,
    *,
    name: str,
    version: int = 1,
    shard_mib: int | None = None,
    skip_bad: bool = False,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_written: Callable[[int], None] = lambda datasets: None,
) -> Imported:
    """Make a store of published pickles; the same call again resumes.

    Every file is read twice, one after another, and must fit in memory alone.

    Args:
        files: the split and the path of each.
        out: the folder of the new store.
        name: of it.
        version: of it.
        shard_mib: size of its shards; None for 16, or less where every split is smaller.
        skip_bad: leave out datasets that cannot be used, instead of refusing the file.
        on_start: called with (datasets already durable, datasets in all).
        on_written: called with the datasets of every shard made durable.

    Returns:
        The manifest, how many datasets were left out, and how much padding was taken off.

    Raises:
        MistdataError: a file is not such a pickle, a dataset in it cannot be used (values or MI
            that are not finite, MI < 0, fewer than 8 rows, sides that are not known), or `out`
            belongs to something else; a name is not one, or a file was named twice.
    """
    require_name(name)
    for split, path in files:
        if not is_split(split):
            raise MistdataError(f"{path}: the split {split!r} should be {SPLIT_NAMES}")
    tables, kept = [], []
    for split, path in files:
        table, each = _surveyed(split, path, skip_bad)
        tables.append(table)
        kept.append(each)
    if len({each.sha256 for each in kept}) < len(kept):
        raise MistdataError("a file was named twice: its datasets would be there twice")
    table = _numbered(catalog.joined(tables))
    shard_mib = shard_mib or _shard_mib(table)
    length = shard_mib * MIB // 4
    table, order = arranged(table, length)
    files_of = np.repeat(np.arange(len(kept)), [len(each.places) for each in kept])
    places = np.concatenate([each.places for each in kept])
    reader, crcs = _Reader(kept), catalog.to_numpy(table["crc32c"])

    def read(row: int, into: Array) -> None:
        at = int(order[row])
        number = int(files_of[at])
        values = reader.point(number, int(places[at])).values.ravel()
        if google_crc32c.value(values) != crcs[row]:
            raise MistdataError(f"{kept[number].path}: changed while it was read")
        into[:] = values

    copy = Copy(name, version, length, table, order, _recipe(kept, name, version, shard_mib))
    manifest = write_copy(out, copy, read, (on_start, on_written))
    rows, columns = (sum(each.padding[side] for each in kept) for side in (0, 1))
    return Imported(manifest, sum(each.skipped for each in kept), rows, columns)


class _Reader:
    """Datasets of files, of which one is in memory at a time."""

    def __init__(self, kept: Sequence[_Kept]) -> None:
        self._kept = kept
        self._number: int | None = None
        self._held: list[Any] = []

    def point(self, number: int, place: int) -> Point:
        """Return a dataset of a file."""
        if self._number != number:
            self._held = []  # before the next file is read, so that only one is in memory
            self._number, self._held = number, _entries(self._kept[number].path)
        return point_of(self._held[place])


def _entries(path: Path) -> list[Any]:
    held = read_pickle(path)
    if not isinstance(held, list) or not held:
        raise MistdataError(f"{path}: expected a list of datasets, got {type(held).__name__}")
    return held


def point_of(entry: Any) -> Point:
    """Read one dictionary of a published file.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not isinstance(entry, dict) or not {"source", "target", "distribution"} <= entry.keys():
        raise ValueError("expected a dictionary with source, target and distribution")
    name = entry["distribution"]
    if not (isinstance(name, str) and _DISTRIBUTION.fullmatch(name)):
        raise ValueError("distribution: expected a word like multi_student-sparse-asinh")
    mi = float(_number(entry, "target", "fiu"))
    if not (math.isfinite(mi) and mi >= 0):
        raise ValueError(f"target: an information is finite and not negative, got {mi}")
    source = entry["source"]
    if not isinstance(source, np.ndarray) or source.ndim != 2 or source.dtype.kind not in "fiu":
        raise ValueError("source: expected an array (n, columns) of numbers")
    dim = _dimension(entry, source.shape[1])
    rows = int(_number(entry, "n_row", "iu")) if "n_row" in entry else len(source)
    table = _without_padding(source, rows, 2 * dim)
    with np.errstate(over="ignore"):
        values = table.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("source: values that are not finite in single precision")
    if len(values) < LEAST_ROWS:
        raise ValueError(f"source: expected n ≥ {LEAST_ROWS} rows, got {len(values)}")
    padding = len(source) - len(values), source.shape[1] - 2 * dim
    return Point(values, dim, mi, name, padding)


def _number(entry: dict[str, Any], key: str, kinds: str) -> Any:
    """Return the one number of an entry; `kinds` as in `numpy.dtype.kind`."""
    held = entry[key]
    number = np.asarray(held) if isinstance(held, int | float | np.ndarray) else np.empty(0)
    if number.size != 1 or number.dtype.kind not in kinds:
        raise ValueError(f"{key}: expected one number")
    return number.reshape(()).item()


def _dimension(entry: dict[str, Any], columns: int) -> int:
    """Return dim_x = dim_y; half the columns where the entry does not say."""
    if entry.get("dimension") is None:
        if columns < 2 or columns % 2:
            raise ValueError(
                f"{columns} columns without a dimension: X and Y cannot be told apart"
            )
        return columns // 2
    dim = int(_number(entry, "dimension", "iu"))
    if not 2 <= 2 * dim <= columns:
        raise ValueError(f"dimension: {dim} a side of {columns} columns")
    return dim


def _without_padding(source: Array, rows: int, columns: int) -> Array:
    """Take off what the published loader pads with: rows and columns of 0 or NaN at the end.

    A row that is NaN throughout is padding wherever it stands.

    Raises:
        ValueError: there are fewer rows than `rows`, or other values beyond rows and columns.
    """
    if not 0 <= rows <= len(source):
        raise ValueError(f"n_row: {rows} of {len(source)} rows")
    for beyond in (source[rows:], source[:, columns:]):
        if not ((beyond == 0) | np.isnan(beyond)).all():
            raise ValueError(
                f"source: {source.shape[0]} x {source.shape[1]} values, where n_row and dimension"
                f" say {rows} x {columns}"
            )
    table = source[:rows, :columns]
    return np.asarray(table[~np.isnan(table).all(axis=1)])


def _surveyed(split: str, path: Path, skip_bad: bool) -> tuple[Table, _Kept]:
    """Read what the catalog says of every dataset of a file."""
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    entries = _entries(path)
    padding, values = np.zeros(2, np.int64), 0
    for place, point in _points(entries, path, skip_bad):
        places.append(place)
        rows.append(_row(split, path, place, point))
        padding += point.padding
        values += point.values.size
    if values > path.stat().st_size:  # every value of a file takes a byte of it, at the least
        raise MistdataError(f"{path}: {values:,} values of datasets that share them")
    if not rows:
        raise MistdataError(f"{path}: no dataset of it can be used")
    skipped = len(entries) - len(rows)
    taken_off = int(padding[0]), int(padding[1])
    kept = _Kept(split, path, np.array(places), skipped, taken_off, sha256_of(path))
    return catalog.of_rows(rows), kept


def _points(entries: list[Any], path: Path, skip_bad: bool) -> Iterator[tuple[int, Point]]:
    for place, entry in enumerate(entries):
        try:
            point = point_of(entry)
        except ValueError as error:
            if not skip_bad:
                raise MistdataError(
                    f"{path}: dataset {place}: {error}; --skip-bad leaves such out"
                ) from None
        else:
            yield place, point


def _row(split: str, path: Path, place: int, point: Point) -> dict[str, Any]:
    family, dash, transform = point.distribution.rpartition("-")
    n, columns = point.values.shape
    return {
        "split": split, "replicate": 0, "component": point.distribution,
        "family": family if dash else transform, "transform_x": transform if dash else "",
        "transform_y": transform if dash else "", "x_kind": "continuous", "y_kind": "continuous",
        "dim_x": point.dim_x, "dim_y": columns - point.dim_x, "n": n, "mi": point.mi,
        "mi_method": catalog.IMPORTED, "params": json.dumps({"file": path.name, "place": place}),
        "crc32c": google_crc32c.value(point.values.tobytes()),
    }  # fmt: skip


def _numbered(table: Table) -> Table:
    """Give every dataset a distribution of its own, and a key that says it is of no stream: -1."""
    split = catalog.positions(table["split"])[1]
    distribution = np.empty(len(table), np.int64)
    for each in np.unique(split):
        distribution[split == each] = np.arange((split == each).sum())
    columns = {key: table[key] for key in table.column_names}
    columns["distribution_id"] = catalog.whole(distribution)
    columns["seed_key"] = catalog.seed_keys(np.full_like(split, -1), split, distribution)
    return catalog.typed(columns)


def _shard_mib(table: catalog.Table) -> int:
    """The default size of shards: one is written whole, however little is in it."""
    _, splits = catalog.positions(table["split"])
    largest = int(np.bincount(splits, weights=catalog.sizes(table)).max())
    return min(_SHARD_MIB, -(-4 * largest // MIB))


def _recipe(kept: Sequence[_Kept], name: str, version: int, shard_mib: int) -> str:
    """What plan.json holds in place of a recipe."""
    text = [
        f"name = {json.dumps(name)}", f"version = {version}", f"shard_mib = {shard_mib}", "",
        "[derived]", 'by = "import"',
    ]  # fmt: skip
    for each in kept:
        text += [
            "", "[[derived.from]]",
            f"split = {json.dumps(each.split)}",
            f"file = {json.dumps(each.path.name)}",
            f"sha256 = {json.dumps(each.sha256)}",
            f"left_out = {each.skipped}",
        ]  # fmt: skip
    return "\n".join(text) + "\n"
