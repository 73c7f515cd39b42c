"""Integrity: is every byte of a store what its plan, receipts and manifest say?

A verification reads everything. It goes on after the first problem and reports them all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from mistdata.distributions.priors import Array
from mistdata.errors import NotAStore, VerificationFailed
from mistdata.store import card, catalog, layout, ledger
from mistdata.store.catalog import DamagedTable
from mistdata.store.commit import is_leftover, sha256_of
from mistdata.store.document import DamagedDocument
from mistdata.store.ledger import Manifest, PlanRecord, Receipt, Shard
from mistdata.store.seal import content_digest

FOREIGN = "a file that is not part of the store"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not hold: the file, what is wrong, and the datasets it touches."""

    path: str
    message: str
    datasets: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.datasets:
            return f"{self.path}: {self.message}"
        first, last = self.datasets[0], self.datasets[-1]
        named = f"{first}" if first == last else f"{first}..{last} ({len(self.datasets)})"
        return f"{self.path}: {self.message}; datasets {named}"


@dataclass
class Report:
    """What was checked and what was found."""

    store: str
    sealed: bool
    missing: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything that is there holds; shards may still be missing."""
        return not self.problems

    def add(self, path: str, message: str, datasets: Iterable[int] = ()) -> None:
        """Record a problem."""
        self.problems.append(Problem(path, message, tuple(int(each) for each in datasets)))


@dataclass(frozen=True)
class _Labels:
    """Columns that the bytes of a shard are held against, in dataset order."""

    dataset_id: Array
    offset: Array
    size: Array
    crc32c: Array

    @classmethod
    def of(cls, table: catalog.Table) -> _Labels:
        return cls(
            catalog.to_numpy(table["dataset_id"]),
            catalog.to_numpy(table["offset"]),
            catalog.sizes(table),
            catalog.to_numpy(table["crc32c"]),
        )


def verify(
    store: Path,
    *,
    threads: int = 1,
    on_start: Callable[[int], None] = lambda datasets: None,
    on_checked: Callable[[int], None] = lambda datasets: None,
) -> Report:
    """Check a store, sealed or not, against plan, receipts and manifest.

    Checked are: plan.json and plan.parquet; every receipt; size and sha256 of every file; crc32c
    and finiteness of every dataset; that what no dataset fills is NaN; the catalog against plan
    and receipts; the content digest; that there are no foreign files.

    Args:
        store: the folder.
        threads: how many shards to hash at a time.
        on_start: called with the number of datasets to check.
        on_checked: called with the number of datasets checked since the last call.

    Raises:
        NotAStore: there is neither a plan.json nor a manifest.
        VerificationFailed: plan.json of a store that is not sealed is damaged.
    """
    sealed = ledger.is_sealed(store)
    report = Report(str(store), sealed)
    try:
        record = ledger.read_record(store)
    except (NotAStore, VerificationFailed) as error:
        if not sealed:
            raise
        hint = "; `mistdata repair --recipe RECIPE` makes it again"
        report.add(ledger.RECORD, _without(store, error) + hint)
        _check_files(store, report)
        return report
    try:
        planned, shards = ledger.read_planned(store, record)
    except VerificationFailed as error:
        report.add(ledger.PLANNED, _without(store, error))
        return report
    report.checked["plans"] += 1
    manifest = _check_manifest(store, record, shards, report) if sealed else None
    if manifest is None:
        _check_metadata(store, ledger.metadata(record, shards), report)
    _check_flows(store, planned, report)
    table = _check_catalog(store, planned, report) if sealed else None
    if manifest is not None and table is not None:
        _check_digest(manifest, shards, table, report)
    on_start(shards[-1].stop)
    with ThreadPoolExecutor(threads) as pool:
        checks = pool.map(
            lambda shard: _check_shard(store, record, planned, table, manifest, shard), shards
        )
        for shard, found in zip(shards, checks, strict=True):
            report.checked += found.checked
            report.missing += found.missing
            report.problems += found.problems
            on_checked(shard.stop - shard.start)
    _check_foreign(store, shards, manifest, report)
    return report


def _check_files(store: Path, report: Report) -> None:
    """Hold every file against the manifest, where there is no plan to go by."""
    try:
        manifest = ledger.read_manifest(store)
    except (NotAStore, VerificationFailed) as error:
        report.add(ledger.MANIFEST, _without(store, error))
        return
    report.checked["manifests"] += 1
    for name, expected in manifest.files.items():
        if name != ledger.RECORD:
            _check_small_file(store, name, expected, report)


def _check_manifest(
    store: Path, record: PlanRecord, shards: tuple[Shard, ...], report: Report
) -> Manifest | None:
    try:
        manifest = ledger.read_manifest(store)
    except (NotAStore, VerificationFailed) as error:
        report.add(ledger.MANIFEST, _without(store, error))
        return None
    report.checked["manifests"] += 1
    if manifest.plan != record.plan:
        report.add(ledger.MANIFEST, f"belongs to the plan {manifest.plan[:12]}")
    files = {shard.file for shard in shards}
    for name in files - manifest.files.keys():
        report.add(name, "not listed in the manifest")
    for name, expected in manifest.files.items():
        if name not in files:
            _check_small_file(store, name, expected, report)
    return manifest


def _check_metadata(store: Path, expected: dict[str, bytes], report: Report) -> None:
    """Hold every zarr.json that no manifest names against the plan."""
    for name, content in expected.items():
        path = store / name
        report.checked["files"] += 1
        if path.is_file() and path.read_bytes() != content:
            report.add(name, "not what the plan says")
        elif report.sealed and not path.is_file():
            report.add(name, "missing")  # a run that was interrupted may not have come so far


def _check_flows(store: Path, planned: catalog.Table, report: Report) -> None:
    """Hold the flows that lie in the store against the identities that the plan names."""
    for side in "xy":
        name = f"{ledger.FLOWS}/{side}/{ledger.FLOW}"
        identities = planned[f"flow_{side}"].unique().to_pylist()
        if (store / name).is_file() and identities != [sha256_of(store / name)]:
            report.add(name, "not the flow that the plan names")


def _check_small_file(store: Path, name: str, expected: dict[str, Any], report: Report) -> None:
    path = store / name
    report.checked["files"] += 1
    if not path.is_file():
        report.add(name, "missing")
    elif sha256_of(path) != expected["sha256"]:
        report.add(name, "the sha256 is not the one in the manifest")


def _check_catalog(store: Path, planned: catalog.Table, report: Report) -> catalog.Table | None:
    """Read the catalog and hold it against the plan; None when it is unusable."""
    if any(problem.path == ledger.CATALOG for problem in report.problems):
        return None  # it is not what was sealed: nothing else is to be blamed for what it says
    try:
        table = catalog.read_catalog(store / ledger.CATALOG)
    except DamagedTable as error:
        report.add(ledger.CATALOG, _without(store, error))
        return None
    report.checked["catalogs"] += 1
    if not catalog.same_columns(table, planned, planned.column_names):
        report.add(ledger.CATALOG, "the rows are not those of the plan")
        return None
    if not np.isfinite(catalog.to_numpy(table["mi"])).all():
        report.add(ledger.CATALOG, "an MI is not a finite number")
    for name in catalog.underived(table):
        report.add(ledger.CATALOG, f"{name} does not follow from the other columns")
    return table


def _check_digest(
    manifest: Manifest, shards: tuple[Shard, ...], table: catalog.Table, report: Report
) -> None:
    files = manifest.files
    hashes = [(shard.file, str(files.get(shard.file, {}).get("sha256"))) for shard in shards]
    if content_digest(manifest.plan, hashes, table) != manifest.digest:
        report.add(ledger.MANIFEST, "the content digest is not that of the shards and labels")


def _check_shard(
    store: Path,
    record: PlanRecord,
    planned: catalog.Table,
    table: catalog.Table | None,
    manifest: Manifest | None,
    shard: Shard,
) -> Report:
    """Check one shard; a report of its own, so that shards can be checked at the same time."""
    report = Report(str(store), manifest is not None)
    if manifest is None and not (store / shard.receipt).exists():
        report.missing += 1
        return report
    listed = manifest.files.get(shard.file, {}) if manifest else {}
    receipt = _check_receipt(store, record, listed.get("sha256"), shard, report)
    labels = _labels(store, receipt, shard, report)
    rows = (planned if table is None else table).slice(shard.start, shard.stop - shard.start)
    if table is None and labels is not None:
        rows = catalog.build_catalog(rows, labels)
    elif table is None:
        return report
    elif labels is not None and not catalog.same_columns(rows, labels, labels.column_names):
        report.add(shard.receipt, "the labels are not those of the catalog", _ids(shard))
    sha256 = listed.get("sha256") or (receipt.sha256 if receipt else None)
    _check_values(store, record, shard, sha256, _Labels.of(rows), report)
    return report


def _labels(
    store: Path, receipt: Receipt | None, shard: Shard, report: Report
) -> catalog.Table | None:
    if receipt is None:
        return None
    try:
        return catalog.label_table([receipt.labels])
    except DamagedTable as error:
        report.add(shard.receipt, _without(store, error), _ids(shard))
        return None


def _check_receipt(
    store: Path, record: PlanRecord, listed: str | None, shard: Shard, report: Report
) -> Receipt | None:
    if listed is not None and not (store / ledger.RECEIPTS).exists():
        return None  # a published copy may leave its receipts out
    try:
        receipt = ledger.read_receipt(store, shard)
    except DamagedDocument as error:
        report.add(shard.receipt, _without(store, error), _ids(shard))
        return None
    except OSError as error:
        report.add(shard.receipt, error.strerror or "cannot be read", _ids(shard))
        return None
    report.checked["receipts"] += 1
    if not ledger.belongs(receipt, shard, record):
        report.add(shard.receipt, "belongs to another plan or shard", _ids(shard))
        return None
    if listed is not None and receipt.sha256 != listed:
        report.add(shard.receipt, "the sha256 is not the one in the manifest", _ids(shard))
    return receipt


def _check_values(
    store: Path,
    record: PlanRecord,
    shard: Shard,
    sha256: str | None,
    labels: _Labels,
    report: Report,
) -> None:
    try:
        content = (store / shard.file).read_bytes()
    except OSError as error:
        report.add(shard.file, error.strerror or "cannot be read", _ids(shard))
        return
    report.checked["shards"] += 1
    size = layout.shard_file_size(record.shard_length)
    if len(content) != size:
        report.add(shard.file, f"expected {size} bytes, found {len(content)}", _ids(shard))
        return
    start = shard.number * record.shard_length
    values = np.frombuffer(content, "<f4", record.shard_length)
    damaged = list(_damaged(values, labels, start))
    report.checked["datasets"] += len(labels.size)
    used = int(labels.offset[-1] + labels.size[-1] - start)
    if hashlib.sha256(content).hexdigest() != sha256:
        report.add(shard.file, "the sha256 differs", damaged)
    elif damaged:
        report.add(shard.file, "the crc32c differs or a value is not finite", damaged)
    elif not np.isnan(values[used:]).all():
        report.add(shard.file, "values outside every dataset")


def _damaged(values: Array, labels: _Labels, start: int) -> Iterator[int]:
    columns = (labels.dataset_id, labels.offset, labels.size, labels.crc32c)
    for dataset, place, size, crc in zip(*(each.tolist() for each in columns), strict=True):
        offset = place - start  # in Python's numbers, as a forged place may be any
        span = values[offset : offset + size]
        if google_crc32c.value(span) != crc or not np.isfinite(span).all():
            yield dataset


def _check_foreign(
    store: Path, shards: tuple[Shard, ...], manifest: Manifest | None, report: Report
) -> None:
    """Look for files that no part of the store accounts for."""
    known = {ledger.RECORD, ledger.PLANNED, ledger.CATALOG, ledger.MANIFEST, *card.NAMES}
    known |= {shard.file for shard in shards} | {shard.receipt for shard in shards}
    known |= set(layout.metadata_files(ledger.count_shards(shards)))
    known |= set(ledger.flow_files(store) if manifest is None else manifest.files)
    for path in sorted(store.rglob("*")):
        name = path.relative_to(store).as_posix()
        if path.is_dir() or name in known or name.startswith(f"{ledger.LOGS}/"):
            continue
        if not is_leftover(path):  # a writer is at it, or was killed; the next run sweeps it
            report.add(name, FOREIGN)


def _ids(shard: Shard) -> range:
    return range(shard.start, shard.stop)


def _without(store: Path, error: Exception) -> str:
    return str(error).removeprefix(f"{store}/").partition(": ")[2] or str(error)
