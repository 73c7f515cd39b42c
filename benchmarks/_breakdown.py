"""Where the time of one shard goes, in one process.

The parts are timed in turns by calling the same public functions as `fill_shard`; what it does
beyond them is the remainder. Random numbers are the opening of both streams of every dataset and
one double-precision normal per value; all else that a family, its transforms and its label need
counts as maths.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

import google_crc32c
import numpy as np

from benchmarks._floor import FloorTask, draw_and_write, draw_normals
from benchmarks._measure import seconds, take_turns
from mistdata.pipeline.fill import fill_shard, init_store
from mistdata.pipeline.generate import generate_shard
from mistdata.pipeline.plan import Plan
from mistdata.pipeline.streams import Streams
from mistdata.store.commit import write_durably
from mistdata.store.ledger import Shard

REPEATS = 3


def measure(plan: Plan, shards: Sequence[Shard], folder: Path) -> dict[str, float]:
    """Return the milliseconds per shard of every part, medians over shards and repeats."""
    stores = (folder / f"breakdown-{number}" for number in count())
    turns = [_measure_shard(plan, shard, folder, next(stores)) for shard in shards]
    took = {name: 1e3 * median(turn[name] for turn in turns) for turn in turns for name in turn}
    parts = {name: took[name] for name in ("open streams", "draw normals")}
    parts["maths"] = took["generate"] - sum(parts.values())
    parts["hash (sha256, crc32c)"] = took["hash"]
    parts["write and sync values"] = took["write"]
    parts["receipt and the rest"] = took["fill"] - sum(parts.values())
    return parts | {"total": took["fill"]} | {f"floor: {k}": took[k] for k in ("normals", "all")}


def lines(parts: dict[str, float]) -> list[str]:
    """Lay the parts out as a table."""
    total = parts["total"]
    rows = [f"  {name:<24}{ms:8.1f} ms {ms / total:6.0%}" for name, ms in parts.items()]
    return ["one shard, part by part", *rows]


def _measure_shard(plan: Plan, shard: Shard, folder: Path, store: Path) -> dict[str, float]:
    values, _ = generate_shard(plan, shard)
    used = int(plan.sizes[shard.start : shard.stop].sum())
    file = folder / "breakdown-values"
    task = FloorTask(folder / "breakdown-floor", used, plan.shard_length)
    init_store(store, plan)
    fill_shard(store, shard.index)
    actions: dict[str, Callable[[], object]] = {
        "open streams": partial(_open_streams, plan, shard),
        "draw normals": partial(_draw_normals, plan, shard),
        "generate": partial(generate_shard, plan, shard),
        "hash": partial(_hash, plan, shard, values),
        "write": partial(write_durably, file, [memoryview(values).cast("B")]),
        "fill": partial(fill_shard, store, shard.index),
        "normals": partial(draw_normals, task),
        "all": partial(draw_and_write, task),
    }
    written = [store / shard.receipt, store / shard.file, task.path]
    timed = {name: partial(_timed, action, written) for name, action in actions.items()}
    took = take_turns(timed, REPEATS)
    shutil.rmtree(store)
    for path in (file, task.path):
        path.unlink(missing_ok=True)
    return {name: median(each) for name, each in took.items()}


def _timed(action: Callable[[], object], written: Sequence[Path]) -> float:
    for path in written:  # new files for everybody; a shard with a receipt is not filled again
        path.unlink(missing_ok=True)
    return seconds(action)


def _open_streams(plan: Plan, shard: Shard) -> None:
    streams = Streams(plan.recipe.seed)
    for planned in plan.datasets(shard.start, shard.stop):
        streams.of_parameters(planned.split, planned.distribution)
        streams.of_sample(planned.split, planned.distribution, planned.replicate)


def _draw_normals(plan: Plan, shard: Shard) -> None:
    rng = Streams(plan.recipe.seed).of_sample(0, 0, 0)
    for size in plan.sizes[shard.start : shard.stop].tolist():
        rng.standard_normal(size)


def _hash(plan: Plan, shard: Shard, values: np.ndarray) -> None:
    hashlib.sha256(memoryview(values).cast("B")).hexdigest()
    for planned in plan.datasets(shard.start, shard.stop):
        google_crc32c.value(values[planned.span])
