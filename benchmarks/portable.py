"""What --portable costs: a slice of a recipe generated with and without it, in turns.

python -m benchmarks.portable [--datasets 1000] [--repeats 3]
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

import click

from benchmarks._measure import ROOT, median_ratio, report, take_turns, work_folder

NATIVE, PORTABLE = "native", "--portable"


def generate(recipe: Path, datasets: int, folder: Path, *options: str) -> float:
    """Return the seconds that filling the shards of a new store takes."""
    store = folder / f"store{len(list(folder.iterdir()))}"
    command = [sys.executable, "-m", "mistdata", "generate", str(recipe), str(store)]
    command += ["--limit", str(datasets), "--in-process", "--json", *options]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(said)["run"]["worker_seconds"])


@click.command()
@click.option("--recipe", default=ROOT / "pipelines" / "mistdata-train.toml", type=Path)
@click.option("--datasets", default=1000, show_default=True, type=click.IntRange(min=1))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--near", type=click.Path(path_type=Path), help="Write here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(recipe: Path, datasets: int, repeats: int, near: Path | None, as_json: bool) -> None:
    """Measure what portable bytes cost."""
    with work_folder(near) as folder:
        fill = partial(generate, recipe, datasets, folder)
        took = take_turns({NATIVE: fill, PORTABLE: partial(fill, PORTABLE)}, repeats)
    ratio = median_ratio(took[PORTABLE], took[NATIVE])
    figures = {
        "recipe": recipe.stem,
        "datasets": datasets,
        "median_s": {name: median(each) for name, each in took.items()},
        "times_native": ratio,
    }
    line = f"{recipe.stem}, {datasets:,} datasets: --portable takes {ratio:.2f} times as long"
    report(figures, [line], as_json)


if __name__ == "__main__":
    main()
