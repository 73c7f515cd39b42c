"""Reading a store: `MetaDataset`, its catalog and its values.

Values are read from a memory map of the shard files, or of local copies of them where the store
lies under a URL; where a store is laid out differently (say, compressed by somebody else) they are
read through Zarr. All give the same bits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import google_crc32c
import numpy as np
from jaxtyping import Float32, Int64

from mistdata.distributions.priors import Array
from mistdata.errors import BadCondition, NotAStore, VerificationFailed
from mistdata.store import catalog, layout, ledger, published
from mistdata.store.cache import Cache
from mistdata.store.commit import sha256_of
from mistdata.store.ledger import Manifest
from mistdata.store.place import Remote, place
from mistdata.store.values import Values, ZarrValues, open_values

Verify = Literal["size", "crc"]


class Packed(NamedTuple):
    """Several datasets, end to end.

    Attributes:
        values: (total,) float32; each dataset is row-major (n, dim_x + dim_y), x_i then y_i.
        shapes: (datasets, 3) int64: n, dim_x, dim_y.
    """

    values: Float32[Array, " total"]
    shapes: Int64[Array, "datasets 3"]

    def padded(self) -> Padded:
        """Lay the datasets out in arrays of one shape, zeros where they are smaller.

        For networks that need it so; the loader of `train` needs neither padding nor mask.
        """
        rows, most_x, most_y = self.shapes.max(axis=0, initial=0).tolist()
        x = np.zeros((len(self.shapes), rows, most_x), np.float32)
        y = np.zeros((len(self.shapes), rows, most_y), np.float32)
        end = 0
        for k, (n, dim_x, dim_y) in enumerate(self.shapes.tolist()):
            start, end = end, end + n * (dim_x + dim_y)
            table = self.values[start:end].reshape(n, dim_x + dim_y)
            x[k, :n, :dim_x], y[k, :n, :dim_y] = table[:, :dim_x], table[:, dim_x:]
        mask = np.arange(rows) < self.shapes[:, :1]
        return Padded(x, y, mask, self.shapes)


class Padded(NamedTuple):
    """Several datasets in arrays of one shape, zeros where they are smaller.

    Attributes:
        x: (datasets, n, dim_x) float32, the largest n and dim_x.
        y: (datasets, n, dim_y) float32.
        mask: (datasets, n), true where there is a row.
        shapes: (datasets, 3) int64: n, dim_x, dim_y of each.
    """

    x: Float32[Array, "datasets n dim_x"]
    y: Float32[Array, "datasets n dim_y"]
    mask: Array
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
        values: Mapping[str, Values],
        table: catalog.Table,
        manifest: Manifest | None,
        verify: Verify = "size",
    ) -> None:
        self.path = path
        self.verify = verify
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
        if self.verify == "crc":
            self._require_crc(index, values)
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

    def modality(self, side: str) -> dict[str, Any] | None:
        """Return what the rows of a side look like where a flow carries it, else None.

        Args:
            side: 'x' or 'y'.

        Returns:
            shape of a row of the modality, which is stored flat; kind: 'table', 'image' or
            'embedding'; names of the columns of a table; levels of grey of an image.

        Example:
            >>> images = ds[0].x.reshape(-1, *ds.modality("x")["shape"])       # doctest: +SKIP
        """
        path = self.path / ledger.FLOWS / side / ledger.FLOW
        if not path.is_file():
            return None
        described = json.loads(path.read_bytes())
        return {"shape": tuple(described["shape"]), **described["fit"].get("modality", {})}

    def where(self, condition: str) -> MetaDataset:
        """Select datasets by a SQL condition over the catalog's columns.

        Example: ``ds.where("family = 'gaussian-lvm' and n >= 100")``.

        Raises:
            BadCondition: a ValueError; the condition is not SQL, or names an unknown column.
        """
        keep = catalog.select(self._table, condition)
        return MetaDataset(
            self.path,
            self.digest,
            self._values,
            self._table.take(np.searchsorted(self.column("dataset_id"), keep)),
            self.manifest,
            self.verify,
        )

    def some_where(self, condition: str) -> MetaDataset:
        """Select as `where` does, but at least one dataset.

        Raises:
            BadCondition: as in `where`, or no dataset meets the condition.
        """
        chosen = self.where(condition)
        if not len(chosen):
            raise BadCondition(f"{self.path}: {catalog.why_none(self._table, condition)}")
        return chosen

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
            VerificationFailed: the store was opened with verify="crc" and a dataset is damaged, or
                a shard that is read for the first time is.
            Unreachable: a shard cannot be had from its server.
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

    def fetch(self, positions: Iterable[int] | Array) -> None:
        """Bring near the shards of some datasets: into the cache of the store, or of the disk.

        Shards are read whole, several at a time; reading these datasets is fast afterwards, as
        long as memory, or the cache, holds them.

        Args:
            positions: which, within this selection.

        Raises:
            VerificationFailed: a shard of a store under a URL is not the one in the manifest.
            Unreachable: it cannot be had.
        """
        index = _whole_numbers(positions)
        for code, split in enumerate(self._splits):
            self._values[split].prepare(self._offsets[index][self._split_of[index] == code])

    def _copy(self, index: Array, offsets: Array, ends: Array, out: Array) -> None:
        readers = [self._values[split] for split in self._splits]
        split = self._split_of[index].tolist()
        if isinstance(self.path, Remote):
            self.fetch(index)
        if self.verify == "crc":
            self._check(index, readers)
        one = readers[0] if len(readers) == 1 else None
        start = 0
        for code, offset, end in zip(split, offsets.tolist(), ends.tolist(), strict=True):
            reader = one or readers[code]
            out[start:end] = reader.view(offset, end - start)
            start = end

    def _check(self, index: Array, readers: list[Values]) -> None:
        """Hold whole datasets against the catalog, also where only some rows are read."""
        sizes = catalog.sizes(self._table)[index].tolist()
        offsets, split = self._offsets[index].tolist(), self._split_of[index].tolist()
        for row, code, offset, size in zip(index.tolist(), split, offsets, sizes, strict=True):
            self._require_crc(row, readers[code].view(offset, size))

    def _require_crc(self, index: int, values: Array) -> None:
        if google_crc32c.value(np.ascontiguousarray(values)) != self._crcs[index]:
            row = catalog.row(self._table, index)
            raise VerificationFailed(
                f"{self.path / layout.shard_name(row['split'], row['shard'])}: the crc32c of"
                f" dataset {row['dataset_id']} differs; see `mistdata verify`"
            )

    @cached_property
    def _crcs(self) -> list[int]:
        crcs: list[int] = self.column("crc32c").tolist()
        return crcs

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


def open_store(
    path: str | os.PathLike[str], *, allow_partial: bool = False, verify: Verify = "size"
) -> MetaDataset:
    """Open a sealed store for reading.

    Of a store under a URL, whole shards are copied when they are first read, to the folder that
    MISTDATA_CACHE names (default ~/.cache/mistdata), which holds at most MISTDATA_CACHE_GB
    gigabytes (default 50); every copy is held against the sha256 in the manifest.

    Args:
        path: the folder of the store, or its URL: s3://BUCKET/NAME, gs://, az://, https://; or the
            name and the version of a published one, as 'mist-train@1'.
        allow_partial: also open a store that is not sealed, with the datasets of the shards that
            are durable so far.
        verify: 'size' checks the size of every file when a folder is opened; 'crc' also the crc32c
            of every dataset whenever it is read.

    Raises:
        NotAStore: there is no sealed store.
        VerificationFailed: the size of a file is not the one in the manifest, or the store is not
            the one that was published.
        Unreachable: the server of a URL does not answer.
        ValueError: `verify` is neither.
    """
    if verify not in get_args(Verify):
        raise ValueError(f"verify must be one of {', '.join(get_args(Verify))}, got {verify!r}")
    if published.is_published_name(path):
        entry = published.find(str(path))
        return _open_sealed(*published.place_of(entry), verify, entry)
    store = place(path)
    if ledger.is_sealed(store):
        return _open_sealed(store, ledger.read_manifest(store), verify)
    if (store / ledger.RECORD).exists() and not allow_partial:
        raise NotAStore(
            f"{store}: not sealed yet; finish it with `mistdata generate` or `mistdata seal`,"
            " or open it with allow_partial=True"
        )
    return _open_partial(store, verify)


def _open_sealed(
    store: Path, manifest: Manifest, verify: Verify, entry: published.Entry | None = None
) -> MetaDataset:
    sha256s = {name: file["sha256"] for name, file in manifest.files.items()}
    values = open_values(store, manifest.shards, manifest.shard_length, sha256s)
    file = store / ledger.CATALOG
    if isinstance(store, Remote):
        file = Cache.of_user().copy(file, sha256s[ledger.CATALOG])
    else:
        _require_sizes(store, manifest, values)
        if sha256_of(file) != sha256s[ledger.CATALOG]:
            raise VerificationFailed(f"{file}: not the one in the manifest")
    table = catalog.read_catalog(file)
    _require_inside(file, manifest, table)
    if entry is not None:
        published.require_published(store, entry, manifest, table)
    return MetaDataset(store, manifest.digest, values, table, manifest, verify)


def _open_partial(store: Path, verify: Verify) -> MetaDataset:
    record = ledger.read_record(store)
    planned, shards = ledger.read_planned(store, record)
    receipts = [(shard, ledger.valid_receipt(store, shard, record)) for shard in shards]
    durable = [(shard, receipt) for shard, receipt in receipts if receipt is not None]
    labels = catalog.label_table(receipt.labels for _, receipt in durable)
    rows = [np.arange(shard.start, shard.stop) for shard, _ in durable]
    kept = planned.take(np.concatenate([np.empty(0, np.int64), *rows]))
    sha256s = {shard.file: receipt.sha256 for shard, receipt in durable}
    values = open_values(store, ledger.count_shards(shards), record.shard_length, sha256s)
    table = catalog.build_catalog(kept, labels)
    return MetaDataset(store, f"partial-{record.plan}", values, table, None, verify)


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


def _require_inside(file: Path, manifest: Manifest, table: catalog.Table) -> None:
    """Check that every dataset lies within the shards of its split."""
    splits, position = catalog.positions(table["split"])
    lengths = np.array([manifest.shards.get(split, 0) for split in splits]) * manifest.shard_length
    ends = catalog.to_numpy(table["offset"]).astype(float) + catalog.sizes(table)
    if (ends > lengths[position]).any():
        raise VerificationFailed(f"{file}: a dataset lies outside the shards of its split")


def _require_sizes(store: Path, manifest: Manifest, values: Mapping[str, Values]) -> None:
    """Check the size of every file; a split laid out differently has files of its own."""
    elsewhere = tuple(
        f"{layout.values_folder(split)}/c/"
        for split, reader in values.items()
        if isinstance(reader, ZarrValues)
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
