"""What a store says of itself: plan.json, receipts, manifest.json.

`plan.json` claims a folder for one plan. A receipt proves that a shard is durable. The manifest
makes the store a dataset; it comes last. Completeness is receipts against the plan, nothing else.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.errors import NotAStore, VerificationFailed
from mistdata.store import catalog, document, layout
from mistdata.store.document import DamagedDocument

_Document = TypeVar("_Document", "PlanRecord", "Receipt", "Manifest")

RECORD = "plan.json"
PLANNED = "plan.parquet"
CATALOG = "catalog.parquet"
MANIFEST = "manifest.json"
LOGS = "logs"
RECEIPTS = "_receipts"
FLOWS = "flows"  # copies of the flows that carry the sides of a store to a modality,
FLOW = "flow.json"  # each described by this, whose SHA-256 is its identity


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
        return f"{RECEIPTS}/{self.split}/{self.number}.json"


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
class Receipt:
    """Proof that a shard is durable: what the file is, and the labels of its datasets.

    `labels` maps each column of `catalog.LABELS` to one value per dataset, in dataset order.
    """

    plan: str
    split: str
    shard: int
    size: int
    sha256: str
    labels: dict[str, list[Any]]


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
    layout.require_inside(splits)
    edges = [0, *changes.tolist(), len(split)]
    return tuple(
        Shard(index, splits[split[start]], int(shard[start]), start, stop)
        for index, (start, stop) in enumerate(pairwise(edges))
    )


def count_shards(shards: Iterable[Shard]) -> dict[str, int]:
    """Count the shards of every split, in recipe order."""
    return dict(Counter(shard.split for shard in shards))


def identity(plan: str, mistdata: str) -> dict[str, str]:
    """Return what every file of a store carries about where it comes from."""
    return {"plan": plan, "mistdata": mistdata}


def metadata(record: PlanRecord, shards: Iterable[Shard]) -> dict[str, bytes]:
    """Return what every zarr.json of a store must be, by its path.

    Args:
        record: its plan.json.
        shards: of its plan.
    """
    attributes = identity(record.plan, record.mistdata)
    return layout.metadata(count_shards(shards), record.shard_length, attributes)


def encode_record(record: PlanRecord) -> bytes:
    """Encode plan.json."""
    return document.encode(_shallow(record), indent=2)


def read_record(store: Path) -> PlanRecord:
    """Read plan.json.

    Raises:
        NotAStore: there is none, or it cannot be read.
        VerificationFailed: the bytes are not those that were written.
    """
    return _read(store, RECORD, PlanRecord)


def encode_manifest(manifest: Manifest) -> bytes:
    """Encode manifest.json."""
    return document.encode(_shallow(manifest), indent=2)


def read_manifest(store: Path) -> Manifest:
    """Read manifest.json.

    Raises:
        NotAStore: there is none, or it cannot be read.
        VerificationFailed: the bytes are not those that were written.
    """
    return _read(store, MANIFEST, Manifest)


def is_sealed(store: Path) -> bool:
    """Tell whether the manifest exists."""
    return (store / MANIFEST).exists()


def read_planned(store: Path, record: PlanRecord) -> tuple[catalog.Table, tuple[Shard, ...]]:
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
    try:
        return planned, shards_of(planned)
    except ValueError as error:
        raise VerificationFailed(f"{path}: {error}") from None


def shards_of(planned: catalog.Table) -> tuple[Shard, ...]:
    """Number the shards of a table of planned datasets."""
    splits, positions = catalog.positions(planned["split"])
    return find_shards(splits, positions, catalog.to_numpy(planned["shard"]))


def encode_receipt(receipt: Receipt) -> bytes:
    """Encode a receipt."""
    return document.encode(_shallow(receipt))


def read_receipt(store: Path, shard: Shard) -> Receipt:
    """Read the receipt of a shard.

    Raises:
        DamagedDocument: the file is not, byte for byte, a receipt.
        OSError: the file cannot be read.
    """
    return _decode(store / shard.receipt, Receipt)


def valid_receipt(store: Path, shard: Shard, record: PlanRecord) -> Receipt | None:
    """Return the receipt of a shard if it is there, belongs to the plan and the file is whole.

    "Whole" here is the size; `mistdata verify` hashes.
    """
    try:
        receipt = read_receipt(store, shard)
        size = (store / shard.file).stat().st_size
    except (DamagedDocument, OSError):
        return None
    whole = size == receipt.size == layout.shard_file_size(record.shard_length)
    return receipt if whole and belongs(receipt, shard, record) else None


def belongs(receipt: Receipt, shard: Shard, record: PlanRecord) -> bool:
    """Tell whether a receipt is for this shard of this plan, with a label for each dataset."""
    return (
        (receipt.plan, receipt.split, receipt.shard) == (record.plan, shard.split, shard.number)
        and receipt.labels.keys() | catalog.LATER_LABELS == set(catalog.LABELS.names)
        and receipt.labels["dataset_id"] == list(range(shard.start, shard.stop))
    )


def missing_shards(store: Path, shards: tuple[Shard, ...], record: PlanRecord) -> list[Shard]:
    """Return the shards without a valid receipt, in order."""
    return [shard for shard in shards if valid_receipt(store, shard, record) is None]


def flow_files(store: Path) -> list[str]:
    """Return the paths of the files of a store's flows, relative to it."""
    found = (path for path in (store / FLOWS).rglob("*") if path.is_file())
    return sorted(path.relative_to(store).as_posix() for path in found)


@contextmanager
def giving_way_to_seal(store: Path) -> Iterator[None]:
    """Accept that another process sealed the store and swept our temporary file."""
    try:
        yield
    except FileNotFoundError:
        if not is_sealed(store):
            raise


def folders(store: Path, splits: list[str]) -> Iterator[Path]:
    """Run through the folders of a store that hold files of ours."""
    yield store
    for split in splits:
        yield store / split
        yield store / layout.values_folder(split)
        yield store / layout.values_folder(split) / "c"
        yield store / RECEIPTS / split


def _shallow(content: _Document) -> dict[str, Any]:
    return {field.name: getattr(content, field.name) for field in fields(content)}


def _read(store: Path, name: str, kind: type[_Document]) -> _Document:
    path = store / name
    try:
        return _decode(path, kind)
    except FileNotFoundError:
        nowhere = isinstance(store, Path) and not store.exists()
        missing = "there is no such folder" if nowhere else f"no {name}"
        raise NotAStore(f"{store}: not a mistdata store ({missing})") from None
    except NotADirectoryError:
        raise NotAStore(f"{store}: not a mistdata store (not a folder)") from None
    except OSError as error:
        raise NotAStore(f"{path}: cannot be read: {error.strerror}") from None


def _decode(path: Path, kind: type[_Document]) -> _Document:
    content = document.read(path)
    expected = {field.name for field in fields(kind)}
    if content.keys() != expected:
        raise DamagedDocument(f"{path}: expected the keys {sorted(expected)}")
    for name, hint in get_type_hints(kind).items():
        if not document.has_type(content[name], hint):
            raise DamagedDocument(f"{path}: {name} must be {kind.__annotations__[name]}")
    decoded = kind(**content)
    try:
        _require_sound(decoded)
    except ValueError as error:
        raise DamagedDocument(f"{path}: {error}") from None
    return decoded


def _require_sound(decoded: PlanRecord | Receipt | Manifest) -> None:
    """Refuse what no store says of itself, whoever wrote it with a right checksum.

    Raises:
        ValueError: saying what.
    """
    if isinstance(decoded, Receipt):
        return
    layout.require_shard_length(decoded.shard_length)
    if isinstance(decoded, Manifest):
        layout.require_inside([*decoded.files, *decoded.datasets, *decoded.shards])
        if decoded.datasets.keys() != decoded.shards.keys() or CATALOG not in decoded.files:
            raise ValueError("datasets, shards and files must be of the same splits")
        listed = {layout.shard_name(*each) for each in _numbered(decoded)}
        if not listed <= decoded.files.keys():
            raise ValueError("every shard must be among the files")
        for name, file in decoded.files.items():
            if [type(file.get(key)) for key in ("size", "sha256")] != [int, str]:
                raise ValueError(f"{name}: must have a size and a sha256")


def _numbered(manifest: Manifest) -> Iterator[tuple[str, int]]:
    """Split and number of every shard that a manifest counts.

    Raises:
        ValueError: it counts more than it has files, however large the number.
    """
    counts = manifest.shards
    if min(counts.values(), default=0) < 0 or sum(counts.values()) > len(manifest.files):
        raise ValueError("shards must be counts of files")
    return ((split, number) for split, count in counts.items() for number in range(count))
