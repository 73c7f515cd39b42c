"""What an estimate costs: our network beside KSG, the published network and MINE, on one thread.

    python -m benchmarks.estimate [--model small]

All are timed in turns on the same samples, each warmed up once; ratios are the median of those
within a turn. MINE runs if the environment of `benchmarks.rivals` is named. On a machine with a
GPU the two networks are timed there, too. Every contender here may use one core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from sklearn.feature_selection import mutual_info_regression
from threadpoolctl import threadpool_limits

from benchmarks._contenders import (
    OURS,
    PUBLISHED,
    Contender,
    contenders,
    gaussian,
    missing,
    open_ours,
    published,
)
from benchmarks._measure import median_ratio, report, seconds, take_turns, verdict
from benchmarks._peak import Shape, exponent, peak_growth
from mistdata.errors import MistdataError
from mistdata.estimator import Estimator
from mistdata.estimator.matrix import matrix

SHAPES: tuple[Shape, ...] = (
    (100, 5, 5), (500, 5, 5), (500, 32, 32), (2000, 5, 5),
    (500, 8, 1), (2000, 8, 1),  # a regression is asked
)  # fmt: skip
BATCH, BATCHES = 64, ((500, 5, 5), (1000, 1, 1))
LONG: tuple[Shape, ...] = ((1000, 5, 5), (3162, 5, 5), (10_000, 5, 5))
WIDE: tuple[Shape, ...] = ((1000, 5, 5), (1000, 16, 16), (1000, 32, 32), (1000, 64, 64))
FEW = 3  # turns of what takes long
LIMIT = 1.1  # of the exponent of memory in n
FRAME = (1000, 100)  # rows and columns of the matrix
Networks = Mapping[str, torch.nn.Module]


def named(shape: Shape) -> str:
    """Write a shape as people do."""
    return f"n = {shape[0]:,}, {shape[1]} + {shape[2]}"


def compared(took: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the median of what each took, and of its ratios to what ours took in that turn."""
    return {
        name: {"median_s": median(each), "times_ours": median_ratio(each, took[OURS])}
        for name, each in took.items()
    }


def timed(
    actions: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, dict[str, float]]:
    """Time actions in turns, after one call of each that does not count."""
    for action in actions.values():
        action()
    return compared(
        take_turns({k: partial(seconds, each) for k, each in actions.items()}, repeats)
    )


def single(named_contenders: Mapping[str, Contender], repeats: int) -> dict[str, Any]:
    """Seconds of one estimate at every shape."""
    found = {}
    for shape in SHAPES:
        x, y = gaussian(shape)
        actions = {name: partial(ask, x, y) for name, ask in named_contenders.items()}
        found[named(shape)] = timed(actions, repeats)
    return found


def ask(network: torch.nn.Module, values: torch.Tensor, dim_x: int) -> float:
    """Answer a batch; the sum waits for the device."""
    with torch.inference_mode():
        return float(network(values, dim_x, strict=False).sum())


def batches(networks: Networks, device: str, size: int, repeats: int) -> dict[str, Any]:
    """Seconds of a batch of samples of one shape, straight through the networks.

    Args:
        networks: by name.
        device: they and the cells are there.
        size: samples in the batch; 1 for a single estimate.
        repeats: turns.
    """
    found = {}
    for shape in BATCHES:
        sample = torch.from_numpy(np.concatenate(gaussian(shape), axis=1)).to(device)
        values = sample.expand(size, -1, -1).contiguous()
        actions = {name: partial(ask, each, values, shape[1]) for name, each in networks.items()}
        found[named(shape)] = timed(actions, repeats)
    return found


def memory(model: str, shapes: tuple[Shape, ...], sizes: list[int]) -> dict[str, Any]:
    """Growth of the peak memory in one estimate, and its exponent in `sizes`, one per shape."""
    growth = [peak_growth(model, shape) for shape in shapes]
    mib = {named(shape): each for shape, each in zip(shapes, growth, strict=True)}
    return {"mib": mib, "exponent": exponent(sizes, growth)}


def frames(estimator: Estimator, repeats: int) -> dict[str, Any]:
    """Seconds for every pair of the columns of a frame, beside scikit-learn."""
    rng = np.random.default_rng(0)
    frame = (
        rng.standard_normal(FRAME) @ rng.standard_normal((FRAME[1], FRAME[1])) / FRAME[1] ** 0.5
    )

    def neighbours() -> None:
        for column in range(FRAME[1] - 1):
            mutual_info_regression(frame[:, column + 1 :], frame[:, column], random_state=0)

    actions = {OURS: lambda: matrix(frame, model=estimator), "scikit-learn": neighbours}
    took = take_turns({name: partial(seconds, each) for name, each in actions.items()}, repeats)
    return compared(took)


def on_gpu(ours: Estimator, repeats: int) -> dict[str, Any]:
    """The networks on the GPU, in float32: one sample, and a batch; nothing without a GPU."""
    if not torch.cuda.is_available():
        return {}
    networks = {OURS: ours.network.cuda(), PUBLISHED: published().cuda()}
    return {f"batch of {size}": batches(networks, "cuda", size, repeats) for size in (1, BATCH)}


def measure(model: str, repeats: int) -> dict[str, Any]:
    """All figures.

    Args:
        model: as in `open_ours`.
        repeats: turns; at most 3 for what takes long.
    """
    ours, what = open_ours(model)
    few = min(repeats, FEW)
    networks = {OURS: ours.network, PUBLISHED: published()}
    return {
        "model": what,
        "missing": missing(),
        "single": single(contenders(ours), repeats),
        "batch_size": BATCH,
        "batch": batches(networks, "cpu", BATCH, few),
        "memory_n": memory(model, LONG, [shape[0] for shape in LONG]),
        "memory_dim": memory(model, WIDE, [shape[1] + shape[2] for shape in WIDE]),
        "matrix": frames(ours, few),
        "gpu": on_gpu(ours, repeats),
    }


def table(found: Mapping[str, dict[str, dict[str, float]]], per_batch: int = 0) -> list[str]:
    """Lay out what was compared at several shapes; datasets/s if it was a batch."""
    lines = []
    for shape, figures in found.items():
        lines.append(f"  {shape}")
        for name, each in figures.items():
            took, times = each["median_s"], each["times_ours"]
            speed = (
                f"{per_batch / took:9,.1f} datasets/s" if per_batch else f"{took * 1e3:9,.2f} ms"
            )
            lines.append(f"    {name:<18}{speed}  {times:8,.2f} times as long as ours")
    return lines


def memory_lines(size: str, found: dict[str, Any]) -> list[str]:
    """Lay out the growth of the peak memory, and its exponent in a size."""
    grown = [f"  {shape:<22}{mib:8.1f} MiB" for shape, mib in found["mib"].items()]
    return [*grown, f"    exponent in {size}: {found['exponent']:.2f}"]


def lines_of(document: dict[str, Any]) -> list[str]:
    """Lay all figures out."""
    rows, columns = FRAME
    every = f"all {columns * (columns - 1) // 2:,} pairs of {columns} columns, {rows:,} rows"
    lines = [
        f"mistdata: {document['model']}; one thread",
        "one estimate", *table(document["single"]), *document["missing"],
        f"a batch of {BATCH}", *table(document["batch"], BATCH),
        "growth of the peak memory in one estimate",
        *memory_lines("n", document["memory_n"]),
        f"    ({verdict(document['memory_n']['exponent'], LIMIT, at_most=True)})",
        *memory_lines("dim_x + dim_y", document["memory_dim"]),
        *table({every: document["matrix"]}),
    ]  # fmt: skip
    for size, found in document["gpu"].items():
        lines += [f"on the GPU, {size}", *table(found)]
    return lines if document["gpu"] else [*lines, "no GPU here: not measured on one"]


@click.command()
@click.option("--model", default="small", show_default=True, help="Weights, or a config.")
@click.option("--repeats", default=7, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(model: str, repeats: int, as_json: bool) -> None:
    """Measure the seconds and the memory of estimates."""
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            document = measure(model, repeats)
    except (ValueError, MistdataError) as error:
        raise SystemExit(f"benchmarks.estimate: {error}") from None
    report(document, lines_of(document), as_json)


if __name__ == "__main__":
    main()
