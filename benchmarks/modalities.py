"""Real modalities: fit a flow to each, carry a store to it, and say how well both went.

    python -m benchmarks.modalities WORK [--only digits] [--steps 4000]

The data ship inside packages, see also `_sentences.py`. For each recipe
`pipelines/modality-*.toml` the flows it names are fitted in the folder WORK, unless they are
there; the recipe is generated through them; losses, certificates and fidelity go to
`docs/modalities/*.json`, with a picture of real rows beside adapted ones, and all of it to the
page `docs/modalities.md`.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_digits, load_sample_images, load_wine

import mistdata
from benchmarks._sentences import embeddings
from mistdata.flows import FitSettings, Modality, fit_flow
from mistdata.flows.adapt import carry, folders_of, plan_adapted
from mistdata.flows.fidelity import fidelity_of, one_row_each
from mistdata.flows.fit import divide
from mistdata.flows.flow import describe_flow
from mistdata.flows.modality import modality_of
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import LocalWorkers

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PATCHES = 20_000
FEWEST = 30  # rows held out
SHOWN = 12  # rows of a picture, real and adapted


def patches(side: int, *, grey: bool) -> np.ndarray:
    """Cut random squares out of the two photographs that come with scikit-learn."""
    rng = np.random.default_rng(0)
    cut = []
    for picture in load_sample_images().images:
        plane = picture.mean(axis=2).round().astype(np.uint8) if grey else picture
        rows = rng.integers(0, plane.shape[0] - side, PATCHES // 2)
        columns = rng.integers(0, plane.shape[1] - side, PATCHES // 2)
        cut += [plane[i : i + side, j : j + side] for i, j in zip(rows, columns, strict=True)]
    return np.stack(cut)[rng.permutation(PATCHES)]


def table(loaded: Any) -> Modality:
    """A table of scikit-learn."""
    return modality_of(loaded.data, "table", loaded.feature_names)


MODALITIES: dict[str, Callable[[], Modality]] = {
    "digits": lambda: modality_of(load_digits().images.astype(np.uint8), "image"),
    "cancer": lambda: table(load_breast_cancer()),
    "wine": lambda: table(load_wine()),
    "text": lambda: modality_of(embeddings(), "embedding"),
    "patches-grey": lambda: modality_of(patches(16, grey=True), "image"),
    "patches-colour": lambda: modality_of(patches(8, grey=False), "image"),
}
TABLE = {"layers": 4, "hidden": 32, "decay": 0.1}  # small tables are learned by heart


def fitted(name: str, work: Path, steps: int) -> Path:
    """Fit the flow of a modality, unless it is there."""
    folder = work / f"{name}-flow"
    if not (folder / "flow.json").exists():
        modality = MODALITIES[name]()
        settings = FitSettings(
            steps=steps, held_out=max(0.1, FEWEST / len(modality)),
            **(TABLE if modality.kind == "table" else {}),
        )  # fmt: skip
        began = time.perf_counter()
        fit_flow(modality, folder, settings)
        (folder / "seconds.txt").write_text(f"{time.perf_counter() - began:.0f}\n")
    return folder


def picture(real: np.ndarray, made: np.ndarray, modality: Modality, path: Path) -> None:
    """Draw real rows above adapted ones; rows of tables as bars of standard units."""
    figure = Figure(figsize=(SHOWN * 0.8, 1.9), dpi=110, layout="constrained")
    axes = figure.subplots(2, SHOWN)
    centre, spread = real.mean(axis=0), real.std(axis=0)
    for line, rows in zip(axes, (real, made), strict=True):
        for place, row in zip(line, rows[:SHOWN], strict=True):
            if modality.kind == "image":
                assert modality.levels is not None
                shown = np.clip(row.reshape(modality.shape) / (modality.levels - 1), 0, 1)
                ink = "gray_r" if modality.levels == 17 else "gray"
                place.imshow(shown, cmap=ink, vmin=0, vmax=1)
            else:
                units = (row.ravel() - centre.ravel()) / spread.ravel()
                place.bar(range(len(units)), units, color="C0")
                place.set_ylim(-3.5, 3.5)
            place.set_xticks([])
            place.set_yticks([])
    axes[0, 0].set_ylabel("real", fontsize=8)
    axes[1, 0].set_ylabel("adapted", fontsize=8)
    figure.savefig(path)


def judge(name: str, work: Path, steps: int) -> dict[str, Any]:
    """Fit, carry and judge one recipe; write its picture and its figures."""
    path = work / f"modality-{name}.toml"
    shutil.copy(ROOT / "pipelines" / path.name, path)
    recipe = read_recipe(path)
    assert recipe.flow is not None
    folders = folders_of(recipe.flow, work)
    for folder in {each for each in folders.sides if each is not None}:
        fitted(folder.name.removesuffix("-flow"), work, steps)
    plan = plan_adapted(recipe, None, folders)
    out, took = work / f"modality-{name}", work / f"modality-{name}.seconds"
    if not took.exists():
        began = time.perf_counter()
        carry(plan, out, folders, LocalWorkers(os.cpu_count() or 1))
        took.write_text(f"{time.perf_counter() - began:.1f}\n")
    store = mistdata.open(out)
    loss, mi = store.column("mi_loss_bound"), store.column("mi")
    figures: dict[str, Any] = {
        "datasets": len(store),
        "seconds": float(took.read_text()),
        "mi": {"median": float(np.median(mi)), "most": float(mi.max())},
        "loss": {"median": float(np.median(loss)), "most": float(loss.max())},
        "roundtrip_max": float(store.column("roundtrip_max").max()),
        "uncertified": int(store.column("flags").sum()),
        "sides": {},
    }
    for side, folder in zip("xy", folders.sides, strict=True):
        assert folder is not None
        figures["sides"][side] = _side(store, side, folder, name)
    (DOCS / "modalities" / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def _side(store: Any, side: str, folder: Path, name: str) -> dict[str, Any]:
    modality = MODALITIES[folder.name.removesuffix("-flow")]()
    fit = describe_flow(folder)["fit"]
    settings = fit["settings"]
    _, held_out = divide(len(modality), settings["held_out"], settings["seed"])
    real, made = modality.values[held_out], one_row_each(store, side, SHOWN)
    picture(real, made, modality, DOCS / "modalities" / f"{name}-{side}.png")
    seconds = (folder / "seconds.txt").read_text().strip()
    kept = ("nats_per_dim", "bits_per_dim", "rows", "steps", "best_step")
    return {
        "modality": folder.name.removesuffix("-flow"),
        "shape": list(modality.shape),
        "fit_seconds": int(seconds),
        **{key: fit[key] for key in kept if key in fit},
        "fidelity": asdict(fidelity_of(store, side, modality)),
    }


def page(figures: dict[str, dict[str, Any]]) -> str:
    """Write `docs/modalities.md`."""
    head = (
        "| recipe | side | shape | fit | held out | told apart (floor) | sliced W₁ (floor) |"
        " nearest | rows |\n|---|---|---|---:|---:|---:|---:|---:|---:|"
    )
    lines, losses, pictures = [], [], []
    for name, each in figures.items():
        for side, found in each["sides"].items():
            judged = found["fidelity"]
            bits = found.get("bits_per_dim")
            loss = (
                f"{bits['held_out']:.2f} bits" if bits
                else f"{found['nats_per_dim']['held_out']:.2f} nats"
            )  # fmt: skip
            shape = " × ".join(map(str, found["shape"]))
            lines.append(
                f"| {name} | {side.upper()} | {shape} | {found['fit_seconds']} s | {loss} |"
                f" {judged['told_apart']:.2f} ({judged['told_apart_floor']:.2f}) |"
                f" {judged['sliced']:.3f} ({judged['sliced_floor']:.3f}) |"
                f" {judged['nearest']:.2f} | {judged['rows']:,} |"
            )
        losses.append(
            f"| {name} | {each['datasets']:,} | {each['mi']['median']:.2f}"
            f" ({each['mi']['most']:.1f}) | {each['loss']['median']:.1e}"
            f" ({each['loss']['most']:.1e}) | {each['roundtrip_max']:.1e} |"
            f" {each['uncertified']} | {each['datasets'] / each['seconds']:.2g} |"
        )
        sides = dict.fromkeys(
            f"![{found['modality']}: real above, adapted below](modalities/{name}-{side}.png)"
            for side, found in each["sides"].items()
        )
        pictures.append(f"### {name}\n\n" + "\n\n".join(sides))
    rule = (
        "| recipe | datasets | MI median (most) | certified loss median (most) | round trip |"
        " uncertified | datasets/s |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    return PAGE.format(
        sides="\n".join([head, *lines]),
        stores="\n".join([rule, *losses]),
        pictures="\n\n".join(pictures),
    )


PAGE = """# Modalities

Written by `python -m benchmarks.modalities WORK` from data that ship inside packages: of
scikit-learn the 8 × 8 digits, the tables breast cancer and wine, and squares cut out of its two
photographs; sentences of Python's language reference and of the docstrings of NumPy, SciPy and
scikit-learn, embedded in 64 columns by the model inside wordllama. Each
recipe `pipelines/modality-*.toml` is generated through the flows that it names. How it works is in
[flows.md](flows.md).

## Do labels survive?

Every dataset is certified on the single-precision values that are stored: nats that may have been
lost, and the largest error of a latent that is recovered. A recipe may keep, with a flag, what the
certificate does not hold for (`keep_uncertified`); the largest figures are then theirs. The speed
is that of two workers beside other work.

{stores}

## Does it look like the modality?

A claim apart from the first. One row of each of many adapted datasets against held-out rows that
the flow did not learn from (they chose its best step), with held-out rows against training rows as
the floor: the accuracy of a nearest-neighbour classifier (0.5: cannot tell), the sliced
Wasserstein distance in units of the data's spread, and the distance of an adapted row to the
nearest training row over that of a held-out one (well below 1: repeats training rows); rows are
how many of each. Squares cut at random from two photographs overlap, so that a held-out one has
near copies among those trained on and an adapted one has not: its distance is many times as large.
Images are compared in whole grey levels, as the data are. Held-out loss per
dimension, of images in bits.

{sides}

{pictures}
"""


@click.command()
@click.argument("work", type=click.Path(path_type=Path, file_okay=False))
@click.option("--only", multiple=True, help="These recipes.")
@click.option("--steps", type=click.IntRange(1), default=4000, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="CPU threads of the fits [all cores].")
def main(work: Path, only: tuple[str, ...], steps: int, threads: int | None) -> None:
    """Fit, carry and judge every modality; finished parts are kept."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    work.mkdir(parents=True, exist_ok=True)
    (DOCS / "modalities").mkdir(exist_ok=True)
    names = sorted(path.stem.removeprefix("modality-")
                   for path in (ROOT / "pipelines").glob("modality-*.toml"))  # fmt: skip
    for name in names:
        if not only or name in only:
            click.echo(f"{name}: {judge(name, work, steps)}")
    found = {name: DOCS / "modalities" / f"{name}.json" for name in names}
    figures = {name: json.loads(p.read_text()) for name, p in found.items() if p.exists()}
    (DOCS / "modalities.md").write_text(page(figures))


if __name__ == "__main__":
    main()
