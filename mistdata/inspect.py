"""What a store holds, in numbers: for `mistdata inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.store import catalog, ledger
from mistdata.store.dataset import MetaDataset, open_store

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def inspect(store: Path) -> dict[str, Any]:
    """Summarise a store, sealed or being filled.

    Raises:
        NotAStore: there is no store.
        VerificationFailed: a file has the wrong size.
    """
    record = ledger.read_record(store)
    dataset = open_store(store, allow_partial=True)
    sealed = dataset.manifest is not None
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
        "splits": {split: _split(dataset, split) for split in _words(dataset, "split")},
        "components": _components(dataset),
    } | ({} if sealed else _progress(store))


def _split(dataset: MetaDataset, split: str) -> dict[str, Any]:
    mask = dataset.column("split") == split
    columns = {name: dataset.column(name)[mask] for name in ("n", "dim_x", "dim_y", "mi")}
    return {
        "datasets": int(mask.sum()),
        "distributions": len(np.unique(dataset.column("distribution_id")[mask])),
        "shards": len(np.unique(dataset.column("shard")[mask])),
        **{name: _range(columns[name]) for name in ("n", "dim_x", "dim_y")},
        "mi_nats": _mi_quantiles(columns["mi"]),
    }


def _components(dataset: MetaDataset) -> list[dict[str, Any]]:
    names, mi = dataset.column("component"), dataset.column("mi")
    rows = []
    for name in sorted(set(names)):
        values = mi[names == name]
        rows.append(
            {
                "component": name,
                "datasets": len(values),
                "mi_median_nats": float(np.median(values)),
                "mi_max_nats": float(values.max()),
            }
        )
    return rows


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
