"""Speed of generation beside the floor: the same normals drawn by NumPy, the same bytes written.

    python -m benchmarks.generate [--datasets 6000] [--workers 2] [--in-process] [--rival]

Steady state: a Dask cluster set up as `LocalWorkers` does is running, and every worker has filled
one shard of the store; timed is `generate()` over the remaining shards, from the call to its
return, through the same window of tasks. What a whole command pays before and after is printed
apart, from one run through `LocalWorkers` itself.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks._floor import FloorTask, draw_and_write, run_floor, start_processes
from benchmarks._measure import (
    median_ratio,
    plan_slice,
    report,
    seconds,
    take_turns,
    verdict,
    work_folder,
)
from mistdata.pipeline.fill import Filled, fill_shard, init_store
from mistdata.pipeline.plan import Plan
from mistdata.pipeline.run import LocalWorkers, Scheduler, generate, local_cluster
from mistdata.store.ledger import Shard

TARGET = 0.5
_numbers = count()


@dataclass(frozen=True)
class Work:
    """A slice of shards, and where to put it."""

    plan: Plan
    shards: tuple[Shard, ...]
    folder: Path

    @property
    def datasets(self) -> int:
        """Datasets in these shards."""
        return sum(shard.stop - shard.start for shard in self.shards)

    @property
    def megabytes(self) -> float:
        """10⁶ bytes of values in these shards."""
        return 4e-6 * sum(values_of(self.plan, shard) for shard in self.shards)

    def fresh(self) -> Path:
        """Name a folder that does not exist yet."""
        return self.folder / str(next(_numbers))

    def floor_tasks(self) -> list[FloorTask]:
        """Return one task of the floor per shard."""
        length = self.plan.shard_length
        return [
            FloorTask(self.folder / f"floor-{shard.index}", values_of(self.plan, shard), length)
            for shard in self.shards
        ]


def values_of(plan: Plan, shard: Shard) -> int:
    """Count the float32 values that the datasets of a shard hold."""
    return int(plan.sizes[shard.start : shard.stop].sum())


def steady_run(work: Work, workers: int, address: str) -> float:
    """Return the seconds of `generate()` on a warm cluster over all but the warming shards."""
    store = work.fresh()
    run = partial(generate, work.plan, store, Scheduler(address))
    run(shards=list(range(workers)))
    elapsed = seconds(lambda: run(shards=[shard.index for shard in work.shards]))
    shutil.rmtree(store)
    return elapsed


@contextmanager
def dask_cluster(workers: int) -> Iterator[str]:
    """Start a cluster as `LocalWorkers` does and yield its address."""
    with local_cluster(workers) as cluster:
        yield cluster.scheduler_address


def measure_workers(work: Work, workers: int, repeats: int) -> dict[str, Any]:
    """Compare the Dask path in its steady state with the floor in as many processes."""
    with dask_cluster(workers) as address, start_processes(workers) as pool:
        steady_run(work, workers, address)
        actions = {
            "mistdata": lambda: steady_run(work, workers, address),
            "floor": lambda: _floor_run(pool, work),
        }
        took = take_turns(actions, repeats)
    return _compared(work, took) | {"workers": workers}


def _floor_run(pool: Pool, work: Work) -> float:
    tasks = work.floor_tasks()
    elapsed = run_floor(pool, tasks)
    for task in tasks:
        task.path.unlink()
    return elapsed


def _compared(work: Work, took: dict[str, list[float]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"shards": len(work.shards), "datasets": work.datasets}
    for name, each in took.items():
        figures[name] = {
            "datasets_per_s": work.datasets / median(each),
            "mb_per_s": work.megabytes / median(each),
        }
    return figures | {"ratio": median_ratio(took["floor"], took["mistdata"])}


def measure_whole(plan: Plan, folder: Path, workers: int) -> dict[str, float]:
    """Run `generate()` once through `LocalWorkers`; tell apart start, filling and sealing."""
    done: list[tuple[float, Filled]] = []
    store = folder / "whole"
    started = time.perf_counter()
    generate(
        plan,
        store,
        LocalWorkers(workers),
        on_filled=lambda filled: done.append((time.perf_counter(), filled)),
    )
    ended = time.perf_counter()
    shutil.rmtree(store)
    began = min(at - filled.seconds for at, filled in done)
    return {
        "start_s": began - started,
        "fill_s": done[-1][0] - began,
        "stop_and_seal_s": ended - done[-1][0],
        "datasets_per_s": len(plan) / (ended - started),
    }


def measure_in_process(work: Work) -> dict[str, Any]:
    """Compare one process with the floor in one process, shard by shard."""
    store = work.fresh()
    init_store(store, work.plan)
    fill_shard(store, 0)  # imports, and the plan
    took: dict[str, list[float]] = {"mistdata": [], "floor": []}
    cpu: dict[str, list[float]] = {"mistdata": [], "floor": []}
    with start_processes(1) as pool:  # memory of its own, as mistdata has
        for shard, task in zip(work.shards, work.floor_tasks(), strict=True):
            before = time.process_time()
            took["mistdata"].append(seconds(partial(fill_shard, store, shard.index)))
            cpu["mistdata"].append(time.process_time() - before)
            before = time.perf_counter()
            cpu["floor"].append(pool.apply(draw_and_write, (task,)))
            took["floor"].append(time.perf_counter() - before)
    shutil.rmtree(store)
    for task in work.floor_tasks():
        task.path.unlink()
    mean = Work(work.plan, work.shards[:1], work.folder)
    figures = _compared(mean, took) | {"shards": len(work.shards), "datasets": work.datasets}
    return figures | {"cpu_ratio": median_ratio(cpu["floor"], cpu["mistdata"])}


def _lines_workers(figures: dict[str, Any], whole: dict[str, float]) -> list[str]:
    workers = figures["workers"]
    title = f"{workers} workers, steady state, {figures['shards']} shards"
    return [
        *_lines_compared(title, figures),
        f"  whole command: {whole['start_s']:.1f} s before the first shard (cluster, imports,"
        f" plan), {whole['fill_s']:.1f} s filling, {whole['stop_and_seal_s']:.1f} s stop and seal",
    ]


def _lines_compared(title: str, figures: dict[str, Any]) -> list[str]:
    speeds = [
        f"  {name:<9}{figures[name]['datasets_per_s']:>9,.0f} datasets/s"
        f"{figures[name]['mb_per_s']:>9,.0f} MB/s"
        for name in ("mistdata", "floor")
    ]
    ratio = figures["ratio"]
    return [title, *speeds, f"  ratio {ratio:.2f} of the floor ({verdict(ratio, TARGET)})"]


@click.command()
@click.option("--datasets", default=20_000, show_default=True, type=click.IntRange(min=2000))
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.  [default: cores]")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--folder", type=click.Path(path_type=Path), help="Work on the disk of this folder.")
@click.option("--in-process", is_flag=True, help="Only one process, with its breakdown.")
@click.option("--rival", is_flag=True, help="Only the published implementation, beside ours.")
@click.option("--rival-datasets", default=300, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--rival-env", type=click.Path(path_type=Path), help="Keep the rival's environment here."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(
    datasets: int,
    workers: int | None,
    repeats: int,
    folder: Path | None,
    in_process: bool,
    rival: bool,
    rival_datasets: int,
    rival_env: Path | None,
    as_json: bool,
) -> None:
    """Measure the speed of generation on a slice of mist-train."""
    with work_folder(folder) as temporary:
        if rival:
            from benchmarks import _rival

            report(*_rival.measure(rival_datasets, rival_env, temporary), as_json)
            return
        plan = plan_slice(datasets)
        document, lines = _one_process(plan, temporary)
        if not in_process:
            cores = workers or len(os.sched_getaffinity(0))
            several, more = _several_processes(plan, temporary, cores, repeats)
            document, lines = several | document, more + lines
    report(document, lines, as_json)


def _several_processes(
    plan: Plan, folder: Path, workers: int, repeats: int
) -> tuple[dict[str, Any], list[str]]:
    figures = measure_workers(Work(plan, plan.shards[workers:-1], folder), workers, repeats)
    whole = measure_whole(plan, folder, workers)
    return {"workers": figures, "whole": whole}, _lines_workers(figures, whole)


def _one_process(plan: Plan, folder: Path) -> tuple[dict[str, Any], list[str]]:
    from benchmarks import _breakdown

    figures = measure_in_process(Work(plan, plan.shards[1:-1], folder))
    parts = _breakdown.measure(plan, plan.shards[1:5], folder)
    lines = _lines_compared("one process, no Dask, shard by shard", figures)
    lines.append(
        f"  ratio {figures['cpu_ratio']:.2f} in processor time, which others disturb less"
    )
    return {"in_process": figures, "breakdown": parts}, lines + _breakdown.lines(parts)


if __name__ == "__main__":
    main()
