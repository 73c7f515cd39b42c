"""Stores for other tools: NumPy archives, Parquet as the Hugging Face hub reads it, WebDataset.

One file is written per shard, so that memory stays bounded. Values are written as they are stored,
float32, with the row of the catalog, and beside the files a card.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mistdata
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.store import card, catalog, ledger
from mistdata.store.commit import make_folder, write_whole
from mistdata.store.dataset import MetaDataset, open_store
from mistdata.store.origin import Facts

Part = tuple[str, int, int, Array]  # split, number of its file, of how many, positions
_NPZ_COLUMNS = (
    "dataset_id",
    "mi",
    "mi_error",
    "n",
    "dim_x",
    "dim_y",
    "distribution_id",
    "component",
)


@dataclass(frozen=True)
class Format:
    """What a store can be exported to.

    Attributes:
        suffix: of its files.
        write: encodes the datasets at some positions as a file.
        contents: what a file holds, in Markdown.
        snippet: Python that reads x, y and mi of every dataset in FOLDER.
        columns: of the catalog, those that are written.
    """

    suffix: str
    write: Callable[[MetaDataset, Array], bytes]
    contents: str
    snippet: str
    columns: Sequence[str] = tuple(card.COLUMNS)


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
        kind: 'npz', 'parquet', 'hf' (Parquet whose card tells the hub the splits) or 'webdataset'.
        where: only datasets whose row of the catalog meets this SQL condition.
        on_start: called with 0 and the number of datasets.
        on_written: called with the number of datasets of each file.

    Returns:
        The files, the card last.

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
    form = FORMATS[kind]
    on_start(0, len(dataset))
    files: list[Path] = []
    with _all_or_nothing(out, files):
        for split, number, count, positions in _parts(dataset):
            path = out / _name(split, f"{number:05d}", f"{count:05d}", form)
            write_whole(path, form.write(dataset, positions))
            files.append(path)
            on_written(len(positions))
        write_whole(out / card.README, _card(dataset, kind, where))
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
    """Arrays x_<dataset_id> and y_<dataset_id>, and some columns of the catalog."""
    arrays: dict[str, Any] = {}
    for one in map(dataset.__getitem__, positions.tolist()):
        arrays[f"x_{one.dataset_id}"], arrays[f"y_{one.dataset_id}"] = one.x, one.y
    for name in _NPZ_COLUMNS:
        column = dataset.column(name)[positions]
        arrays[name] = column.astype(str) if column.dtype == object else column
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


def _name(split: str, number: str, count: str, form: Format) -> str:
    """What a file is called."""
    return f"{split}-{number}-of-{count}.{form.suffix}"


def _card(dataset: MetaDataset, kind: str, where: str | None) -> bytes:
    """The card of an export; of the hub's, with the files of every split in its front matter."""
    form = FORMATS[kind]
    splits = dict.fromkeys(dataset.column("split").tolist()) if kind == "hf" else ()
    export = card.Export(
        kind=kind,
        mistdata=mistdata.__version__,
        where=where,
        contents=form.contents,
        snippet=form.snippet,
        columns=form.columns,
        # The hub knows no dash in the name of a split.
        files={name.replace("-", "_"): _name(name, "?????", "?????", form) for name in splits},
    )
    facts = Facts.of(ledger.read_record(dataset.path), dataset.digest)
    return card.export_card(facts, dataset.catalog, export)


_PARQUET_CONTENTS = """\
A row is a dataset: the columns of the catalog, and `x` and `y`, lists of the `n * dim_x` and
`n * dim_y` float32 values, row after row. The folder holds a card too, so name the files."""
_PARQUET_SNIPPET = """\
from pathlib import Path

import pandas as pd

for path in sorted(Path("FOLDER").glob("*.parquet")):
    for row in pd.read_parquet(path).itertuples():
        mi = row.mi
        x = row.x.reshape(row.n, row.dim_x)
        y = row.y.reshape(row.n, row.dim_y)
"""
FORMATS = {
    "npz": Format(
        "npz",
        _npz,
        """\
Of the dataset whose `dataset_id` is ID, `x_ID` is the array (n, dim_x) and `y_ID` the array
(n, dim_y), both float32. Of the catalog there are columns as arrays, a value for each dataset:
`mi` and `mi_error` float64 (NaN where there is none), `dataset_id` and `distribution_id` int64,
`n`, `dim_x` and `dim_y` int32, `component` text.""",
        """\
from pathlib import Path

import numpy as np

for path in sorted(Path("FOLDER").glob("*.npz")):
    arrays = np.load(path)
    for number, mi in zip(arrays["dataset_id"], arrays["mi"]):
        x, y = arrays[f"x_{number}"], arrays[f"y_{number}"]
""",
        _NPZ_COLUMNS,
    ),
    "parquet": Format("parquet", _parquet, _PARQUET_CONTENTS, _PARQUET_SNIPPET),
    "hf": Format(
        "parquet",
        _parquet,
        _PARQUET_CONTENTS
        + """
`datasets.load_dataset("FOLDER")` reads them by split, with `_` for a dash in the name of one.""",
        _PARQUET_SNIPPET,
    ),
    "webdataset": Format(
        "tar",
        _webdataset,
        """\
A dataset is three files, called by `dataset_id` in nine digits: `ID.x.npy`, the array (n, dim_x),
`ID.y.npy`, the array (n, dim_y), both float32, and `ID.json`, its row of the catalog.
`webdataset.WebDataset(PATH).decode()` gives them as `x.npy`, `y.npy` and `json`.""",
        """\
import io
import json
import tarfile
from pathlib import Path

import numpy as np

for path in sorted(Path("FOLDER").glob("*.tar")):
    with tarfile.open(path) as tar:
        files = {name: tar.extractfile(name).read() for name in tar.getnames()}
    for key in [name.removesuffix(".json") for name in files if name.endswith(".json")]:
        mi = json.loads(files[f"{key}.json"])["mi"]
        x, y = (np.load(io.BytesIO(files[f"{key}.{side}.npy"])) for side in "xy")
""",
    ),
}
KINDS = tuple(FORMATS)
