"""What a result says: figures by stratum, as a document for machines and as text."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.benchmark.results import Result, read_result
from mistdata.benchmark.scores import INTERVALS, POINT, REPLICATES, join, score
from mistdata.benchmark.strata import strata
from mistdata.benchmark.tables import figures_table, listed
from mistdata.distributions.priors import Array
from mistdata.store.dataset import open_store

_REASONS = 5


def summarise(out: Path, store: Path, ids: Array | None = None) -> dict[str, Any]:
    """Judge a result.

    Args:
        out: the result.
        store: folder of its store.
        ids: only these datasets.

    Returns:
        What it is a result of; the datasets and failures; the reasons of failures with their
        counts; `strata`, a list of {by, name, datasets, failures, and the figures of `METRICS`}.

    Raises:
        MistdataError: there is no such result, or it is one of another store.
    """
    result, opened = read_result(out), open_store(store)
    rows = join(result, opened, ids)
    entries = [
        {"by": each.by, "name": each.name, **score(rows.take(each.rows))} for each in strata(rows)
    ]
    return {
        **about(out, result),
        "store": result.header.store,
        "digest": result.header.identity.digest,
        "datasets": len(rows),
        "failures": int(rows["failed"].sum()),
        "reasons": _reasons(result, rows["dataset_id"]),
        "seconds": float(np.sum(rows["seconds"])),
        "strata": entries,
    }


def about(out: Path, result: Result) -> dict[str, Any]:
    """Say which estimator a result is of."""
    header, identity = result.header, result.header.identity
    return {
        "name": header.name,
        "estimator": identity.estimator,
        "version": identity.version,
        "options": identity.options,
        "bootstrap": identity.bootstrap,
        "result": str(out),
    }


def summary_text(document: dict[str, Any], markdown: bool = False) -> str:
    """Write what `summarise` found for people."""
    entries = listed(document["strata"])
    parts = [_heading(document), figures_table(entries, (*POINT, "seconds"), markdown)]
    if any(entry["cover_90"] is not None for entry in entries):
        parts.append(figures_table(entries, INTERVALS, markdown))
    with_replicates = [entry for entry in entries if entry["variance"] is not None]
    if with_replicates:
        parts.append(figures_table(with_replicates, REPLICATES, markdown))
    return "\n\n".join(parts)


def _heading(document: dict[str, Any]) -> str:
    failures, datasets = document["failures"], document["datasets"]
    lines = [
        f"{document['name']} ({document['version']}) on {datasets:,} datasets of"
        f" {document['store']}; errors and MI in nats, {document['result']}"
    ]
    if failures:
        lines.append(
            f"{failures:,} of {datasets:,} datasets failed; all figures are over the other"
            f" {datasets - failures:,}"
        )
        lines += [f"  {count:,} × {reason}" for reason, count in document["reasons"].items()]
    else:
        lines.append("no dataset failed")
    return "\n".join(lines)


def _reasons(result: Result, ids: Array) -> dict[str, int]:
    """Count the commonest failures; numbers within a message do not tell them apart."""
    chosen = np.isin(result.columns["dataset_id"], ids)
    messages = [result.columns["failure"][each] for each in np.flatnonzero(chosen)]
    counts = Counter(
        re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", each) for each in messages if each is not None
    )
    return dict(counts.most_common(_REASONS))
