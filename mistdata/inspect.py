"""What a store holds, in numbers: for `mistdata inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.store import catalog, ledger
from mistdata.store.dataset import MetaDataset, open_store
from mistdata.store.ledger import PlanRecord

# What tells one distribution from another
_IDENTITY = "family, transform_x, transform_y, dim_x, dim_y, params"
_STREAM = "seed_key[1] >= 0"  # imported datasets have a key, but no stream
_UNIQUE = f"SELECT count(DISTINCT ({_IDENTITY})) AS count FROM catalog"
_FLOWS = ("flow_x", "flow_y")
_LEVELS = (0.0, 0.05, 0.5, 0.95, 1.0)
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def inspect(store: Path, against: Path | None = None) -> dict[str, Any]:
    """Summarise a store, sealed or being filled.

    Args:
        store: the folder.
        against: another store, to count what the two have in common.

    Raises:
        NotAStore: there is no store.
        VerificationFailed: a file has the wrong size.
    """
    record = ledger.read_record(store)
    dataset = open_store(store, allow_partial=True)
    sealed = dataset.manifest is not None
    unique = _unique(dataset.catalog)
    return {
        "store": str(store),
        "name": record.name,
        "version": record.version,
        "sealed": sealed,
        "plan": record.plan,
        "digest": dataset.digest if sealed else None,
        "mistdata": record.mistdata,
        "seed": record.seed,
        "limit": record.limit,
        "shard_mib": record.shard_length * 4 / 2**20,
        "datasets": len(dataset),
        "values_bytes": int(catalog.sizes(dataset.catalog).sum()) * 4,
        "splits": {split: _split(dataset, split, unique) for split in _words(dataset, "split")},
        "unique_distributions": _count(_UNIQUE, catalog=dataset.catalog),
        "overlap": _overlap(dataset.catalog),
        "families": _grouped(dataset.catalog, "family"),
        "components": _grouped(dataset.catalog, "component"),
        "certificates": certificates(dataset),
        **({} if sealed else _progress(store)),
        **({} if against is None else {"against": _compare(record, dataset, against)}),
    }


def certificates(dataset: MetaDataset) -> dict[str, Any] | None:
    """What is certified of the datasets that flows carried; None for a store without flows.

    Returns:
        flows: the identities of each side.
        modalities: what each side looks like, see `MetaDataset.modality`.
        flagged: datasets without a certificate that they lost no more than is allowed.
        vacuous: datasets with information of which nothing is certified.
        quantiles: levels of `mi_loss_bound` (nats) and `roundtrip_max`, which follow.
    """
    table = dataset.catalog
    identities = {side: sorted(set(table[side].unique().to_pylist()) - {None}) for side in _FLOWS}
    if not any(identities.values()):
        return None
    flagged = int((dataset.column("flags") & catalog.UNCERTIFIED).astype(bool).sum())
    figures: dict[str, list[float]] = {}
    for name in ("mi_loss_bound", "roundtrip_max"):
        values = dataset.column(name)
        values = values[np.isfinite(values)]
        figures[name] = np.quantile(values, _LEVELS).tolist() if len(values) else []
    error, mi = dataset.column("mi_error"), dataset.column("mi")
    return {
        "flows": identities,
        "modalities": {side: dataset.modality(side) for side in "xy"},
        "flagged": flagged,
        "vacuous": int(((error >= mi) & (mi > 0)).sum()),
        "quantiles": list(_LEVELS),
        **figures,
    }


def _split(dataset: MetaDataset, split: str, unique: Mapping[str, int]) -> dict[str, Any]:
    mask = dataset.column("split") == split
    columns = {name: dataset.column(name)[mask] for name in ("n", "dim_x", "dim_y", "mi")}
    return {
        "datasets": int(mask.sum()),
        "distributions": len(np.unique(dataset.column("distribution_id")[mask])),
        "unique_distributions": unique.get(split, 0),
        "independent": int((columns["mi"] == 0.0).sum()),
        "shards": len(np.unique(dataset.column("shard")[mask])),
        **{name: _range(columns[name]) for name in ("n", "dim_x", "dim_y")},
        "mi_nats": _mi_quantiles(columns["mi"]),
    }


def _grouped(table: catalog.Table, column: str) -> list[dict[str, Any]]:
    """Count the datasets, and give the range of their information, for every word of a column."""
    sql = (
        f"SELECT {column}::VARCHAR AS {column}, count(*) AS datasets,"
        " count(*) / sum(count(*)) OVER () AS share, min(mi) AS mi_min_nats,"
        " median(mi) AS mi_median_nats, max(mi) AS mi_max_nats"
        " FROM catalog GROUP BY 1 ORDER BY 1"
    )
    return catalog.query_rows(sql, catalog=table)


def _unique(table: catalog.Table) -> dict[str, int]:
    """Count the distributions of every split that differ in any parameter."""
    sql = f"SELECT split, count(DISTINCT ({_IDENTITY})) AS count FROM catalog GROUP BY split"
    found = catalog.query(sql, catalog=table)
    return dict(zip(found["split"].tolist(), found["count"].tolist(), strict=True))


def _overlap(table: catalog.Table) -> dict[str, int]:
    """Count what two splits have in common: random streams, and distributions."""
    streams = "SELECT count(*) - count(DISTINCT seed_key) AS count FROM catalog"
    members = (
        f"SELECT count(*) AS count FROM (SELECT 1 FROM catalog GROUP BY {_IDENTITY}"
        " HAVING count(DISTINCT split) > 1)"
    )
    return {
        "shared_streams": _count(streams, catalog=table),
        "shared_distributions": _count(members, catalog=table),
    }


def _compare(record: PlanRecord, dataset: MetaDataset, against: Path) -> dict[str, Any]:
    """Count what two stores have in common; streams are keyed by the recipe's seed."""
    other_record = ledger.read_record(against)
    other = open_store(against, allow_partial=True)

    def shared(columns: str, where: str = "true") -> int:
        one, two = (f"SELECT {columns} FROM {each} WHERE {where}" for each in ("one", "other"))
        both = f"{one} INTERSECT {two}"
        sql = f"SELECT count(*) AS count FROM ({both})"
        return _count(sql, one=dataset.catalog, other=other.catalog)

    return {
        "store": str(against),
        "seeds": [record.seed, other_record.seed],
        "shared_streams": shared("seed_key", _STREAM) if record.seed == other_record.seed else 0,
        "shared_distributions": shared(_IDENTITY),
        "shared_families": sorted(set(dataset.column("family")) & set(other.column("family"))),
    }


def _count(sql: str, **tables: catalog.Table) -> int:
    return int(catalog.query(sql, **tables)["count"][0])


def _progress(store: Path) -> dict[str, Any]:
    record = ledger.read_record(store)
    planned, shards = ledger.read_planned(store, record)
    missing = ledger.missing_shards(store, shards, record)
    return {
        "planned_datasets": len(planned),
        "planned_shards": len(shards),
        "missing_shards": len(missing),
    }


def _words(dataset: MetaDataset, column: str) -> list[str]:
    return list(dict.fromkeys(dataset.column(column)))


def _range(values: Array) -> list[int]:
    return [int(values.min()), int(values.max())]


def _mi_quantiles(mi: Array) -> dict[str, float]:
    return {f"{level:g}": float(np.quantile(mi, level)) for level in _QUANTILES}
