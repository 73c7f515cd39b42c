"""What a store says of itself: plan.json, receipts, manifest.json.

`plan.json` claims a folder for one plan. A receipt proves that a shard is durable. The manifest
makes the store a dataset; it comes last. Completeness is receipts against the plan, nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.errors import NotAStore, VerificationFailed
from mistdata.store import catalog, layout
from mistdata.store.catalog import DamagedTable, Receipt

_Document = TypeVar("_Document", "PlanRecord", "Manifest")

RECORD = "plan.json"
PLANNED = "plan.parquet"
CATALOG = "catalog.parquet"
MANIFEST = "manifest.json"
LOGS = "logs"
RECEIPTS = "_receipts"


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard: its number in the store, where it lies, and its datasets [start, stop)."""

    index: int
    split: str
    number: int
    start: int
    stop: int

    @property
    def file(self) -> str:
        """Path of the values, relative to the store."""
        return layout.shard_name(self.split, self.number)

    @property
    def receipt(self) -> str:
        """Path of the receipt, relative to the store."""
        return f"{RECEIPTS}/{self.split}/{self.number}.parquet"


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """The content of plan.json: the recipe verbatim, and who planned it."""

    plan: str
    mistdata: str
    name: str
    version: int
    seed: int
    limit: int | None
    shard_length: int
    planned_sha256: str
    fingerprint: dict[str, str]
    recipe: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of manifest.json. `files` maps each path to its size and sha256.

    `digest` identifies the content: the plan, every shard in order, and the labels.
    """

    plan: str
    mistdata: str
    name: str
    version: int
    digest: str
    shard_length: int
    datasets: dict[str, int]
    shards: dict[str, int]
    values: int
    files: dict[str, dict[str, Any]]


def find_shards(splits: list[str], split: Array, shard: Array) -> tuple[Shard, ...]:
    """Number the shards of a plan.

    Args:
        splits: the names of the splits, in recipe order.
        split: (datasets,) position of each dataset's split.
        shard: (datasets,) number of its shard within the split.
    """
    changes = np.flatnonzero((np.diff(split) != 0) | (np.diff(shard) != 0)) + 1
    edges = [0, *changes.tolist(), len(split)]
    return tuple(
        Shard(index, splits[split[start]], int(shard[start]), start, stop)
        for index, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    )


def encode_record(record: PlanRecord) -> bytes:
    """Encode plan.json."""
    return _encode(asdict(record))


def read_record(store: Path) -> PlanRecord:
    """Read plan.json.

    Raises:
        NotAStore: there is none, or it cannot be read.
    """
    return _read(store, RECORD, PlanRecord)


def encode_manifest(manifest: Manifest) -> bytes:
    """Encode manifest.json."""
    return _encode(asdict(manifest))


def read_manifest(store: Path) -> Manifest:
    """Read manifest.json.

    Raises:
        NotAStore: there is none, or it cannot be read.
    """
    return _read(store, MANIFEST, Manifest)


def is_sealed(store: Path) -> bool:
    """Tell whether the manifest exists."""
    return (store / MANIFEST).exists()


def read_planned(store: Path, record: PlanRecord) -> tuple[Any, tuple[Shard, ...]]:
    """Read plan.parquet and number its shards.

    Raises:
        VerificationFailed: the file is missing or is not the one plan.json names.
    """
    path = store / PLANNED
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VerificationFailed(f"{path}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != record.planned_sha256:
        raise VerificationFailed(f"{path}: the content is not the one that {RECORD} names")
    planned = catalog.read_planned(path)
    return planned, shards_of(planned)


def shards_of(planned: Any) -> tuple[Shard, ...]:
    """Number the shards of a table of planned datasets."""
    splits, positions = catalog.positions(planned["split"])
    return find_shards(splits, positions, catalog.to_numpy(planned["shard"]))


def valid_receipt(store: Path, shard: Shard, plan: str, shard_length: int) -> Receipt | None:
    """Return the receipt of a shard if it is there, belongs to the plan and the file is whole.

    "Whole" here is the size; `mistdata verify` hashes.
    """
    try:
        receipt = catalog.read_receipt_header(store / shard.receipt)
        size = (store / shard.file).stat().st_size
    except (DamagedTable, OSError):
        return None
    expected = (plan, shard.split, shard.number, layout.shard_file_size(shard_length))
    found = (receipt.plan, receipt.split, receipt.shard, receipt.size)
    return receipt if found == expected and size == receipt.size else None


def missing_shards(store: Path, shards: tuple[Shard, ...], record: PlanRecord) -> list[Shard]:
    """Return the shards without a valid receipt, in order."""
    return [
        shard
        for shard in shards
        if valid_receipt(store, shard, record.plan, record.shard_length) is None
    ]


def folders(store: Path, splits: list[str]) -> Iterator[Path]:
    """Run through the folders of a store that hold files of ours."""
    yield store
    for split in splits:
        yield store / split
        yield store / layout.values_folder(split)
        yield store / layout.values_folder(split) / "c"
        yield store / RECEIPTS / split


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps({"format": layout.FORMAT, **document}, indent=2).encode() + b"\n"


def _read(store: Path, name: str, kind: type[_Document]) -> _Document:
    path = store / name
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotAStore(f"{store}: not a mistdata store (no {name})") from None
    except OSError as error:
        raise NotAStore(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise NotAStore(f"{path}: not the JSON that mistdata writes") from None
    expected = {field.name for field in fields(kind)}
    if not isinstance(document, dict) or document.pop("format", None) != layout.FORMAT:
        raise NotAStore(f"{path}: expected format {layout.FORMAT}")
    if document.keys() != expected:
        raise NotAStore(f"{path}: expected the keys {sorted(expected)}")
    return kind(**document)
