"""Several results side by side, on the same datasets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.benchmark.pit import pit_histogram
from mistdata.benchmark.report import about
from mistdata.benchmark.results import Result, read_result
from mistdata.benchmark.scores import METRICS, Joined, join, score
from mistdata.benchmark.strata import strata
from mistdata.benchmark.tables import listed, shown, table
from mistdata.errors import MistdataError, did_you_mean
from mistdata.store.dataset import open_store

SHOWN = ("mse", "bias", "mae", "crps", "cover_90")


def compare(store: Path, results: Sequence[Path]) -> dict[str, Any]:
    """Judge several results over the datasets that every one of them answered.

    Args:
        store: folder of the store they are results of.
        results: at least one.

    Returns:
        `estimators`: of each what it is and how many of the common datasets it failed;
        `common`: datasets that all results hold, and `datasets`: that all answered;
        `strata`: a list of {by, name, datasets, scores: {name: figures of `METRICS`}}; of all and
        of each split also `pit: {name: shares of `pit_histogram`, None without quantiles}`.

    Raises:
        MistdataError: a file is not a result, one is of another store, or they have no dataset in
            common that all answered.
    """
    opened = open_store(store)
    read = [read_result(path) for path in results]
    names = _names(results, read)
    joined = [join(result, opened) for result in read]
    common = reduce(np.intersect1d, [each["dataset_id"] for each in joined])
    joined = [each.take(np.isin(each["dataset_id"], common)) for each in joined]
    failed = np.array([each["failed"] for each in joined])
    answered = np.asarray(~failed.any(axis=0))
    if not answered.any():
        raise MistdataError(
            f"{len(common)} datasets are in all {len(read)} results, none answered by every"
            " estimator"
        )
    both = [each.take(answered) for each in joined]
    return {
        "store": read[0].header.store,
        "digest": opened.digest,
        "common": len(common),
        "datasets": int(answered.sum()),
        "estimators": [
            about(path, result) | {"name": name, "failures": int(each.sum())}
            for path, result, name, each in zip(results, read, names, failed, strict=True)
        ],
        "strata": _scored(names, both),
    }


def comparison_text(
    document: dict[str, Any], metrics: Sequence[str] | None = None, markdown: bool = False
) -> str:
    """Write a comparison for people: one table per figure, a row per stratum.

    Args:
        document: what `compare` returned.
        metrics: keys of `METRICS`; by default the usual ones that any estimator has.
        markdown: whether as Markdown.

    Raises:
        MistdataError: there is no such metric.
    """
    for name in metrics or ():
        if name not in METRICS:
            raise MistdataError(
                f"no metric {name!r}{did_you_mean(name, METRICS)}; there are {', '.join(METRICS)}"
            )
    chosen = metrics or [name for name in SHOWN if _anywhere(document, name)]
    parts = [_heading(document)]
    parts += [f"{_title(name, markdown)}\n{_table(document, name, markdown)}" for name in chosen]
    return "\n\n".join(parts)


def _names(paths: Sequence[Path], results: Sequence[Result]) -> list[str]:
    """Name the columns; results of one name are told apart by their files."""
    names = [result.header.name for result in results]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{name} ({path.stem})" if name in twice else name
        for name, path in zip(names, paths, strict=True)
    ]


def _scored(names: Sequence[str], joined: Sequence[Joined]) -> list[dict[str, Any]]:
    entries = []
    for each in strata(joined[0]):
        scores = {
            name: score(rows.take(each.rows)) for name, rows in zip(names, joined, strict=True)
        }
        entry = {"by": each.by, "name": each.name, "datasets": len(each.rows), "scores": scores}
        if each.by in ("all", "split"):
            entry["pit"] = {
                name: pit_histogram(rows["pit_low"][each.rows], rows["pit_high"][each.rows])
                for name, rows in zip(names, joined, strict=True)
            }
        entries.append(entry)
    return entries


def _anywhere(document: dict[str, Any], metric: str) -> bool:
    return any(
        scores[metric] is not None
        for entry in document["strata"]
        for scores in entry["scores"].values()
    )


def _heading(document: dict[str, Any]) -> str:
    lines = [
        f"{document['store']}: {document['datasets']:,} datasets that every estimator answered, of"
        f" {document['common']:,} that all results hold; MI in nats"
    ]
    lines += [
        f"  {each['name']} ({each['version']}): {each['failures']:,} failed"
        for each in document["estimators"]
        if each["failures"]
    ]
    return "\n".join(lines)


def _title(name: str, markdown: bool) -> str:
    metric = METRICS[name]
    return (
        f"**{metric.heading}**: {metric.formula}\n"
        if markdown
        else (f"{metric.heading}: {metric.formula}")
    )


def _table(document: dict[str, Any], metric: str, markdown: bool) -> str:
    names = [each["name"] for each in document["estimators"]]
    groups = [
        [
            [
                entry["name"],
                f"{entry['datasets']:,}",
                *(shown(metric, entry["scores"][name][metric]) for name in names),
            ]
            for entry in group
        ]
        for _, group in groupby(listed(document["strata"]), key=lambda entry: entry["by"])
    ]
    return table(["", "datasets", *names], groups, markdown)
