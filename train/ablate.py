"""What each part of the network is worth: `python -m train.ablate --store PATH --out FILE`.

Every variant is fitted for the same number of steps on the same batches, on one core, with several
seeds, and judged on the same held-out datasets. Variants are fitted one after the other; a run
that was interrupted goes on with those that its file lacks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

import mistdata
from mistdata.cli.console import Choice
from mistdata.errors import MistdataError
from mistdata.estimator import CONFIGS, pinball, stabilise
from mistdata.estimator.checkpoint import write_atomically
from mistdata.store.dataset import MetaDataset
from train.fit import open_data
from train.held_out import predict
from train.trainer import FitConfig, Trainer


@dataclass(frozen=True)
class Variant:
    """One change to the network `small`.

    Attributes:
        what: is different, for the table.
        network: widths that differ.
        fit: settings of the fit that differ.
        share: of the steps.
        prep: preparation in training and in judging.
    """

    what: str
    network: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0
    prep: str = "rank"


VARIANTS = {
    "small": Variant("its widths and settings"),
    "no rows": Variant("without the row stream", {"metrics": 0}),
    "no exchange": Variant("without pair blocks: moments and rows only", {"blocks": 0}),
    "no sum": Variant("pairs averaged, not summed, in the readout", {"additive": False}),
    "one metric": Variant("one diagonal metric in the row stream", {"metrics": 1}),
    "affine": Variant("standard units instead of ranks", {}, {"affine": 1.0}, prep="affine"),
    "narrow": Variant("half the width", {"pair": 16, "product": 8, "row": 16}),
    "wide": Variant("twice the width", {"pair": 64, "product": 32, "row": 64}),
    "adamw": Variant("AdamW alone, at 3e-3", {}, {"optimizer": "adamw", "learning_rate": 3e-3}),
    "quarter": Variant("a quarter of the data", share=0.25),
}


def judged(trainer: Trainer, held_out: tuple[MetaDataset, ...], prep: str) -> dict[str, float]:
    """Losses on held-out datasets, averaged over the stores."""
    network = trainer.averaged()
    middle = network.config.levels.index(0.5)
    losses, errors = [], []
    for store in held_out:
        quantiles = torch.from_numpy(predict(network, store, prep=prep))
        mi = torch.tensor(store.column("mi"))
        levels = network.levels.double()
        losses.append(float(pinball(stabilise(quantiles), stabilise(mi), levels)))
        errors.append(float(((quantiles[:, middle] - mi).abs() / (1 + mi)).mean()))
    return {"pinball": float(np.mean(losses)), "relative error": float(np.mean(errors))}


def run(variant: Variant, stores: tuple[str, ...], steps: int, seed: int) -> dict[str, Any]:
    """Fit one variant with one seed, on one core."""
    network = replace(CONFIGS["small"], **variant.network)
    config = FitConfig(network, seed=seed, steps=round(steps * variant.share), **variant.fit)
    data = open_data(stores, (), (), config)
    trainer = Trainer(data.source, config)
    for _ in trainer.run():
        pass
    figures = judged(trainer, data.held_out, variant.prep)
    parameters = sum(parameter.numel() for parameter in trainer.parameters)
    return figures | {
        "seed": seed, "datasets": trainer.datasets, "steps": trainer.step,
        "seconds": round(trainer.seconds), "parameters": parameters,
    }  # fmt: skip


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: mean over the seeds, and its standard error where there are several."""
    lines = [
        "| variant | parameters | datasets seen | minutes | pinball | relative error |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, runs in results.items():
        cells = []
        for key in ("pinball", "relative error"):
            values = np.array([each[key] for each in runs])
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else None
            spread = "" if error is None else f" ± {error:.4f}"
            cells.append(f"{values.mean():.4f}{spread}")
        seen = np.mean([each["datasets"] for each in runs])
        minutes = np.mean([each["seconds"] for each in runs]) / 60
        what = f"{name}: {VARIANTS[name].what}"
        figures = " | ".join([f"{seen:,.0f}", f"{minutes:.1f}", *cells])
        lines.append(f"| {what} | {runs[0]['parameters']:,} | {figures} |")
    return "\n".join(lines)


def check_same_ablation(
    results: dict[str, list[dict[str, Any]]], steps: int, stores: list[str]
) -> None:
    """Refuse to go on with runs of another length or on other data, which no table compares.

    Args:
        results: of every variant, as the file holds them.
        steps: of a fit without a share.
        stores: their digests.

    Raises:
        ValueError: naming the first difference.
    """
    for name, runs in results.items():
        asked = {"steps": round(steps * VARIANTS[name].share), "stores": stores}
        for each in runs:
            for key, value in asked.items():
                if each.get(key) != value:
                    raise ValueError(
                        f"the file holds '{name}', seed {each['seed']}, with {key} ="
                        f" {each.get(key)}, asked for {value}; name another file"
                    )


@click.command()
@click.option("--store", "stores", multiple=True, required=True, help="As in train.fit.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="JSON, gone on with.")
@click.option(
    "--steps", type=click.IntRange(4), default=300, show_default=True, help="Of each fit."
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--only", multiple=True, type=Choice(sorted(VARIANTS)))
def main(
    stores: tuple[str, ...], out: Path, steps: int, seeds: int, only: tuple[str, ...]
) -> None:
    """Fit every variant and print the table."""
    torch.set_num_threads(1)
    results: dict[str, list[dict[str, Any]]] = json.loads(out.read_text()) if out.exists() else {}
    try:
        identity = [mistdata.open(path).digest for path in stores]
        check_same_ablation(results, steps, identity)
        for seed in range(seeds):
            for name in only or VARIANTS:
                runs = results.setdefault(name, [])
                if all(each["seed"] != seed for each in runs):
                    figures = run(VARIANTS[name], stores, steps, seed)
                    runs.append(figures | {"stores": identity})
                    print(f"{name}, seed {seed}: pinball {figures['pinball']:.4f}", flush=True)
                    write_atomically(out, (json.dumps(results, indent=2) + "\n").encode())
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.ablate: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None
    print(table(results))


if __name__ == "__main__":
    main()
