"""What a report shows of a store, as JSON types; small, however large the store is."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.distributions.families import FAMILIES
from mistdata.distributions.priors import Array
from mistdata.inspect import inspect
from mistdata.pictures import panel
from mistdata.pipeline.label import DRAWS, STRICT_DRAWS
from mistdata.pipeline.recipe import parse_recipe
from mistdata.report.bins import counts
from mistdata.report.opening import opening
from mistdata.store import catalog, ledger
from mistdata.store.card import THEIRS, is_imported
from mistdata.store.dataset import MetaDataset, open_store
from mistdata.store.origin import LICENCE, derived_of

SAMPLES = 24
POINTS = 250  # of a sample
IMAGES = 32


def collect(store: Path, audit: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Collect what a report shows.

    Args:
        store: the folder; sealed, or being filled.
        audit: what `mistdata verify --deep --json` printed of it, if that is to be shown.

    Returns:
        Totals, licence, how to open it, counts by bin for every split, family and map, components,
        samples, label methods, certificates; JSON types throughout.

    Raises:
        NotAStore: there is no store.
        VerificationFailed: a file has the wrong size.
        ValueError: there is no dataset yet, or the audit is of another store.
    """
    dataset = open_store(store, allow_partial=True)
    if not len(dataset):
        raise ValueError(f"{store}: no dataset is durable yet")
    totals = inspect(store)
    record = ledger.read_record(store)
    return {
        "totals": {key: totals[key] for key in _TOTALS},
        "recipe": record.recipe,
        "splits": totals["splits"],
        "licence": THEIRS if is_imported(dataset.catalog) else LICENCE,
        "fingerprint": record.fingerprint,
        "derived": derived_of(record.recipe) is not None,
        "opening": opening(dataset),
        "bins": counts(dataset),
        "families": [_with_formula(row) for row in totals["families"]],
        "components": _components(dataset),
        "methods": _methods(dataset),
        "checks": _checks(dataset, record.recipe),
        "certificates": totals["certificates"],
        "samples": _samples(dataset),
        "images": _images(store, dataset),
        "audit": None if audit is None else _audit(store, audit),
    }


_TOTALS = (
    "name", "version", "sealed", "plan", "digest", "mistdata", "seed", "limit", "datasets",
    "values_bytes", "unique_distributions", "shard_mib",
)  # fmt: skip


def _with_formula(row: Mapping[str, Any]) -> dict[str, Any]:
    """A family's counts with its formula; families of other stores may be unknown here."""
    known = FAMILIES.get(row["family"])
    return {**row, "formula": known.formula if known else "–"}


def _components(dataset: MetaDataset) -> list[dict[str, Any]]:
    return catalog.query_rows(
        "SELECT component::VARCHAR AS component, family::VARCHAR AS family,"
        " first(x_kind)::VARCHAR AS x, first(y_kind)::VARCHAR AS y, count(*) AS datasets,"
        " min(mi) AS mi_min, median(mi) AS mi_median, max(mi) AS mi_max,"
        " min(n) AS n_min, max(n) AS n_max, min(least(dim_x, dim_y)) AS dim_min,"
        " max(greatest(dim_x, dim_y)) AS dim_max FROM catalog GROUP BY 1, 2 ORDER BY 1",
        catalog=dataset.catalog,
    )


def _methods(dataset: MetaDataset) -> list[dict[str, Any]]:
    return catalog.query_rows(
        "SELECT mi_method::VARCHAR AS method, coalesce(mi_error_kind::VARCHAR, '') AS kind,"
        " count(*) AS datasets, median(mi_error) AS error_median, max(mi_error) AS error_max"
        " FROM catalog GROUP BY 1, 2 ORDER BY 3 DESC",
        catalog=dataset.catalog,
    )


def _checks(dataset: MetaDataset, recipe: str) -> dict[str, Any]:
    """Second opinions: how many labels have one, and how far it is from them.

    Returns:
        datasets, median, worst: how many, and the differences in nats.
        z: those of distinct distributions in standard errors, mean, deviation, share within ±1 and
            beyond ±5, and the largest; None where the numbers of draws are not known.
    """
    (found,) = catalog.query_rows(
        "SELECT count(mi_check) AS datasets, coalesce(median(abs(mi - mi_check)), 0) AS median,"
        " coalesce(max(abs(mi - mi_check)), 0) AS worst FROM catalog WHERE isfinite(mi_check)",
        catalog=dataset.catalog,
    )
    return {**found, "z": None if derived_of(recipe) is not None else _scores(dataset, recipe)}


def _scores(dataset: MetaDataset, recipe: str) -> dict[str, Any] | None:
    """Figures of z = (mi_check - mi) / (pmi_std / √draws)."""
    draws = {
        split.name: STRICT_DRAWS if split.strict else DRAWS
        for split in parse_recipe(recipe, "plan.json").splits
    }
    pairs = ", ".join(f"('{name}', {count})" for name, count in draws.items())
    (found,) = catalog.query_rows(
        "WITH opinions AS (SELECT DISTINCT split, distribution_id, mi, mi_check, pmi_std"
        " FROM catalog WHERE isfinite(mi_check) AND pmi_std > 1e-9),"
        " scored AS (SELECT (mi_check - mi) / pmi_std * sqrt(draws) AS z"
        f" FROM opinions JOIN (VALUES {pairs}) AS splits(name, draws) ON split::VARCHAR = name)"
        " SELECT count(*) AS count, avg(z) AS mean, coalesce(stddev_pop(z), 0) AS deviation,"
        " avg((abs(z) <= 1)::INT) AS within_1, avg((abs(z) > 5)::INT) AS beyond_5,"
        " max(abs(z)) AS largest FROM scored",
        catalog=dataset.catalog,
    )  # fmt: skip
    return found if found["count"] else None


def _samples(dataset: MetaDataset) -> list[dict[str, Any]]:
    """Two coordinates of some datasets, of as many families as there is room for."""
    families = dataset.column("family")
    names = sorted(set(families.tolist()))
    step = max(1, len(names) // SAMPLES)
    chosen = [_typical(dataset, families == name) for name in names[::step][:SAMPLES]]
    return [_sample(dataset, position) for position in chosen]


def _typical(dataset: MetaDataset, mask: Array) -> int:
    """The dataset of a family with rows enough to see, and half a nat or so to see."""
    index = np.flatnonzero(mask)
    strange = np.abs(np.log((dataset.column("mi")[index] + 0.05) / 0.7))
    few = dataset.column("n")[index] < min(100, dataset.column("n")[index].max())
    return int(index[np.argmin(strange + 10.0 * few)])


def _sample(dataset: MetaDataset, position: int) -> dict[str, Any]:
    one = dataset[position]
    x, y = panel(one.x[:POINTS].astype(float), one.y[:POINTS].astype(float))
    return {
        "dataset_id": int(one.dataset_id),
        "component": one.component,
        "mi": float(one.mi),
        "n": int(one.n),
        "dims": [int(one.dim_x), int(one.dim_y)],
        "x": x,
        "y": y,
    }


def _images(store: Path, dataset: MetaDataset) -> list[dict[str, Any]]:
    """Rows of carried sides, real ones if the flow kept some and then adapted ones.

    Pictures in their colours; other rows as strips, in standard units of grey.
    """
    paths = {side: store / ledger.FLOWS / side / "flow.json" for side in ("x", "y")}
    flows = {side: json.loads(path.read_bytes()) for side, path in paths.items() if path.exists()}
    some = [dataset[k] for k in range(min(IMAGES, len(dataset)))] if flows else []
    return [
        {"side": side, **image}
        for side, flow in flows.items()
        for image in _rows_of(flow, np.stack([getattr(one, side)[0] for one in some]))
    ]


def _rows_of(flow: Mapping[str, Any], rows: Array) -> list[dict[str, Any]]:
    """The rows that a flow kept of its modality, and as many that it made, one of a dataset."""
    adapted, real = rows.reshape(-1, *flow["shape"]), _examples(flow)
    top = flow["fit"].get("modality", {}).get("levels")
    if top is None:
        centre, spread = _units(real if len(real) > 2 else adapted)
        real, adapted = ((128 + 50 * (each - centre) / spread) for each in (real, adapted))
        shape = [1, int(np.prod(flow["shape"]))]
    else:
        real, adapted = (_upright(255 * each / (top - 1)) for each in (real, adapted))
        shape = list(adapted.shape[1:])
    return [
        {"what": what, "shape": shape, "pixels": _pixels(each)}
        for what, each in (("real", real), ("adapted", adapted[: len(real) or IMAGES]))
        if len(each)
    ]


def _examples(flow: Mapping[str, Any]) -> Array:
    """The rows of the modality that a flow kept."""
    kept = flow["fit"].get("examples")
    if kept is None:
        return np.empty((0, *flow["shape"]))
    return np.frombuffer(b64decode(kept["float32"]), "<f4").reshape(kept["shape"])


def _units(rows: Array) -> tuple[Array, Array]:
    """Mean and deviation of every column."""
    return rows.mean(axis=0), rows.std(axis=0) + 1e-9


def _upright(pictures: Array) -> Array:
    """Put the channels of pictures last."""
    first = pictures.ndim == 4 and pictures.shape[1] in (1, 3)
    return np.moveaxis(pictures, 1, 3) if first else pictures


def _pixels(rows: Array) -> list[int]:
    return np.clip(rows, 0, 255).astype(np.uint8).ravel().tolist()


def _audit(store: Path, audit: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of an audit that are shown; one of another store is refused."""
    digest = ledger.read_manifest(store).digest if ledger.is_sealed(store) else None
    if audit.get("digest", digest) != digest:
        raise ValueError(f"{store}: the audit is of another store")
    try:
        evidence = audit["audit"]
        kept = {key: evidence[key] for key in ("datasets", "z_mean", "z_std", "z_above_3", "ok")}
        kept["components"] = [
            {key: each[key] for key in ("component", "datasets", "rows", "difference", "z")}
            for each in evidence["components"]
        ]
    except (KeyError, TypeError):
        raise ValueError(
            f"{store}: the audit must be what `mistdata verify STORE --deep --json` printed"
        ) from None
    return kept
