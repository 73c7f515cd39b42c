"""Stores out of stores: a selection of one, or several merged, with every label intact.

The values are copied, held against their crc32c on the way; plan, receipts, seal and resume are
those of any store. plan.json says what it was made from instead of a recipe: such a store is
verified like any other, but its damaged parts, and its labels, are made again from its sources.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mistdata
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.pipeline.fill import claim, lay_out, write_shard
from mistdata.pipeline.fingerprint import fingerprint
from mistdata.pipeline.plan import pack
from mistdata.pipeline.recipe import MIB
from mistdata.store import catalog, layout, ledger
from mistdata.store.catalog import Table
from mistdata.store.commit import page_aligned
from mistdata.store.dataset import MetaDataset, open_store
from mistdata.store.ledger import Manifest, PlanRecord, Shard
from mistdata.store.seal import seal


@dataclass(frozen=True)
class _Derived:
    """A store to be made: its rows, and where each comes from.

    Attributes:
        table: the catalog, renumbered and packed anew.
        source: of every row, which source.
        position: of every row, its position there.
    """

    table: Table
    source: Array
    position: Array


def select(
    store: Path,
    out: Path,
    where: str,
    *,
    name: str,
    version: int = 1,
    shard_mib: int | None = None,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_written: Callable[[int], None] = lambda datasets: None,
) -> Manifest:
    """Make a store of the datasets that meet a condition; the same call again resumes.

    Args:
        store: a sealed store.
        out: the folder of the new one.
        where: a SQL condition over the columns of the catalog.
        name: of the new store.
        version: of it.
        shard_mib: size of its shards [that of the source].
        on_start: called with (datasets already durable, datasets in all).
        on_written: called with the datasets of every shard made durable.

    Raises:
        NotAStore: there is no sealed store.
        MistdataError: nothing is selected, or `out` belongs to something else.
        VerificationFailed: a dataset of the source is damaged.
        ValueError: the condition is not SQL, or names an unknown column.
    """
    source = open_store(store, verify="crc")
    chosen = source.where(where)
    if not len(chosen):
        raise MistdataError(f"{store}: no dataset is selected")
    lines = [f"where = {json.dumps(where)}"]
    return _derive(
        [chosen], out, "select", lines, name, version, shard_mib, (on_start, on_written)
    )


def merge(
    stores: Sequence[Path],
    out: Path,
    *,
    name: str,
    version: int = 1,
    shard_mib: int | None = None,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_written: Callable[[int], None] = lambda datasets: None,
) -> Manifest:
    """Make one store of several; the same call again resumes.

    Splits of one name become one. Distributions stay apart: those of a later store are numbered on
    from those of the former.

    Args:
        stores: sealed stores, at least two.
        out: see `select`, as the others.
        name: likewise.
        version: likewise.
        shard_mib: likewise [that of the first].
        on_start: likewise.
        on_written: likewise.

    Raises:
        MistdataError: fewer than two stores, or one of them twice; else as `select`.
    """
    if len(stores) < 2:
        raise MistdataError(f"at least two stores can be merged, got {len(stores)}")
    sources = [open_store(store, verify="crc") for store in stores]
    if len({source.digest for source in sources}) < len(sources):
        raise MistdataError("a store was named twice: its datasets would be there twice")
    return _derive(sources, out, "merge", [], name, version, shard_mib, (on_start, on_written))


def _derive(
    sources: Sequence[MetaDataset],
    out: Path,
    kind: str,
    lines: list[str],
    name: str,
    version: int,
    shard_mib: int | None,
    told: tuple[Callable[[int, int], None], Callable[[int], None]],
) -> Manifest:
    manifests = [source.manifest for source in sources]
    length = shard_mib * MIB // 4 if shard_mib else max(m.shard_length for m in manifests if m)
    layout.require_shard_length(length)
    derived = _joined(sources, length)
    text = _recipe(sources, kind, lines, name, version, length)
    identity = ledger.identity(_hash(text, derived), mistdata.__version__)
    planned = catalog.encode_planned(derived.table.select(catalog.PLANNED.names), identity)
    record = claim(out, PlanRecord(
        **identity, name=name, version=version, seed=0, limit=None, shard_length=length,
        planned_sha256=hashlib.sha256(planned).hexdigest(), fingerprint=fingerprint(), recipe=text,
    ))  # fmt: skip
    shards = ledger.shards_of(derived.table)
    lay_out(out, record, planned, shards)
    missing = ledger.missing_shards(out, shards, record)
    left = sum(shard.stop - shard.start for shard in missing)
    told[0](len(derived.table) - left, len(derived.table))
    for shard in missing:
        values = _values(sources, derived, shard, length)
        write_shard(out, record, shard, values, _labels(derived.table, shard))
        told[1](shard.stop - shard.start)
    return seal(out)


def _joined(sources: Sequence[MetaDataset], length: int) -> _Derived:
    """Put the rows of all sources one after another, split by split, and place them anew."""
    tables: list[Table] = []
    first: dict[str, int] = {}
    for source in sources:
        columns = {key: source.catalog[key] for key in source.catalog.column_names}
        split = source.column("split").tolist()
        distribution = source.column("distribution_id").astype(np.int64)
        start = np.array([first.get(each, 0) for each in split], np.int64)
        columns["distribution_id"] = catalog.whole(distribution + start)
        for each in set(split):
            mask = np.array(split) == each
            first[each] = first.get(each, 0) + int(distribution[mask].max()) + 1
        tables.append(catalog.typed(columns))
    table = catalog.joined(tables)
    counts = [len(source) for source in sources]
    source_of = np.repeat(np.arange(len(sources)), counts)
    position = np.concatenate([np.arange(count) for count in counts])
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
    return _Derived(catalog.typed(columns), source_of[order], position[order])


def _recipe(
    sources: Sequence[MetaDataset],
    kind: str,
    lines: list[str],
    name: str,
    version: int,
    length: int,
) -> str:
    """What plan.json holds in place of a recipe."""
    text = [
        f"name = {json.dumps(name)}", f"version = {version}",
        f"shard_mib = {4 * length // MIB}", "",
        "[derived]", f"by = {json.dumps(kind)}", *lines,
    ]  # fmt: skip
    for source in sources:
        assert source.manifest is not None
        text += [
            "", "[[derived.from]]",
            f"name = {json.dumps(source.manifest.name)}",
            f"version = {source.manifest.version}",
            f"digest = {json.dumps(source.digest)}",
        ]  # fmt: skip
    return "\n".join(text) + "\n"


def _hash(text: str, derived: _Derived) -> str:
    digest = hashlib.sha256(f"mistdata derived 1\n{text}".encode())
    for key in ("dataset_id", "distribution_id", "replicate", "n", "dim_x", "dim_y", "shard",
                "offset", "crc32c"):  # fmt: skip
        digest.update(catalog.to_numpy(derived.table[key]).astype("<i8").tobytes())
    return digest.hexdigest()


def _values(sources: Sequence[MetaDataset], derived: _Derived, shard: Shard, length: int) -> Array:
    """Read the datasets of a shard from their sources; what no dataset fills is NaN."""
    values = page_aligned(length)
    values.fill(np.nan)
    rows = slice(shard.start, shard.stop)
    sizes = catalog.sizes(derived.table.slice(shard.start, shard.stop - shard.start))
    ends = np.cumsum(sizes)
    for source, position, size, end in zip(
        derived.source[rows], derived.position[rows], sizes, ends, strict=True
    ):
        sources[source].read([position], out=values[end - size : end])
    return values


def _labels(table: Table, shard: Shard) -> dict[str, list[object]]:
    rows = table.slice(shard.start, shard.stop - shard.start)
    return {name: rows[name].to_pylist() for name in catalog.LABELS.names}
