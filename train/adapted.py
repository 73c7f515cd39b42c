"""What adapting is for: a network that learned in the modality, beside one that did not.

    python -m train.adapted WORK --name digits --minutes 10

WORK is the folder that `python -m benchmarks.modalities WORK` filled: it holds the recipe
`modality-NAME.toml`, its flows and the store carried by them. The same recipe without flows gives
the plain store. One network is fitted to each, from the same seed for the same time, and both,
with classical estimators, answer the test split of the carried store.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import torch

from mistdata.benchmark import Spec, benchmark, compare
from mistdata.errors import MistdataError
from mistdata.pipeline.executors import LocalWorkers
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import generate
from train.evaluate import keep
from train.fit import fit, open_data
from train.networks import CONFIGS, open_network
from train.trainer import FitConfig, check_same_config

CLASSICAL = ("gaussian-copula", "ksg-3")


def plain_store(work: Path, name: str) -> Path:
    """Generate the recipe of a modality without its flows."""
    text = (work / f"modality-{name}.toml").read_text()
    out = work / f"plain-{name}"
    plan = make_plan(parse_recipe(without_flow(text), f"modality-{name}.toml"))
    generate(plan, out, LocalWorkers(os.cpu_count() or 1))
    return out


def without_flow(text: str) -> str:
    """A recipe without its flows.

    Raises:
        ValueError: it names none.
    """
    plain, found = re.subn(r"^\[flow\]\n(?:[a-z_]+ = .*\n)+", "", text, flags=re.MULTILINE)
    if found != 1:
        raise ValueError("the recipe has no table [flow] of one line for each key, to leave out")
    return plain


def fitted(store: Path, out: Path, config: FitConfig) -> Path:
    """Fit a network to a store, unless it is there; the split `test` is held out.

    Raises:
        ValueError: what is there was fitted otherwise.
    """
    if (out / "report.json").exists():
        check_same_config(out, open_network(out)[1].recipe, config.to_json())
    else:
        resume = (out / "state.safetensors").exists()
        data = open_data((str(store),), (), (), config, keep="memory")
        if fit(data, out, config, resume=resume, threads=os.cpu_count() or 1) is None:
            raise KeyboardInterrupt
    return out


def run(work: Path, name: str, config: FitConfig) -> dict[str, Any]:
    """Fit both networks and compare them on the carried test split.

    Args:
        work: folder of `benchmarks.modalities`.
        name: of the modality.
        config: of both fits.

    Raises:
        MistdataError: the folder lacks the carried store.
    """
    carried = work / f"modality-{name}"
    plain = plain_store(work, name)
    fits = {
        "learned in the modality": fitted(carried, work / f"fit-carried-{name}", config),
        "learned on plain data": fitted(plain, work / f"fit-plain-{name}", config),
    }
    paths = []
    for what, spec in {**fits, **{each: each for each in CLASSICAL}}.items():
        word = re.sub(r"\W+", "-", what)
        paths.append(work / f"result-{name}-{word}.parquet")
        executor = LocalWorkers(os.cpu_count() or 1)
        benchmark(Spec(str(spec)), carried, paths[-1], executor, name=what)
    return compare(carried, paths)


@click.command()
@click.argument("work", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", default="digits", show_default=True, help="Of the modality.")
@click.option("--minutes", type=float, default=10.0, show_default=True, help="Of each fit.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def main(work: Path, name: str, minutes: float, seed: int) -> None:
    """Fit, compare, and keep the comparison in docs/results/adapted-NAME.json."""
    torch.set_num_threads(1)
    config = FitConfig(CONFIGS["small"], seed=seed, minutes=minutes)
    try:
        document = run(work, name, config)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.adapted: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None
    keep(document, f"adapted-{name}")
    overall = next(each for each in document["strata"] if each["by"] == "all")
    for what, scores in overall["scores"].items():
        print(f"{what}: MSE {scores['mse']:.4g}, relative error {scores['relative']:.4f}")


if __name__ == "__main__":
    main()
