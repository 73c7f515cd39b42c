"""Draw the predicted median and interval against the truth, from a checkpoint and a store.

`python -m train.picture --checkpoint DIR --store PATH --out picture.png`
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import mistdata
from mistdata.errors import MistdataError
from train.fit import splits
from train.held_out import predict, score
from train.networks import open_network

LINEAR = 0.1  # nats: the axes are linear below and logarithmic above
TICKS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def paint(
    quantiles: np.ndarray, mi: np.ndarray, family: np.ndarray, levels: tuple[float, ...]
) -> Figure:
    """Draw one point and one bar per held-out dataset.

    Args:
        quantiles: (datasets, levels) in nats.
        mi: (datasets,) true values in nats.
        family: (datasets,) names that decide the colour.
        levels: of the quantiles; the bars span 5 % to 95 %.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(8.6, 6.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    top = 1.1 * float(max(mi.max(), np.quantile(quantiles[:, levels.index(0.95)], 0.995), 1.0))
    axes.plot([0, top], [0, top], color="0.25", linewidth=1, zorder=1)
    names = sorted(set(family.tolist()))
    colours = matplotlib.colormaps["tab20" if len(names) > 10 else "tab10"]
    for number, name in enumerate(names):
        _points(axes, quantiles, mi, family == name, colours(number % colours.N), name, levels)
    _dress(axes, top)
    figures = score(quantiles, mi, levels)
    axes.set_title(
        f"{len(mi):,} held-out datasets   R² {figures.r2:.3f}   MSE {figures.mse:.3g} nats²   "
        f"90 % interval covers {figures.coverage:.1%}",
        loc="left",
        fontsize=10,
    )
    columns = 1 + len(names) // 28
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, ncols=columns)
    return figure


def _points(
    axes: Axes,
    quantiles: np.ndarray,
    mi: np.ndarray,
    chosen: np.ndarray,
    colour: tuple[float, ...],
    name: str,
    levels: tuple[float, ...],
) -> None:
    median = quantiles[chosen, levels.index(0.5)]
    low, high = (quantiles[chosen, levels.index(level)] for level in (0.05, 0.95))
    reach = np.stack([median - low, high - median])
    faint = max(0.12, min(0.5, 60 / len(mi)))
    axes.errorbar(
        mi[chosen], median, reach, fmt="none", ecolor=colour, elinewidth=0.8, alpha=faint, zorder=2
    )
    axes.scatter(
        mi[chosen], median, s=11, color=colour, edgecolor="white", linewidth=0.3, label=name,
        zorder=3,
    )  # fmt: skip


def _dress(axes: Axes, top: float) -> None:
    ticks = [tick for tick in TICKS if tick <= top]
    for set_scale, set_ticks in (
        (axes.set_xscale, axes.set_xticks),
        (axes.set_yscale, axes.set_yticks),
    ):
        set_scale("symlog", linthresh=LINEAR, linscale=0.5)
        set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(-0.015, top)
    axes.set_ylim(-0.015, top)
    axes.set_aspect("equal")
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("true mutual information (nats)")
    axes.set_ylabel("estimate: median and interval (nats)")


def draw(checkpoint: Path, store: str, out: Path, *, validation: str | None = None) -> None:
    """Predict the held-out split with a checkpoint and write the picture.

    Args:
        checkpoint: folder of the checkpoint.
        store: path or URL of a sealed store.
        out: the PNG.
        validation: the held-out split; None for 'validation' or else 'test'.

    Raises:
        ValueError: if the checkpoint or the split is missing.
    """
    network, _ = open_network(checkpoint)
    _, held_out = splits(mistdata.open(store), store, validation)
    mi, family = held_out.column("mi"), held_out.column("family")
    paint(predict(network, held_out), mi, family, network.config.levels).savefig(out)


@click.command()
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path))
@click.option("--store", required=True, help="A sealed store.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The PNG to write.")
@click.option("--validation", metavar="SPLIT", help="Held-out split [validation or test].")
@click.option("--threads", type=click.IntRange(1), help="CPU threads [all cores].")
def main(
    checkpoint: Path, store: str, out: Path, validation: str | None, threads: int | None
) -> None:
    """Draw estimates against true values over the held-out split."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    try:
        draw(checkpoint, store, out, validation=validation)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.picture: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None


if __name__ == "__main__":
    main()
