"""Commands that estimate: estimate, matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mistdata.cli.console import (
    Choice,
    OutputFile,
    command,
    json_option,
    offering,
    progress,
    quiet_option,
    report,
)
from mistdata.errors import MistdataError

if TYPE_CHECKING:
    from mistdata.estimator import Estimator
    from mistdata.estimator.matrix import Matrix, Pair

SHIPPED = ("small", "base")  # a test holds it against the weights; to list them takes torch
_SHOWN = 20
_Function = Callable[..., Any]


def _common(function: _Function) -> _Function:
    """Add what both commands share."""
    for option in (
        json_option,
        click.option(
            "--model",
            default="small",
            show_default=True,
            shell_complete=offering(lambda: SHIPPED, files=True),
            help=f"The network: {', '.join(SHIPPED)}, or the path of its weights.",
        ),
        click.option(
            "--units",
            type=Choice(["nats", "bits"]),
            default="nats",
            show_default=True,
            help="Unit of the answer.",
        ),
        click.option(
            "--level",
            type=float,
            default=0.9,
            show_default=True,
            help="Probability of the interval, between 0 and 1.",
        ),
        click.option(
            "--categories",
            metavar="COLS",
            help="Columns of numbers that stand for categories without an order.",
        ),
        click.argument("file", type=click.Path(path_type=Path)),
    ):
        function = option(function)
    return function


@command()
@click.option("--x", metavar="COLS", help="Columns of X: names, or 0-3,7 of an array.")
@click.option("--y", metavar="COLS", help="Columns of Y.")
@_common
def estimate(
    file: Path,
    x: str | None,
    y: str | None,
    categories: str | None,
    level: float,
    units: Any,
    model: str,
    as_json: bool,
) -> None:
    """Estimate the mutual information of columns of FILE: CSV, TSV, Parquet, .npy or .npz.

    Example: mistdata estimate data.csv --x age,weight --y dose
    """
    from dataclasses import asdict

    from mistdata.tables import listing, read_table, select

    columns = read_table(file)
    names = list(columns)
    if x is None or y is None:
        raise click.UsageError(f"--x and --y must name columns of {file}: {listing(names)}")
    chosen_x = select(names, x, path=file, option="--x")
    chosen_y = select(names, y, path=file, option="--y")
    shared = next((name for name in chosen_x if name in chosen_y), None)
    if shared is not None:
        raise click.UsageError(f"--x and --y must not share columns, found {shared!r} in both")
    marked = _categories(names, categories, file)
    estimator = _opened(model, level)
    from mistdata.estimator.columns import read_each
    from mistdata.estimator.sample import join

    with _blame(file):
        x_columns, y_columns = (
            read_each({name: columns[name] for name in chosen}, side, categories=marked)
            for side, chosen in (("x", chosen_x), ("y", chosen_y))
        )
        sample = join(x_columns, y_columns)
        (found,) = estimator.answers([sample], level=level, units=units, second=True)
    document = {"file": str(file), "x": chosen_x, "y": chosen_y, **asdict(found)}
    report(document, as_json, f"I({listing(chosen_x)}; {listing(chosen_y)}) = {found}")


@command()
@click.option("--target", metavar="COL", help="Hold every column against this one.")
@click.option("--without", metavar="COLS", help="Columns to leave out.")
@click.option(
    "--group",
    "groups",
    metavar="NAME=COLS",
    multiple=True,
    help="Take columns together as one variable, as body=age,weight; repeat for more. The others"
    " are left out.",
)
@click.option("--png", type=OutputFile(".png"), help="Draw it here.")
@click.option("--csv", type=OutputFile(), help="Write every pair here.")
@quiet_option
@_common
def matrix(
    file: Path,
    target: str | None,
    groups: tuple[str, ...],
    without: str | None,
    png: Path | None,
    csv: Path | None,
    categories: str | None,
    level: float,
    units: Any,
    model: str,
    as_json: bool,
) -> None:
    """Estimate the mutual information of every pair of columns of FILE, or of all with a target.

    Only 128 rows of a pair are compared with all, where `mistdata estimate` compares up to 1,024:
    beyond 128 rows the two differ a little (docs/estimating.md says by how much).

    Example: mistdata matrix data.csv --target dose --png matrix.png
    """
    from mistdata.tables import read_table, select, write_csv

    columns = read_table(file)
    grouped = _groups(groups, list(columns), file)
    if target is not None and target not in (grouped or ()):
        target = _one(select(list(columns), target, path=file, option="--target"))
    if without is not None:
        for name in select(list(columns), without, path=file, option="--without"):
            del columns[name]
    marked = _categories(list(columns), categories, file)
    estimator = _opened(model, level)
    from mistdata.estimator.matrix import matrix as ask

    with _blame(file), progress("pairs") as bar:
        found = ask(
            columns,
            target=target,
            groups=grouped,
            categories=marked,
            level=level,
            units=units,
            model=estimator,
            on_start=lambda total: bar.start(0, total),
            on_done=bar.advance,
        )
    if all(pair.estimate is None for pair in found.pairs):
        raise MistdataError(f"{file}: no pair has an answer: {'; '.join(found.warnings)}")
    if csv is not None:
        write_csv(csv, found.records())
    if png is not None:
        found.heatmap(png)
    report(_document(file, found), as_json, _text(file, found))


def _opened(model: str, level: float) -> Estimator:
    """Open the model before anything is computed, and see that it can give the interval."""
    from mistdata.estimator.estimate import open_model
    from mistdata.estimator.result import check_level

    try:
        estimator = open_model(model)
        check_level(level, estimator.network.config.levels)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return estimator


def _one(names: list[str]) -> str:
    if len(names) != 1:
        raise click.UsageError(f"--target must name one column, got {', '.join(names)}")
    return names[0]


def _groups(texts: tuple[str, ...], names: list[str], file: Path) -> dict[str, list[str]] | None:
    """Read NAME=COLS of every group; None without groups."""
    from mistdata.tables import select

    groups: dict[str, list[str]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        if not (name and equals) or name in groups:
            raise click.UsageError(f"--group must be NAME=COLS, each name once, got {text!r}")
        groups[name] = select(names, listed, path=file, option="--group")
    return groups or None


def _categories(names: list[str], text: str | None, file: Path) -> list[str]:
    """Find the columns whose numbers stand for categories."""
    from mistdata.tables import select

    return [] if text is None else select(names, text, path=file, option="--categories")


@contextmanager
def _blame(file: Path) -> Iterator[None]:
    """Say of which file a refusal speaks."""
    try:
        yield
    except ValueError as error:
        raise MistdataError(f"{file}: {error}") from error


def _document(file: Path, found: Matrix) -> dict[str, Any]:
    return {
        "file": str(file),
        "target": found.target,
        "names": list(found.names),
        "level": found.level,
        "units": found.units,
        "pairs": found.records(),
        "warnings": list(found.warnings),
    }


def _text(file: Path, found: Matrix) -> str:
    from mistdata.estimator.matrix import QUERIES
    from mistdata.estimator.network import QUERIES as MOST

    pairs = found.ranked()
    wide = max(len(_called(pair, found.target)) for pair in pairs[:_SHOWN])
    against = f" about {found.target}" if found.target is not None else ""
    lines = [
        f"{file}: information{against} in {found.units}, with {100 * found.level:g} % intervals",
        *(_line(pair, found.target, wide) for pair in pairs[:_SHOWN]),
    ]
    hidden = len(pairs) - _SHOWN
    if hidden > 0:
        lines.append(f"and {hidden:,} more pairs, all weaker (--csv writes them)")
    if any(pair.estimate is not None and pair.estimate.n > QUERIES for pair in pairs):
        lines.append(
            f"{QUERIES} rows of a pair are compared with all; `mistdata estimate` compares up to"
            f" {MOST:,}, and may differ a little"
        )
    return "\n".join([*lines, *(f"warning: {sentence}" for sentence in found.warnings)])


def _line(pair: Pair, target: str | None, wide: int) -> str:
    one = pair.estimate
    called = f"{_called(pair, target):<{wide}}"
    if one is None:
        return f"{called}       -  {pair.reason}"
    return f"{called}{one.median:>8.3f}  {one.lower:.3f} to {one.upper:.3f}  ({one.n} rows)"


def _called(pair: Pair, target: str | None) -> str:
    return pair.x if target is not None else f"{pair.x} - {pair.y}"
