"""Reading a store: `MetaDataset`, its catalog and its values.

Values are read from a memory map of the shard files; where a store is laid out differently (say,
compressed by somebody else) they are read through Zarr. Both give the same bits.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from mistdata.distributions.priors import Array
from mistdata.errors import NotAStore, VerificationFailed
from mistdata.store import catalog, layout, ledger
from mistdata.store.commit import sha256_of
from mistdata.store.ledger import Manifest

_SPARE_DESCRIPTORS = 256


class Packed(NamedTuple):
    """Several datasets, end to end.

    Attributes:
        values: (total,) float32; each dataset is row-major (n, dim_x + dim_y), x_i then y_i.
        shapes: (datasets, 3) int64: n, dim_x, dim_y.
    """

    values: Float32[Array, " total"]
    shapes: Int64[Array, "datasets 3"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """One sample with its true mutual information.

    Attributes:
        x: (n, dim_x) float32, read-only.
        y: (n, dim_y) float32, read-only.
        row: the dataset's row of the catalog; its entries are attributes too.
    """

    x: Float32[Array, "n dim_x"]
    y: Float32[Array, "n dim_y"]
    row: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        """Return a column of the catalog: mi (nats), mi_error, family, params, ..."""
        row = self.__dict__.get("row", {})
        if name in row:
            return row[name]
        raise AttributeError(f"a dataset has no {name!r}; it has x, y, {', '.join(row)}")

    def __repr__(self) -> str:
        row = self.row
        return (
            f"<Dataset {row['dataset_id']}: {row['component']}, n={row['n']},"
            f" dim_x={row['dim_x']}, dim_y={row['dim_y']}, mi={row['mi']:.4g} nats>"
        )


class MetaDataset:
    """A sealed store, or a selection of its datasets, as a sequence of `Dataset`.

    Positions run from 0 to len - 1 within the selection, in dataset order.
    """

    def __init__(
        self,
        path: Path,
        digest: str,
        values: Mapping[str, _Values],
        table: catalog.Table,
        manifest: Manifest | None,
    ) -> None:
        self.path = path
        self.digest = digest
        self.manifest = manifest
        self._values = values
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"<MetaDataset {self.path}: {len(self):,} datasets, digest {self.digest[:12]}>"

    def __getitem__(self, position: int) -> Dataset:
        """Return one dataset; x and y are read-only views of the store where it is mapped."""
        index = self._position(position)
        row = catalog.row(self._table, index)
        size = row["n"] * (row["dim_x"] + row["dim_y"])
        values = self._values[row["split"]].view(row["offset"], size)
        table = values.reshape(row["n"], row["dim_x"] + row["dim_y"])
        return Dataset(table[:, : row["dim_x"]], table[:, row["dim_x"] :], row)

    def __iter__(self) -> Iterator[Dataset]:
        return (self[position] for position in range(len(self)))

    @property
    def catalog(self) -> catalog.Table:
        """The catalog as an Arrow table; pandas, Polars and DuckDB read it as it is."""
        return self._table

    def column(self, name: str) -> Array:
        """Return a column of the catalog as a NumPy array.

        Raises:
            KeyError: the catalog has no such column.
        """
        return catalog.to_numpy(self._table[name])

    def where(self, condition: str) -> MetaDataset:
        """Select datasets by a SQL condition over the catalog's columns.

        Example: ``ds.where("family = 'gaussian-lvm' and n >= 100")``.

        Raises:
            ValueError: the condition is not SQL, or names an unknown column.
        """
        keep = catalog.select(self._table, condition)
        return MetaDataset(
            self.path,
            self.digest,
            self._values,
            self._table.take(np.searchsorted(self.column("dataset_id"), keep)),
            self.manifest,
        )

    def read(
        self,
        positions: Iterable[int] | Array,
        rows: int | None = None,
        out: Array | None = None,
        skip: Array | None = None,
    ) -> Packed:
        """Read several datasets into one buffer.

        Args:
            positions: which, within this selection; in this order, repeats allowed.
            rows: only the first `rows` rows of each (rows are independent, so the MI holds).
            out: float32 buffer to fill instead of a new one.
            skip: how many rows of each to skip before those `rows`.

        Raises:
            IndexError: a position outside 0 .. len - 1.
            TypeError: positions that are not whole numbers, or `out` is not float32.
            ValueError: a dataset has fewer than `skip` + `rows` rows, or `out` is too small.
        """
        index = _whole_numbers(positions)
        if index.size and not (index.min() >= 0 and index.max() < len(self)):
            raise IndexError(f"positions must lie in 0..{len(self) - 1}")
        shapes = self._shapes[index]
        offsets = self._offsets[index]
        if rows is not None:
            first = np.zeros(len(index), np.int64) if skip is None else _whole_numbers(skip)
            _require_rows(shapes, first, rows)
            offsets = offsets + first * (shapes[:, 1] + shapes[:, 2])
            shapes[:, 0] = rows
        elif skip is not None:
            raise ValueError("skip: say how many rows to read after it")
        ends = np.cumsum(shapes[:, 0] * (shapes[:, 1] + shapes[:, 2]))
        total = int(ends[-1]) if len(ends) else 0
        if out is None:
            out = np.empty(total, np.float32)
        elif out.dtype != np.float32 or out.ndim != 1:
            raise TypeError(f"out must be a float32 vector, got {out.dtype}, {out.ndim}-D")
        elif len(out) < total:
            raise ValueError(f"out holds {len(out)} values, {total} are needed")
        self._copy(index, offsets, ends, out)
        return Packed(out[:total], shapes)

    def _copy(self, index: Array, offsets: Array, ends: Array, out: Array) -> None:
        readers = [self._values[split] for split in self._splits]
        split = self._split_of[index].tolist()
        one = readers[0] if len(readers) == 1 else None
        start = 0
        for code, offset, end in zip(split, offsets.tolist(), ends.tolist(), strict=True):
            reader = one or readers[code]
            out[start:end] = reader.view(offset, end - start)
            start = end

    @cached_property
    def _shapes(self) -> Int64[Array, "datasets 3"]:
        columns = [self.column(name).astype(np.int64) for name in ("n", "dim_x", "dim_y")]
        return np.stack(columns, axis=1)

    @cached_property
    def _offsets(self) -> Array:
        return self.column("offset")

    @cached_property
    def _coded(self) -> tuple[list[str], Array]:
        return catalog.positions(self._table["split"])

    @property
    def _splits(self) -> list[str]:
        return self._coded[0]

    @property
    def _split_of(self) -> Array:
        return self._coded[1]

    def _position(self, position: int) -> int:
        if not isinstance(position, int | np.integer):
            raise TypeError(f"a position is a whole number, got {position!r}; see where and read")
        length = len(self)
        if not -length <= position < length:
            raise IndexError(f"position {position} of {length} datasets")
        return position % length


class _MappedValues:
    """The values of one split through memory maps of its shard files, opened at first use."""

    def __init__(self, store: Path, split: str, shards: int, shard_length: int) -> None:
        self._paths = [store / layout.shard_name(split, k) for k in range(shards)]
        self._length = shard_length
        self._maps: list[Array | None] = [None] * shards

    def view(self, offset: int, size: int) -> Array:
        """Return `size` values from `offset`, without copying."""
        shard, start = divmod(offset, self._length)
        values = self._maps[shard]
        if values is None:
            values = self._open(shard)
        return values[start : start + size]

    def _open(self, shard: int) -> Array:
        try:
            values = layout.map_shard(self._paths[shard], self._length)
        except ValueError as error:
            raise VerificationFailed(str(error)) from None
        self._maps[shard] = values
        return values


class _ZarrValues:
    """The values of one split through Zarr, for stores laid out differently."""

    def __init__(self, store: Path, split: str) -> None:
        self._array = layout.open_array(store / layout.values_folder(split))

    def view(self, offset: int, size: int) -> Array:
        """Return `size` values from `offset`."""
        values: Array = self._array[offset : offset + size]
        values.flags.writeable = False
        return values


_Values = _MappedValues | _ZarrValues


def open_store(path: str | os.PathLike[str], *, allow_partial: bool = False) -> MetaDataset:
    """Open a sealed store for reading.

    Args:
        path: the folder of the store.
        allow_partial: also open a store that is not sealed, with the datasets of the shards that
            are durable so far.

    Raises:
        NotAStore: there is no sealed store.
        VerificationFailed: the size of a file is not the one in the manifest.
    """
    store = Path(path)
    if not ledger.is_sealed(store):
        if (store / ledger.RECORD).exists() and not allow_partial:
            raise NotAStore(
                f"{store}: not sealed yet; finish it with `mistdata generate` or `mistdata seal`,"
                " or open it with allow_partial=True"
            )
        return _open_partial(store)
    manifest = ledger.read_manifest(store)
    values = _readers(store, manifest.shards, manifest.shard_length)
    _require_sizes(store, manifest, values)
    if sha256_of(store / ledger.CATALOG) != manifest.files[ledger.CATALOG]["sha256"]:
        raise VerificationFailed(f"{store / ledger.CATALOG}: not the one in the manifest")
    table = catalog.read_catalog(store / ledger.CATALOG)
    return MetaDataset(store, manifest.digest, values, table, manifest)


def _open_partial(store: Path) -> MetaDataset:
    record = ledger.read_record(store)
    planned, shards = ledger.read_planned(store, record)
    receipts = [(shard, ledger.valid_receipt(store, shard, record)) for shard in shards]
    durable = [(shard, receipt) for shard, receipt in receipts if receipt is not None]
    labels = catalog.label_table(receipt.labels for _, receipt in durable)
    rows = [np.arange(shard.start, shard.stop) for shard, _ in durable]
    kept = planned.take(np.concatenate([np.empty(0, np.int64), *rows]))
    values = _readers(store, ledger.count_shards(shards), record.shard_length)
    table = catalog.build_catalog(kept, labels)
    return MetaDataset(store, f"partial-{record.plan}", values, table, None)


def _readers(store: Path, shards: Mapping[str, int], shard_length: int) -> dict[str, _Values]:
    _allow_descriptors(sum(shards.values()) + _SPARE_DESCRIPTORS)
    readers: dict[str, _Values] = {}
    for split, count in shards.items():
        readers[split] = _reader(store, split, count, shard_length)
    return readers


def _reader(store: Path, split: str, shards: int, shard_length: int) -> _Values:
    folder = store / layout.values_folder(split)
    try:
        if layout.is_mappable(folder, shard_length):
            return _MappedValues(store, split, shards, shard_length)
        return _ZarrValues(store, split)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        message = " ".join(str(error).split())
        raise VerificationFailed(f"{folder}: not a Zarr array: {message}") from None


def _allow_descriptors(count: int) -> None:
    """Raise this process's soft limit of open files: every mapped shard holds one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        target = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def _whole_numbers(positions: Iterable[int] | Array) -> Array:
    index = positions if isinstance(positions, np.ndarray) else np.array(list(positions))
    if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
        raise TypeError(
            f"positions must be a vector of whole numbers, got {index.dtype}, {index.ndim}-D"
            " (for a mask, take np.flatnonzero)"
        )
    return index.astype(np.int64)


def _require_rows(shapes: Array, first: Array, rows: int) -> None:
    if rows < 1 or rows != int(rows):
        raise ValueError(f"rows must be a whole number >= 1, got {rows}")
    if len(first) != len(shapes) or (first.size and first.min() < 0):
        raise ValueError("skip must hold one whole number >= 0 for each dataset")
    left = shapes[:, 0] - first
    if left.size and left.min() < rows:
        raise ValueError(f"rows = {rows}: a dataset has only {max(left.min(), 0)}")


def _require_sizes(store: Path, manifest: Manifest, values: Mapping[str, _Values]) -> None:
    """Check the size of every file; a split laid out differently has files of its own."""
    elsewhere = tuple(
        f"{layout.values_folder(split)}/c/"
        for split, reader in values.items()
        if isinstance(reader, _ZarrValues)
    )
    for name, expected in manifest.files.items():
        if name.startswith(elsewhere):
            continue
        try:
            size = (store / name).stat().st_size
        except OSError:
            raise VerificationFailed(f"{store / name}: missing; see `mistdata verify`") from None
        if size != expected["size"]:
            raise VerificationFailed(
                f"{store / name}: expected {expected['size']} bytes, found {size}; see"
                " `mistdata verify`"
            )
