"""A benchmark from end to end: choose datasets, estimate what is not estimated yet, merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import mistdata
from mistdata.benchmark.estimators import Spec, build
from mistdata.benchmark.results import Header, Identity, done, merge, parts_folder
from mistdata.benchmark.work import blocks, work
from mistdata.distributions.priors import Array
from mistdata.errors import Incomplete, MistdataError, did_you_mean
from mistdata.pipeline.executors import Executor
from mistdata.store.dataset import MetaDataset, open_store

BLOCK = 16  # datasets of one Dask task
_NOT_FOR_TESTS = {"train", "validation"}


@dataclass(frozen=True)
class Selection:
    """Which datasets of a store.

    Attributes:
        splits: their names; none for every split but `train` and `validation`.
        where: a SQL condition over the catalog's columns.
        limit: the first so many of each split.
    """

    splits: tuple[str, ...] = ()
    where: str | None = None
    limit: int | None = None


def select(store: MetaDataset, selection: Selection) -> Array:
    """Return the dataset_id of every dataset chosen, in order.

    Raises:
        MistdataError: there is no such split, the condition is not SQL, or nothing is chosen.
    """
    split = store.column("split")
    splits = _splits(list(dict.fromkeys(split)), selection.splits)
    chosen = np.isin(split, splits)
    ids = store.column("dataset_id")
    if selection.where is not None:
        chosen &= np.isin(ids, store.some_where(selection.where).column("dataset_id"))
    if selection.limit is not None:
        for name in np.unique(split):
            chosen[np.flatnonzero(chosen & (split == name))[selection.limit :]] = False
    if not chosen.any():
        raise MistdataError(
            f"{store.path}: no dataset of {', '.join(splits)} meets {selection.where!r}"
        )
    return np.asarray(ids[chosen])


def benchmark(
    spec: Spec,
    store: Path,
    out: Path,
    executor: Executor,
    *,
    selection: Selection | None = None,
    bootstrap: int = 0,
    name: str | None = None,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_done: Callable[[int], None] = lambda datasets: None,
) -> Array:
    """Estimate every chosen dataset that the result does not hold yet.

    Args:
        spec: the estimator.
        store: folder of a sealed store.
        out: the result, a Parquet file; one that exists is gone on with.
        executor: who computes.
        selection: which datasets; the test splits unless given.
        bootstrap: average the estimates of so many bootstrap resamples of the rows; 0 for one
            estimate of the rows as they are.
        name: what tables call the estimator.
        on_start: called with (datasets in the result, datasets in all).
        on_done: called with the number of datasets made durable since.

    Returns:
        The dataset_id of every dataset chosen; `out` holds a row of each.

    Raises:
        NotAStore: there is no sealed store.
        OtherResult: the result belongs to another store or estimator.
        Incomplete: running again resumes.
        MistdataError: no such estimator or split, or the estimator cannot work.
    """
    opened = open_store(store)
    chosen = select(opened, selection or Selection())
    spec = _portable(spec)
    header = _header(spec, opened, bootstrap, name)
    done(out, header.identity)  # refuse another's before anything is touched
    with parts_folder(out) as parts:
        left = np.setdiff1d(chosen, done(out, header.identity))
        on_start(len(chosen) - len(left), len(chosen))
        if len(left):
            positions = np.searchsorted(opened.column("dataset_id"), left).tolist()
            todo = blocks(store.resolve(), spec, header, positions, BLOCK)
            executor.run(parts, work, todo, on_done)
        merge(out, header)
    missing = np.setdiff1d(chosen, done(out, header.identity))
    if len(missing):
        raise Incomplete(f"{out}: {len(missing)} datasets missing; run the same command again")
    return chosen


def default_name(spec: Spec, bootstrap: int = 0) -> str:
    """Name an estimator with its options, as `ksg k=5`."""
    options = [f"{key}={value}" for key, value in spec.options.items()]
    return " ".join([spec.name, *options, *([f"bootstrap {bootstrap}"] if bootstrap else [])])


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Read options written as `k=3`: a number, true, false, or else text.

    Raises:
        MistdataError: one is not of that form.
    """
    options: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise MistdataError(f"an option is written NAME=VALUE, got {text!r}")
        options[key] = _value(value)
    return options


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def _splits(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    for name in wanted:
        if name not in names:
            hint = did_you_mean(name, names)
            raise MistdataError(f"no split {name!r}; the store has {', '.join(names)}{hint}")
    chosen = list(wanted) or [name for name in names if name not in _NOT_FOR_TESTS]
    if not chosen:
        raise MistdataError(f"the store has no test split; choose of {', '.join(names)}: --splits")
    return chosen


def _portable(spec: Spec) -> Spec:
    """Have a path and the modules found from any folder."""
    path = spec.path or str(Path.cwd())
    if spec.is_path:
        return replace(spec, estimator=str(Path(str(spec.estimator)).resolve()), path=path)
    return replace(spec, path=path)


def _header(spec: Spec, store: MetaDataset, bootstrap: int, name: str | None) -> Header:
    assert store.manifest is not None
    options: Mapping[str, Any] = spec.options
    identity = Identity(store.digest, spec.name, build(spec).version, dict(options), bootstrap)
    title = f"{store.manifest.name} version {store.manifest.version}"
    called = name or default_name(spec, bootstrap)
    return Header(identity, called, title, mistdata.__version__)
