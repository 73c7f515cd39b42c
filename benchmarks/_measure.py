"""What the benchmarks share: a slice of a recipe, a folder to work in, interleaved timing.

A machine that others use gives no absolute numbers worth keeping. So what is compared is timed in
turns within one run, and the figure is the median of the ratios of neighbours.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mistdata.pipeline.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "pipelines" / "mist-train.toml"


def plan_slice(datasets: int | None, recipe: Path = RECIPE) -> Plan:
    """Plan the first datasets of every split of a recipe (mist-train), or all of them."""
    from mistdata.pipeline.plan import make_plan
    from mistdata.pipeline.recipe import read_recipe

    return make_plan(read_recipe(recipe), datasets)


@contextmanager
def work_folder(near: Path | None) -> Iterator[Path]:
    """Make a folder on the disk of `near` (default: where temporary files go); delete it after."""
    with tempfile.TemporaryDirectory(prefix="mistdata-bench-", dir=near) as folder:
        yield Path(folder)


def seconds(action: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def take_turns(actions: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run every action in turn, `repeats` times; the order is reversed from turn to turn.

    Args:
        actions: each returns what it measured.
        repeats: number of turns.

    Returns:
        What each action measured, one entry per turn.
    """
    measured: dict[str, list[float]] = {name: [] for name in actions}
    names = list(actions)
    for turn in range(repeats):
        for name in names if turn % 2 == 0 else reversed(names):
            measured[name].append(actions[name]())
    return measured


def median_ratio(above: list[float], below: list[float]) -> float:
    """Return the median of the ratios within each turn."""
    return median(a / b for a, b in zip(above, below, strict=True))


def verdict(value: float, limit: float, *, at_most: bool = False) -> str:
    """Say whether a figure meets its target."""
    met = value <= limit if at_most else value >= limit
    sign = "<=" if at_most else ">="
    return f"target {sign} {limit:,g}: {'met' if met else 'MISSED'}"


def report(document: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """Print the figures, for people or for machines."""
    if as_json:
        json.dump(document, sys.stdout, indent=2)
        print()
    else:
        print("\n".join(lines))
