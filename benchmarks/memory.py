"""Peak memory of a worker while it fills shards of the whole mist-train plan.

    python -m benchmarks.memory [--shards 6]

A process of its own claims the store; another, which has imported what a Dask worker imports,
fills shards spread over the plan and reports its peak resident size after every step.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import click

from benchmarks._measure import plan_slice, report, verdict, work_folder

LIMIT_MIB = 1024


def claim(store: Path) -> int:
    """Claim a store for the whole plan; return its number of shards."""
    from mistdata.pipeline.fill import init_store

    plan = plan_slice(None)
    init_store(store, plan)
    return len(plan.shards)


def fill(store: Path, shards: list[int]) -> dict[str, float]:
    """Fill shards as a worker does; return the peak resident size after every step, in MiB."""
    import distributed  # noqa: F401 - a worker has it in memory

    from mistdata.pipeline.fill import fill_shard

    peaks = {"imports": peak_mib()}
    for number, shard in enumerate(shards, start=1):
        fill_shard(store, shard)
        peaks[f"{number} shards"] = peak_mib()
    return peaks


def peak_mib() -> float:
    """Return the peak resident size of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(step: str, *arguments: str) -> dict[str, float] | int:
    """Run a step of this module in a process of its own and return what it prints."""
    command = [sys.executable, "-m", "benchmarks.memory", "--step", step, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


@click.command()
@click.option("--shards", default=6, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.option("--step", type=click.Choice(["claim", "fill"]), hidden=True)
@click.argument("arguments", nargs=-1)
def main(shards: int, as_json: bool, step: str | None, arguments: tuple[str, ...]) -> None:
    """Measure the peak memory of a worker."""
    if step:
        store, numbers = Path(arguments[0]), [int(each) for each in arguments[1:]]
        print(json.dumps(claim(store) if step == "claim" else fill(store, numbers)))
        return
    with work_folder(None) as folder:
        store = str(folder / "store")
        total = in_a_process("claim", store)
        assert isinstance(total, int)
        spread = [str(number * (total - 1) // max(1, shards - 1)) for number in range(shards)]
        peaks = in_a_process("fill", store, *spread)
    assert isinstance(peaks, dict)
    lines = [f"after {name:<10}{mib:8.0f} MiB" for name, mib in peaks.items()]
    lines.append(f"peak, MiB ({verdict(max(peaks.values()), LIMIT_MIB, at_most=True)})")
    report({"peak_mib": peaks, "shards_of_the_plan": total}, lines, as_json)


if __name__ == "__main__":
    main()
