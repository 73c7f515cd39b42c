"""The command line: thin click commands over the library.

`mistdata --help` imports neither torch nor dask nor NumPy; every command imports what it needs.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from mistdata import __version__
from mistdata.errors import Incomplete, MistdataError, VerificationFailed, did_you_mean

if TYPE_CHECKING:
    from mistdata.pipeline.run import Executor

_INTERRUPTED = 130
_MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}  # mend the disk, then run again
_STORE = click.Path(path_type=Path)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class _Commands(click.Group):
    """A group that suggests the nearest command for a misspelt one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.commands)
            raise click.UsageError(f"no such command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 2 usage, bad recipe, not a store; 3 incomplete, run again to"
    " resume; 4 the store belongs to another plan; 5 verification failed; 6 workers differ"
    " numerically; 130 interrupted.",
)
@click.version_option(__version__, prog_name="mistdata")
def cli() -> None:
    """Meta-datasets of joint distributions with known mutual information."""


def main() -> None:
    """Run the command line; every failure is one line and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("mistdata: interrupted; run the same command again to resume", err=True)
        code = _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context else ""
        click.echo(f"mistdata: {error.format_message()}{hint}", err=True)
        code = error.exit_code
    except MistdataError as error:
        click.echo(f"mistdata: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:  # the reader had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        click.echo(f"mistdata: {error.filename or 'input or output'}: {error.strerror}", err=True)
        code = Incomplete.exit_code if error.errno in _MENDABLE else 2
    sys.exit(code)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@cli.command()
@click.argument("name", required=False)
@_json_option
def families(name: str | None, as_json: bool) -> None:
    """List the families of joint distributions, or describe one.

    Example: mistdata families gaussian-lvm
    """
    from mistdata.distributions.describe import describe_families

    table = describe_families()
    if name is not None:
        if name not in table:
            raise click.UsageError(f"no family {name!r}{did_you_mean(name, table)}")
        table = {name: table[name]}
    if as_json:
        _print_json(table)
        return
    for key, entry in table.items():
        click.echo(click.style(key, bold=True) + f"  {entry['summary']}")
        click.echo(f"    I(X;Y) = {entry['formula']}  [nats]")
        if name is not None:
            click.echo(f"    X {entry['x_kind']}, Y {entry['y_kind']}; {entry['source']}")
        for parameter, about in entry["parameters"].items():
            each = ", one per coordinate" if about["per_coordinate"] else ""
            click.echo(
                f"    {parameter}: {about['meaning']}{each}; domain {about['domain']},"
                f" published {about['prior']}"
            )


def _shard_numbers(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> list[int] | None:
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


@cli.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("store", type=_STORE)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Local worker processes.  [default: cores]"
)
@click.option("--scheduler", metavar="ADDRESS", help="Use the Dask scheduler at this address.")
@click.option(
    "--scheduler-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Use the scheduler of this file.",
)
@click.option("--in-process", is_flag=True, help="Fill in this process, without Dask.")
@click.option(
    "--shards",
    callback=_shard_numbers,
    metavar="0-99",
    help="Fill only these shards, in this process, and do not seal (for job arrays; shards are"
    " numbered over all splits from 0). Then run `mistdata seal STORE`.",
)
@click.option("--limit", type=click.IntRange(min=1), help="The first N datasets of each split.")
@_json_option
def generate(
    recipe: Path,
    store: Path,
    workers: int | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    in_process: bool,
    shards: list[int] | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Build the STORE that RECIPE describes; the same command again resumes.

    Example: mistdata generate pipelines/quickstart.toml /tmp/quickstart
    """
    from mistdata.pipeline.plan import make_plan
    from mistdata.pipeline.recipe import read_recipe
    from mistdata.pipeline.run import generate as generate_store

    executor = _executor(workers, scheduler, scheduler_file, in_process, shards)
    plan = make_plan(read_recipe(recipe), limit)
    if shards is not None and max(shards) >= len(plan.shards):
        raise click.UsageError(
            f"--shards: the plan has shards 0..{len(plan.shards) - 1}, got {max(shards)}"
        )
    with _progress("datasets") as bar:
        manifest = generate_store(
            plan,
            store,
            executor,
            shards=shards,
            on_start=bar.start,
            on_filled=lambda filled: bar.advance(filled.datasets),
        )
    if manifest is None:
        done = {"store": str(store), "sealed": False, "shards": shards}
        _report(done, as_json, f"{store}: {len(shards or [])} shards durable, not sealed")
    else:
        _report_sealed(store, manifest, as_json)


def _executor(
    workers: int | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    in_process: bool,
    shards: list[int] | None,
) -> Executor:
    from mistdata.pipeline import run

    given = {
        "--workers": workers,
        "--scheduler": scheduler,
        "--scheduler-file": scheduler_file,
        "--in-process": in_process or None,
        "--shards": shards if not in_process else None,
    }
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise click.UsageError(f"choose one of {' and '.join(chosen)}")
    if in_process or shards is not None:
        return run.InProcess()
    if scheduler is not None or scheduler_file is not None:
        return run.Scheduler(scheduler, scheduler_file)
    return run.LocalWorkers(workers or len(os.sched_getaffinity(0)))


@cli.command()
@click.argument("store", type=_STORE)
@_json_option
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
    text = f"{store}: sealed, {datasets:,} datasets in {shards:,} shards, {_bytes(size)}"
    _report(done, as_json, f"{text}\ndigest {manifest.digest}")


@cli.command()
@click.argument("store", type=_STORE)
@_json_option
def inspect(store: Path, as_json: bool) -> None:
    """Show what a STORE holds: totals, splits, sizes, MI by component.

    Example: mistdata inspect /tmp/quickstart
    """
    from mistdata.inspect import inspect as inspect_store

    summary = inspect_store(store)
    if as_json:
        _print_json(summary)
        return
    state = "sealed" if summary["sealed"] else "not sealed"
    click.echo(f"{summary['name']} version {summary['version']}, {state}, in {store}")
    click.echo(f"plan   {summary['plan']}")
    if summary["sealed"]:
        click.echo(f"digest {summary['digest']}")
    else:
        done = summary["planned_shards"] - summary["missing_shards"]
        click.echo(f"filled {done} of {summary['planned_shards']} shards; rerun to resume")
    click.echo(f"{summary['datasets']:,} datasets, {_bytes(summary['values_bytes'])} of values")
    for name, split in summary["splits"].items():
        _print_split(name, split)
    click.echo("")
    click.echo(f"{'component':<40}{'datasets':>10}{'median MI':>12}{'max MI':>10}  nats")
    for row in summary["components"]:
        click.echo(
            f"{row['component']:<40}{row['datasets']:>10,}{row['mi_median_nats']:>12.3f}"
            f"{row['mi_max_nats']:>10.2f}"
        )


def _print_split(name: str, split: dict[str, Any]) -> None:
    ranges = ", ".join(
        f"{key} {split[key][0]}..{split[key][1]}" for key in ("n", "dim_x", "dim_y")
    )
    mi = split["mi_nats"]
    click.echo(
        f"{name}: {split['datasets']:,} datasets of {split['distributions']:,} distributions in"
        f" {split['shards']:,} shards; {ranges};"
        f" MI median {mi['0.5']:.2f}, 5-95 % {mi['0.05']:.3f}..{mi['0.95']:.2f},"
        f" max {mi['1']:.2f} nats"
    )


@cli.command()
@click.argument("store", type=_STORE)
@_json_option
def verify(store: Path, as_json: bool) -> None:
    """Read every byte of a STORE and hold it against plan, receipts, manifest.

    Example: mistdata verify /tmp/quickstart
    """
    from mistdata.verify import verify as verify_store

    with _progress("datasets") as bar:
        report = verify_store(
            store,
            threads=len(os.sched_getaffinity(0)),
            on_start=lambda total: bar.start(0, total),
            on_checked=bar.advance,
        )
    checked = ", ".join(f"{count:,} {what}" for what, count in report.checked.items())
    document = {
        "store": report.store,
        "sealed": report.sealed,
        "ok": report.ok,
        "missing_shards": report.missing,
        "checked": dict(report.checked),
        "problems": [
            {"path": p.path, "message": p.message, "datasets": list(p.datasets)}
            for p in report.problems
        ],
    }
    problems = "\n".join(f"  {problem}" for problem in report.problems)
    verdict = f"{len(report.problems)} problems\n{problems}"
    if report.ok:
        verdict = "intact" if report.sealed else "intact so far, not sealed"
    _report(document, as_json, f"{store}: {verdict}\nchecked {checked}")
    if not report.ok:
        raise VerificationFailed(
            f"{store}: {len(report.problems)} problems found; delete the shards named and"
            " `mistdata generate` makes them again"
        )
    if report.missing:
        raise Incomplete(f"{store}: {report.missing} shards missing; rerun to resume")
    if not report.sealed:
        raise Incomplete(f"{store}: not sealed yet; run `mistdata seal`")


class _Bar:
    """A progress bar on standard error that only a person sees."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: Any = None

    def start(self, done: int, total: int) -> None:
        """Show the bar; `done` of `total` were there before."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=total, initial=done, unit=f" {self._unit}", disable=None, smoothing=0.05
        )

    def advance(self, count: int) -> None:
        """Move the bar forward."""
        self._bar.update(count)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


@contextmanager
def _progress(unit: str) -> Iterator[_Bar]:
    bar = _Bar(unit)
    try:
        yield bar
    finally:
        bar.close()


def _report(document: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        _print_json(document)
    else:
        click.echo(text)


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2))


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.4g} {unit}"
        count /= 1000
    return f"{count:,.4g} GB"
