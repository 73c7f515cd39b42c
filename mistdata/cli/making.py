"""Commands that make a store: generate, seal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mistdata.cli.computing import Computing, computing_options
from mistdata.cli.console import bytes_text, json_option, progress, report, store_path


def shard_numbers(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> list[int] | None:
    """Read the numbers of shards that an option names, like 0-99,120."""
    if value is None:
        return None
    numbers: list[int] = []
    for part in value.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise click.BadParameter(f"expected numbers and ranges like 0-99,120, got {value!r}")
        if max(len(first), len(last)) > 7:
            raise click.BadParameter(f"no plan has so many shards, got {value!r}")
        numbers += range(int(first), int(last or first) + 1)
    if not numbers:
        raise click.BadParameter(f"expected at least one shard, got {value!r}")
    return list(dict.fromkeys(numbers))


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("store", type=store_path)
@computing_options
@click.option(
    "--shards",
    callback=shard_numbers,
    metavar="0-99",
    help="Fill only these shards, in this process, and do not seal (for job arrays; shards are"
    " numbered over all splits from 0). Then run `mistdata seal STORE`.",
)
@click.option("--limit", type=click.IntRange(min=1), help="The first N datasets of each split.")
@json_option
def generate(
    recipe: Path,
    store: Path,
    computing: Computing,
    shards: list[int] | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Build the STORE that RECIPE describes; the same command again resumes.

    Example: mistdata generate pipelines/quickstart.toml /tmp/quickstart
    """
    from mistdata.pipeline.plan import make_plan
    from mistdata.pipeline.recipe import read_recipe

    executor = computing.executor(shards=shards)
    read = read_recipe(recipe)
    if read.flow is not None:
        from mistdata.cli.flowing import make_adapted
        from mistdata.flows.adapt import folders_of

        folders = folders_of(read.flow, recipe.parent)
        make_adapted(read, limit, folders, store, executor, shards, as_json)
    else:
        make_store(make_plan(read, limit), store, executor, shards, as_json)


def make_store(
    plan: Any,
    store: Path,
    executor: Any,
    shards: list[int] | None,
    as_json: bool,
    **task: Any,
) -> None:
    """Fill the store of a plan, with a progress bar, and say what was made."""
    from mistdata.pipeline.run import generate as generate_store

    if shards is not None and max(shards) >= len(plan.shards):
        raise click.UsageError(
            f"--shards: the plan has shards 0..{len(plan.shards) - 1}, got {max(shards)}"
        )
    with progress("datasets") as bar:
        manifest = generate_store(
            plan,
            store,
            executor,
            shards=shards,
            on_start=bar.start,
            on_filled=lambda filled: bar.advance(filled.datasets),
            **task,
        )
    if manifest is None:
        done = {"store": str(store), "sealed": False, "shards": shards}
        report(done, as_json, f"{store}: {len(shards or [])} shards durable, not sealed")
    else:
        _report_sealed(store, manifest, as_json)


@click.command()
@click.argument("store", type=store_path)
@json_option
def seal(store: Path, as_json: bool) -> None:
    """Seal a STORE whose shards are all filled.

    Example: mistdata seal /scratch/mist-train
    """
    from mistdata.store.seal import seal as seal_store

    _report_sealed(store, seal_store(store), as_json)


def _report_sealed(store: Path, manifest: Any, as_json: bool) -> None:
    datasets, shards = sum(manifest.datasets.values()), sum(manifest.shards.values())
    size = sum(each["size"] for each in manifest.files.values())
    done = {
        "store": str(store),
        "sealed": True,
        "plan": manifest.plan,
        "digest": manifest.digest,
        "datasets": datasets,
        "shards": shards,
        "bytes": size,
    }
    text = f"{store}: sealed, {datasets:,} datasets in {shards:,} shards, {bytes_text(size)}"
    report(done, as_json, f"{text}\ndigest {manifest.digest}")
