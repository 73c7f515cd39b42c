"""What carrying rows through a flow costs: beside the matrix products of the same networks.

    python -m benchmarks.flow [--json]

The bare products are those of every linear and convolutional layer of the flow, on as many rows,
in the same precision, one thread each, timed in turns. Then whole datasets through
`mistdata flow-adapt`, with labels and certificates, by n, by dimensions and by workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._measure import median_ratio, report, seconds, take_turns, verdict, work_folder
from mistdata.flows.adapt import Folders, carry, plan_adapted
from mistdata.flows.architecture import Architecture
from mistdata.flows.carry import from_modality, to_modality
from mistdata.flows.flow import Flow, load_flow, save_flow
from mistdata.flows.splines import QuickCoupling
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import LocalWorkers

ROWS = 4096
LAYERS = {
    "coupling, 8 columns": Architecture("coupling", (8,)),
    "coupling, 30 columns": Architecture("coupling", (30,)),
    "coupling, 64 columns": Architecture("coupling", (64,)),
    "glow, 8 × 8": Architecture("glow", (1, 8, 8)),
}
TARGET = 0.5
RECIPE = """
name = "bench-flow"
version = 1
seed = 1
shard_mib = 8
[flow]
x = "flow"
[split.train]
datasets = {datasets}
n = {n}
dim = {dim}
[[split.train.mixture]]
families = ["gaussian-dense", "student-identity", "copula-clayton", "gaussian-lvm"]
"""


def quick_flow(architecture: Architecture, folder: Path) -> Flow:
    """A flow with the weights that it begins with, as it is loaded for carrying."""
    flow = Flow(architecture, [], (architecture.dim,))
    flow.inverse(torch.randn(64, architecture.dim))  # sets the scales of a glow
    save_flow(flow, folder, {})
    return load_flow(folder)


def products_of(flow: Flow, latents: np.ndarray) -> Callable[[], None]:
    """Return what repeats the matrix products of one pass through a flow, and nothing else."""
    met: list[tuple[nn.Module, Tensor]] = []
    handles = [
        module.register_forward_hook(lambda own, given, _: met.append((own, given[0])))
        for module in flow.modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    to_modality(flow, latents)
    for handle in handles:
        handle.remove()
    for each in flow.modules():  # the last layer is called by its weights, not as a module
        if isinstance(each, QuickCoupling):
            last = each.network.final_layer
            hidden = torch.randn(1024, last.in_features, dtype=torch.float64)
            met += [(last, hidden)] * (len(latents) // 1024)

    def run() -> None:
        with torch.inference_mode():
            for module, given in met:
                module(given)

    return run


def timed(action: Callable[[], object]) -> Callable[[], float]:
    """Return what times an action."""
    return lambda: seconds(action)


def measure_layers(folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Compare passes through flows with their bare products."""
    found = {}
    for number, (name, architecture) in enumerate(LAYERS.items()):
        flow = quick_flow(architecture, folder / str(number))
        latents = np.random.default_rng(0).normal(size=(ROWS, architecture.dim))
        stored = to_modality(flow, latents)
        took = take_turns(
            {
                "products": timed(products_of(flow, latents)),
                "there": timed(lambda f=flow, z=latents: to_modality(f, z)),
                "back": timed(lambda f=flow, x=stored: from_modality(f, x)),
            },
            repeats,
        )
        found[name] = {
            "rows_per_s": ROWS / median(took["there"]),
            "there": median_ratio(took["products"], took["there"]),
            "back": median_ratio(took["products"], took["back"]),
        }
    return found


def adapted_per_second(folder: Path, workers: int, datasets: int, n: int, dim: int) -> float:
    """Datasets per second through plan, labels, flow, certificate and seal."""
    flow = folder / "flow"
    if not flow.exists():
        quick_flow(Architecture("coupling", (32,)), flow)
    recipe = parse_recipe(RECIPE.format(datasets=datasets, n=n, dim=dim), "bench-flow")
    folders = Folders(flow, None)
    plan = plan_adapted(recipe, None, folders)
    out = folder / f"out-{workers}-{n}-{dim}"
    began = time.perf_counter()
    carry(plan, out, folders, LocalWorkers(workers))
    return datasets / (time.perf_counter() - began)


def measure_stores(folder: Path) -> dict[str, float]:
    """Whole stores, by workers, rows and dimensions."""
    cases = {
        "1 worker, n = 500, dims 8": (1, 400, 500, 8),
        "2 workers, n = 500, dims 8": (2, 400, 500, 8),
        "2 workers, n = 100, dims 8": (2, 2000, 100, 8),
        "2 workers, n = 2,000, dims 8": (2, 100, 2000, 8),
        "2 workers, n = 500, dims 32": (2, 400, 500, 32),
    }
    return {name: adapted_per_second(folder, *case) for name, case in cases.items()}


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(repeats: int, as_json: bool) -> None:
    """Print what carrying costs."""
    torch.set_num_threads(1)
    with work_folder(None) as folder:
        layers = measure_layers(folder, repeats)
        stores = measure_stores(folder)
    document: dict[str, Any] = {"layers": layers, "datasets_per_s": stores}
    lines = [
        f"{name}: {each['rows_per_s']:,.0f} rows/s; speed over that of the bare products:"
        f" {each['there']:.2f} there, {each['back']:.2f} back"
        f" ({verdict(each['there'], TARGET)})"
        for name, each in layers.items()
    ]
    lines += [f"{name}: {each:.1f} datasets/s, certified" for name, each in stores.items()]
    report(document, lines, as_json)


if __name__ == "__main__":
    main()
