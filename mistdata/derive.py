"""Stores out of stores: a selection of one, or several merged, with every label intact.

The values are copied, held against their crc32c on the way. See `mistdata.copying`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mistdata.copying import Copy, Told, arranged, require_name, write_copy
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.pipeline.recipe import MIB
from mistdata.store import catalog
from mistdata.store.catalog import Table
from mistdata.store.dataset import MetaDataset, open_store
from mistdata.store.ledger import Manifest


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
        BadCondition: it is not SQL, names an unknown column, or no dataset meets it.
        MistdataError: the name is not one, or `out` is something else.
        VerificationFailed: a dataset of the source is damaged.
    """
    require_name(name)
    source = open_store(store, verify="crc")
    chosen = source.some_where(where)
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
    require_name(name)
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
    told: Told,
) -> Manifest:
    manifests = [source.manifest for source in sources]
    length = shard_mib * MIB // 4 if shard_mib else max(m.shard_length for m in manifests if m)
    table, order = arranged(_joined(sources), length)
    text = _recipe(sources, kind, lines, name, version, length)
    starts = np.cumsum([0, *(len(source) for source in sources)])

    def read(row: int, into: Array) -> None:
        source = int(np.searchsorted(starts, order[row], side="right")) - 1
        sources[source].read([int(order[row] - starts[source])], out=into)

    return write_copy(out, Copy(name, version, length, table, order, text), read, told)


def _joined(sources: Sequence[MetaDataset]) -> Table:
    """Put the rows of all sources one after another; distributions of each are its own."""
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
    return catalog.joined(tables)


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
