"""Sealing: receipts equal the plan, so the catalog and then the manifest are written.

Any number of processes may seal at once: all compute the same bytes, one creates the manifest,
the others find it equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import mistdata
from mistdata.errors import Incomplete, VerificationFailed
from mistdata.store import card, catalog, layout, ledger
from mistdata.store.commit import (
    create_exclusively,
    remove_leftovers,
    sync_files,
    write_durably,
)
from mistdata.store.ledger import Manifest, PlanRecord, Shard
from mistdata.store.origin import Facts


def seal(store: Path) -> Manifest:
    """Make a filled store a dataset; sealing a sealed store changes nothing.

    Raises:
        NotAStore: there is no plan.json.
        Incomplete: a shard has no valid receipt.
        VerificationFailed: a damaged file, or a manifest of other content.
    """
    record = ledger.read_record(store)
    planned, shards = ledger.read_planned(store, record)
    sha256s, labels = _read_receipts(store, record, shards)
    _require_metadata(store, ledger.metadata(record, shards))
    described = _described(record, planned, shards, sha256s, labels)
    with ledger.giving_way_to_seal(store):
        if not ledger.is_sealed(store):
            for name, content in described.files.items():
                write_durably(store / name, [content])
    manifest = _manifest(store, record, shards, sha256s, described)
    if not ledger.is_sealed(store):
        sync_files(store / shard.receipt for shard in shards)
        with ledger.giving_way_to_seal(store):
            create_exclusively(store / ledger.MANIFEST, ledger.encode_manifest(manifest))
    _require_equal(store, manifest)
    # Only now: a temporary file may vanish once the store is sealed, never before.
    for folder in ledger.folders(store, list(manifest.shards)):
        remove_leftovers(folder)
    return manifest


class _Described(NamedTuple):
    """What a seal writes, before the manifest: the catalog, and the cards made from it."""

    table: catalog.Table
    digest: str
    files: dict[str, bytes]


def _described(
    record: PlanRecord,
    planned: catalog.Table,
    shards: tuple[Shard, ...],
    sha256s: list[str],
    labels: catalog.Table,
) -> _Described:
    table = catalog.build_catalog(planned, labels)
    content = catalog.encode_catalog(table, ledger.identity(record.plan, record.mistdata))
    hashes = zip((shard.file for shard in shards), sha256s, strict=True)
    digest = content_digest(record.plan, hashes, table)
    listed = (len(content), hashlib.sha256(content).hexdigest())
    cards = card.cards(Facts.of(record, digest), table, listed)
    return _Described(table, digest, {ledger.CATALOG: content, **cards})


def restore_described(store: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Write the catalog or cards of a sealed store again, from its receipts.

    Args:
        store: its folder.
        manifest: that names their hashes.
        names: which of them.

    Raises:
        Incomplete: a shard has no valid receipt.
        VerificationFailed: what was made is not what the manifest names.
    """
    record = ledger.read_record(store)
    planned, shards = ledger.read_planned(store, record)
    sha256s, labels = _read_receipts(store, record, shards)
    files = _described(record, planned, shards, sha256s, labels).files
    for name in names:
        if hashlib.sha256(files[name]).hexdigest() != manifest.files[name]["sha256"]:
            raise VerificationFailed(
                f"{store / name}: made again, and the sha256 is still not the one in the"
                " manifest; it was not changed"
            )
        write_durably(store / name, [files[name]])


def content_digest(plan: str, shards: Iterable[tuple[str, str]], table: catalog.Table) -> str:
    """Hash the content of a store: plan, (file, sha256) of every shard, labels as float64.

    It does not depend on how Parquet was encoded.
    """
    digest = hashlib.sha256(f"mistdata content {layout.FORMAT}\n{plan}\n".encode())
    for file, sha256 in shards:
        digest.update(f"{file} {sha256}\n".encode())
    digest.update(catalog.to_numpy(table["mi"]).astype("<f8").tobytes())
    return digest.hexdigest()


def _read_receipts(
    store: Path, record: PlanRecord, shards: tuple[Shard, ...]
) -> tuple[list[str], catalog.Table]:
    """Return the sha256 of every shard and the labels of all datasets."""
    hashes, labels, missing = [], [], []
    for shard in shards:
        receipt = ledger.valid_receipt(store, shard, record)
        if receipt is None:
            missing.append(shard)
        else:
            hashes.append(receipt.sha256)
            labels.append(receipt.labels)
    if missing:
        first = missing[0]
        raise Incomplete(
            f"{store}: {len(missing)} of {len(shards)} shards missing, the first is"
            f" {first.split}/{first.number}; fill them with `mistdata generate`"
        )
    return hashes, catalog.label_table(labels)


def _require_metadata(store: Path, expected: dict[str, bytes]) -> None:
    """Refuse to vouch for a damaged zarr.json."""
    for name, content in expected.items():
        path = store / name
        if not path.is_file() or path.read_bytes() != content:
            raise VerificationFailed(
                f"{path}: missing or damaged; put it right with `mistdata repair`"
            )


def _manifest(
    store: Path,
    record: PlanRecord,
    shards: tuple[Shard, ...],
    sha256s: list[str],
    described: _Described,
) -> Manifest:
    splits = list(ledger.count_shards(shards))
    hashes = [(s.file, sha256) for s, sha256 in zip(shards, sha256s, strict=True)]
    size = layout.shard_file_size(record.shard_length)
    files = {file: {"size": size, "sha256": sha256} for file, sha256 in hashes}
    metadata = layout.metadata_files(splits) + ledger.flow_files(store)
    # A store that was sealed before there were cards has none.
    cards = [name for name in card.NAMES if (store / name).exists()]
    for name in (ledger.RECORD, ledger.PLANNED, ledger.CATALOG, *cards, *metadata):
        content = (store / name).read_bytes()
        files[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return Manifest(
        plan=record.plan,
        mistdata=mistdata.__version__,
        name=record.name,
        version=record.version,
        digest=described.digest,
        shard_length=record.shard_length,
        datasets={
            split: sum(s.stop - s.start for s in shards if s.split == split) for split in splits
        },
        shards=ledger.count_shards(shards),
        values=int(catalog.sizes(described.table).sum()),
        files=dict(sorted(files.items())),
    )


def _require_equal(store: Path, manifest: Manifest) -> None:
    if ledger.read_manifest(store) != manifest:
        raise VerificationFailed(
            f"{store / ledger.MANIFEST}: describes other content than the plan and the receipts"
        )
