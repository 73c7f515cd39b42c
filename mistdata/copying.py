"""Stores of datasets that exist already: packed anew, written shard by shard, sealed.

Plan, receipts, seal and resume are those of any store. plan.json says where the datasets came from
instead of a recipe, so a copy is verified like any other store, and made again from its sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mistdata
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.pipeline.fill import claim, lay_out, write_shard
from mistdata.pipeline.fingerprint import fingerprint
from mistdata.pipeline.plan import pack
from mistdata.pipeline.recipe import MIB, NAMES, is_name
from mistdata.store import catalog, layout, ledger
from mistdata.store.catalog import Table
from mistdata.store.commit import page_aligned
from mistdata.store.ledger import Manifest, PlanRecord, Shard
from mistdata.store.seal import seal

Told = tuple[Callable[[int, int], None], Callable[[int], None]]
_HASHED = (
    "dataset_id", "distribution_id", "replicate", "n", "dim_x", "dim_y", "shard", "offset",
    "crc32c",
)  # fmt: skip


@dataclass(frozen=True)
class Copy:
    """A store to be made.

    Attributes:
        name: of it.
        version: of it.
        length: values of a shard.
        table: the catalog, renumbered and packed.
        order: of every row, where it was in the table that was given.
        text: what plan.json holds in place of a recipe.
    """

    name: str
    version: int
    length: int
    table: Table
    order: Array
    text: str


def require_name(name: str) -> None:
    """Refuse what no store may be called; to be asked before anything is read.

    Raises:
        MistdataError: the name is not one.
    """
    if not is_name(name):
        raise MistdataError(f"name: expected {NAMES}, got {name!r}")


def arranged(table: Table, length: int) -> tuple[Table, Array]:
    """Put the rows of a catalog split by split, number them and place them in shards.

    Args:
        table: columns as in `catalog.CATALOG`; dataset_id, shard and offset are written anew.
        length: values of a shard.

    Returns:
        The new catalog, and where each of its rows was.

    Raises:
        MistdataError: a dataset does not fit a shard.
        ValueError: no shard has this length.
    """
    layout.require_shard_length(length)
    names, code = catalog.positions(table["split"])
    order = np.argsort(code, kind="stable")
    table, code = table.take(order), code[order]
    sizes = catalog.sizes(table)
    if sizes.max() > length:
        raise MistdataError(
            f"a dataset of {int(sizes.max()):,} values does not fit a shard of"
            f" {4 * length // MIB} MiB"
        )
    places = [pack(sizes[code == each], length) for each in range(len(names))]
    shard, offset = (np.concatenate(each) for each in zip(*places, strict=True))
    columns = {key: table[key] for key in table.column_names}
    columns |= {
        "dataset_id": catalog.whole(np.arange(len(table))),
        "shard": catalog.whole(shard),
        "offset": catalog.whole(offset),
    }
    return catalog.typed(columns), order


def write_copy(out: Path, copy: Copy, read: Callable[[int, Array], None], told: Told) -> Manifest:
    """Fill and seal a store; the same call again resumes.

    Args:
        out: its folder.
        copy: what it is to be.
        read: writes the values of a row of `copy.table` into the array that it is given.
        told: called with (datasets already durable, datasets in all), and with the datasets of
            every shard made durable.

    Raises:
        MistdataError: `out` belongs to something else.
    """
    identity = ledger.identity(_hash(copy), mistdata.__version__)
    planned = catalog.encode_planned(copy.table.select(catalog.PLANNED.names), identity)
    record = claim(out, PlanRecord(
        **identity, name=copy.name, version=copy.version, seed=0, limit=None,
        shard_length=copy.length, planned_sha256=hashlib.sha256(planned).hexdigest(),
        fingerprint=fingerprint(), recipe=copy.text,
    ))  # fmt: skip
    shards = ledger.shards_of(copy.table)
    lay_out(out, record, planned, shards)
    missing = ledger.missing_shards(out, shards, record)
    left = sum(shard.stop - shard.start for shard in missing)
    told[0](len(copy.table) - left, len(copy.table))
    for shard in missing:
        write_shard(out, record, shard, _values(copy, shard, read), _labels(copy.table, shard))
        told[1](shard.stop - shard.start)
    return seal(out)


def _hash(copy: Copy) -> str:
    digest = hashlib.sha256(f"mistdata derived 1\n{copy.text}".encode())
    for key in _HASHED:
        digest.update(catalog.to_numpy(copy.table[key]).astype("<i8").tobytes())
    return digest.hexdigest()


def _values(copy: Copy, shard: Shard, read: Callable[[int, Array], None]) -> Array:
    """Read the datasets of a shard; what no dataset fills is NaN."""
    values = page_aligned(copy.length)
    values.fill(np.nan)
    sizes = catalog.sizes(copy.table.slice(shard.start, shard.stop - shard.start))
    ends = np.cumsum(sizes)
    for row, size, end in zip(range(shard.start, shard.stop), sizes, ends, strict=True):
        read(row, values[end - size : end])
    return values


def _labels(table: Table, shard: Shard) -> dict[str, list[object]]:
    rows = table.slice(shard.start, shard.stop - shard.start)
    return {name: rows[name].to_pylist() for name in catalog.LABELS.names}
