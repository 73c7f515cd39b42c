"""Counts by bin: of MI, rows and columns, for every split, family and map of a store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.store import catalog
from mistdata.store.dataset import MetaDataset

MOST = 30  # bins of whole numbers that are equal
LEAST_MI = 0.01  # nats; all below share a bin
_GROUPED = ("split", "family", "transform_x", "transform_y")
_TENTHS = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8)  # of a decade, as in ISO 3


def counts(dataset: MetaDataset) -> dict[str, Any]:
    """Count datasets by bin.

    Returns:
        groups: the splits, families and maps that occur together.
        edges: of MI, n, dim_x and dim_y; bin k holds edges[k] <= value < edges[k + 1].
        counts: likewise, one row per group.
    """
    columns = {name: dataset.column(name) for name in ("mi", "n", "dim_x", "dim_y")}
    edges = {
        name: (mi_edges if name == "mi" else whole_edges)(values)
        for name, values in columns.items()
    }
    groups, group = _groups(dataset)
    tables = {}
    for name, limits in edges.items():
        which = np.searchsorted(limits, columns[name], side="right") - 1
        tables[name] = np.zeros((len(groups), len(limits) - 1), np.int64)
        np.add.at(tables[name], (group, which), 1)
    return {
        "groups": groups,
        "edges": {name: limits.tolist() for name, limits in edges.items()},
        "counts": {name: table.tolist() for name, table in tables.items()},
    }


def whole_edges(values: Array) -> Array:
    """Edges of bins of whole numbers: equal, or over decades about ten to a decade."""
    low, high = int(values.min()), int(values.max())
    if high > 20 * low:
        return _spanning(sorted({int(step + 0.5) for step in _steps(low, high)}), low, high)
    step = -(-(high - low + 1) // MOST)
    return np.arange(low, high + step + 1, step)


def mi_edges(mi: Array) -> Array:
    """Edges of bins of MI: round numbers, ten to a decade; one bin for all below 0.01 nats."""
    low, high = (max(float(each), LEAST_MI) for each in (mi.min(), mi.max()))
    edges = _spanning(_steps(low, high), low, high)
    return np.array([min(0.0, mi.min()), *edges]) if mi.min() < LEAST_MI else edges


def _steps(low: float, high: float) -> list[float]:
    """Round numbers from below `low` to above `high`."""
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 2)
    return [float(f"{tenth}e{decade}") for decade in decades for tenth in _TENTHS]


def _spanning(steps: Sequence[float], low: float, high: float) -> Array:
    """The last of `steps` that is at most `low`, the first above `high`, and what is between."""
    first, last = np.searchsorted(steps, [low, high], side="right")
    return np.array(steps[first - 1 : last + 1])


def _groups(dataset: MetaDataset) -> tuple[list[list[str]], Array]:
    """The splits, families and maps that occur together, and the number of each dataset's."""
    coded = [catalog.positions(dataset.catalog[name]) for name in _GROUPED]
    codes = np.stack([code for _, code in coded], axis=1)
    found, group = np.unique(codes, axis=0, return_inverse=True)
    rows = [[names[k] for (names, _), k in zip(coded, row, strict=True)] for row in found]
    # Maps of two sides as components name them
    return [[split, family, x if x == y else f"{x}|{y}"] for split, family, x, y in rows], group
