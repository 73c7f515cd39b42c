"""The mean of the weights of several fits: `python -m train.average FIRST SECOND --out MEAN`.

Fits that began with the same weights, or one with those of another, lie in one valley of the loss,
and their mean is often better than any of them: it is a fit annealed once more, for nothing.

References:
    Model soups: averaging weights of multiple fine-tuned models improves accuracy without
    increasing inference time (Wortsman et al., 2022), arXiv 2203.05482.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from mistdata.errors import MistdataError
from mistdata.estimator import Training, load_network
from mistdata.estimator.checkpoint import digest_of, save_weights


def average(fits: Sequence[str], out: Path) -> None:
    """Write the mean of the weights of fits of one config, uncalibrated.

    Args:
        fits: folders of fits, files of weights, or names of shipped ones; the provenance is that
            of the last, with the SHA-256 of all, and the ranges hold those of all.
        out: folder of the mean, made if it is not there.

    Raises:
        ValueError: fewer than two, or of different configs.
    """
    if len(fits) < 2:
        raise ValueError(f"a mean needs at least two fits, got {len(fits)}")
    loaded = [load_network(fit) for fit in fits]
    config, trainings = loaded[-1][0].config, [training for _, training in loaded]
    states = [network.state_dict() for network, _ in loaded]
    if any(network.config != config for network, _ in loaded):
        raise ValueError("the fits are of different configs")
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(value.dtype)
        for name, value in states[-1].items()
    }
    done = {key: value for key, value in trainings[-1].done.items() if key != "calibration"}
    done["averaged"] = [digest_of(fit) for fit in fits]
    out.mkdir(parents=True, exist_ok=True)
    save_weights(out, config, mean, replace(trainings[-1], done=done, **hull(trainings)))


def hull(trainings: Sequence[Training]) -> dict[str, Any]:
    """The smallest ranges that hold those of all: n, dim, mi and rate."""
    ranges = {}
    for name in ("n", "dim", "mi", "rate"):
        lows, highs = zip(*(getattr(each, name) for each in trainings), strict=True)
        ranges[name] = min(lows), max(highs)
    return ranges


@click.command()
@click.argument("fits", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the mean.")
def main(fits: tuple[str, ...], out: Path) -> None:
    """Average the weights of FITS."""
    try:
        average(fits, out)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.average: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None


if __name__ == "__main__":
    main()
