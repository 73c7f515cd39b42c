"""The floor under generation: the same count of normals and the same bytes, and nothing else.

One task stands for one shard: NumPy's fastest route to that many standard normals in single
precision, written to one file of the shard's size and synced.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from typing import NamedTuple

import numpy as np


class FloorTask(NamedTuple):
    """One file of `length` float32 values, of which the first `count` are normals."""

    path: Path
    count: int
    length: int


def draw_normals(task: FloorTask) -> np.ndarray:
    """Draw the normals of a task."""
    values = np.zeros(task.length, np.float32)
    np.random.default_rng().standard_normal(dtype=np.float32, out=values[: task.count])
    return values


def draw_and_write(task: FloorTask) -> float:
    """Draw the normals of a task, make them durable, and return the processor time it took."""
    began = time.process_time()
    values = draw_normals(task)
    with task.path.open("wb") as file:
        file.write(memoryview(values).cast("B"))
        file.flush()
        os.fsync(file.fileno())
    return time.process_time() - began


def start_processes(workers: int) -> Pool:
    """Start processes that have imported NumPy and are ready."""
    pool = multiprocessing.get_context("spawn").Pool(workers)
    pool.map(_get_ready, range(workers), chunksize=1)
    return pool


def run_floor(pool: Pool, tasks: Sequence[FloorTask]) -> float:
    """Return the seconds that the processes need for all tasks."""
    started = time.perf_counter()
    for _ in pool.imap_unordered(draw_and_write, tasks, chunksize=1):
        pass
    return time.perf_counter() - started


def _get_ready(_index: int) -> None:
    np.random.default_rng().standard_normal(10, dtype=np.float32)
    time.sleep(0.2)  # long enough that every process takes one
