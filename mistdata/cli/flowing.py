"""Commands that carry a store to a modality: flow-fit, flow-adapt, fidelity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mistdata.cli.computing import Computing, computing_options, portable_option
from mistdata.cli.console import (
    Choice,
    command,
    good,
    json_option,
    progress,
    quiet_option,
    report,
    store_path,
    written_store_path,
)
from mistdata.cli.making import Share, make_store, part_option, shard_numbers


@command("flow-fit")
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("flow", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=Choice(["table", "image", "embedding"]),
    help="What the data are.  [default: guessed]",
)
@click.option("--columns", metavar="COLS", help="Columns of a table; the array of an .npz file.")
@click.option(
    "--layer-kind", type=Choice(["auto", "coupling", "autoregressive", "glow"]),
    default="auto", show_default=True, help="Kind of the flow's layers.",
)  # fmt: skip
@click.option("--max-dim", type=click.IntRange(1), help="Learn a code of so many components.")
@click.option("--layers", type=click.IntRange(1), help="Layers of each scale.  [default: 8]")
@click.option("--hidden", type=click.IntRange(1), help="Width of their networks.  [default: 64]")
@click.option("--bins", type=click.IntRange(2), help="Bins of their splines.  [default: 12]")
@click.option(
    "--steps", type=click.IntRange(1), default=4000, show_default=True,
    help="Steps of the fit, at most.",
)  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True,
              help="Rows of a step.")  # fmt: skip
@click.option("--patience", type=click.IntRange(1), default=20, show_default=True,
              help="Looks at held-out rows, every 50 steps, without improvement.")  # fmt: skip
@click.option("--held-out", type=float, default=0.1, show_default=True,
              help="Share of the rows, between 0 and 1, that judges the fit.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the fit.")
@click.option("--examples", type=click.IntRange(0), default=16, show_default=True,
              help="Held-out rows kept in the flow, for reports; 0 for private data.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ...")
@quiet_option
@json_option
def flow_fit(
    data: Path,
    flow: Path,
    kind: str | None,
    columns: str | None,
    layer_kind: str,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Fit a normalizing flow to DATA; the same command again resumes. Losses are in nats.

    DATA is a .npy or .npz file, a table (CSV, TSV, Parquet), a Zarr array, or a folder of
    pictures.

    Example: mistdata flow-fit digits.npy digits-flow
    """
    from mistdata.flows import FitSettings, fit_flow, read_modality

    modality = read_modality(data, kind, columns)
    settings = FitSettings(kind=layer_kind, **options)
    with progress("step") as bar:
        bar.start(0, settings.steps)
        record = fit_flow(modality, flow, settings, device=device, advance=bar.advance)
    record.pop("examples")
    report({"flow": str(flow), **record}, as_json, _text(flow, record))


def _text(flow: Path, record: dict[str, Any]) -> str:
    """Say what was fitted, for people."""
    rows, nats = record["rows"], record["nats_per_dim"]
    lines = [
        f"{flow}: {good('fitted')}, {record['modality']['kind']}, {rows['train']:,} rows and"
        f" {rows['held_out']:,} held out, best at step {record['best_step']:,} of"
        f" {record['steps']:,}",
        f"held out {nats['held_out']:.4f} nats per dimension (training {nats['train']:.4f})",
    ]
    if "bits_per_dim" in record:
        lines.append(f"held out {record['bits_per_dim']['held_out']:.4f} bits per dimension")
    if "variance_kept" in record:
        lines.append(f"the code keeps {record['variance_kept']:.2%} of the variance")
    lines.append(f"identity {record['identity']}")
    return "\n".join(lines)


@command("flow-adapt")
@click.argument("store", type=store_path)
@click.argument("out", type=written_store_path)
@click.option("--flow-x", type=click.Path(path_type=Path), help="Folder of the flow for X.")
@click.option("--flow-y", type=click.Path(path_type=Path), help="Folder of the flow for Y.")
@click.option("--keep-uncertified", is_flag=True, help="Keep what has no certificate, flagged.")
@click.option(
    "--grey-levels", is_flag=True,
    help="Round images to whole grey levels; labels become certified intervals.",
)  # fmt: skip
@computing_options
@portable_option
@click.option("--shards", callback=shard_numbers, metavar="0-99", help="As for `generate`.")
@part_option
@click.option("--limit", type=click.IntRange(min=1), help="The first N datasets of each split.")
@quiet_option
@json_option
def flow_adapt(
    store: Path,
    out: Path,
    flow_x: Path | None,
    flow_y: Path | None,
    keep_uncertified: bool,
    grey_levels: bool,
    computing: Computing,
    shards: list[int] | None,
    part: tuple[int, int] | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Carry a sealed STORE to a modality; the same command again resumes.

    OUT holds the same datasets with the same mutual information, seen through the flows: their
    rows look like what the flows were fitted to. Every dataset is certified on what is stored.

    Example: mistdata flow-adapt STORE OUT --flow-x digits-flow --flow-y wine-flow
    """
    from mistdata.flows.adapt import Folders, adapted_recipe
    from mistdata.store.ledger import read_record

    if flow_x is None and flow_y is None:
        raise click.UsageError("give --flow-x, --flow-y, or both")
    if out.resolve() == store.resolve():
        raise click.UsageError("OUT is STORE itself; name another folder")
    executor = computing.executor(shards=shards)
    folders = Folders(flow_x, flow_y)
    recipe = adapted_recipe(
        store, folders, keep_uncertified=keep_uncertified, grey_levels=grey_levels
    )
    own = read_record(store).limit
    limit = min(each for each in (limit, own) if each) if limit or own else None
    make_adapted(recipe, limit, folders, out, executor, Share(shards, part), as_json)


def make_adapted(
    recipe: Any,
    limit: int | None,
    folders: Any,
    out: Path,
    executor: Any,
    share: Share,
    as_json: bool,
) -> None:
    """Fill a store whose sides flows carry."""
    from mistdata.flows.adapt import fill_adapted, plan_adapted, prepare

    plan = plan_adapted(recipe, limit, folders)
    prepare(out, plan, folders)
    make_store(plan, out, executor, share, as_json, task=fill_adapted)


@command("fidelity")
@click.argument("store", type=store_path)
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--side",
    type=Choice(["x", "y"]),
    help="Of STORE, that looks like DATA.  [default: the one that a flow carries]",
)
@click.option("--columns", metavar="COLS", help="As for `flow-fit`.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of the choice of rows and directions.")  # fmt: skip
@json_option
def fidelity_command(
    store: Path, data: Path, side: str | None, columns: str | None, seed: int, as_json: bool
) -> None:
    """Say how much a side of an adapted STORE looks like DATA, which its flow was fitted to.

    Real rows that the fit held out are compared with adapted rows, and with other real rows as the
    best that can be had. That labels survive is another matter: see `mistdata verify --deep`.

    Example: mistdata fidelity STORE digits.npy
    """
    from dataclasses import asdict

    import mistdata
    from mistdata.flows import read_modality
    from mistdata.flows.fidelity import fidelity_of, fit_of, the_side

    opened = mistdata.open(store)
    side = side or the_side(opened)
    kind = fit_of(opened, side)["modality"]["kind"]
    found = fidelity_of(opened, side, read_modality(data, kind, columns), seed)
    text = (
        f"{side.upper()} of {store} beside {data}, {found.rows:,} rows of each\n"
        f"told apart by a classifier      {found.told_apart:.2f} of the rows"
        f"  (real from real {found.told_apart_floor:.2f}; 0.5: not at all)\n"
        f"sliced Wasserstein distance     {found.sliced:.3f} of the spread"
        f"  (real from real {found.sliced_floor:.3f})\n"
        f"distance to the nearest row     {found.nearest:.2f} times that of held-out rows"
        f"  (well below 1: repeats what it learned from)"
    )
    report({"store": str(store), "side": side, **asdict(found)}, as_json, text)
