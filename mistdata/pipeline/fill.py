"""A plan on disk: claim a folder for it, fill a shard, read it back.

These are the steps every executor takes (Dask worker, this process, a cluster's job array); each
is idempotent, so that running again is resuming.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

import mistdata
from mistdata.distributions.priors import Array
from mistdata.errors import NotAStore, NumericMismatch, OtherPlan
from mistdata.pipeline.component import transform_words
from mistdata.pipeline.fingerprint import fingerprint
from mistdata.pipeline.generate import generate_shard
from mistdata.pipeline.label import Label
from mistdata.pipeline.plan import Plan, make_plan
from mistdata.pipeline.recipe import Recipe, parse_recipe
from mistdata.store import catalog, layout, ledger
from mistdata.store.commit import (
    create_exclusively,
    is_leftover,
    make_folder,
    write_durably,
    write_whole,
)
from mistdata.store.ledger import PlanRecord, Receipt, Shard
from mistdata.threads import one_thread

Load = Callable[[Path], Plan]
Make = Callable[[Plan, Shard], tuple[Array, list[Label]]]


@dataclass(frozen=True, slots=True)
class Filled:
    """What filling a shard did; for the log and the progress bar, never part of the store."""

    shard: int
    datasets: int
    bytes: int
    seconds: float


def init_store(store: Path, plan: Plan) -> PlanRecord:
    """Claim a folder for a plan, or join it when it was claimed for the same plan.

    Raises:
        NotAStore: the folder holds other things.
        OtherPlan: the store belongs to another plan; nothing is touched.
        NumericMismatch: this machine would write other bytes than the one that planned.
    """
    if plan.recipe.flow is not None and plan.flows == (None, None):
        raise OtherPlan(
            f"{plan.recipe.source}: the recipe names flows; plan it with"
            " mistdata.flows.adapt.plan_adapted"
        )
    planned = catalog.encode_planned(_planned_table(plan), _identity(plan))
    record = claim(store, _record(plan, planned))
    require_same_numerics(store, record)
    lay_out(store, record, planned, plan.shards)
    return record


def claim(store: Path, wanted: PlanRecord) -> PlanRecord:
    """Create plan.json, or find that of the same plan.

    Args:
        store: the folder.
        wanted: what plan.json is to say.

    Returns:
        What it says; another machine may have written it.

    Raises:
        NotAStore: the folder holds other things.
        OtherPlan: the store belongs to another plan; nothing is touched.
    """
    if not (store / ledger.RECORD).exists():
        _require_free(store)
        make_folder(store)
        create_exclusively(store / ledger.RECORD, ledger.encode_record(wanted))
    record = ledger.read_record(store)
    if record.plan != wanted.plan:
        raise OtherPlan(
            f"{store}: belongs to the plan {record.plan[:12]} of {record.name!r}"
            f" ({_limited(record)}), this is the plan {wanted.plan[:12]} of {wanted.name!r}"
            f" ({_limited(wanted)}); choose another folder"
        )
    return record


def load_plan(store: Path, planner: Callable[[Recipe, int | None], Plan] = make_plan) -> Plan:
    """Recompute the plan of a store from the recipe in its plan.json.

    Args:
        store: its folder.
        planner: makes the plan of a recipe with a limit.

    Raises:
        NotAStore: there is no plan.json, or this version of mistdata plans it differently.
    """
    record = ledger.read_record(store)
    plan = planner(parse_recipe(record.recipe, str(store / ledger.RECORD)), record.limit)
    if plan.hash != record.plan:
        raise NotAStore(
            f"{store / ledger.RECORD}: planned by mistdata {record.mistdata}; version"
            f" {mistdata.__version__} makes another plan of this recipe"
        )
    return plan


def require_same_numerics(store: Path, record: PlanRecord) -> None:
    """Refuse to add to a store that another version or another kind of machine began.

    Raises:
        NumericMismatch: the version or the numeric fingerprint differs.
    """
    if record.mistdata != mistdata.__version__:
        raise NumericMismatch(
            f"{store}: begun by mistdata {record.mistdata}, {_host()} has {mistdata.__version__}"
        )
    here = fingerprint()
    if record.fingerprint.get("probe") != here["probe"]:
        differing = [key for key in here if record.fingerprint.get(key, "no") != here[key]]
        portable = record.fingerprint.get("portable") == "yes"
        hint = "; it was begun with --portable" if portable and "portable" in differing else ""
        raise NumericMismatch(
            f"{store}: {_host()} computes other bytes than the machine that planned"
            f" ({', '.join(differing)} differ){hint}"
        )


def _host() -> str:
    """Name this machine and process: in a cluster it may be any."""
    return f"{socket.gethostname()} (process {os.getpid()})"


def fill_shard(
    store: Path, index: int, *, load: Load = load_plan, make: Make = generate_shard
) -> Filled:
    """Make one shard durable, unless it already is.

    Args:
        store: its folder.
        index: of the shard.
        load: recomputes the plan of the store.
        make: computes the values and the labels of a shard.

    Raises:
        NumericMismatch: this process would write other bytes.
        GenerationError: a family failed.
        OSError: the disk is full or failed; nothing partial is visible.
    """
    started = time.perf_counter()
    plan, record = _open_plan(store, (store / ledger.RECORD).stat().st_mtime_ns, load)
    shard = plan.shards[index]
    if ledger.valid_receipt(store, shard, record) is None:
        with one_thread():
            values, labels = make(plan, shard)
        write_shard(store, record, shard, values, _label_columns(plan, shard, values, labels))
    size = layout.shard_file_size(plan.shard_length)
    seconds = time.perf_counter() - started
    return Filled(index, shard.stop - shard.start, size, round(seconds, 4))


@lru_cache(maxsize=2)
def _open_plan(store: Path, _changed: int, load: Load) -> tuple[Plan, PlanRecord]:
    plan, record = load(store), ledger.read_record(store)
    require_same_numerics(store, record)
    return plan, record


def write_shard(
    store: Path,
    record: PlanRecord,
    shard: Shard,
    values: Array,
    labels: Mapping[str, list[Any]],
) -> None:
    """Make a shard durable, and then its receipt.

    Args:
        store: the folder.
        record: its plan.json.
        shard: which.
        values: (shard_length,) float32.
        labels: of its datasets, columns as in `catalog.LABELS`.

    Raises:
        OSError: the disk is full or failed; nothing partial is visible.
    """
    payload, index = values.view(np.uint8).data, layout.shard_index(record.shard_length)
    content: list[bytes | memoryview] = [payload, index]
    with ledger.giving_way_to_seal(store):
        with ThreadPoolExecutor(1) as pool:  # the hash is computed while the disk is waited for
            sha256 = pool.submit(_sha256, content)
            write_durably(store / shard.file, content)
        receipt = Receipt(
            plan=record.plan,
            split=shard.split,
            shard=shard.number,
            size=sum(map(len, content)),
            sha256=sha256.result(),
            labels=dict(labels),
        )
        # The shard is durable now. Its receipt need not be: it carries a checksum, and one that a
        # power cut took back only means that the shard is computed again.
        write_whole(store / shard.receipt, ledger.encode_receipt(receipt))


def _sha256(content: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for part in content:
        digest.update(part)
    return digest.hexdigest()


def _label_columns(
    plan: Plan, shard: Shard, values: Array, labels: list[Label]
) -> dict[str, list[Any]]:
    datasets = plan.datasets(shard.start, shard.stop)
    return {
        "dataset_id": [planned.dataset_id for planned in datasets],
        **{key.name: [getattr(label, key.name) for label in labels] for key in fields(Label)},
        "crc32c": [google_crc32c.value(values[planned.span]) for planned in datasets],
    }


def _planned_table(plan: Plan) -> catalog.Table:
    columns = plan.columns
    splits = plan.recipe.splits
    first = np.cumsum([0, *(len(split.mixture) for split in splits)])
    component = first[columns["split"]] + columns["component"]
    mixture = [each for split in splits for each in split.mixture]
    described: dict[str, list[str]] = {
        "component": [each.name for each in mixture],
        "family": [each.family.name for each in mixture],
        "transform_x": [transform_words(each.transform_x) for each in mixture],
        "transform_y": [transform_words(each.transform_y) for each in mixture],
        "x_kind": [each.kind(each.family.x_kind) for each in mixture],
        "y_kind": [each.kind(each.family.y_kind) for each in mixture],
    }
    table: dict[str, Any] = {name: columns[name] for name in columns}
    table |= {name: catalog.words(values, component) for name, values in described.items()}
    table["dataset_id"] = np.arange(len(plan))
    for name, identity in zip(("flow_x", "flow_y"), plan.flows, strict=True):
        if identity is not None:
            table[name] = catalog.words([identity], np.zeros(len(plan), np.int64))
    table["split"] = catalog.words([split.name for split in splits], columns["split"])
    table["seed_key"] = catalog.seed_keys(
        columns["split"], columns["distribution_id"], columns["replicate"]
    )
    return catalog.planned_table(table)


def _identity(plan: Plan) -> dict[str, str]:
    return ledger.identity(plan.hash, mistdata.__version__)


def _record(plan: Plan, planned: bytes) -> PlanRecord:
    return PlanRecord(
        plan=plan.hash,
        mistdata=mistdata.__version__,
        name=plan.recipe.name,
        version=plan.recipe.version,
        seed=plan.recipe.seed,
        limit=plan.limit,
        shard_length=plan.shard_length,
        planned_sha256=hashlib.sha256(planned).hexdigest(),
        fingerprint=fingerprint(),
        recipe=plan.recipe.text,
    )


def _limited(record: PlanRecord) -> str:
    return "whole" if record.limit is None else f"limit {record.limit}"


def _require_free(store: Path) -> None:
    """Refuse a folder of other things; another generator may be claiming it right now."""
    if not store.exists():
        return
    foreign = not store.is_dir() or any(not is_leftover(path) for path in store.iterdir())
    if foreign and not (store / ledger.RECORD).exists():
        raise NotAStore(f"{store}: expected a new or empty folder, or a store of this recipe")


def lay_out(store: Path, record: PlanRecord, planned: bytes, shards: Sequence[Shard]) -> None:
    """Write what surrounds the shards; the bytes are a function of the plan.

    Args:
        store: the folder, which was claimed.
        record: its plan.json.
        planned: the content of plan.parquet.
        shards: of the plan.
    """
    for folder in ledger.folders(store, list(ledger.count_shards(shards))):
        make_folder(folder)
    make_folder(store / ledger.LOGS)
    files = {ledger.PLANNED: planned, **ledger.metadata(record, shards)}
    for name, content in files.items():
        path = store / name
        if not path.exists() or path.read_bytes() != content:
            with ledger.giving_way_to_seal(store):
                write_durably(path, [content])
