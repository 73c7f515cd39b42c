"""Commands that make a store, or files from one: generate, seal, export."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from mistdata.cli.computing import Computing, computing_options, portable_option
from mistdata.cli.console import (
    Choice,
    bytes_text,
    certificates_text,
    command,
    counted,
    good,
    json_option,
    progress,
    quiet_option,
    report,
    store_path,
    where_option,
    written_store_path,
)


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


def part_of(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Read which of how many parts an option names, like 3/16."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,7})/(\d{1,7})", value)
    if match is None or int(match[1]) >= int(match[2]):
        raise click.BadParameter(f"expected a part like 0/16 ... 15/16, got {value!r}")
    return int(match[1]), int(match[2])


part_option = click.option(
    "--part",
    callback=part_of,
    metavar="I/N",
    help="Fill only every N-th shard, from the I-th, counted from 0, and do not seal: one of N"
    " jobs that may run anywhere. Then run `mistdata seal STORE`.",
)


@command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("store", type=written_store_path)
@computing_options
@portable_option
@click.option(
    "--shards",
    callback=shard_numbers,
    metavar="0-99",
    help="Fill only these shards, in this process, and do not seal (for job arrays; shards are"
    " numbered over all splits from 0). Then run `mistdata seal STORE`.",
)
@part_option
@click.option("--limit", type=click.IntRange(min=1), help="The first N datasets of each split.")
@quiet_option
@json_option
def generate(
    recipe: Path,
    store: Path,
    computing: Computing,
    shards: list[int] | None,
    part: tuple[int, int] | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Build the STORE that RECIPE describes; the same command again resumes.

    Example: mistdata generate pipelines/quickstart.toml STORE
    """
    from mistdata.pipeline.plan import make_plan
    from mistdata.pipeline.recipe import read_recipe

    executor = computing.executor(shards=shards)
    read = read_recipe(recipe)
    if read.flow is not None:
        from mistdata.cli.flowing import make_adapted
        from mistdata.flows.adapt import folders_of

        folders = folders_of(read.flow, recipe.parent)
        make_adapted(read, limit, folders, store, executor, Share(shards, part), as_json)
    else:
        make_store(make_plan(read, limit), store, executor, Share(shards, part), as_json)


class Share(NamedTuple):
    """Which shards a command fills; all, where it names none."""

    shards: list[int] | None
    part: tuple[int, int] | None

    def of(self, count: int) -> list[int] | None:
        """Return the numbers of the shards among `count`; None for all, and a seal.

        Raises:
            click.UsageError: numbers that the plan does not have, or both ways of naming them.
        """
        if self.part is None and self.shards is None:
            return None
        if self.part is not None:
            if self.shards is not None:
                raise click.UsageError("choose one of --shards and --part")
            return list(range(self.part[0], count, self.part[1]))
        assert self.shards is not None
        if max(self.shards) >= count:
            raise click.UsageError(
                f"--shards: the plan has shards 0..{count - 1}, got {max(self.shards)}"
            )
        return self.shards


def make_store(
    plan: Any,
    store: Path,
    executor: Any,
    share: Share,
    as_json: bool,
    **task: Any,
) -> None:
    """Fill the store of a plan, with a progress bar, and say what was made, and how fast."""
    from mistdata.pipeline.run import generate as generate_store

    shards = share.of(len(plan.shards))
    began, filled = time.perf_counter(), []
    with progress("datasets") as bar:

        def on_filled(done: Any) -> None:
            filled.append(done)
            bar.advance(done.datasets)

        manifest = generate_store(
            plan,
            store,
            executor,
            shards=shards,
            on_start=bar.start,
            on_filled=on_filled,
            **task,
        )
    run = _run(filled, time.perf_counter() - began, executor.watcher.retries)
    if manifest is None:
        done = {"store": str(store), "sealed": False, "shards": shards}
        count = len(shards or [])
        word = "shard" if count == 1 else "shards"
        text = f"{store}: {count} {word} durable; when every part is there, `mistdata seal`"
    else:
        done, text = _sealed(store, manifest)
    report(done | {"run": run}, as_json, f"{text}\n{_run_text(run)}")


def _run(filled: Sequence[Any], seconds: float, retries: int) -> dict[str, Any]:
    """What this run did, which may have found some shards done."""
    datasets = sum(each.datasets for each in filled)
    return {
        "datasets": datasets,
        "shards": len(filled),
        "seconds": round(seconds, 3),
        "worker_seconds": round(sum(each.seconds for each in filled), 3),
        "datasets_per_second": round(datasets / seconds, 1),
        "retries": retries,
    }


def _run_text(run: dict[str, Any]) -> str:
    if not run["shards"]:
        return "nothing was left to fill"
    return (
        f"filled {run['datasets']:,} datasets in {run['seconds']:,.1f} s:"
        f" {run['datasets_per_second']:,.0f} datasets/s, {run['worker_seconds']:,.1f}"
        f" worker-seconds, {run['retries']} retries"
    )


@command()
@click.argument("store", type=written_store_path)
@json_option
def seal(store: Path, as_json: bool) -> None:
    """Seal a STORE whose shards are all filled.

    Example: mistdata seal STORE
    """
    from mistdata.store.seal import seal as seal_store

    done, text = _sealed(store, seal_store(store))
    report(done, as_json, text)


def _sealed(store: Path, manifest: Any) -> tuple[dict[str, Any], str]:
    """What a sealed store is, for machines and for people."""
    from mistdata.inspect import certificates
    from mistdata.store.dataset import open_store
    from mistdata.store.ledger import FLOWS

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
    text = f"{counted(datasets, 'dataset')} in {counted(shards, 'shard')}, {bytes_text(size)}"
    text = f"{store}: {good('sealed')}, {text}\ndigest {manifest.digest}"
    if (store / FLOWS).is_dir():
        found = done["certificates"] = certificates(open_store(store))
        if found is not None:
            text += f"\n{certificates_text(found, datasets)}"
    return done, text


@command("export")
@click.argument("store", type=store_path)
@click.argument("out", type=written_store_path)
@click.option(
    "--to", "kind", type=Choice(["npz", "parquet", "hf", "webdataset"]), required=True,
    help="What to write, see above.",
)  # fmt: skip
@where_option()
@quiet_option
@json_option
def export_store(store: Path, out: Path, kind: str, where: str | None, as_json: bool) -> None:
    """Write a STORE, or some of it, for other tools: in OUT, a file per shard, and a card.

    \b
    npz         NumPy: arrays x_ID and y_ID of every dataset, columns of labels
    parquet     a row per dataset: the columns of the catalog, x and y as lists
    hf          parquet, whose card tells the Hugging Face hub the splits
    webdataset  tars with ID.x.npy, ID.y.npy and ID.json of every dataset

    Example: mistdata export STORE FOLDER --to parquet --where "n >= 100"
    """  # noqa: D301 -- the backspace makes click keep the lines
    from mistdata.export import export

    with progress("datasets") as bar:
        files = export(store, out, kind, where=where, on_start=bar.start, on_written=bar.advance)
    size = sum(path.stat().st_size for path in files)
    done = {"out": str(out), "files": [path.name for path in files], "bytes": size}
    report(done, as_json, f"{out}: {good('written')}, {len(files)} files, {bytes_text(size)}")


def _derived_options(shard_mib: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add what says what a store of others is called; `shard_mib` is the default of its shards."""
    options = (
        json_option,
        quiet_option,
        click.option(
            "--shard-mib", type=click.IntRange(1, 1024), metavar="MIB",
            help="Size of every file of values, in MiB; the largest dataset must fit one."
            f"  [default: {shard_mib}]",
        ),
        click.option(
            "--version", type=click.IntRange(min=1), default=1, show_default=True,
            help="Version of the new store.",
        ),
        click.option("--name", required=True, help="Name of the new store."),
    )  # fmt: skip

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in options:
            function = option(function)
        return function

    return add


@command("select")
@click.argument("store", type=store_path)
@click.argument("out", type=written_store_path)
@where_option(required=True)
@_derived_options("that of STORE")
def select_store(
    store: Path,
    out: Path,
    where: str,
    name: str,
    version: int,
    shard_mib: int | None,
    as_json: bool,
) -> None:
    """Make a store OUT of the datasets of STORE that meet a condition; again resumes.

    Example: mistdata select STORE OUT --name long --where "n >= 500"
    """
    from mistdata.derive import select

    with progress("datasets") as bar:
        manifest = select(
            store, out, where, name=name, version=version, shard_mib=shard_mib,
            on_start=bar.start, on_written=bar.advance,
        )  # fmt: skip
    done, text = _sealed(out, manifest)
    report(done, as_json, text)


@command("merge")
@click.argument("stores", type=store_path, nargs=-1, required=True, metavar="STORE STORE...")
@click.argument("out", type=written_store_path)
@_derived_options("that of the first STORE")
def merge_stores(
    stores: tuple[Path, ...],
    out: Path,
    name: str,
    version: int,
    shard_mib: int | None,
    as_json: bool,
) -> None:
    """Make one store OUT of several; again resumes.

    Example: mistdata merge FIRST SECOND OUT --name both
    """
    from mistdata.derive import merge

    with progress("datasets") as bar:
        manifest = merge(
            stores, out, name=name, version=version, shard_mib=shard_mib,
            on_start=bar.start, on_written=bar.advance,
        )  # fmt: skip
    done, text = _sealed(out, manifest)
    report(done, as_json, text)


class _SplitFile(click.ParamType):  # type: ignore[type-arg]  # generic from 8.4 on
    """SPLIT=FILE, or a file of the split train."""

    name = "[SPLIT=]FILE"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Path]:
        """Divide the two; fail if there is no such file."""
        split, given, path = ("", "", value) if Path(value).is_file() else value.rpartition("=")
        if not Path(path).is_file():
            self.fail(f"there is no file {path!r}", param, ctx)
        return (split if given else "train"), Path(path)


_COUNTED = {
    "left_out": "datasets left out that cannot be used",
    "padded_rows": "rows of padding taken off",
    "padded_columns": "columns of padding taken off",
}


@command("import")
@click.argument("files", type=_SplitFile(), nargs=-1, required=True, metavar="[SPLIT=]FILE...")
@click.argument("out", type=written_store_path)
@click.option("--skip-bad", is_flag=True, help="Leave out and count what cannot be used.")
@_derived_options("16, or less where every split is smaller")
def import_store(
    files: tuple[tuple[str, Path], ...],
    out: Path,
    skip_bad: bool,
    name: str,
    version: int,
    shard_mib: int | None,
    as_json: bool,
) -> None:
    """Make a store OUT of pickles as MIST published them, executing nothing; again resumes.

    A FILE without a split is of the split train.

    Example: mistdata import train=meta_dataset.pkl test=test.pkl OUT --name mist
    """
    from mistdata.importing import import_pickles

    with progress("datasets") as bar:
        found = import_pickles(
            files, out, name=name, version=version, shard_mib=shard_mib, skip_bad=skip_bad,
            on_start=bar.start, on_written=bar.advance,
        )  # fmt: skip
    done, text = _sealed(out, found.manifest)
    counts = {key: getattr(found, key) for key in _COUNTED}
    text += "".join(f"\n{_COUNTED[key]}: {count:,}" for key, count in counts.items() if count)
    report(done | counts, as_json, text)
