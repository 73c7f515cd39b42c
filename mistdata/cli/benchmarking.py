"""Commands that judge estimators: benchmark, compare."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mistdata.cli.computing import Computing, computing_options
from mistdata.cli.console import (
    command,
    json_option,
    offering,
    progress,
    quiet_option,
    report,
    store_path,
    where_option,
)

if TYPE_CHECKING:
    from mistdata.benchmark import Spec

_result_path = click.Path(path_type=Path, dir_okay=False)
_markdown_option = click.option("--markdown", is_flag=True, help="Print Markdown tables.")


def _estimators() -> Iterable[str]:
    from mistdata.baselines import BASELINES

    return BASELINES


def _metrics() -> Iterable[str]:
    from mistdata.benchmark.scores import METRICS

    return METRICS


def _names(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


@command()
@click.argument("estimator", shell_complete=offering(_estimators, files=True))
@click.argument("store", type=store_path)
@click.argument("out", type=_result_path, required=False, metavar="[OUT.parquet]")
@click.option(
    "--options",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the estimator, as k=3. Repeat for more.",
)
@click.option("--name", help="What tables call the estimator.  [default: ESTIMATOR and options]")
@click.option(
    "--splits",
    callback=_names,
    metavar="A,B",
    help="Only these splits.  [default: all but train and validation]",
)
@where_option()
@click.option("--limit", type=click.IntRange(min=1), help="The first N datasets of each split.")
@click.option(
    "--bootstrap",
    type=click.IntRange(min=2),
    metavar="R",
    help="Average the estimates of R bootstrap resamples of the rows.",
)
@computing_options
@_markdown_option
@quiet_option
@json_option
def benchmark(
    estimator: str,
    store: Path,
    out: Path | None,
    options: tuple[str, ...],
    name: str | None,
    splits: tuple[str, ...],
    where: str | None,
    limit: int | None,
    bootstrap: int | None,
    markdown: bool,
    as_json: bool,
    computing: Computing,
) -> None:
    """Run an ESTIMATOR over the test splits of a STORE; print errors, in nats, by stratum.

    ESTIMATOR is built in (mean, cca, gaussian-copula, ksg, ksg-3, ksg-5, ksg-10, ksg-bootstrap,
    small, base, network-bootstrap, oracle), module:object with a function estimate(x, y), or
    the path of a checkpoint. One row per dataset is kept in OUT.parquet; the same command again
    resumes, and with a larger selection goes on.

    Example: mistdata benchmark ksg STORE ksg.parquet --options k=5 --splits train --limit 100
    """
    from mistdata.benchmark import Selection, Spec, summarise, summary_text
    from mistdata.benchmark import benchmark as run
    from mistdata.benchmark.run import parse_options

    _require_one_form(markdown, as_json)
    executor = computing.executor()
    spec = Spec(estimator, parse_options(options))
    out = out or _default_out(store, spec, bootstrap or 0)
    with progress("datasets") as bar:
        ids = run(
            spec,
            store,
            out,
            executor,
            selection=Selection(splits, where, limit),
            bootstrap=bootstrap or 0,
            name=name,
            on_start=bar.start,
            on_done=bar.advance,
        )
    document = summarise(out, store, ids)
    report(document, as_json, summary_text(document, markdown))


@command()
@click.argument("store", type=store_path)
@click.argument("results", type=_result_path, nargs=-1, required=True, metavar="RESULT...")
@click.option(
    "--metric",
    multiple=True,
    metavar="NAME",
    shell_complete=offering(_metrics),
    help="A figure to show, as mse, mae, crps or cover_90 (docs/benchmark.md lists them). Repeat"
    " for more.",
)
@_markdown_option
@json_option
def compare(
    store: Path, results: tuple[Path, ...], metric: tuple[str, ...], markdown: bool, as_json: bool
) -> None:
    """Show results of `mistdata benchmark` side by side, on the same datasets of a STORE.

    Example: mistdata compare STORE ksg.parquet cca.parquet --metric mae
    """
    from mistdata.benchmark import compare as compare_results
    from mistdata.benchmark import comparison_text

    _require_one_form(markdown, as_json)
    document = compare_results(store, results)
    report(document, as_json, comparison_text(document, metric, markdown))


def _require_one_form(markdown: bool, as_json: bool) -> None:
    if markdown and as_json:
        raise click.UsageError("choose one of --markdown and --json")


def _default_out(store: Path, spec: Spec, bootstrap: int) -> Path:
    from mistdata.benchmark.run import default_name

    words = re.sub(r"[^\w.]+", "-", default_name(spec, bootstrap)).strip("-")
    return Path(f"{store.resolve().name}-{words}.parquet")
