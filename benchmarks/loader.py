"""Every way of feeding a network, beside a bare memory map and a bare copy, warm and cold.

    python -m benchmarks.loader [--store STORE] [--datasets 20000]

Warm: packed reads of random datasets (`MetaDataset.read`), the same padded to one shape, batches
of equal shape (`Loader`) from mapped files and from memory (`Resident`), one thread each; beside a
copy of the same bytes from the map, and from memory. Cold, with the cache of the operating system
emptied of the store's files: batches streamed window by window, and one epoch in random order,
beside reading the files one after another. Then what batches of equal shape leave out, how much of
padded ones is padding, how long the first batch takes after opening a store of `--rows` datasets
(without values), and how long a resume.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

import mistdata
from benchmarks._measure import (
    median_ratio,
    plan_slice,
    report,
    seconds,
    take_turns,
    verdict,
    work_folder,
)
from benchmarks._pretence import pretend
from benchmarks.read import Batches, make_batches, open_maps, read_bare, read_mistdata
from mistdata.pipeline.fill import init_store
from mistdata.pipeline.run import InProcess, LocalWorkers, generate
from mistdata.store.dataset import MetaDataset
from mistdata.store.seal import seal
from train.loader import Batch, Loader, Position, Resident, plan_epoch, shapes

CELLS = 1 << 22  # of a batch
WINDOW = 16
PACKED, SHARE, EFFICIENCY, BUCKETS = 50_000, 0.5, 0.9, 0.8
FIRST, RESUME = 1.0, 0.2
SERVED = 20_000  # datasets in one warm timing


def shard_files(store: Path) -> list[Path]:
    """The files of the values."""
    return sorted(path for path in store.glob("*/values/c/*") if path.is_file())


def forget(store: Path) -> None:
    """Take the values out of the cache of the operating system."""
    for path in shard_files(store):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_files(store: Path) -> int:
    """Read the files one after another; return the bytes."""
    block, total = bytearray(1 << 22), 0
    for path in shard_files(store):
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(block):
                total += count
    return total


def read_padded(dataset: MetaDataset, batches: Batches, out: np.ndarray) -> None:
    """Read every batch into arrays of one shape with a mask."""
    for positions in batches.positions:
        dataset.read(positions, out=out).padded()


def serve(batches: Iterator[Batch], datasets: int) -> None:
    """Take batches until they had so many datasets."""
    while datasets > 0:
        datasets -= len(next(batches).ids)


def rate(count: int, action: Callable[[], object]) -> float:
    """Datasets per second."""
    return count / seconds(action)


def warm(dataset: MetaDataset, repeats: int) -> dict[str, Any]:
    """Datasets/s of everything whose bytes are in memory."""
    order = np.random.default_rng(0).integers(len(dataset), size=SERVED)
    batches = make_batches(dataset, order)
    out = np.empty(batches.largest, np.float32)
    resident = Resident(dataset, "cpu")
    memory = resident.values.numpy()
    size = dataset.column("n") * (dataset.column("dim_x") + dataset.column("dim_y"))
    spans = [(int(resident.starts[i]), int(size[i])) for i in order]

    def copy_memory() -> None:
        for start, length in spans:
            out[:length] = memory[start : start + length]

    assert dataset.manifest is not None
    length = dataset.manifest.shard_length
    loaders = {
        "batches, mapped": Loader(dataset, Position(0), batch_size=64, cells=CELLS).forever(),
        "batches, resident": Loader(resident, Position(0), batch_size=64, cells=CELLS).forever(),
    }
    actions = {
        "bare copy": copy_memory,
        "bare map": partial(read_bare, open_maps(dataset), length, batches, out),
        "packed": partial(read_mistdata, dataset, batches, out),
        "padded": partial(read_padded, dataset, batches, out),
        **{name: partial(serve, loader, SERVED) for name, loader in loaders.items()},
    }
    for action in actions.values():
        action()
    took = take_turns({k: partial(rate, SERVED, each) for k, each in actions.items()}, repeats)
    for loader in loaders.values():
        loader.close()
    return {
        name: {"datasets_per_s": median(each), "of_bare_map": median_ratio(each, took["bare map"])}
        for name, each in took.items()
    }


def cold(store: Path, repeats: int) -> dict[str, Any]:
    """Bytes/s of one epoch whose files are not in memory; nobody else may have them mapped."""
    datasets = len(mistdata.open(store))
    size = sum(path.stat().st_size for path in shard_files(store))

    def epoch(window: int | None) -> float:
        forget(store)
        loader = Loader(
            mistdata.open(store), Position(0), batch_size=64, cells=CELLS, window=window
        )
        return size / seconds(lambda: serve(loader.epoch(), datasets))

    def files() -> float:
        forget(store)
        return size / seconds(lambda: read_files(store))

    actions = {"files": files, "streamed": partial(epoch, WINDOW), "random": partial(epoch, None)}
    took = take_turns(actions, repeats)
    return {
        name: {"mb_per_s": 1e-6 * median(each), "of_files": median_ratio(each, took["files"])}
        for name, each in took.items()
    }


def efficiency(dataset: MetaDataset) -> dict[str, float]:
    """What share of the values of its datasets a batch has, cut to one shape without a mask."""
    n, dim_x, dim_y = shapes(dataset)
    found = {}
    for batch in (32, 128):
        plan = plan_epoch(n, dim_x, dim_y, Position(0), batch_size=batch, cells=1 << 40)
        rows = np.repeat(plan.rows, np.diff(plan.starts))
        columns = (dim_x + dim_y)[plan.ids]
        served = (rows * columns).sum() / (n[plan.ids] * columns).sum()
        found[f"batches of {batch}"] = float(served)
    return found


def filled(dataset: MetaDataset) -> dict[str, float]:
    """What share of padded batches of 32 are values: of random datasets, and of 8 × 8 buckets."""
    n, dim_x, dim_y = shapes(dataset)
    columns = dim_x + dim_y
    buckets = 8 * _eighths(n) + _eighths(columns)
    found = {}
    for name, of in (("random", np.zeros_like(buckets)), ("8 × 8 buckets", buckets)):
        drawn = np.random.default_rng(0).permutation(len(n))
        order = drawn[np.argsort(of[drawn], kind="stable")]
        values, places = 0, 0
        for batch in np.array_split(order, -(-len(order) // 32)):
            values += int((n[batch] * columns[batch]).sum())
            places += len(batch) * int(n[batch].max()) * int(columns[batch].max())
        found[name] = values / places
    return found


def _eighths(values: np.ndarray) -> np.ndarray:
    """Which eighth of the datasets a value puts one in."""
    return np.searchsorted(np.quantile(values, np.arange(1, 8) / 8), values, side="right")


def opening(store: Path) -> dict[str, float]:
    """Seconds from opening a store to its first batch, and from a saved position to the next."""

    def first() -> None:
        loader = Loader(mistdata.open(store), Position(0), batch_size=32)
        batches = loader.forever()
        next(batches)
        batches.close()

    dataset = mistdata.open(store)
    loader = Loader(dataset, Position(0), batch_size=32)

    def again() -> None:
        loader.restore({"seed": 0, "epoch": 3, "batch": 1000})
        batches = loader.forever()
        next(batches)
        batches.close()

    return {
        "datasets": len(dataset),
        "first_s": median(seconds(first) for _ in range(5)),
        "resume_s": median(seconds(again) for _ in range(5)),
    }


def without_values(rows: int, folder: Path) -> Path:
    """A sealed store of so many datasets, whose files are sparse."""
    plan, store = plan_slice(rows), folder / "sparse"
    init_store(store, plan)
    InProcess().run(store, pretend, range(len(plan.shards)), lambda filled: None)
    seal(store)
    return store


def lines(found: dict[str, Any]) -> list[str]:
    """Lay the figures out for people."""
    text = [f"warm, one thread, {found['kilobytes']:.0f} kB per dataset"]
    for name, each in found["warm"].items():
        speed = each["datasets_per_s"]
        said = f" ({verdict(speed, PACKED)})" if name == "packed" else ""
        text.append(
            f"  {name:<18}{speed:>10,.0f} datasets/s{said}, {each['of_bare_map']:.2f} of the map"
        )
    text.append("cold")
    for name, each in found["cold"].items():
        said = f" ({verdict(each['of_files'], SHARE)})" if name == "streamed" else ""
        text.append(
            f"  {name:<18}{each['mb_per_s']:>10,.0f} MB/s,"
            f" {each['of_files']:.2f} of the files{said}"
        )
    for name, each in found["efficiency"].items():
        text.append(f"{name}: {each:.3f} of the values served ({verdict(each, EFFICIENCY)})")
    for name, each in found["padded"].items():
        said = f" ({verdict(each, BUCKETS)})" if "buckets" in name else ""
        text.append(f"padded, {name}: {each:.3f} of the places hold a value{said}")
    opened = found["opening"]
    text.append(
        f"{opened['datasets']:,} datasets: first batch {opened['first_s']:.2f} s after opening"
        f" ({verdict(opened['first_s'], FIRST, at_most=True)}), resume {opened['resume_s']:.2f} s"
        f" ({verdict(opened['resume_s'], RESUME, at_most=True)})"
    )
    return text


@click.command()
@click.option("--store", type=click.Path(path_type=Path), help="Read this store.")
@click.option("--datasets", default=20_000, show_default=True, help="Without --store: its size.")
@click.option("--rows", default=625_000, show_default=True, help="Datasets of the store to open.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--folder", type=click.Path(path_type=Path), help="Work on the disk of this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(
    store: Path | None, datasets: int, rows: int, repeats: int, folder: Path | None, as_json: bool
) -> None:
    """Measure the loader."""
    with work_folder(folder) as temporary:
        if store is None:
            store = temporary / "store"
            generate(plan_slice(datasets), store, LocalWorkers(len(os.sched_getaffinity(0))))
        dataset = mistdata.open(store)
        values = dataset.column("n") * (dataset.column("dim_x") + dataset.column("dim_y"))
        large = without_values(rows, temporary)
        opened = mistdata.open(large)
        unmapped = cold(store, repeats)  # first: the system keeps what is mapped
        found = {
            "kilobytes": 4e-3 * float(values.mean()),
            "warm": warm(dataset, repeats),
            "cold": unmapped,
            "efficiency": efficiency(opened),
            "padded": filled(opened),
            "opening": opening(large),
        }
    report(found, lines(found), as_json)


if __name__ == "__main__":
    main()
