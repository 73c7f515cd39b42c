"""Stores for other tools: NumPy archives, Parquet as the Hugging Face hub reads it, WebDataset.

One file is written per shard, so that memory stays bounded. What is written is what is stored:
float32, and the whole row of the catalog.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.store import card, catalog, ledger
from mistdata.store.commit import make_folder, write_whole
from mistdata.store.dataset import MetaDataset, open_store

Part = tuple[str, int, int, Array]  # split, number of its file, of how many, positions
Writer = Callable[[MetaDataset, Array], bytes]


def export(
    store: Path,
    out: Path,
    kind: str,
    *,
    where: str | None = None,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_written: Callable[[int], None] = lambda datasets: None,
) -> list[Path]:
    """Write a store, or a selection of it, in another format.

    Args:
        store: a sealed store.
        out: a new or empty folder.
        kind: 'npz', 'parquet', 'hf' (Parquet and a card) or 'webdataset'.
        where: only datasets whose row of the catalog meets this SQL condition.
        on_start: called with 0 and the number of datasets.
        on_written: called with the number of datasets of each file.

    Returns:
        The files.

    If it fails, as on a full disk, nothing is left of it.

    Raises:
        NotAStore: there is no sealed store.
        BadCondition: it is not SQL, names an unknown column, or no dataset meets it.
        MistdataError: the folder holds other things.
    """
    dataset = open_store(store)
    if where is not None:
        dataset = dataset.some_where(where)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MistdataError(f"{out}: expected a new or empty folder")
    suffix, write = _WRITERS[kind]
    on_start(0, len(dataset))
    files: list[Path] = []
    with _all_or_nothing(out, files):
        for split, number, count, positions in _parts(dataset):
            path = out / f"{split}-{number:05d}-of-{count:05d}.{suffix}"
            write_whole(path, write(dataset, positions))
            files.append(path)
            on_written(len(positions))
        if kind == "hf":
            write_whole(out / card.README, _hub_card(store, dataset).encode())
            files.append(out / card.README)
    return files


@contextmanager
def _all_or_nothing(out: Path, files: list[Path]) -> Iterator[None]:
    """Make the folder for the block; remove it and the files so far if the block fails."""
    made = make_folder(out)
    try:
        yield
    except BaseException:
        for path in files:
            path.unlink()
        for folder in made:
            folder.rmdir()
        raise


def _parts(dataset: MetaDataset) -> Iterator[Part]:
    """The datasets of every shard, in order."""
    shards = ledger.shards_of(dataset.catalog)
    counts, written = ledger.count_shards(shards), Counter[str]()
    for shard in shards:
        positions = np.arange(shard.start, shard.stop)
        yield shard.split, written[shard.split], counts[shard.split], positions
        written[shard.split] += 1


def _npz(dataset: MetaDataset, positions: Array) -> bytes:
    """Arrays x_<dataset_id> and y_<dataset_id>, and every column of numbers of the catalog."""
    arrays: dict[str, Any] = {}
    for one in map(dataset.__getitem__, positions.tolist()):
        arrays[f"x_{one.dataset_id}"], arrays[f"y_{one.dataset_id}"] = one.x, one.y
    for name in ("dataset_id", "mi", "mi_error", "n", "dim_x", "dim_y", "distribution_id"):
        arrays[name] = dataset.column(name)[positions]
    arrays["component"] = dataset.column("component")[positions].astype(str)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _parquet(dataset: MetaDataset, positions: Array) -> bytes:
    """The rows of the catalog with x and y, row-major lists of n · dim float32."""
    sides = [(one.x, one.y) for one in map(dataset.__getitem__, positions.tolist())]
    x, y = ([side.ravel() for side in each] for each in zip(*sides, strict=True))
    return catalog.encode_with_values(dataset.catalog.take(positions), x, y)


def _webdataset(dataset: MetaDataset, positions: Array) -> bytes:
    """A tar of <dataset_id>.x.npy, .y.npy and .json."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for position in positions.tolist():
            one = dataset[position]
            key = f"{one.dataset_id:09d}"
            _add(tar, f"{key}.x.npy", _npy(one.x))
            _add(tar, f"{key}.y.npy", _npy(one.y))
            _add(tar, f"{key}.json", json.dumps(one.row, default=str).encode())
    return buffer.getvalue()


def _npy(values: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # no time and no owner: the same bytes every time
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _hub_card(store: Path, dataset: MetaDataset) -> str:
    """The card of the store, with the files of every split in its front matter."""
    text = (store / card.README).read_bytes().decode()
    _, front, body = text.split("---\n", 2)
    kept = front.partition("configs:")[0]
    splits = dict.fromkeys(dataset.column("split").tolist())
    lines = [f"  - split: {name}\n    path: {name}-*.parquet" for name in splits]
    configs = "configs:\n- config_name: default\n  data_files:\n" + "\n".join(lines) + "\n"
    return f"---\n{kept}{configs}---\n{body}"


_WRITERS: dict[str, tuple[str, Writer]] = {
    "npz": ("npz", _npz),
    "parquet": ("parquet", _parquet),
    "hf": ("parquet", _parquet),
    "webdataset": ("tar", _webdataset),
}
KINDS = tuple(_WRITERS)
