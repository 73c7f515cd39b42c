"""Fit the split-conformal layer of a network on fresh datasets of the recipes it learned from.

`python -m train.calibrate --model FIT --recipe pipelines/mist-train.toml --out small.safetensors`

The datasets come from a seed that no store and no stream uses. Coverage is printed before and
after on datasets that the layer was not fitted to; then it is fitted to all and written.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from torch import Tensor

from mistdata.errors import MistdataError
from mistdata.estimator import Network, load_network
from mistdata.estimator.calibration import calibrated, fit_offsets, no_offsets, stratum
from mistdata.estimator.checkpoint import save_weights
from mistdata.estimator.estimate import sides_of, without_network
from mistdata.estimator.evaluate import quantiles_of
from mistdata.estimator.sample import join, read_sides
from train.loader import shapes
from train.stream import Pool, Shard, make_shard
from train.workers import Workers

FRESH = 1 << 20  # the turn of the recipe's seed that is kept for this


class Judged(NamedTuple):
    """Datasets with what a network says of them."""

    quantiles: np.ndarray  # (datasets, levels) in nats
    mi: np.ndarray
    n: np.ndarray
    columns: np.ndarray

    def take(self, chosen: np.ndarray) -> Judged:
        """Return some of them."""
        return Judged(*(array[chosen] for array in self))


def fresh(recipe: Path, count: int, workers: int) -> Pool:
    """Make at least `count` datasets of a recipe.

    Args:
        recipe: path of the TOML file.
        count: of datasets; whole shards are made.
        workers: processes.
    """
    text, made = recipe.read_text(), 0
    shards: list[Shard] = []
    with Workers(workers) as pool:
        number = 0
        while made < count:
            jobs = [
                pool.submit(make_shard, text, str(recipe), number + k, FRESH)
                for k in range(workers)
            ]
            shards += [job.result() for job in jobs]
            number, made = number + workers, sum(len(table["n"]) for _, table in shards)
    return Pool(shards)


def judge(network: Network, pool: Pool, count: int, most: int) -> Judged:
    """Ask a network about the first datasets of a pool that `estimate` asks it about.

    Columns are encoded as there; what is counted or answered by neighbours alone is left out, as
    is what has a constant column.

    Args:
        network: in evaluation mode.
        pool: of datasets.
        count: how many to look at.
        most: rows that the network was trained on.
    """
    n, dim_x, dim_y = (array[:count] for array in shapes(pool))
    samples, asked = [], []
    for each in range(len(n)):
        values = pool.read(np.array([each]), rows=int(n[each]), skip=np.zeros(1, np.int64)).values
        x, y = np.split(values.reshape(n[each], -1), [dim_x[each]], axis=1)
        try:
            sample = join(*read_sides(x, y))
        except ValueError:  # a column does not vary
            continue
        if without_network(sample, sides_of(sample)) is None:
            samples.append(sample)
            asked.append(each)
    quantiles = quantiles_of(network, samples, most=most)
    mi = pool.column("mi")[:count]
    return Judged(quantiles, mi[asked], n[asked], (dim_x + dim_y)[asked])


def apply(network: Network, offsets: Tensor, judged: Judged) -> np.ndarray:
    """Quantiles with the layer, from quantiles without it."""
    middle = network.config.levels.index(0.5)
    rows = [
        calibrated(torch.from_numpy(row[None]), offsets[stratum(int(n), int(d))].double(), middle)
        for row, n, d in zip(judged.quantiles, judged.n, judged.columns, strict=True)
    ]
    return torch.cat(rows).numpy()


def coverage(quantiles: np.ndarray, mi: np.ndarray, levels: tuple[float, ...]) -> dict[str, float]:
    """Share of true values within the central intervals."""
    shares = {}
    for level in (0.5, 0.8, 0.9, 0.95):
        low, high = (levels.index(round((1 + sign * level) / 2, 3)) for sign in (-1, 1))
        inside = (quantiles[:, low] <= mi) & (mi <= quantiles[:, high])
        shares[f"{level:.0%}"] = float(inside.mean())
    return shares


def calibrate(
    model: Path | str, recipes: tuple[Path, ...], out: Path, counts: tuple[int, ...], workers: int
) -> None:
    """Fit the layer, print what it does, and write the weights with it.

    Args:
        model: weights, or the folder of a fit.
        recipes: that it learned from.
        out: file to write.
        counts: datasets of each recipe.
        workers: processes that make them.

    Raises:
        ValueError: if there are no weights, or a count per recipe is missing.
    """
    if len(counts) != len(recipes):
        raise ValueError(f"--datasets: one, or {len(recipes)} are needed, got {len(counts)}")
    network, training = load_network(model)
    network.offsets = no_offsets(len(network.config.levels))
    levels = network.config.levels
    parts = [
        judge(network, fresh(path, count, workers), count, training.n[1])
        for path, count in zip(recipes, counts, strict=True)
    ]
    judged = Judged(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    half = np.arange(len(judged.mi)) % 2 == 0
    seen, unseen = judged.take(half), judged.take(~half)
    trial = fit_offsets(*seen, levels)
    for name, quantiles in (
        ("before", unseen.quantiles),
        ("after", apply(network, trial, unseen)),
    ):
        shares = coverage(quantiles, unseen.mi, levels)
        print(f"{name:>6}: " + "  ".join(f"{k} covers {v:.1%}" for k, v in shares.items()))
    offsets = fit_offsets(*judged, levels)
    done: dict[str, Any] = training.done | {
        "calibration": {"datasets": counts, "recipes": [path.stem for path in recipes]}
    }
    save_weights(out, network.config, network.state_dict(), replace(training, done=done), offsets)
    print(
        f"{out}: {len(judged.mi):,} datasets, offsets {offsets.min():.2f} to {offsets.max():.2f}"
    )


@click.command()
@click.option("--model", required=True, help="Weights, or the folder of a fit.")
@click.option(
    "--recipe", "recipes", multiple=True, required=True,
    type=click.Path(path_type=Path, exists=True), help="That it learned from.",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Weights to write.")
@click.option(
    "--datasets", "counts", type=click.IntRange(1), multiple=True, default=(4000,),
    show_default=True, help="Of each recipe: one number, or one for each.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="Processes [all cores].")
def main(
    model: str, recipes: tuple[Path, ...], out: Path, counts: tuple[int, ...], workers: int | None
) -> None:
    """Fit the split-conformal layer of a network."""
    torch.set_num_threads(workers or os.cpu_count() or 1)
    try:
        counts = counts * len(recipes) if len(counts) == 1 else counts
        calibrate(model, recipes, out, counts, workers or os.cpu_count() or 1)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.calibrate: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None


if __name__ == "__main__":
    main()
