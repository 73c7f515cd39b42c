"""Speed of packed reads beside a bare memory map and zarr-python, one thread, warm.

    python -m benchmarks.read [--store STORE]

Every reader copies the same datasets, in the same order and batches, into the same buffer; the
bare map knows file, offset and size of each beforehand. All must give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

from benchmarks._measure import (
    median_ratio,
    plan_slice,
    report,
    seconds,
    take_turns,
    verdict,
    work_folder,
)
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import layout
from mistdata.store.dataset import MetaDataset, open_store

BATCH = 256
RATIO = 0.5
SPEED = 50_000
Reader = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class Batches:
    """What to read: per batch the positions, and where each dataset lies (split, start, size)."""

    positions: list[np.ndarray]
    places: list[list[tuple[str, int, int]]]
    largest: int

    def __len__(self) -> int:
        return sum(len(each) for each in self.positions)

    def first(self, count: int) -> Batches:
        """Return only the first batches."""
        return Batches(self.positions[:count], self.places[:count], self.largest)


def make_batches(dataset: MetaDataset, positions: np.ndarray) -> Batches:
    """Cut positions into batches and look their places up."""
    split, start = dataset.column("split"), dataset.column("offset")
    size = dataset.column("n") * (dataset.column("dim_x") + dataset.column("dim_y"))
    cut = [positions[at : at + BATCH] for at in range(0, len(positions), BATCH)]
    places = [[(str(split[i]), int(start[i]), int(size[i])) for i in batch] for batch in cut]
    return Batches(cut, places, max(int(size[batch].sum()) for batch in cut))


def read_mistdata(dataset: MetaDataset, batches: Batches, out: np.ndarray) -> None:
    """Read every batch through the library."""
    for positions in batches.positions:
        dataset.read(positions, out=out)


def read_bare(
    maps: dict[str, list[np.ndarray]], length: int, batches: Batches, out: np.ndarray
) -> None:
    """Copy every dataset from a memory map of its file, and nothing else."""
    for places in batches.places:
        end = 0
        for split, start, size in places:
            shard, offset = divmod(start, length)
            out[end : end + size] = maps[split][shard][offset : offset + size]
            end += size


def read_zarr(arrays: dict[str, Any], batches: Batches, out: np.ndarray) -> None:
    """Read every dataset as a slice of the Zarr array."""
    for places in batches.places:
        end = 0
        for split, start, size in places:
            out[end : end + size] = arrays[split][start : start + size]
            end += size


def open_maps(dataset: MetaDataset) -> dict[str, list[np.ndarray]]:
    """Map every shard file of a store, as plain arrays, which slice faster than `np.memmap`."""
    assert dataset.manifest is not None
    return {
        split: [
            np.asarray(
                np.memmap(dataset.path / layout.shard_name(split, k), dtype="<f4", mode="r")
            )
            for k in range(shards)
        ]
        for split, shards in dataset.manifest.shards.items()
    }


def open_arrays(dataset: MetaDataset) -> dict[str, Any]:
    """Open the array of every split with zarr-python."""
    import zarr

    group = zarr.open_group(str(dataset.path), mode="r")
    assert dataset.manifest is not None
    return {split: group[f"{split}/values"] for split in dataset.manifest.shards}


def require_equal(readers: Sequence[Reader], largest: int) -> None:
    """Stop unless all readers leave the same bits behind."""
    buffers = [np.zeros(largest, np.float32) for _ in readers]
    for reader, buffer in zip(readers, buffers, strict=True):
        reader(buffer)
    if any(buffer.tobytes() != buffers[0].tobytes() for buffer in buffers):
        raise RuntimeError("the readers disagree about the bits of the store")


def measure(dataset: MetaDataset, batches: Batches, repeats: int) -> dict[str, Any]:
    """Time the readers in turns over the same batches; Zarr, being slow, over the first alone."""
    assert dataset.manifest is not None
    maps, arrays = open_maps(dataset), open_arrays(dataset)
    length, one = dataset.manifest.shard_length, batches.first(1)
    ours: dict[str, Callable[[Batches], Reader]] = {
        "mistdata": lambda which: partial(read_mistdata, dataset, which),
        "bare map": lambda which: partial(read_bare, maps, length, which),
        "zarr": lambda which: partial(read_zarr, arrays, which),
    }
    require_equal([make(one) for make in ours.values()], one.largest)
    out = np.zeros(batches.largest, np.float32)
    actions = {
        name: partial(_per_second, make(one if name == "zarr" else batches), out)
        for name, make in ours.items()
    }
    counts = {name: len(one if name == "zarr" else batches) for name in ours}
    for action in actions.values():
        action()
    took = take_turns(actions, repeats)
    return _figures(took, counts, batches)


def _per_second(reader: Reader, out: np.ndarray) -> float:
    return seconds(lambda: reader(out))


def _figures(
    took: dict[str, list[float]], counts: dict[str, int], batches: Batches
) -> dict[str, Any]:
    speeds = {name: [counts[name] / each for each in took[name]] for name in took}
    sizes = [size for places in batches.places for _, _, size in places]
    return {
        "kilobytes_per_dataset": 4e-3 * sum(sizes) / len(sizes),
        "datasets_per_s": {name: median(each) for name, each in speeds.items()},
        "best_datasets_per_s": {name: max(each) for name, each in speeds.items()},
        "ratio_to_bare_map": median_ratio(speeds["mistdata"], speeds["bare map"]),
        "ratio_to_zarr": median_ratio(speeds["mistdata"], speeds["zarr"]),
    }


def lines(order: str, figures: dict[str, Any]) -> list[str]:
    """Lay the figures of one order out."""
    speed, ratio = figures["datasets_per_s"], figures["ratio_to_bare_map"]
    return [
        f"{order}, batches of {BATCH}, {figures['kilobytes_per_dataset']:.0f} kB per dataset",
        *(
            f"  {name:<9}{speed[name]:>10,.0f} datasets/s (best"
            f" {figures['best_datasets_per_s'][name]:,.0f})"
            for name in speed
        ),
        f"  {ratio:.2f} of the bare map ({verdict(ratio, RATIO)});"
        f" {figures['ratio_to_zarr']:.0f} times zarr-python",
        f"  datasets/s per thread ({verdict(speed['mistdata'], SPEED)})",
    ]


@click.command()
@click.option("--store", type=click.Path(path_type=Path), help="Read this store.")
@click.option("--datasets", default=2500, show_default=True, help="Without --store: its size.")
@click.option("--reads", default=5120, show_default=True, help="Datasets per timing.")
@click.option("--repeats", default=7, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(store: Path | None, datasets: int, reads: int, repeats: int, as_json: bool) -> None:
    """Measure the speed of packed reads."""
    with work_folder(None) as folder:
        if store is None:
            store = folder / "store"
            generate(plan_slice(datasets), store, InProcess())
        dataset = open_store(store)
        rng = np.random.default_rng(1)
        orders = {
            "random": rng.integers(len(dataset), size=reads),
            "sequential": np.arange(reads) % len(dataset),
        }
        document, text = {}, []
        for order, positions in orders.items():
            document[order] = measure(dataset, make_batches(dataset, positions), repeats)
            text += lines(order, document[order])
    report(document, text, as_json)


if __name__ == "__main__":
    main()
