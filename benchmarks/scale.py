"""Cost against size: datasets, workers, and a thousand workers in a simulation.

    python -m benchmarks.scale [--largest 625000] [--datasets 20000] [--workers 2]

1. Bookkeeping: everything but computing values, for the first 1,000, 10,000, 100,000 and 625,000
   datasets of mist-train: the plan, one task per shard through Dask (its file is sparse, its
   receipt real), and the seal. Each size in a process of its own, with its peak memory.
2. Generation for real, of 4,000, 10,000 and `--datasets`, by the whole command.
3. Efficiency of 2 workers beside 1, over that of the floor of `benchmarks.generate`.
4. What the framework adds to a shard.
5. The simulation of `_simulation.py` with what was measured.
"""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import click

from benchmarks._measure import RECIPE, plan_slice, report, seconds, verdict, work_folder
from benchmarks._pretence import nothing, pretend
from benchmarks._simulation import Costs, simulate
from benchmarks.generate import Work, dask_cluster, measure_workers
from mistdata.pipeline.fill import fill_shard, init_store
from mistdata.pipeline.generate import generate_shard
from mistdata.pipeline.plan import Plan
from mistdata.pipeline.run import Scheduler, generate
from mistdata.store.commit import write_whole
from mistdata.store.ledger import Shard
from mistdata.store.seal import seal

FLAGSHIP = RECIPE.with_name("mistdata-train.toml")
AHEAD = {RECIPE: 5_000, FLAGSHIP: 5_000}  # datasets: some ten shards
SIZES = (1_000, 10_000, 100_000, 625_000)
EFFICIENT, OVERHEAD = 0.9, 0.05
TASKS = 3_000
REQUESTS = 0.15  # seconds to put 16 MiB and a receipt into a bucket: assumed, 110 MB/s
GIANTS = ((1_000_000, 1_000), (1_000_000_000, 1_000))


def fill_times(recipe: Path, folder: Path, shards: int = 8) -> dict[str, float]:
    """What a shard of a recipe costs: seconds of computing it, of a bare write, and of the whole.

    All are timed within the same call of `fill_shard`; medians over shards after the first, which
    fills the caches of the families. A bare write is the store's own, past the page cache where
    that can be, without hash and sync. `added` is what checksums, hash, sync, receipt and the rest
    of the whole add to the first two.
    """
    plan, store = plan_slice(AHEAD[recipe], recipe), folder / "filled"
    init_store(store, plan)
    made: list[float] = []
    wrote: list[float] = []

    def make(plan: Plan, shard: Shard) -> Any:
        began = time.perf_counter()
        found = generate_shard(plan, shard)
        made.append(time.perf_counter() - began)
        bare = folder / "bare"
        wrote.append(seconds(partial(write_whole, bare, memoryview(found[0]))))
        bare.unlink()
        return found

    wanted = range(min(shards + 1, len(plan.shards) - 1))
    timed = [seconds(partial(fill_shard, store, index, make=make)) for index in wanted]
    whole = [all_of_it - part for all_of_it, part in zip(timed, wrote, strict=True)][1:]
    needed = [sum(parts) for parts in zip(made[1:], wrote[1:], strict=True)]
    added = [total / part - 1 for total, part in zip(whole, needed, strict=True)]
    shutil.rmtree(store)
    return {
        "shard_s": median(whole),
        "made_s": median(made[1:]),
        "written_s": median(wrote[1:]),
        "added": median(added),
    }


def task_seconds(workers: int, folder: Path) -> float:
    """What Dask, on client and scheduler, takes for one task; workers keep nobody waiting."""
    with dask_cluster(workers) as address:
        run = partial(Scheduler(address).run, folder, nothing)
        run(list(range(100)), lambda filled: None)
        return seconds(lambda: run(list(range(TASKS)), lambda filled: None)) / TASKS


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def keep_books(datasets: int, workers: int, folder: Path) -> dict[str, float]:
    """Plan, hand out, collect and seal, without values; in a process of its own."""
    bare = peak_bytes()
    began = time.perf_counter()
    plan = plan_slice(datasets)
    planning = time.perf_counter() - began
    planned = peak_bytes()
    store = folder / "books"
    laying_out = seconds(partial(init_store, store, plan))
    with dask_cluster(workers) as address:
        executor = Scheduler(address)
        executor.run(store, pretend, list(range(workers)), lambda filled: None)  # imports, plans
        work = partial(executor.run, store, pretend, range(len(plan.shards)), lambda filled: None)
        tasks = seconds(work)
    sealing = seconds(partial(seal, store))
    return {
        "datasets": len(plan),
        "shards": len(plan.shards),
        "plan_s": planning,
        "lay_out_s": laying_out,
        "tasks_s": tasks,
        "seal_s": sealing,
        "whole_s": planning + laying_out + tasks + sealing,
        "plan_bytes": planned - bare,
        "peak_bytes": peak_bytes(),
        "seal_bytes": peak_bytes() - bare,
    }


def in_own_process(datasets: int, workers: int, folder: Path) -> dict[str, float]:
    """Keep the books of one size in a new process."""
    command = [sys.executable, "-m", "benchmarks.scale", "--books", str(datasets)]
    command += ["--workers", str(workers), "--folder", str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said)
    return found


def exponent(rows: list[dict[str, float]], what: str) -> float:
    """The slope of the logarithm of a cost over that of the datasets."""
    points = [(math.log(row["datasets"]), math.log(row[what])) for row in rows]
    return linear_regression(*zip(*points, strict=True)).slope


def growth(rows: list[dict[str, float]], what: str) -> float:
    """How much a cost grows with a dataset, from the smallest size to the largest."""
    grown = rows[-1][what] - rows[0][what]
    return max(0.0, grown / (rows[-1]["datasets"] - rows[0]["datasets"]))


def generated(datasets: int, workers: int, folder: Path) -> dict[str, float]:
    """Generate for real, on a cluster that runs."""
    plan, store = plan_slice(datasets), folder / "real"
    with dask_cluster(workers) as address:
        generate(
            plan, store, Scheduler(address), shards=list(range(min(workers, len(plan.shards))))
        )
        rest = list(range(workers, len(plan.shards)))
        took = seconds(partial(generate, plan, store, Scheduler(address), shards=rest))
    shutil.rmtree(store)
    filled = sum(plan.shards[index].stop - plan.shards[index].start for index in rest)
    return {"datasets": filled, "seconds": took, "datasets_per_s": filled / took}


def measure(sizes: list[int], datasets: int, workers: int, folder: Path) -> dict[str, Any]:
    """All figures."""
    books = [in_own_process(size, workers, folder) for size in sizes]
    real = [generated(size, workers, folder) for size in sorted({4_000, 10_000, datasets})]
    plan = plan_slice(datasets)
    work = Work(plan, plan.shards[workers:-1], folder)
    speeds = [measure_workers(work, count, 3) for count in (1, workers)]
    task = task_seconds(workers, folder)
    filling = {path.stem: fill_times(path, folder) for path in (RECIPE, FLAGSHIP)}
    shard = filling[RECIPE.stem]["shard_s"]
    costs = Costs(
        task=task,
        shard=shard,
        requests=REQUESTS,
        plan=growth(books, "plan_s") + growth(books, "lay_out_s"),
        seal=growth(books, "seal_s"),
        memory=growth(books, "plan_bytes"),
        sealing=growth(books, "seal_bytes"),
        per_shard=len(plan) / len(plan.shards),
    )
    gains = {
        name: speeds[1][name]["datasets_per_s"] / speeds[0][name]["datasets_per_s"] / workers
        for name in ("mistdata", "floor")
    }
    return {
        "books": books,
        "exponents": {
            what: exponent(books, what) for what in ("plan_s", "tasks_s", "seal_s", "whole_s")
        },
        "generated": real,
        "workers": workers,
        "efficiency": gains | {"of_the_floor": gains["mistdata"] / gains["floor"]},
        "overhead": {"task_s": task, "filling": filling},
        "simulated": [simulate(*giant, costs) for giant in GIANTS],
    }


def overhead_lines(found: dict[str, Any]) -> list[str]:
    """Lay out what the framework adds to a shard of each recipe."""
    took = 1e3 * found["task_s"]
    text = [f"added to generating a shard, of its time; a task of Dask takes {took:.1f} ms"]
    for name, each in found["filling"].items():
        dask = found["task_s"] / (each["made_s"] + each["written_s"])
        whole = dask + each["added"]
        text.append(
            f"  {name}: computing {1e3 * each['made_s']:.0f} ms, bare write"
            f" {1e3 * each['written_s']:.0f} ms; checksums, hash, sync and receipt"
            f" {each['added']:.1%}, Dask {dask:.1%}, together {whole:.1%}"
            f" ({verdict(whole, OVERHEAD, at_most=True)})"
        )
    return text


def lines(found: dict[str, Any]) -> list[str]:
    """Lay the figures out for people."""
    text = ["bookkeeping, without values: seconds"]
    for row in found["books"]:
        text.append(
            f"{row['datasets']:>10,.0f} datasets{row['shards']:>7,.0f} shards:"
            f"  plan{row['plan_s']:6.2f}  receipts{row['tasks_s']:6.2f}  seal{row['seal_s']:6.2f}"
            f"  all{row['whole_s']:6.2f}; driver at most {row['peak_bytes'] / 2**20:,.0f} MiB"
        )
    slopes = ", ".join(f"{name[:-2]} {each:.2f}" for name, each in found["exponents"].items())
    text += [f"  exponents in the datasets: {slopes}", "generation on running workers"]
    text += [
        f"{row['datasets']:>10,.0f} datasets: {row['seconds']:6.1f} s,"
        f" {row['datasets_per_s']:,.0f} datasets/s"
        for row in found["generated"]
    ]
    gains = found["efficiency"]
    text += [
        f"efficiency of {found['workers']} workers: {gains['mistdata']:.2f}, of the floor"
        f" {gains['floor']:.2f}; ratio {gains['of_the_floor']:.2f}"
        f" ({verdict(gains['of_the_floor'], EFFICIENT)})",
        *overhead_lines(found["overhead"]),
    ]
    for one in found["simulated"]:
        text.append(
            f"simulated, {one['workers']:,} workers, {one['datasets']:,} datasets:"
            f" plan {one['plan_s']:,.0f} s, fill {one['fill_s']:,.0f} s,"
            f" seal {one['seal_s']:,.0f} s;"
            f" scheduler {one['scheduler_busy']:.0%} busy, workers {one['workers_busy']:.0%};"
            f" {one['worker_gb']:,.1f} GB in every worker, {one['sealing_gb']:,.1f} GB to seal;"
            f" the scheduler keeps {one['most_workers']:,.0f} workers busy"
        )
    return text


@click.command()
@click.option("--largest", default=SIZES[-1], show_default=True, type=click.IntRange(SIZES[1]))
@click.option("--datasets", default=20_000, show_default=True, type=click.IntRange(min=4000))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=2))
@click.option("--folder", type=click.Path(path_type=Path), help="Work on the disk of this folder.")
@click.option("--books", type=int, hidden=True, help="Keep the books of this size; print JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(
    largest: int,
    datasets: int,
    workers: int,
    folder: Path | None,
    books: int | None,
    as_json: bool,
) -> None:
    """Measure how cost grows."""
    with work_folder(folder) as temporary:
        if books is not None:
            report(keep_books(books, workers, temporary), [], as_json=True)
            return
        found = measure([size for size in SIZES if size <= largest], datasets, workers, temporary)
    report(found, lines(found), as_json)


if __name__ == "__main__":
    main()
