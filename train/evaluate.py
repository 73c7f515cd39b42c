"""The evaluation of the shipped estimators, as a list of benchmark runs.

`python -m train.evaluate --stores FOLDER --out FOLDER` runs what is not there yet, each like
`mistdata benchmark`, and compares. Stores are looked for under the names of their recipes. The
comparisons are kept as JSON in `docs/results/`, and the page `docs/results.md` is written from
them by `train.results`. What rivals answered is kept in `docs/results/answers/`, so that no one
computes it twice; it is used where store and estimator are the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from mistdata.benchmark import Selection, Spec, benchmark, compare
from mistdata.cli.console import Choice
from mistdata.errors import MistdataError, OtherResult
from mistdata.estimator.checkpoint import write_atomically
from mistdata.pipeline.executors import InProcess, LocalWorkers

BESIDE = ("store", "checkpoint")  # options that name a folder beside the stores
DOCS = Path(__file__).parent.parent / "docs" / "results"
ANSWERS = "answers"  # folder in DOCS


@dataclass(frozen=True)
class Run:
    """One estimator on a selection of a store.

    Attributes:
        estimator: a built-in name or module:function.
        options: of the estimator.
        bootstrap: resamples whose estimates are averaged; 0 for the sample itself.
        label: what tables call it, unless as the estimator.
    """

    estimator: str
    options: dict[str, Any] = field(default_factory=dict)
    bootstrap: int = 0
    label: str = ""

    @property
    def name(self) -> str:
        """What tables call it."""
        word = self.label or self.estimator
        return f"{word} × {self.bootstrap}" if self.bootstrap else word

    @property
    def lasting(self) -> bool:
        """Whether it answers alike tomorrow: neither weights nor a training store decide."""
        return self.estimator not in ("small", "base", "network-bootstrap", "mean") and not any(
            option in self.options for option in BESIDE
        )


@dataclass(frozen=True)
class Table:
    """A comparison of estimators on the same datasets.

    Attributes:
        store: name of the recipe.
        runs: the estimators.
        where: SQL over the catalog.
        limit: first datasets of each split.
    """

    store: str
    runs: tuple[Run, ...]
    where: str | None = None
    limit: int | None = None

    @property
    def cut(self) -> str:
        """The selection in file names: tables that select alike share their results."""
        parts = [str(part) for part in (self.limit, self.where) if part is not None]
        return "".join("-" + re.sub(r"\W+", "-", part) for part in parts)


def plain(*names: str) -> tuple[Run, ...]:
    """Runs of estimators without options."""
    return tuple(Run(name) for name in names)


OURS = plain("small", "base")
KSG = plain("ksg-3", "ksg-5", "ksg-10")
CLASSICAL = (*plain("cca", "gaussian-copula"), *KSG, Run("oracle"))
# Fitted to the same batches of mist-train, as train/README.md says.
PUBLISHED = tuple(
    Run("train.networks:Fitted", {"checkpoint": name}, label=name)
    for name in ("reference", "small-alike")
)
NEURAL = tuple(Run(f"benchmarks.rivals:{name}", label=name) for name in ("mine", "infonce", "nwj"))

TABLES = {
    "mist-test": Table(
        "mist-test",
        (*OURS, Run("mean", {"store": "mist-train"}), *plain("ksg-3", "oracle")),
    ),
    "mist-test-classical": Table("mist-test", (*OURS, *CLASSICAL)),
    "mist-test-published": Table("mist-test", PUBLISHED),
    "mist-test-bootstrap": Table(
        "mist-test",
        (Run("small", bootstrap=50), Run("gaussian-copula", bootstrap=50),
         Run("ksg-3", bootstrap=50)),
        where="dataset_id % 4 = 0",
    ),
    "mist-test-neural": Table("mist-test", (*OURS, *NEURAL), where="n >= 64", limit=25),
    "bmi-40": Table("bmi-40", (*OURS, *CLASSICAL), where="replicate < 3"),
    "bmi-40-neural": Table("bmi-40", (*OURS, *NEURAL), where="replicate < 1 and n = 1000"),
    "mistdata-test": Table("mistdata-test", (*OURS, *plain("ksg-3", "oracle")), limit=1000),
    "mistdata-test-classical": Table(
        "mistdata-test", (*OURS, *plain("cca", "gaussian-copula", "ksg-3", "oracle")), limit=1000
    ),
    "intervals": Table(
        "mistdata-test",
        (*OURS, Run("ksg-bootstrap", {"resamples": 50}), Run("network-bootstrap")),
        where="n <= 1000", limit=100,
    ),
}  # fmt: skip


def spec_of(run: Run, stores: Path) -> Spec:
    """The estimator of a run; stores and fits that it names are looked for beside the stores."""
    beside = {key: str(stores / run.options[key]) for key in BESIDE if key in run.options}
    return Spec(run.estimator, run.options | beside)


def results_of(
    name: str, table: Table, stores: Path, out: Path, executor: Any, skip: Sequence[str] = ()
) -> list[Path]:
    """Do every run of a table that is not done.

    Args:
        name: of the table.
        table: its runs.
        stores: folder of the stores.
        out: folder of the results.
        executor: who computes.
        skip: names of runs to leave out.

    Returns:
        One result file per run.
    """
    paths = []
    for run in table.runs:
        if run.name in skip:
            continue
        word = run.name.replace(" × ", "-x")
        path = out / f"{table.store}-{word}{table.cut}.parquet"
        print(f"{name}: {run.name}", flush=True)
        answers = DOCS / ANSWERS / path.name if run.lasting else None
        do(run, table, stores, path, executor, answers)
        paths.append(path)
    return paths


def do(
    run: Run, table: Table, stores: Path, path: Path, executor: Any, answers: Path | None
) -> None:
    """Do a run, beginning with the answers that are kept, if they are its own.

    Args:
        run: of an estimator.
        table: which datasets of which store.
        stores: folder of the stores.
        path: of the result.
        executor: who computes.
        answers: where they are kept; None for a run whose answers are not.
    """

    def ask() -> None:
        benchmark(
            spec_of(run, stores), stores / table.store, path, executor,
            selection=Selection(where=table.where, limit=table.limit),
            bootstrap=run.bootstrap, name=run.name,
        )  # fmt: skip

    recalled = False
    if answers is not None and answers.exists() and not path.exists():
        shutil.copyfile(answers, path)
        recalled = True
    try:
        ask()
    except OtherResult:
        if not recalled:
            raise
        path.unlink()
        ask()
    if answers is not None:
        answers.parent.mkdir(exist_ok=True)
        write_atomically(answers, path.read_bytes())


def compact(value: Any) -> Any:
    """Five digits of every number, and no figure that is not defined."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: compact(each) for key, each in value.items() if each is not None}
    return [compact(each) for each in value] if isinstance(value, list) else value


def keep(document: dict[str, Any], name: str) -> None:
    """Write a comparison to docs/results, without the folders of this machine."""
    for each in document["estimators"]:
        each["options"] = {
            k: Path(v).name if k in BESIDE else v for k, v in each["options"].items()
        }
        each["result"], each["estimator"] = (
            Path(each[key]).name for key in ("result", "estimator")
        )
    text = json.dumps(compact(document), separators=(",", ":")) + "\n"
    write_atomically(DOCS / f"{name}.json", text.encode())


@click.command()
@click.option("--stores", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Of the results.")
@click.option("--only", multiple=True, type=Choice(sorted(TABLES)), help="These tables.")
@click.option("--skip", multiple=True, help="Leave out this estimator.")
@click.option("--workers", type=click.IntRange(1), help="Processes [all cores].")
def main(
    stores: Path, out: Path, only: tuple[str, ...], skip: tuple[str, ...], workers: int | None
) -> None:
    """Run the list of benchmarks and keep the comparisons in docs/results."""
    count = workers or os.cpu_count() or 1
    executor = InProcess() if count == 1 else LocalWorkers(count)
    out.mkdir(parents=True, exist_ok=True)
    DOCS.mkdir(exist_ok=True)
    try:
        for name in only or TABLES:
            table = TABLES[name]
            paths = results_of(name, table, stores, out, executor, skip)
            keep(compare(stores / table.store, paths), name)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.evaluate: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None


if __name__ == "__main__":
    main()
